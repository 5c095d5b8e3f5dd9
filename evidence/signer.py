"""The signer: a process of its own that signs a tree only when it extends the last one it signed.

`python -m evidence.signer --state FOLDER --socket PATH`
"""

import argparse
import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from domain.errors import DomainError
from evidence.signer_state import SignerState
from evidence.signing import (
    Answer,
    AskStatus,
    Refused,
    Signed,
    decode_request,
    encode_line,
    read_line,
)

_MAX_SOCKET_PATH: Final = 107  # Linux: sockaddr_un
_TICK_MS: Final = 250  # how soon a stop is seen
_PATIENCE_S: Final = 2  # a peer that says nothing must not hold the others up


def serve(
    folder: Path,
    path: Path,
    stop: threading.Event | None = None,
    ready: Callable[[], None] | None = None,
) -> None:
    """Serves until `stop`; calls `ready` once the socket answers.

    Raises: DomainError signer.second, signer.key_missing, signer.key_exposed, signer.socket_path.
    """
    stop = threading.Event() if stop is None else stop
    state = SignerState(folder)
    try:
        with _listen(path) as server:
            if ready is not None:
                ready()
            while not stop.is_set():
                _serve_one(server, state)
    finally:
        state.close()
        path.unlink(missing_ok=True)


def _listen(path: Path) -> socket.socket:
    """A socket only this account may reach. What a killed signer left is replaced: we hold the
    lock.
    """
    if len(str(path).encode()) > _MAX_SOCKET_PATH:
        raise DomainError("signer.socket_path", f"longer than {_MAX_SOCKET_PATH} bytes: {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    _refuse_living(path)
    path.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    path.chmod(0o600)
    server.listen(16)
    server.settimeout(_TICK_MS / 1000)
    return server


def _refuse_living(path: Path) -> None:
    """Another key's signer on the same socket is a second signer too."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise DomainError("signer.second", f"another signer already answers at {path}")


def _serve_one(server: socket.socket, state: SignerState) -> None:
    try:
        connection, _ = server.accept()
    except TimeoutError:
        return
    with connection:
        connection.settimeout(_PATIENCE_S)
        # A peer that hangs up or talks nonsense changed nothing: the state moves only in `sign`.
        with contextlib.suppress(OSError):
            connection.sendall(encode_line(_answer(connection, state)) + b"\n")


def _answer(connection: socket.socket, state: SignerState) -> Answer:
    try:
        request = decode_request(read_line(connection))
        return state.status() if isinstance(request, AskStatus) else Signed(state.sign(request))
    except DomainError as error:
        return Refused(error.code, error.detail, error.facts)
    except OSError as error:
        # Either the peer went away, or the state cannot be written: then nothing was signed.
        return Refused("signer.state_unwritable", f"nothing is signed: {error}", {})
    except (ValueError, msgspec.MsgspecError) as error:
        return Refused("signer.malformed", f"not a request: {error}", {})


def run(folder: Path, path: Path) -> int:
    """The process: 0 after SIGTERM or SIGINT, 1 with one sentence when it cannot start."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        serve(folder, path, stop)
    except DomainError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="evidence.signer", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="the signer's own folder")
    parser.add_argument("--socket", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    return run(chosen.state, chosen.socket)


if __name__ == "__main__":
    sys.exit(main())
