"""Bank transfers as payments: statement lines become credit, each once, matched by reference.

Works offline on a file that the bank gave: camt.053 (ISO 20022, any version) or CSV. A statement
whose lines do not lead from its opening to its closing balance is refused whole. Whoever imports it
again, or one that overlaps it, grants nothing twice: the line's own number is the reference of its
credit. What names no account is put aside, in the books too, until a person says what it is of;
nothing is guessed.
"""

import csv
import io
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from msgspec import Struct

from api.body import on_a_line
from api.calling import Api, api_of
from api.paying.port import IN, OUT, Asked, Movement, TopUp
from contracts.payments import reference_of, references_in
from domain.errors import DomainError
from gpuaas_client.telling import plain

PICO_DIGITS: Final = 12
LARGEST: Final = 64 << 20
_AMOUNT: Final = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,12})?")
_LINE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,57}")
_COLUMNS: Final = ("line", "amount", "currency", "text")
_LONGEST: Final = 500
_BALANCES: Final = ("opening", "closing")


class Line(Struct, frozen=True):
    """Money in, or out where `amount_pico` < 0. `number`: the bank's own, unique for ever."""

    number: str
    amount_pico: int
    currency: str
    text: str


class Statement(Struct, frozen=True):
    """Its lines lead from `opening_pico` to `closing_pico`."""

    lines: tuple[Line, ...]
    opening_pico: int
    closing_pico: int


class Placed(Struct, frozen=True):
    """What became of a line: credit of this account, or nothing, and why."""

    line: Line
    account: str
    why: str


class Transfers(Struct, frozen=True):
    """A statement as a payment port: what was transferred by whoever named a reference."""

    raw: bytes

    @property
    def name(self) -> str:
        return "bank"

    def ask(self, wanted: TopUp) -> Asked:
        """Nothing is asked of a bank: the payer transfers."""
        return Asked(self.name, "", reference_of(wanted.account))

    def movements(self, since_s: int) -> list[Movement]:
        """All lines of the file: it says of no line when. Raises: DomainError `bank.*`."""
        assert since_s >= 0, "seconds since the epoch"
        lines = (line for one in statements_in(self.raw) for line in one.lines)
        return [
            Movement(
                line.number,
                f"{self.name}:{line.number}",
                IN if line.amount_pico > 0 else OUT,
                line.amount_pico,
                line.currency,
            )
            for line in lines
        ]


def statements_in(raw: bytes) -> list[Statement]:
    """Those of a file. Raises: DomainError bank.malformed, bank.unbalanced."""
    if len(raw) > LARGEST:
        raise DomainError("bank.malformed", f"larger than {LARGEST} bytes")
    found = _camt(raw) if raw.lstrip()[:1] == b"<" else [_csv(raw)]
    for one in found:
        total = one.opening_pico + sum(line.amount_pico for line in one.lines)
        if total != one.closing_pico:
            facts: dict[str, int | str] = {"off_pico": total - one.closing_pico}
            raise DomainError("bank.unbalanced", "its lines do not lead to its balance", facts)
        if len({line.number for line in one.lines}) != len(one.lines):
            raise DomainError("bank.malformed", "two lines have one number")
    return found


def placed(lines: Iterable[Line], accounts: Mapping[str, str]) -> list[Placed]:
    """Each line that brings money, and whose it is; `accounts`: the currency of each by its id."""
    known = {reference_of(account): account for account in accounts}
    found = []
    for line in lines:
        named = {known[one] for one in references_in(line.text) if one in known}
        if line.amount_pico <= 0:
            continue
        if len(named) != 1:
            found.append(Placed(line, "", "names no account" if not named else "names several"))
            continue
        [account] = named
        if accounts[account] != line.currency:
            found.append(Placed(line, "", f"{account} is in {accounts[account]}"))
        else:
            found.append(Placed(line, account, ""))
    return found


def imported(api: Api, raw: bytes) -> list[Placed]:
    """Every line that brings money, granted where it names an account; the whole file is read
    before the first grant.

    Raises: DomainError bank.*, api.*, and what the API refuses with.
    """
    statements = statements_in(raw)
    accounts = {one["id"]: one["currency"] for one in api.get("/v1/accounts")["items"]}
    found = placed((line for one in statements for line in one.lines), accounts)
    before = _aside(api)
    for one in found:
        known = before.get(one.line.number)
        if one.account and known is not None:
            # Put aside when it named nobody yet: it is in the books, and never granted beside that.
            if known["how"] is None:
                api.post(f"/v1/suspense/{known['id']}/resolve", {"account": one.account})
        elif one.account:
            reference = f"bank:{one.line.number}"
            body = {"amount": _money(one.line), "bucket": "paid", "reference": reference}
            api.post(f"/v1/accounts/{one.account}/grants", body)
        else:
            said = on_a_line(one.line.text)[:_LONGEST]
            body = {"amount": _money(one.line), "line": one.line.number, "text": said}
            api.post("/v1/suspense", body)
    return found


def _aside(api: Api) -> dict[str, dict[str, str | None]]:
    """All that was ever put aside, by the number of its line."""
    found: dict[str, dict[str, str | None]] = {}
    cursor = ""
    while True:
        page = api.get(f"/v1/suspense?limit=500{cursor}")
        found |= {one["line"]: one for one in page["items"]}
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


def take(path: Path, env: Mapping[str, str] = os.environ) -> int:
    """0 once every line of the file is granted or put aside, and said so.

    Raises: as `imported`.
    """
    found = imported(api_of(env), path.read_bytes())
    for one in found:
        line, amount = one.line, _money(one.line)
        became = one.account or f"SUSPENSE: {one.why}"
        print(plain(f"{line.number}  {amount['amount']} {amount['currency']}  {became}"))
    aside = sum(1 for one in found if not one.account)
    print(f"{len(found) - aside} lines are credit, {aside} wait for a person")
    return 0


def waiting(env: Mapping[str, str] = os.environ) -> int:
    """0 once all that is put aside and not resolved is listed. Raises: DomainError api.*."""
    api, asked = api_of(env), "/v1/suspense?waiting=true&limit=500"
    found = api.get(asked)
    for one in found["items"]:
        amount = f"{one['amount']['amount']} {one['amount']['currency']}"
        print(plain(f"{one['id']}  {one['line']}  {amount}  {one['text'] or '-'}"))
    if found["next"]:
        print("and more")
    return 0


def resolve(
    name: str, wanted: Mapping[str, str | bool], env: Mapping[str, str] = os.environ
) -> int:
    """0 once what was put aside is what `wanted` says. Raises: DomainError api.*, and refusals."""
    done = api_of(env).post(f"/v1/suspense/{name}/resolve", dict(wanted))
    print(plain(f"{name}  {done['how']}  {done['about'] or '-'}"))
    return 0


def _money(line: Line) -> dict[str, str]:
    whole, part = divmod(line.amount_pico, 10**PICO_DIGITS)
    return {"amount": f"{whole}.{part:0{PICO_DIGITS}d}", "currency": line.currency}


def _pico(text: str | None) -> int:
    if text is None or not _AMOUNT.fullmatch(text.strip()):
        raise DomainError("bank.malformed", f"no amount: {text!r}")
    whole, _, part = text.strip().partition(".")
    pico = int(whole.lstrip("-")) * 10**PICO_DIGITS + int(part.ljust(PICO_DIGITS, "0"))
    return -pico if whole.startswith("-") else pico


def _line(number: str | None, amount_pico: int, currency: str | None, text: str) -> Line:
    if number is None or not _LINE.fullmatch(number) or currency is None:
        raise DomainError("bank.malformed", f"a line without number or currency: {number!r}")
    return Line(number, amount_pico, currency, text)


def _csv(raw: bytes) -> Statement:
    """Columns line, amount, currency, text; a first row `opening` and a last row `closing`."""
    try:
        rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DomainError("bank.malformed", str(error)) from error
    if len(rows) < len(_BALANCES) or tuple(rows[0]) != _COLUMNS:
        raise DomainError("bank.malformed", f"columns {', '.join(_COLUMNS)}, with both balances")
    first, *between, last = rows
    if (first["line"], last["line"]) != _BALANCES:
        raise DomainError("bank.malformed", "the first row is `opening`, the last `closing`")
    lines = tuple(
        _line(row["line"], _pico(row["amount"]), row["currency"], row["text"] or "")
        for row in between
    )
    return Statement(lines, _pico(first["amount"]), _pico(last["amount"]))


def _camt(raw: bytes) -> list[Statement]:
    """Booked entries only; names are matched without their namespace, whatever the version."""
    # Entities and document types are no part of ISO 20022: nothing of the kind is expanded.
    if b"<!" in raw:
        raise DomainError("bank.malformed", "a document type or an entity has no place in it")
    try:
        root = ET.fromstring(raw)  # noqa: S314 - no declaration gets here
    except ET.ParseError as error:
        raise DomainError("bank.malformed", str(error)) from error
    found = [_statement(one) for one in root.iter() if _name(one) == "Stmt"]
    if not found:
        raise DomainError("bank.malformed", "no statement in it")
    return found


def _statement(stmt: ET.Element) -> Statement:
    balances = {}
    for one in stmt:
        if _name(one) == "Bal":
            code = _text(one, "Tp", "CdOrPrtry", "Cd")
            balances[code] = _signed(one)
    opening = balances.get("OPBD", balances.get("PRCD"))
    closing = balances.get("CLBD")
    if opening is None or closing is None:
        raise DomainError("bank.malformed", "opening and closing booked balance are missing")
    entries = [one for one in stmt if _name(one) == "Ntry" and _is_booked(one)]
    return Statement(tuple(_entry(one) for one in entries), opening, closing)


def _is_booked(entry: ET.Element) -> bool:
    return "BOOK" in {_text(entry, "Sts"), _text(entry, "Sts", "Cd")}


def _entry(entry: ET.Element) -> Line:
    amount = _child(entry, "Amt")
    assert amount is not None, "_signed found it"
    number = _text(entry, "AcctSvcrRef") or _text(entry, "NtryRef")
    said = [one.text or "" for one in entry.iter() if _name(one) in {"Ustrd", "Ref", "EndToEndId"}]
    return _line(number, _signed(entry), amount.get("Ccy"), " | ".join(said))


def _signed(element: ET.Element) -> int:
    amount = _child(element, "Amt")
    side = _text(element, "CdtDbtInd")
    if amount is None or side not in {"CRDT", "DBIT"}:
        raise DomainError("bank.malformed", "an amount without its side")
    pico = _pico(amount.text)
    return pico if side == "CRDT" else -pico


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _child(element: ET.Element, name: str) -> ET.Element | None:
    return next((one for one in element if _name(one) == name), None)


def _text(element: ET.Element, *path: str) -> str | None:
    found: ET.Element | None = element
    for name in path:
        found = None if found is None else _child(found, name)
    return None if found is None or found.text is None else found.text.strip()
