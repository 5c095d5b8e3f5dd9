import os
import signal
import sys
from pathlib import Path

from agent.terminal import wire
from agent.terminal.host import Host


def main(arguments: list[str]) -> int:
    """`FOLDER`: 0 when the terminal is over and its folder is empty again. `--end FOLDER`: 0 when
    all terminals are over that have a folder in that one.
    """
    if arguments[0] == "--end":
        from agent.terminal.desk import Terminals  # no host carries it

        Terminals(Path(arguments[1]), "").end()
        return 0
    folder = Path(arguments[0])
    # The agent's stop, a closed terminal above it, and a Ctrl-C there are no end of this one.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    (folder / wire.PID).write_text(str(os.getpid()), encoding="ascii")
    Host(folder).run()
    for name in (wire.SOCKET, wire.PID, wire.SETTINGS):
        (folder / name).unlink(missing_ok=True)
    folder.rmdir()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
