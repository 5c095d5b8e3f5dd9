"""What this machine says of itself: the serials its firmware tells, and its machine-id's hash."""

import hashlib
from pathlib import Path

from contracts.enrolment import Hardware

_DMI = Path("/sys/class/dmi/id")
_MACHINE_ID = Path("/etc/machine-id")
_LONGEST = 100


def stated(dmi: Path = _DMI, machine_id: Path = _MACHINE_ID) -> Hardware:
    """Empty fields where the kernel tells nothing (a container, no root): never a guess.

    The machine-id itself stays here: systemd asks programs not to expose it.
    """
    machine = _read(machine_id)
    digest = hashlib.sha256(f"gpuaas-machine/1\n{machine}".encode()).hexdigest() if machine else ""
    return Hardware(_read(dmi / "product_uuid"), _read(dmi / "product_serial"), digest)


def _read(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
    return "".join(one for one in text if one.isprintable())[:_LONGEST]
