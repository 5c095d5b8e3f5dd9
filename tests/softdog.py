"""The node's watchdog with the kernel's own software watchdog, on a machine that may be reset.

A Linux in user mode (Debian: user-mode-linux; no KVM, nothing of this machine is changed): its root
is ours, read-only, and only a temporary folder is written to. A reset begins the machine anew.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.machine import PATH

SCENARIOS = {"closed": False, "killed": True, "stopped": True, "late": True}
_WITHIN_S = 300
_INIT = """#!/bin/sh
export PATH={path} HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t hostfs none /mnt -o {share}
cd {root}
exec {python} -B -m tests.softdog_story $scenario {module} </dev/console >/dev/console 2>&1
"""


def machine_of() -> tuple[str, Path] | None:
    """The program that is a Linux, and its softdog module; None where either is not installed."""
    program = shutil.which("linux.uml", path=PATH)
    if program is None:
        return None
    modules = Path(program).resolve().parents[1] / "lib" / "uml" / "modules"
    found = sorted(modules.glob("*/kernel/drivers/watchdog/softdog.ko"))
    return (program, found[-1]) if found else None


def softdog_holds(folder: Path, machine: tuple[str, Path], scenario: str) -> str:
    """What was seen, in a line. The law: petted it goes on; closed it is not reset, whatever else
    becomes of the program resets it; and the next boot knows why, where somebody could say so.
    """
    program, module = machine
    share = folder / scenario
    share.mkdir()
    init = folder / f"{scenario}.sh"
    root = Path(__file__).parents[1]
    init.write_text(
        _INIT.format(path=PATH, share=share, root=root, python=sys.executable, module=module)
    )
    init.chmod(0o755)
    argv = [program, "mem=512M", "rootfstype=hostfs", "rootflags=/", "ro", f"init={init}"]
    argv += ["con=null", "con0=fd:0,fd:1", f"scenario={scenario}"]
    console = folder / f"{scenario}.log"
    with console.open("wb") as out:
        nothing = subprocess.DEVNULL
        subprocess.run(argv, stdin=nothing, stdout=out, stderr=out, timeout=_WITHIN_S, check=False)
    lines = console.read_text(errors="replace").splitlines()
    told = [line.partition("STORY ")[2].strip() for line in lines if "STORY " in line]
    assert told[0] == "refused watchdog.not_one watchdog.missing", lines[-30:]
    assert "Software Watchdog, 3 s" in told[1], told
    assert told[2:4] == ["refused watchdog.busy", "petted"], told
    if SCENARIOS[scenario]:
        assert told[4].startswith("reset True"), told
        assert ("allocation-late" in told[4]) == (scenario == "late"), told
    else:
        assert told[4] == "not reset", told
    assert len(told) == 5, told
    return f"softdog, {scenario}: {told[4]}"
