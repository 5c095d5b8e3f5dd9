"""Statements of a bank: read whole or refused by name; each line once, to whom it names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import bank
from api.bank import Line, placed, statements_in
from contracts.payments import is_reference, reference_of, references_in
from domain.errors import DomainError
from tests.property.books_history import stream
from tests.serving import Answer, serving

OURS, OTHER = stream("account", 1), stream("account", 2)
RF = reference_of(OURS)
E12 = 10**12
CSV = """line,amount,currency,text
opening,100.00,USD,
2026-1,250.5,USD,Invoice {rf} thank you
2026-2,-50,USD,fee
2026-3,7,USD,birthday
closing,307.50,USD,
"""
ENTRY = """<Ntry><NtryRef>{number}</NtryRef><Amt Ccy="EUR">{amount}</Amt>
<CdtDbtInd>{side}</CdtDbtInd><Sts><Cd>{status}</Cd></Sts><AcctSvcrRef>B-{number}</AcctSvcrRef>
<NtryDtls><TxDtls><RmtInf>{said}</RmtInf></TxDtls></NtryDtls></Ntry>"""
BALANCE = """<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">{amount}</Amt>
<CdtDbtInd>CRDT</CdtDbtInd></Bal>"""


def camt(*entries: str, opening: str = "10", closing: str = "10") -> bytes:
    space = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
    balances = BALANCE.format(code="OPBD", amount=opening)
    balances += BALANCE.format(code="CLBD", amount=closing)
    inside = f"<BkToCstmrStmt><Stmt><Id>1</Id>{balances}{''.join(entries)}</Stmt></BkToCstmrStmt>"
    return f'<?xml version="1.0"?><Document xmlns="{space}">{inside}</Document>'.encode()


def entry(
    number: int, amount: str, said: str = "", side: str = "CRDT", status: str = "BOOK"
) -> str:
    return ENTRY.format(number=number, amount=amount, said=said, side=side, status=status)


def refused(raw: bytes) -> str:
    with pytest.raises(DomainError) as caught:
        statements_in(raw)
    return caught.value.code


def test_a_csv_statement_is_its_lines_between_its_balances() -> None:
    """Amounts exact, money out with its sign, what is written untouched."""
    [found] = statements_in(CSV.format(rf=RF).encode())
    assert [(one.number, one.amount_pico) for one in found.lines] == [
        ("2026-1", 250 * E12 + E12 // 2), ("2026-2", -50 * E12), ("2026-3", 7 * E12),
    ]  # fmt: skip
    assert (found.opening_pico, found.closing_pico) == (100 * E12, 307 * E12 + E12 // 2)


def test_camt_053_of_any_version_is_its_booked_entries() -> None:
    """Structured and unstructured references; what is pending does not count yet."""
    strd = f"<Strd><CdtrRefInf><Ref>{RF}</Ref></CdtrRefInf></Strd>"
    raw = camt(
        entry(1, "5.25", strd), entry(2, "1", "<Ustrd>x</Ustrd>"),
        entry(3, "0.25", side="DBIT"), entry(4, "9", status="PDNG"), closing="16",
    )  # fmt: skip
    [found] = statements_in(raw)
    assert [(one.number, one.amount_pico) for one in found.lines] == [
        ("B-1", 5 * E12 + E12 // 4), ("B-2", E12), ("B-3", -E12 // 4),
    ]  # fmt: skip
    [mine, other] = placed(found.lines, {OURS: "EUR", OTHER: "EUR"})
    assert (mine.account, other.account, other.why) == (OURS, "", "names no account")


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\xff\xfe", b"<", b"<a/>", b"line,amount\n", CSV.format(rf="").encode()[:-30],
        CSV.replace("250.5", "1e3").encode(), CSV.replace("250.5", "nan").encode(),
        CSV.replace("2026-2", "2026 2").encode(), CSV.replace("opening", "start").encode(),
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', camt(entry(1, "x")),
        camt(entry(1, "1", side="")), camt().replace(b"OPBD", b"XXXX"),
        CSV.replace("2026-2", "2026-1").encode(), camt(entry(1, "1")).replace(b"B-1", b""),
    ],
)  # fmt: skip
def test_rubbish_is_refused_whole(raw: bytes) -> None:
    """Nothing of a file is believed that is not a statement."""
    assert refused(raw) in {"bank.malformed", "bank.unbalanced"}


def test_a_statement_that_does_not_add_up_is_refused() -> None:
    """A line that is missing, or one more."""
    assert refused(CSV.replace("2026-3,7,USD,birthday\n", "").encode()) == "bank.unbalanced"
    assert refused(camt(entry(1, "1"))) == "bank.unbalanced"


def test_money_goes_to_the_one_account_it_names_and_nowhere_else() -> None:
    """Two accounts, another currency, money out, nobody: a person looks at it."""
    accounts = {OURS: "USD", OTHER: "USD"}

    def whose(text: str, pico: int = 1, currency: str = "USD") -> list[tuple[str, str]]:
        return [
            (one.account, one.why) for one in placed([Line("1", pico, currency, text)], accounts)
        ]

    assert (
        whose(RF) == whose(f"pay {RF[:4]} {RF[4:8]}-{RF[8:]}.") == whose(RF.lower()) == [(OURS, "")]
    )
    assert whose(f"{RF} {reference_of(OTHER)}") == [("", "names several")]
    assert whose(reference_of(stream("account", 3))) == whose("") == [("", "names no account")]
    assert whose(RF, currency="EUR") == [("", f"{OURS} is in USD")]
    assert whose(RF, -1) == whose(RF, 0) == []


@given(st.integers(0, 16**12 - 1), st.data())
def test_no_slip_of_a_digit_reaches_another_account(number: int, data: st.DataObject) -> None:
    """A reference is right as it is, in any spacing, and wrong with any one character changed or
    two neighbours swapped.
    """
    right = reference_of(f"{number:012x}")
    assert is_reference(right)
    assert references_in("x " + " ".join(right[at : at + 4] for at in range(0, 22, 4))) == [right]
    at = data.draw(st.integers(2, len(right) - 1))
    letters = "0123456789" if at < 4 else "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    other = data.draw(st.sampled_from(letters.replace(right[at], "")))
    assert not is_reference(right[:at] + other + right[at + 1 :])
    if at + 1 < len(right) and right[at] != right[at + 1]:
        assert not is_reference(right[:at] + right[at + 1] + right[at] + right[at + 2 :])


def test_what_a_payer_wrote_is_not_obeyed_by_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Where an operator lists what waits: neither escape sequences nor what turns words round."""
    amount = {"amount": "1.00", "currency": "USD"}
    one = {"id": "suspense-1", "line": "l\x1b[2J", "amount": amount, "text": "a\u202eb\x9bc"}
    with serving(Answer(200, {"items": [one], "next": None})) as (url, _):
        assert bank.waiting({"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"}) == 0
    assert capsys.readouterr().out == "suspense-1  l?[2J  1.00 USD  a?b?c\n"
