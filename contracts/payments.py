"""How a payer names the account: ISO 11649 creditor references, a function of the account's id."""

import re
from typing import Final

_PREFIX: Final = "GPU"
_REFERENCE: Final = re.compile(rf"RF[0-9]{{2}}{_PREFIX}[0-9]{{15}}")
_SEPARATORS: Final = re.compile(r"[\s.\-/]+")


def reference_of(account: str) -> str:
    """`RF`, two check digits, `GPU`, and the last twelve digits of the account's UUID as a decimal
    number of fifteen: check digits see every slip among digits, but not each one among letters.
    """
    body = f"{_PREFIX}{int(account[-12:], 16):015d}"
    return f"RF{98 - _value(body + 'RF00') % 97:02d}{body}"


def references_in(text: str) -> list[str]:
    """Our references with right check digits that somebody wrote in a text, however it is spaced;
    each once.
    """
    plain = _SEPARATORS.sub("", text.upper())
    size = len(reference_of("0" * 12))
    found = (plain[at : at + size] for at in range(len(plain)) if plain.startswith("RF", at))
    return list(dict.fromkeys(one for one in found if is_reference(one)))


def is_reference(text: str) -> bool:
    """Whether it is one of ours and its check digits are right (ISO 7064 MOD 97-10): neither one
    wrong character nor two swapped neighbours keep them so.
    """
    return bool(_REFERENCE.fullmatch(text)) and _value(text[4:] + text[:4]) % 97 == 1


def _value(text: str) -> int:
    return int("".join(str(int(letter, 36)) for letter in text))
