"""What a payment provider says has moved, against the credit that was granted: both ways, by name.

`gpuaas payments reconcile` reads both and changes nothing.
"""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from api.bank import Transfers
from api.calling import Api, api_of
from api.paying.port import BACK, IN, Movement, PaymentPort
from api.paying.settings import stripe_of
from domain.errors import DomainError

PICO_DIGITS = 12


class Granted(Struct, frozen=True):
    """Credit that names a payment of a provider; so much of it was charged back or refunded."""

    reference: str
    account: str
    amount_pico: int
    currency: str
    returned_pico: int = 0


class Report(Struct, frozen=True):
    """`lacking`: payments nobody was granted; `foreign`: credit without its payment; `differing`:
    both, of other amounts; `returned`: payments of which more went back than was charged back and
    refunded here, each to be resolved by a person.
    """

    matched: int
    lacking: tuple[Movement, ...]
    foreign: tuple[Granted, ...]
    differing: tuple[tuple[Movement, Granted], ...]
    returned: tuple[Movement, ...]

    @property
    def agrees(self) -> bool:
        return not (self.lacking or self.foreign or self.differing or self.returned)


def compared(name: str, movements: Iterable[Movement], grants: Iterable[Granted]) -> Report:
    """Every payment of the provider `name`, and every grant that says it is one, once each."""
    known = {one.reference: one for one in grants if one.reference.startswith(f"{name}:")}
    lacking, differing, back = [], [], list[Movement]()
    matched, seen = 0, set[str]()
    for one in movements:
        if one.kind == BACK:
            back.append(one)
        if one.kind != IN or one.reference in seen:
            continue
        seen.add(one.reference)
        granted = known.get(one.reference)
        if granted is None:
            lacking.append(one)
        elif (granted.amount_pico, granted.currency) != (one.amount_pico, one.currency):
            differing.append((one, granted))
        else:
            matched += 1
    foreign = [one for one in known.values() if one.reference not in seen]
    returned = _unexplained(back, known)
    return Report(matched, tuple(lacking), tuple(foreign), tuple(differing), tuple(returned))


def _unexplained(back: list[Movement], known: Mapping[str, Granted]) -> list[Movement]:
    """Of payments of which less was charged back and refunded than went back, all that did.

    By payment, net: a dispute that was won brings back what it took.
    """
    gone: Counter[tuple[str, str]] = Counter()
    for one in {one.number: one for one in back}.values():
        gone[one.reference, one.currency] -= one.amount_pico
    explained = {
        of
        for of, pico in gone.items()
        if (granted := known.get(of[0])) is not None
        and granted.currency == of[1]
        and pico <= granted.returned_pico
    }
    return [one for one in back if (one.reference, one.currency) not in explained]


def granted_in(api: Api) -> Iterator[Granted]:
    """All credit of all accounts. Raises: DomainError `api.*`, and what the API refuses with."""
    cursor = ""
    while True:
        page = api.get(f"/v1/accounts{cursor}")
        for account in page["items"]:
            wallet = api.get(f"/v1/accounts/{account['id']}/wallet")
            for one in wallet["credits"]:
                amount = one["amount"]
                of = (one["reference"], account["id"], _pico(amount), amount["currency"])
                yield Granted(*of, _pico(one["returned"]))
        if not page["next"]:
            return
        cursor = f"?cursor={page['next']}"


def reconcile(file: Path | None, since_s: int, env: Mapping[str, str] = os.environ) -> int:
    """0 when both sides agree, 1 when they do not; what differs is printed.

    `file`: a bank's statement; None for Stripe.

    Raises: as `granted_in`; DomainError `bank.*`, `payment.*`, `config.*`.
    """
    port: PaymentPort | None = stripe_of(env) if file is None else Transfers(file.read_bytes())
    if port is None:
        raise DomainError("config.missing", "GPUAAS_STRIPE_KEY is not set; or name a statement")
    report = compared(port.name, port.movements(since_s), granted_in(api_of(env)))
    for line in told(report):
        print(line)
    return 0 if report.agrees else 1


def told(report: Report) -> Iterator[str]:
    """A line for each that does not agree, and one that counts."""
    for one in report.lacking:
        yield f"NOT GRANTED  {one.number} {_amount(one)} {one.reference or 'names no payment'}"
    for granted in report.foreign:
        yield f"NOT PAID     {granted.reference} {_amount(granted)} {granted.account}"
    for one, granted in report.differing:
        yield f"DIFFERS      {one.reference} paid {_amount(one)}, granted {_amount(granted)}"
    for one in report.returned:
        yield f"WENT BACK    {one.number} {_amount(one)} {one.reference or 'names no payment'}"
    yield f"{report.matched} payments are credit of the same amount"


def _amount(of: Movement | Granted) -> str:
    sign = "-" if of.amount_pico < 0 else ""
    whole, part = divmod(abs(of.amount_pico), 10**PICO_DIGITS)
    return f"{sign}{whole}.{part:0{PICO_DIGITS}d} {of.currency}"


def _pico(amount: Mapping[str, Any]) -> int:
    return int(amount["amount"].replace(".", ""))
