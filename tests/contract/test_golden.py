"""Facts in the bytes of old releases still decode, fold, and are what the auditor knows."""

import hashlib
import re
from typing import Final

import pytest

from domain.errors import DomainError
from domain.facts import TAGS, decode_fact, encode_fact
from gpuaas_verify.facts import check_shape, find_shape
from gpuaas_verify.strict import decode
from tests import golden

# Facts that no decider folds: views, verifier, rater and gateways read them.
OF_NO_AGGREGATE: Final = {
    "gpuaas.access.batch_sealed.v1", "gpuaas.access.decided.v1", "gpuaas.access.denied.v1",
    "gpuaas.access.host_certificate_issued.v1", "gpuaas.access.session_closed.v1",
    "gpuaas.access.session_opened.v1", "gpuaas.block.placed.v1", "gpuaas.evidence.downloaded.v1",
    "gpuaas.evidence.file_sealed.v1", "gpuaas.ledger.batch_sealed.v1", "gpuaas.log.heartbeat.v1",
    "gpuaas.log.opened.v1", "gpuaas.rating.batch_sealed.v1", "gpuaas.token.factor_confirmed.v1",
    "gpuaas.token.factor_enrolled.v1", "gpuaas.token.factor_locked.v1",
    "gpuaas.token.factor_removed.v1", "gpuaas.token.factor_used.v1",
    "gpuaas.token.recovery_codes_replaced.v1", "gpuaas.usage.batch_sealed.v1",
    "gpuaas.usage.reading_quarantined.v1", "gpuaas.usage.source_completed.v1",
}  # fmt: skip


def test_every_tag_has_its_golden_bytes() -> None:
    """A new tag brings its file (`python -m tests.golden`); a tag once there is never taken away."""
    assert {path.stem for path in golden.FOLDER.glob("*.facts")} == set(TAGS)


def test_the_bytes_of_old_releases_are_what_they_were() -> None:
    """No golden file is edited: each is listed with its hash, of which no line ever changes."""
    listed = dict(
        re.findall(r"^(\S+) ([0-9a-f]{64})$", golden.LIST.read_text(), flags=re.MULTILINE)
    )
    found = {
        path.stem: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in golden.FOLDER.glob("*.facts")
    }
    assert listed == found


def test_old_bytes_decode_to_exactly_what_is_written_today() -> None:
    """Each golden fact is canonical still, and has the shape that the auditor's table gives it."""
    for tag in TAGS:
        for history in golden.read(tag):
            assert history[-1][0] == tag
            for of, raw in history:
                assert encode_fact(decode_fact(of, raw)) == raw
                shape = find_shape(of)
                if shape is not None:
                    check_shape(shape, of, decode(raw))


def test_old_bytes_fold() -> None:
    """Each golden fact is remembered by every aggregate whose event it is, after those before it."""
    aggregates = golden.aggregates()
    owners = {tag: [one for one in aggregates if tag in one.tags] for tag in TAGS}
    assert {tag for tag, found in owners.items() if not found} == OF_NO_AGGREGATE
    for tag, found in owners.items():
        for history in golden.read(tag):
            folds = [one for one in found if {of for of, _ in history} <= one.tags]
            assert bool(folds) is (tag not in OF_NO_AGGREGATE), (
                f"{tag}: its history is of no one aggregate"
            )
            for one in folds:
                golden.folded(one, history)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"decided_us"', b'"at_us"'), (b'"decided_us":', b'"more":1,"decided_us":')],
    ids=["renamed", "added"],
)
def test_a_fact_that_changed_its_fields_is_caught(old: bytes, new: bytes) -> None:
    """The comparison above fails on a renamed and on an added key."""
    raw = golden.read("gpuaas.node.cordoned.v1")[0][-1][1]
    with pytest.raises(DomainError, match=r"fact\.malformed"):
        decode_fact("gpuaas.node.cordoned.v1", raw.replace(old, new))
