"""The page of an invoice says what its sealed file says, whatever anybody is called."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from api.invoice_page import Names, amount, invoice_page, local
from domain.statement import InvoiceDraft, LineKey, Sum, invoice_file, state_lines
from projections.billing_read import Invoice, Price

HOUR = 3_600_000_000_000
PRICE = Price(
    7, "pricebook-1", "default", "gpu.time", "T4", "-", "usable", "USD", 0, 0, 350_000_000_000, HOUR
)


class Page(HTMLParser):
    """What a browser would show: words, numbers by their marks, tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()
        self.minor: list[int] = []
        self.total_minor = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on"), "a page that runs something"
            if name == "data-minor":
                self.minor.append(int(value or ""))
            if name == "data-total-minor":
                self.total_minor = int(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def drawn(
    sums: dict[LineKey, Sum],
    digits: int = 2,
    name: str = "Chess Club",
    *,
    simulated: bool = False,
    missing: str | None = None,
) -> Page:
    lines, total_pico, total_minor = state_lines(sums, digits)
    rounding = total_minor * 10 ** (12 - digits) - total_pico
    draft = InvoiceDraft(
        "organization-1", "account-1", "period-1", 1_735_686_000_000_000, 1_738_364_400_000_000,
        "USD", digits, simulated, lines, total_pico, rounding, total_minor,
    )  # fmt: skip
    found = Invoice(
        "invoice-1", 90, "organization-1", "G-7", "account-1", "period-1", None, None, "USD", digits,
        total_pico, total_minor, len(lines), "invoice-g-7.json", "ab" * 32, 80,
        1_738_364_400_000_000, "issued", 0, missing=missing,
    )  # fmt: skip
    names = Names(name, "Europe/Berlin", {"project-1": name}, {7: PRICE}, {})
    return Page(invoice_page(invoice_file(draft, "G-7"), found, names))


def test_a_page_says_what_its_file_says() -> None:
    """People's units, the price with its entry, local instants, exact and rounded amounts."""
    sums = {
        LineKey("project-1", "gpu.time:T4", 7, "period-1"): Sum(2 * HOUR, 700_000_000_000),
        LineKey("project-2", "llm.tokens:x", 9, "period-0"): Sum(-5, -1_000_000_000),
    }
    page = drawn(sums)
    for words in (
        "Invoice G-7", "Chess Club", "2025-01-01 00:00:00 +0100 to 2025-02-01 00:00:00 +0100",
        "2.000000 GPU-hours", "0.350000000000 per GPU-hour (entry 7)", "0.700000000000",
        "project-2", "-5 units", "entry 9", "correction for period-0", "0.699000000000",
        "0.001000000000 USD", "ab" * 32, "position 90",
    ):  # fmt: skip
        assert words in page.text, words
    assert "SIMULATED" not in page.text
    assert page.total_minor == 70


def test_what_is_simulated_says_so() -> None:
    """In front of everything else."""
    assert "SIMULATED: this invoice is for GPUs that do not exist" in drawn({}, simulated=True).text


def test_who_had_not_told_all_is_named() -> None:
    """An invoice without a seller does not say it in its file: the period's facts do."""
    page = drawn({}, missing='["node-1","source-2"]')
    assert "Not heard of yet node-1, source-2: what they tell later" in page.text
    assert "Not heard of yet" not in drawn({}).text


@given(
    st.dictionaries(
        st.builds(LineKey, st.just("project-1"), st.sampled_from(["a:b", "gpu.time:T4"]),
                  st.integers(0, 9), st.just("period-1")),
        st.builds(Sum, st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30)),
        max_size=8,
    ),
    st.sampled_from([0, 2, 3]),
)  # fmt: skip
def test_the_amounts_shown_add_up_to_the_total(sums: dict[LineKey, Sum], digits: int) -> None:
    """For every currency's minor unit, corrections included."""
    page = drawn(sums, digits)
    assert sum(page.minor) == page.total_minor
    assert amount(page.total_minor, digits) in page.text


@given(st.text(max_size=60))
def test_a_name_is_only_ever_a_name(name: str) -> None:
    """Tags, scripts and entities in it are shown, not obeyed."""
    plain, page = drawn({}), drawn({}, name=f"<script>alert(1)</script>{name}")
    assert page.tags == plain.tags
    assert "<script>alert(1)</script>" in page.text


def test_amounts_and_instants_as_they_are_written() -> None:
    """No float on the way; microseconds where there are any."""
    assert [amount(5, 2), amount(-5, 2), amount(12, 0), amount(-1, 12)] == [
        "0.05", "-0.05", "12", "-0.000000000001",
    ]  # fmt: skip
    assert local(1, "UTC") == "1970-01-01 00:00:00.000001 +0000"
