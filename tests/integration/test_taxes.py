"""A seller's invoices on a real log: numbers without a gap whoever finalizes, and what follows."""

import asyncio
from pathlib import Path

import msgspec
import psycopg
import pytest

from evidence.files import sealed_content
from evidence.log import EventLog
from evidence.storage import Storage
from projections import billing_read, taxes_read
from projections.invoicing import finalize_due
from projections.rater import Rater
from projections.runner import catch_up
from tests.conftest import Database
from tests.integration.projections_world import HOUR_US, T0
from tests.integration.tax_world import TaxedPlatform
from tests.integration.test_projections_reactions import audit

pytestmark = pytest.mark.slow
MANY = 7


def test_two_finalizers_leave_no_gap_and_give_no_number_twice(
    database: Database, tmp_path: Path
) -> None:
    """Seven invoices of one seller by two at once: 1 to 7; the auditor derives every byte."""

    async def run() -> None:
        log = await EventLog.open(database.app_url)
        world = TaxedPlatform(MANY)
        await world.played(log)
        storage, now = Storage(tmp_path), T0 + world.period_us
        with (
            psycopg.connect(database.app_url, autocommit=True) as one,
            psycopg.connect(database.app_url, autocommit=True) as two,
            psycopg.connect(database.app_url, autocommit=True) as conn,
        ):
            raters = [Rater(one, log), Rater(two, log)]
            for _ in range(4 * MANY):
                for rater in raters:
                    await rater.catch_up()
                await asyncio.gather(*(finalize_due(log, r, storage, now) for r in raters))
            catch_up(conn)
            found = billing_read.invoices(conn)
            assert sorted(one.number for one in found) == [
                f"ACME-{number:06d}" for number in range(1, MANY + 1)
            ]
            assert {one.state for one in found} == {"issued"}
            assert audit(conn) == MANY
            tax = taxes_read.invoice_tax(conn, found[0].invoice)
            assert tax is not None
            assert (tax.net_minor, tax.tax_minor, tax.seller) == (349, 66, world.seller)
            assert found[0].total_minor == 415
            file = msgspec.json.decode(sealed_content(storage, found[0].sha256))
            assert file["format"] == "gpuaas-invoice/2"
            assert file["lines"][0]["quantity"] == 500 * 2 * HOUR_US
            buyer = taxes_read.party(conn, file["buyer"]["party"])
            assert buyer == taxes_read.Party("Kunde GmbH", "Weg 1", "Berlin", "10115")
            assert b"Kunde" not in sealed_content(storage, found[0].sha256)
            balances = {b.ledger: b.balance_pico for b in billing_read.balances(conn)
                        if b.account == found[0].account}  # fmt: skip
            assert balances["tax"] == -66 * 10**10
            assert balances["receivable"] == 415 * 10**10
        await log.close()

    asyncio.run(run())
