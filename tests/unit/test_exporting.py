"""Exports without a database: names of ledger accounts, columns of FOCUS, files of tables."""

import csv
import io
from collections.abc import Sequence
from decimal import Decimal

import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from domain.errors import DomainError
from projections.billing_read import Account, Period
from projections.exporting import charges, focus, focus14
from projections.exporting.bookkeeping import Beancount, Hledger
from projections.exporting.chart import Chart
from projections.exporting.lines import (
    Beside,
    Entry,
    Line,
    Lines,
    _list_price,
    _Listed,
    unit_price,
)
from projections.exporting.proof import Proof, decimal
from projections.exporting.table import Column, Csv, Parquet
from projections.journal_read import Posted

ISSUER = "cloud.example"
PROOF = Proof(f"{ISSUER}/0011223344556677", 10, "ab" * 32)
ACCOUNT = Account("account-1", 1, "organization-1", "USD", 2, "Europe/Berlin", 0)
HOUR_US = 3_600_000_000
ROUNDED = Beside("cc", "rounding", None, -3, 12)
MAY = Period("period-1", 2, "account-1", 1, 0, 700 * HOUR_US, "UTC", "open", None, None, None)
JUNE = replace(MAY, period="period-2", sequence=2, start_us=MAY.end_us, end_us=1400 * HOUR_US)
BILL = focus.Bill(ACCOUNT, MAY, "G-1", {"project-1": "chess"}, PROOF)
LINE = Line(
    "runtime-1", "train", "project-1", "gpu.time", "T4", "-", "usable", 7, 350_000_000_000,
    3_600_000_000_000, 350_000_000_000, "period-1", 1, 2 * HOUR_US + 1, 2 * 1000 * HOUR_US,
    700_000_000_000, 9, '["aa","bb"]',
    simulated=True,
)  # fmt: skip


def charged(bill: focus.Bill, *lines: Line) -> focus.Charged:
    return focus.Charged(bill, Lines.of(lines))


def shown(
    rows: Sequence[focus.Row], columns: tuple[Column[focus.Row], ...] = focus.COLUMNS
) -> dict[str, str]:
    """The only row as its CSV has it."""
    table = Csv(columns)
    text = (table.head() + table.rows(rows) + table.tail()).decode()
    [found] = csv.DictReader(io.StringIO(text))
    return found


def test_a_charge_line_in_focus() -> None:
    """Quantities in the price's unit, costs exact, instants to the second and exact beside that."""
    row = shown(charged(BILL, LINE))
    assert row["PricingQuantity"] == "2.000000000000"
    assert (row["PricingUnit"], row["ConsumedUnit"]) == ("GPU-Hours", "GPU-Seconds")
    assert row["ConsumedQuantity"] == "7200.000000000000"
    assert row["BilledCost"] == row["ListCost"] == row["EffectiveCost"] == "0.700000000000"
    assert row["ContractedUnitPrice"] == "0.350000000000"
    assert (row["ChargePeriodStart"], row["x_ChargePeriodStartUs"]) == ("1970-01-01T00:00:00Z", "1")
    assert (row["ChargePeriodEnd"], row["x_ChargePeriodEndUs"]) == (
        "1970-01-01T02:00:01Z", str(2 * HOUR_US + 1),
    )  # fmt: skip
    assert (row["InvoiceId"], row["ChargeClass"], row["SubAccountName"]) == ("G-1", "", "chess")
    assert (row["x_PriceEntry"], row["x_LogPosition"], row["x_TransferIds"]) == (
        "7", "9", '["aa","bb"]',
    )  # fmt: skip
    assert (row["x_CheckpointSize"], row["x_CheckpointRoot"]) == ("10", "ab" * 32)
    assert row["x_Simulated"] == "true"
    assert (row["ProviderName"], row["RegionId"]) == (ISSUER, "")


def test_a_line_says_what_it_is_charged_to() -> None:
    """The cost centre by its id, and by its name where that was not erased; what has none, and what
    is beside the lines, says nothing.
    """
    named = replace(BILL, centres={"cost_centre-1": "research", "cost_centre-2": None})
    for centre, said in (("cost_centre-1", "research"), ("cost_centre-2", ""), (None, "")):
        line = charged(named, replace(LINE, cost_centre=centre))
        for columns in (focus.COLUMNS, focus14.COLUMNS):
            row = shown(line, columns)
            assert (row["x_CostCentreId"], row["x_CostCentreName"]) == (centre or "", said)
        assert shown(line, charges.COLUMNS)["cost_centre"] == (centre or "")
    beside = shown([focus.beside(named, ROUNDED)])
    assert (beside["x_CostCentreId"], beside["x_CostCentreName"]) == ("", "")


def test_an_accounts_own_price_and_the_list_price() -> None:
    """What it would have cost by the default price is another column; without one it is the same."""
    dearer = shown(charged(BILL, replace(LINE, list_pico=500_000_000_000)))
    assert (dearer["ListUnitPrice"], dearer["ListCost"]) == ("0.500000000000", "1.000000000000")
    assert dearer["ContractedCost"] == "0.700000000000"
    none = shown(charged(BILL, replace(LINE, list_pico=None)))
    assert (none["ListUnitPrice"], none["ListCost"]) == ("0.350000000000", "0.700000000000")


def test_a_line_says_where_it_was_used_whatever_prices_it() -> None:
    """RegionId and RegionName are those of its node, its price's key that of the entry; what a default
    price of the region would have made of it goes before one of none.
    """
    row = shown(charged(BILL, replace(LINE, stood="eu-de-1")))
    assert (row["RegionId"], row["RegionName"]) == ("eu-de-1", "eu-de-1")
    assert row["SkuPriceId"] == "gpu.time:T4:-:usable"
    listed = [
        _Listed(7, at, since, region, pico)
        for at, since, region, pico in (
            (3, 60, "eu-de-1", 1),
            (2, 50, "-", 2),
            (1, 0, "us-va-1", 3),
        )
    ]
    found = [
        _list_price(listed, region, start, 9)
        for region, start in (
            ("eu-de-1", 60),
            ("eu-de-1", 59),
            ("us-va-1", 70),
            ("-", 70),
            ("-", 49),
        )
    ]
    assert found == [1, 2, 3, 2, None]


def test_what_was_charged_too_much_before_is_a_correction() -> None:
    """A line of May that is booked in June says so, and may be negative."""
    late = replace(LINE, quantity=-LINE.quantity, amount_pico=-LINE.amount_pico)
    row = shown(charged(replace(BILL, period=JUNE), late))
    assert (row["ChargeClass"], row["BilledCost"]) == ("Correction", "-0.700000000000")
    assert (row["BillingPeriodStart"], row["x_ServicePeriodId"]) == (
        "1970-01-30T04:00:00Z", "period-1",
    )  # fmt: skip


def test_lines_of_one_entry_have_each_their_own_unit_price() -> None:
    """Written together, in both forms: what tiers made of one is not what they made of the other."""
    units = (300, 300, 500)
    rows = charged(BILL, *(replace(LINE, price_pico=unit, list_pico=7) for unit in units))
    column = [one for one in focus.COLUMNS if one.name == "ContractedUnitPrice"]
    assert Csv(column).rows(rows).split() == [
        b"0.000000000300", b"0.000000000300", b"0.000000000500",
    ]  # fmt: skip
    table = Parquet(column)
    data = table.head() + table.rows(rows) + table.tail()
    read = pyarrow.parquet.read_table(io.BytesIO(data)).to_pydict()["ContractedUnitPrice"]
    assert read == [Decimal("3E-10"), Decimal("3E-10"), Decimal("5E-10")]


def test_volumes_other_meters_and_erased_names() -> None:
    """GiB-hours by the usual divisor, the number itself by another; an erased project's id."""
    stored = replace(
        LINE, resource="volume-1", name=None, meter="storage.capacity", model="local",
        divisor=3_686_400_000_000, quantity=1024 * HOUR_US,
    )  # fmt: skip
    row = shown(charged(replace(BILL, projects={}), stored))
    assert (row["PricingQuantity"], row["PricingUnit"]) == ("1.000000000000", "GiB-Hours")
    assert (row["ResourceType"], row["ServiceCategory"]) == ("Volume", "Storage")
    assert (row["ResourceName"], row["SubAccountName"]) == ("", "project-1")
    odd = shown(charged(BILL, replace(stored, divisor=1000)))
    assert odd["PricingUnit"] == "1000 Units"
    tokens = shown(charged(BILL, replace(LINE, meter="llm.tokens", divisor=1_000_000)))
    assert (tokens["ServiceName"], tokens["ServiceCategory"]) == ("llm.tokens", "Other")


def test_the_rounding_of_an_invoice_is_an_adjustment() -> None:
    """Of the whole period, of no resource."""
    row = shown([focus.beside(BILL, ROUNDED)])
    assert (row["ChargeCategory"], row["BilledCost"]) == ("Adjustment", "-0.000000000003")
    assert (row["ResourceId"], row["PricingQuantity"], row["x_TransferIds"]) == ("", "", '["cc"]')


def test_what_a_credit_note_takes_back_is_a_correction() -> None:
    """Tax is tax and a credit a credit, with the number of the document that they are on."""
    credit, tax = Beside("dd", "credit", "N-C1", -5, 13), Beside("ee", "tax", None, 7, 14)
    note = shown([focus.beside(replace(BILL, invoice="N-C1"), credit)])
    assert (note["ChargeCategory"], note["ChargeClass"]) == ("Credit", "Correction")
    assert (note["InvoiceId"], note["BilledCost"]) == ("N-C1", "-0.000000000005")
    taxed = shown([focus.beside(BILL, tax)])
    assert (taxed["ChargeCategory"], taxed["ChargeClass"], taxed["SkuId"]) == ("Tax", "", "")


def test_a_charge_line_in_focus_1_4() -> None:
    """Who provides, who hosts, and which line of the invoice; what 1.3 replaced is gone. Of an open
    period there is no line yet; a rounding runs nowhere.
    """
    line = shown(charged(BILL, LINE), focus14.COLUMNS)
    assert (line["ServiceProviderName"], line["HostProviderName"]) == (ISSUER, ISSUER)
    assert line["InvoiceDetailId"] == "project-1/gpu.time:T4/7/period-1"
    assert {"ProviderName", "PublisherName"}.isdisjoint(line)
    unbilled = shown(charged(replace(BILL, invoice=None), LINE), focus14.COLUMNS)
    assert unbilled["InvoiceDetailId"] == ""
    rest = shown([focus.beside(BILL, ROUNDED)], focus14.COLUMNS)
    assert (rest["HostProviderName"], rest["InvoiceDetailId"]) == ("Not Applicable", "cc")


def test_parquet_says_what_csv_says() -> None:
    """Column by column, exactly, with as many row groups as pages; nulls are nulls."""
    other = replace(LINE, price=8, price_pico=9, project="project-2", simulated=None, name=None)
    lines = [LINE, other, replace(LINE, start_us=5, amount_pico=-1), replace(other, period="p-2")]
    of_lines: list[Sequence[focus.Row]] = [charged(BILL, *lines[:3]), charged(BILL, *lines[3:])]
    others = [
        focus.beside(BILL, Beside("cc", kind, None, 10**37, 1)) for kind in ("rounding", "tax")
    ]
    for columns, pages in (
        (focus.COLUMNS, [*of_lines, others]),
        (focus14.COLUMNS, [*of_lines, others]),
        (charges.COLUMNS, of_lines),
    ):
        plain, packed = Csv(columns), Parquet(columns)
        head, pieces = packed.head(), [packed.rows(page) for page in pages]
        data = b"".join([head, *pieces, packed.tail()])
        file = pyarrow.parquet.ParquetFile(io.BytesIO(data))
        assert file.num_row_groups == len(pages)
        text = b"".join([plain.head(), *(plain.rows(page) for page in pages)]).decode()
        read = list(csv.DictReader(io.StringIO(text)))
        for kind, said, found in zip(columns, zip(*[r.values() for r in read], strict=True),
                                     file.read().to_pydict().values(), strict=True):  # fmt: skip
            for one, other in zip(said, found, strict=True):
                if other is None:
                    assert one == "", kind.name
                elif kind.kind == "second":
                    assert one == other.strftime("%Y-%m-%dT%H:%M:%SZ")
                elif kind.kind in {"amount", "big"}:
                    assert Decimal(one) == other
                elif kind.kind == "flag":
                    assert one == str(other).lower()
                else:
                    assert one == str(other)


def test_amounts_are_written_whole() -> None:
    """Twelve places, up to the largest amount there is, and what is larger is refused."""
    assert decimal(-(10**38) + 1) == "-99999999999999999999999999.999999999999"
    column: Column[int] = Column("a", "amount", lambda rows: rows)
    table = Parquet([column])
    table.rows([10**38 - 1])
    with pytest.raises(ValueError, match=r"(?i)precision|decimal"):
        table.rows([10**38])
    table.tail()


@given(st.lists(st.from_regex(r"revenue:[A-Za-z0-9_.:-]{1,12}", fullmatch=True), max_size=12))
def test_no_two_ledger_accounts_share_a_name(ledgers: list[str]) -> None:
    """Whatever a meter or model is called; and beancount's components begin with a capital."""
    for capital in (False, True):
        chart = Chart(capital=capital)
        names = {ledger: chart.name(ledger)[0] for ledger in ledgers}
        assert len(set(names.values())) == len(names)
        assert all(":" in name and "::" not in name for name in names.values())
        if capital:
            parts = [part for name in names.values() for part in name.split(":")]
            assert all(part[0].isupper() or part[0].isdigit() for part in parts)


def test_a_ledger_account_without_a_root_is_named() -> None:
    """The chart grew and this page did not: refused, never filed somewhere."""
    with pytest.raises(DomainError, match="no root for the ledger account lottery"):
        Chart(capital=True).name("lottery")


def test_a_transfer_in_both_syntaxes() -> None:
    """Debit positive, credit negative, each with its balance after; tied to the log."""
    row = Posted(
        5, 90, "ff", 80, "charge", "account-1", "unbilled", "revenue:gpu.time:T4", "USD", 15,
        "runtime-1", "gpu.time", 7, "period-1", "period-1", 1, 15, 1, -15, 86_400_000_000, simulated=True,
    )  # fmt: skip
    hledger = Hledger("account-1", "USD", PROOF)
    text = hledger.head() + hledger.posted([row]) + hledger.tail()
    assert text.endswith(
        "\n1970-01-02 * (5) charge  ; transfer:ff, cause:80, seal:90, price:7, "
        "resource:runtime-1, period:period-1, booked:period-1, simulated:SIMULATED\n"
        "  assets:unbilled  USD 0.000000000015 = USD 0.000000000015\n"
        "  income:revenue:gpu-time:T4  USD -0.000000000015 = USD -0.000000000015\n"
    )
    beancount = Beancount("account-1", "USD", PROOF)
    text = beancount.head() + beancount.posted([row]) + beancount.tail()
    assert '1970-01-02 open Income:Revenue:Gpu-time:T4 USD\n  ledger: "revenue:gpu.time:T4"' in text
    assert text.endswith(
        "\n1970-01-03 balance Assets:Unbilled  0.000000000015 USD\n"
        "1970-01-03 balance Income:Revenue:Gpu-time:T4  -0.000000000015 USD\n"
    )


@pytest.mark.parametrize(
    ("quantity", "amount", "unit"),
    [
        (100, 90, 9), (105, 94, 9), (105, 95, 9), (-100, -90, 9), (100, 0, 0), (100, 60, 6),
        (-100, -60, 6), (0, -5, 9),
    ],
)  # fmt: skip
def test_a_line_of_tiers_or_of_a_commitment_has_the_price_it_came_to(
    quantity: int, amount: int, unit: int
) -> None:
    """Unit price x quantity is the cost; of one price whatever the quantity, the entry's own."""
    entry = Entry(7, "default", "gpu.time", "T4", "-", "usable", 9, 10)
    assert unit_price(entry, quantity, amount) == unit
