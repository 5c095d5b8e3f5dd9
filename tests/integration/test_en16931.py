"""EN 16931 by judges nobody here wrote: schemas and schematrons of UBL and CII, offline."""

from datetime import date
from itertools import product
from typing import Any

import msgspec
import pytest
from msgspec import structs

from api.en16931.cii import cii
from api.en16931.paper import Called, Dates, Paper, paper_of
from api.en16931.ubl import ubl
from api.exemptions import REASONS
from domain.crediting import Left, Part, credit_file
from domain.errors import DomainError
from domain.period import FIRST_US
from domain.taxed import read_taxed_file, taxed_file
from projections.taxes_read import Party
from tests.en16931_judge import objections
from tests.property.books_history import HOUR_US, stream
from tests.property.tax_history import EXEMPT, OTHER_PARTY, PARTY, REVERSE, STANDARD, TaxWorld

DAY = date(2025, 2, 1)
DATES = Dates(DAY, date(2025, 1, 1), date(2025, 1, 31), DAY)
CALLED = Called(
    parties={
        PARTY.private: Party("Verkäufer & Söhne GmbH", "Weg <1>", "Köln", "50667", "DE123456789"),
        OTHER_PARTY.private: Party("Acheteur SA", "", "Paris", "75001", "FR12345678901"),
    },
    projects={stream("project", 1): "Forschung"},
    services={},
)
# Who buys what where: the treatment, the country, the currency and its digits.
CASES: dict[str, tuple[str, str, str, int]] = {
    "standard": (STANDARD, "DE", "EUR", 2),
    "reverse": (REVERSE, "FR", "EUR", 2),
    "exempt": (EXEMPT, "DE", "EUR", 2),
    "outside": ("outside", "US", "USD", 2),
    "zero": ("zero", "DE", "EUR", 2),
    "yen": (STANDARD, "DE", "JPY", 0),
    "dinar": (STANDARD, "DE", "KWD", 3),
    "owed_back": (STANDARD, "DE", "EUR", 2),
}


def files(case: str) -> dict[str, bytes]:
    """The invoice of a period, a credit note of a part of it, and one of all that was left."""
    treatment, country, currency, digits = CASES[case]
    world = TaxWorld(currency, digits)
    world.rate("outside", "US", "*", "O", 0, "VATEX-EU-O", RATE_EVER)
    world.rate("zero", "DE", "*", "Z", 0, "", RATE_EVER)
    world.taxed(treatment, country)
    period = 0
    if case == "owed_back":
        world.overcharge()
        period = 1
    else:
        world.use(0, 2 * HOUR_US + 1_234_567)
        world.use(0, 45_000_000, project=2)
        world.use(0, 17 * HOUR_US + 7, project=3)
        world.store(0, 3 * HOUR_US, size=1 << 20)
    world.invoice(period)
    draft = world.books.taxed_invoice_of(world.periods[period])
    assert draft is not None
    found = {"invoice": taxed_file(draft, "ACME-000001")}
    left = Left(stream("invoice", 1), "ACME-000001", draft)
    step = 10 ** max(0, digits - 2)
    line = next(n for n, one in enumerate(draft.lines) if one.shown_minor)
    sign = 1 if draft.lines[line].shown_minor > 0 else -1
    part = Part(line, sign * step)
    found["part"] = credit_file(left.take((part,), "outage"), "ACME-C000001")
    found["rest"] = credit_file(left.take((), "void"), "ACME-C000002")
    return found


RATE_EVER = FIRST_US


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Every invoice and credit note of every case in both syntaxes, and broken ones, judged."""
    folder = tmp_path_factory.mktemp("en16931")
    for case in CASES:
        for kind, file in files(case).items():
            paper = paper_of(file, DATES, CALLED)
            (folder / f"{case}.{kind}.ubl.xml").write_bytes(ubl(paper))
            (folder / f"{case}.{kind}.cii.xml").write_bytes(cii(paper))
    paper = paper_of(files("standard")["invoice"], DATES, CALLED)
    for name, broken in (
        ("total", structs.replace(paper, total="1.00")),
        ("currency", structs.replace(paper, currency="XXQ")),
        ("lines", structs.replace(paper, items=paper.items[:1])),
    ):
        (folder / f"broken.{name}.ubl.xml").write_bytes(ubl(broken))
        (folder / f"broken.{name}.cii.xml").write_bytes(cii(broken))
    paper = paper_of(files("exempt")["invoice"], DATES, CALLED)
    for category, code in [(one, code) for one in ("E", "AE") for code in REASONS[one]]:
        items = tuple(structs.replace(one, category=category) for one in paper.items)
        taxes = tuple(structs.replace(one, category=category, code=code) for one in paper.taxes)
        document = structs.replace(paper, items=items, taxes=taxes)
        (folder / f"reason.{category}.{code}.ubl.xml").write_bytes(ubl(document))
    return objections(sorted(folder.iterdir()))


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_invoice_and_credit_note_is_accepted(judged: dict[str, list[str]], case: str) -> None:
    """Several rates, reverse charge, exempt, zero, out of scope, yen, dinars, owed back; no warning."""
    mine = {name: wrong for name, wrong in judged.items() if name.startswith(f"{case}.")}
    assert len(mine) == 6
    assert {name: wrong for name, wrong in mine.items() if wrong} == {}


@pytest.mark.slow
def test_the_judges_refuse_what_is_broken(judged: dict[str, list[str]]) -> None:
    """Another total, a currency that is none, lines left out: in both syntaxes, by the rule's name."""
    rules = {"total": "BR-CO-15", "lines": "BR-CO-10", "currency": "BR-CL-"}
    for (name, rule), syntax in product(rules.items(), ("ubl", "cii")):
        wrong = judged[f"broken.{name}.{syntax}.xml"]
        named = "'@currencyID' is not allowed" if (name, syntax) == ("currency", "cii") else rule
        assert any(named in one for one in wrong), (name, syntax, wrong)


@pytest.mark.parametrize("case", CASES)
def test_totals_are_the_sealed_files(case: str) -> None:
    """Amounts in either syntax, read back, are the file's minor units."""
    digits = CASES[case][3]
    for file in files(case).values():
        said: dict[str, Any] = msgspec.json.decode(file)
        paper = paper_of(file, DATES, CALLED)
        places = min(digits, 2)
        assert [scaled(one.amount, places, digits) for one in paper.items] == [
            line.get("shown_minor", line.get("amount_minor")) for line in said["lines"]
        ]
        for name in ("net", "tax", "total"):
            assert scaled(getattr(paper, name), places, digits) == said[f"{name}_minor"]
        for written in (ubl(paper), cii(paper)):
            text = written.decode()
            for amount in (paper.net, paper.tax, paper.total):
                assert f">{amount}<" in text


@pytest.mark.slow
def test_every_reason_that_is_admitted_is_known_to_the_judges(judged: dict[str, list[str]]) -> None:
    """Each code of each category, on documents that say nothing else new."""
    mine = {name: wrong for name, wrong in judged.items() if name.startswith("reason.")}
    assert len(mine) > 80
    assert {name: wrong for name, wrong in mine.items() if wrong} == {}


def scaled(text: str, places: int, digits: int) -> int:
    """The minor units that a decimal says."""
    assert len(text.partition(".")[2]) == places
    return int(text.replace(".", "") + "0" * (digits - places))


def test_what_was_erased_or_has_no_seller_is_no_document() -> None:
    """By name: the law wants the names, and a seller."""
    file = files("standard")["invoice"]
    with pytest.raises(DomainError, match=r"tax\.party_erased"):
        paper_of(file, DATES, Called({PARTY.private: None, OTHER_PARTY.private: None}, {}, {}))
    plain = file.replace(b"gpuaas-invoice/2", b"gpuaas-invoice/1")
    with pytest.raises(DomainError, match=r"invoice\.no_seller"):
        paper_of(plain, DATES, CALLED)


def test_the_file_reads_back_as_its_draft() -> None:
    """What credit notes are made from over HTTP is the sealed file."""
    file = files("standard")["invoice"]
    number, draft = read_taxed_file(file)
    assert taxed_file(draft, number) == file
    assert isinstance(paper_of(file, DATES, CALLED), Paper)
