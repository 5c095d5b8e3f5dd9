from dataclasses import dataclass

CHECKED = "checked"
ABSENT = "absent"
UNCHECKED = "unchecked"
FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing a bundle claims and what became of it.

    `state`: `checked` (holds), `absent` (the bundle or the caller has nothing to check),
    `unchecked` (not looked at, with the reason in `detail`) or `failed`. `count` says of how many;
    `detail` says more, in words.
    """

    name: str
    state: str
    count: int = 0
    detail: str = ""
