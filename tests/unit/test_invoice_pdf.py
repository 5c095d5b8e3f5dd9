"""An invoice on paper says what its sealed file and its page say, with tax and without."""

import re
from io import BytesIO
from typing import Any

import msgspec
import pytest
from pypdf import PdfReader

from api.invoice_page import Names, Source, amount, page, page_data
from api.invoice_pdf import invoice_pdf
from domain.crediting import Left, credit_file
from domain.taxed import taxed_file
from projections.taxes_read import Party
from tests.property.books_history import HOUR_US, stream
from tests.property.tax_history import OTHER_PARTY, PARTY, TaxWorld
from tests.unit.test_invoice_page import Page

NAMES = Names(
    "Chess Club", "Europe/Berlin", {stream("project", 1): "Labor & <b>Ω</b> 研究"}, {}, {},
    {PARTY.private: Party("ACME GmbH", "Weg 1", "Köln", "50667", "DE123456789"),
     OTHER_PARTY.private: None},
)  # fmt: skip
SOURCE = Source("Invoice", "invoice-x.json", "ab" * 32, 90, "issued", 0, 0, 10**12)


def files(digits: int, currency: str) -> list[bytes]:
    """An invoice of two rates over 12 projects, and the credit note of all of it."""
    world = TaxWorld(currency, digits)
    world.taxed()
    for project in range(1, 13):
        world.use(0, HOUR_US + 1234 * project, project=project)
    world.store(0, 3 * HOUR_US, size=1 << 20)
    world.invoice()
    draft = world.books.taxed_invoice_of(world.periods[0])
    assert draft is not None
    left = Left(stream("invoice", 1), "ACME-000001", draft)
    return [taxed_file(draft, "ACME-000001"), credit_file(left.take((), "void"), "ACME-C000001")]


def words(data: dict[str, Any]) -> str:
    """The text of the PDF, its pages in order."""
    pages = PdfReader(BytesIO(invoice_pdf(data))).pages
    return " ".join(" ".join(one.extract_text() for one in pages).split())


@pytest.mark.parametrize(("currency", "digits"), [("EUR", 2), ("JPY", 0), ("KWD", 3)])
def test_the_paper_says_what_the_file_says(currency: str, digits: int) -> None:
    """Every line's amount, every tax, net and total; the page says the same."""
    for file in files(digits, currency):
        said = msgspec.json.decode(file)
        data = page_data(file, SOURCE, NAMES)
        text, shown = words(data), Page(page(data))
        amounts = [line.get("shown_minor", line.get("amount_minor")) for line in said["lines"]]
        for minor in (*amounts, said["net_minor"], said["total_minor"],
                      *(one["tax_minor"] for one in said["taxes"])):  # fmt: skip
            assert amount(minor, digits) in text
            assert amount(minor, digits) in shown.text
        assert shown.minor == amounts
        assert shown.total_minor == said["total_minor"]
        assert re.search(rf"Total {re.escape(amount(said['total_minor'], digits))}", text)
        for word in (said["number"], "ACME GmbH, Weg 1, 50667 Köln, DE, DE123456789", "S 7.00 %"):
            assert word in text
            assert word in shown.text


def test_names_are_shown_not_obeyed_and_no_character_is_lost() -> None:
    """Markup is text; what the font lacks is named by its code; the same data is the same bytes."""
    file = files(2, "EUR")[0]
    data = page_data(file, SOURCE, NAMES)
    assert "Labor & <b>" in words(data)
    assert "[U+7814]" in words(data).replace(" ", "")
    assert invoice_pdf(data) == invoice_pdf(data)


def test_what_is_simulated_says_so_on_paper() -> None:
    """In front of everything else."""
    file = files(2, "EUR")[0].replace(b'"simulated":false', b'"simulated":true')
    assert "SIMULATED: for GPUs that do not exist" in words(page_data(file, SOURCE, NAMES))
