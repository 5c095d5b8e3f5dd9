"""What is said of a certificate: good, ending soon, ended, or not renewed; by its own two instants."""

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509

from api.certificates import SOON_US, Said, said
from api.fleet.node_ca import node_ca
from domain.errors import DomainError


@pytest.fixture(scope="module")
def ten_years(tmp_path_factory: pytest.TempPathFactory) -> x509.Certificate:
    return node_ca(Path(tmp_path_factory.mktemp("ca")) / "ca.pem").certificate


def us(at: dt.datetime) -> int:
    return int(at.timestamp()) * 1_000_000


def test_the_last_thirty_days_are_named_and_the_end_is_red(ten_years: x509.Certificate) -> None:
    """To the microsecond, both ends; before its first instant it is as little good as after."""
    begins, ends = us(ten_years.not_valid_before_utc), us(ten_years.not_valid_after_utc)
    until = f"{ten_years.not_valid_after_utc:%FT%T}.000000Z"
    name = "certificate.x"
    told = {at: said("x", ten_years, at) for at in (begins, ends - SOON_US - 1)}
    assert set(told.values()) == {Said(name, True, f"ends {until}")}
    soon = Said(name, True, f"tls.ends_soon: ends {until}")
    assert {said("x", ten_years, at) for at in (ends - SOON_US, ends - 1)} == {soon}
    assert said("x", ten_years, ends) == Said(name, False, f"tls.expired: ended {until}")
    early = said("x", ten_years, begins - 1)
    assert (early.ok, early.detail[:20]) == (False, "tls.expired: begins ")


def test_a_wrong_pair_in_its_place_is_said_without_its_path(ten_years: x509.Certificate) -> None:
    """Readiness is public. What is served is still good, so it is a warning."""
    fault = DomainError("tls.mismatched", "/secret/place is not the key")
    found = said("x", ten_years, us(ten_years.not_valid_before_utc), fault)
    assert found.ok
    assert found.detail.startswith("tls.not_renewed: tls.mismatched in its place")
    assert "/secret" not in found.detail
