"""Proofs of readings and of prepaid accounts as the platform builds them out of its views, to the byte those by hand."""

import io
from pathlib import Path

import psycopg
import pytest

from projections.proving import prove
from tests import proof_readings as pr
from tests.conftest import Database
from tests.integration.test_invoice_proofs_built import built

pytestmark = pytest.mark.slow


def test_readings_are_chosen_as_by_hand(database: Database, tmp_path: Path) -> None:
    """Of seals that others share the rows of ours alone, linked; of a line what its kind and period have."""
    made = pr.read()
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        storage, note, invoice = built(database, conn, tmp_path, made)
        for name in (None, *pr.LINES):
            line = None if name is None else pr.number_of(made, name)
            out = io.BytesIO()
            prove(conn, storage, note, invoice, line, out)
            assert out.getvalue() == pr.proof(made, name=name), name
