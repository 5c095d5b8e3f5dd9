"""Proofs of readings and of prepaid accounts as the platform builds them out of its views, to the byte those by hand."""

import io
from pathlib import Path

import psycopg
import pytest

from domain.errors import DomainError
from projections.proving import prove
from tests import proof_prepaid as pd
from tests import proof_readings as pr
from tests.conftest import Database
from tests.integration.test_invoice_proofs_built import built

pytestmark = pytest.mark.slow


def test_readings_are_chosen_as_by_hand(database: Database, tmp_path: Path) -> None:
    """The rows, linked; of a line what its kind and period have."""
    made = pr.read(shared=False)
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        storage, note, invoice = built(database, conn, tmp_path, made)
        for name in (None, *pr.LINES):
            line = None if name is None else pr.number_of(made, name)
            out = io.BytesIO()
            prove(conn, storage, note, invoice, line, out)
            assert out.getvalue() == pr.proof(made, name=name), name


def test_a_seal_with_readings_of_others_is_shown_to_nobody(
    database: Database, tmp_path: Path
) -> None:
    """It says what all of them come to."""
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        storage, note, invoice = built(database, conn, tmp_path, pr.read())
        with pytest.raises(DomainError, match="their sum would show") as refused:
            prove(conn, storage, note, invoice, None, io.BytesIO())
        assert refused.value.code == "invoice.not_provable"


def test_what_is_prepaid_is_chosen_as_by_hand(database: Database, tmp_path: Path) -> None:
    """Terms, holds and of the renewals the last before each change; no credit, no neighbour's wallet."""
    made = pd.prepaid()
    with psycopg.connect(database.app_url, autocommit=True) as conn:
        storage, note, invoice = built(database, conn, tmp_path, made)
        for line in (None, pd.line_of(made)):
            out = io.BytesIO()
            prove(conn, storage, note, invoice, line, out)
            assert out.getvalue() == pd.proof(made, line=line is not None)
