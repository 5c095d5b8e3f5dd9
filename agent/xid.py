"""The XID catalogue: what an XID asks for. An XID is an event, never a value that stays.

Source: NVIDIA, "Analyzing Xid Errors with the Xid Catalog" (docs.nvidia.com/deploy/xid-errors,
for Ampere and newer), column "Resolution Bucket (Immediate Action)". Its buckets become:

    IGNORE, XID_154                      nothing      counted; NVML's recovery action decides
    RESTART_APP, WORKFLOW_XID_45         application  the program's fault or loss, not the GPU's
    RESET_GPU, WORKFLOW_XID_48,
    WORKFLOW_NVLINK(5)_ERR               reset        no new work before a reset
    RESTART_BM, RESTART_VM               reboot       no new work before the machine restarts
    CHECK_MECHANICALS, UPDATE_SWFW,
    CONTACT_SUPPORT (a used code)        hands        a person must look: nothing clears it alone

Three differ on purpose. 14 is injected from user space and 43, 44 leave the GPU well: the
program's. 157 (no spare resource left) has the bucket IGNORE and the next step CONTACT_SUPPORT:
hands. 171 and 172 have no bucket and detail a 48: reset. A code that is not in the table is one we
know nothing about: reset, because a device that may be broken is not given to anybody.
"""

from typing import Final, Literal

type Remedy = Literal["nothing", "application", "reset", "reboot", "hands"]

# remedy: codes and inclusive ranges
_TABLE: Final = """
nothing      37 38 63 66 67 92 93 106 107 108 121 137 141 152 153 154 160-164
application  8 11 13 14 25 31 32 39-41 43-45 60 68-72 75-77 80 82-86 88 89 94 96-105 126-135 139
reset        46 48 62 64 74 95 109 110 119 120 136 140 143-150 155 156 158 171 172
reboot       79 151
hands        54 78 142 157 165
"""


def _read() -> dict[int, Remedy]:
    found: dict[int, Remedy] = {}
    for line in _TABLE.strip().splitlines():
        name, *codes = line.split()
        remedy: Remedy = name  # type: ignore[assignment]
        for code in codes:
            first, _, last = code.partition("-")
            for number in range(int(first), int(last or first) + 1):
                assert number not in found, number
                found[number] = remedy
    return found


CATALOGUE: Final = _read()


def remedy(code: int) -> Remedy:
    """What the XID asks for; `reset` for one that the catalogue does not have."""
    return CATALOGUE.get(code, "reset")
