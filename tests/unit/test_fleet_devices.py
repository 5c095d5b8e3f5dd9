"""What ingest makes of a node's words about devices, and which orders follow by themselves."""

from typing import Any

import pytest
from msgspec import Struct

from api.fleet import devices
from api.fleet.words import Nothing
from contracts import devices as tags
from contracts.devices import CheckDevices, SanitizeDevices
from contracts.fleet import Said
from contracts.signing import FleetError
from domain import device, node_facts
from domain.canary import CanaryLooked
from domain.device import BOX_US
from evidence.append import Append
from tests.unit.test_agent_ingest_words import KEY, NODE, T0, WORDS, Log, S, said, serving

REPORT: Said = {"devices": [0], "uuid": "GPU-0", "state": "suspect", "cause": "xid", "xid": 48,
                "ecc_uncorrected": None}  # fmt: skip
TEST: Said = {"devices": [0], "command": 7, "passed": True, "method": "SIMULATED", "cause": "",
              "duration_us": 3}  # fmt: skip
RECEIPT: Said = {"devices": [0], "method": "SIMULATED", "bytes_covered": 9, "duration_us": 3,
                 "driver": "SIMULATED", "ecc_uncorrected": 0, "residual_processes": 0}  # fmt: skip

PROBE: Said = {"devices": [0], "uuid": "GPU-0", "method": "cuda_copy", "bytes": 1,
               "duration_us": 100_000}  # fmt: skip
CANARY: Said = {"devices": [0], "command": 7, "method": "SIMULATED", "planted": 1, "looked": 1,
                "found": 0, "duration_us": 3}  # fmt: skip


def facts(log: Log, tag: str, words: Said) -> list[Struct]:
    asked = said(log, tag, words, stream=NODE)
    assert isinstance(asked, Append), asked
    return list(asked.writes[0].facts)


def empty(*, strict: bool = False) -> Log:
    """A node that nothing runs on; a strict one owes receipts."""
    log = serving()
    log.add(
        NODE,
        node_facts.Released("allocation-1", "runtime-01936f00-0000-7000-8000-000000000000", T0),
    )
    if strict:
        log.add(NODE, node_facts.SanitizationRequired(T0))
    return log


def step(log: Log, now_us: int = T0 + 30 * S) -> list[str]:
    """Does everything that is due, as the loop does; the names of the facts."""
    done = []
    while (command := devices.due(log.node, now_us)) is not None:
        append = devices.appending(log.node, command)
        assert append is not None
        log.add(NODE, *append.writes[0].facts)
        done += [type(fact).__name__ for fact in append.writes[0].facts]
    return done


def test_a_word_becomes_its_fact_and_its_quarantine() -> None:
    """Fields are the said ones; instants are the platform's; the quarantine is in the same append."""
    reported, quarantined = facts(serving(), tags.DEVICE_REPORTED, REPORT)
    assert isinstance(reported, device.DeviceReported)
    assert (reported.devices, reported.xid, reported.decided_us) == ((0,), 48, T0 + 20 * S)
    assert quarantined == node_facts.Quarantined((0,), "health.xid.48", T0 + 20 * S)


@pytest.mark.parametrize(
    ("tag", "words", "change"),
    [
        (tags.DEVICE_REPORTED, REPORT, {"state": "healthy"}),
        (tags.DEVICE_REPORTED, REPORT, {"devices": [0.5]}),
        (tags.DEVICE_REPORTED, REPORT, {"devices": "0"}),
        (tags.DEVICE_REPORTED, REPORT, {"cause": "A b"}),
        (tags.DEVICE_REPORTED, REPORT, {"xid": -1}),
        (tags.DEVICE_REPORTED, REPORT, {"uuid": "x" * 129}),
        (tags.DEVICE_REPORTED, REPORT, {"more": 1}),
        (tags.DEVICE_TESTED, TEST, {"passed": 1}),
        (tags.DEVICE_TESTED, TEST, {"command": None}),
        (tags.DEVICE_PROBED, PROBE, {"devices": [0, 1]}),
        (tags.DEVICE_PROBED, PROBE, {"bytes": 1.5}),
        (tags.CANARY_LOOKED, CANARY, {"found": -1}),
        (tags.CANARY_LOOKED, CANARY, {"command": "7"}),
        (tags.SANITIZED, RECEIPT, {"bytes_covered": -1}),
        (tags.SANITIZED, RECEIPT, {"devices": list(range(2000))}),
    ],
)
def test_rubbish_becomes_no_fact(tag: str, words: Said, change: dict[str, Any]) -> None:
    """A word of another shape uses up its number and nothing else; so does another order of keys."""
    assert said(empty(), tag, {**words, **change}, stream=NODE) == Nothing("event.malformed")
    turned = dict(reversed(words.items()))
    assert said(empty(), tag, turned, stream=NODE) == Nothing("event.malformed")
    assert said(empty(), tag, words, stream="node-other") == Nothing("event.malformed")


def test_suspect_tested_returned() -> None:
    """The whole way on a node that owes no receipt; each step once however often it is looked at."""
    log = empty()
    log.add(NODE, *facts(log, tags.DEVICE_REPORTED, REPORT))
    assert step(log) == ["DeviceTestRequested"]
    assert step(log) == []
    [order] = devices.orders(KEY, log.node, T0 + 30 * S)
    assert order.order == CheckDevices((0,))
    assert order.number == log.node.last_position
    log.add(NODE, *facts(log, tags.DEVICE_TESTED, {**TEST, "command": order.number}))
    assert step(log) == ["Returned"]
    assert step(log) == []
    assert devices.orders(KEY, log.node, T0 + 30 * S) == []


def test_a_receipt_lies_between_quarantine_and_return_where_it_is_owed() -> None:
    """Tested, then wiped by an order of its own, then returned."""
    log = empty(strict=True)
    log.add(NODE, *facts(log, tags.DEVICE_REPORTED, REPORT))
    step(log)
    [order] = devices.orders(KEY, log.node, T0 + 30 * S)
    log.add(NODE, *facts(log, tags.DEVICE_TESTED, {**TEST, "command": order.number}))
    assert step(log) == ["SanitizeRequested"]
    [order] = devices.orders(KEY, log.node, T0 + 30 * S)
    assert order.order == SanitizeDevices((0,))
    log.add(NODE, *facts(log, tags.SANITIZED, RECEIPT))
    assert step(log) == ["Returned"]
    assert devices.orders(KEY, log.node, T0 + 30 * S) == []


def test_a_device_that_cannot_be_wiped_waits_for_a_person() -> None:
    """Three receipts without proof, and nobody asks again."""
    log = empty(strict=True)
    log.add(NODE, *facts(log, tags.DEVICE_REPORTED, REPORT))
    step(log)
    number = log.node.last_position
    log.add(NODE, *facts(log, tags.DEVICE_TESTED, {**TEST, "command": number}))
    for _ in range(device.TRIES):
        assert step(log) == ["SanitizeRequested"]
        log.add(NODE, *facts(log, tags.SANITIZED, {**RECEIPT, "bytes_covered": 0}))
    assert step(log) == []


def test_a_canary_that_was_found_keeps_the_device_whatever_the_receipt_says() -> None:
    """On the way back from an illness: the quarantine of health becomes one that waits for a person,
    in the append of the word, and the clean receipt that follows returns nothing. So does a device
    that is too slow for its model.
    """
    log = empty(strict=True)
    log.add(NODE, *facts(log, tags.DEVICE_REPORTED, REPORT))
    step(log)
    number = log.node.last_position
    log.add(NODE, *facts(log, tags.DEVICE_TESTED, {**TEST, "command": number}))
    assert step(log) == ["SanitizeRequested"]
    looked, barred = facts(log, tags.CANARY_LOOKED, {**CANARY, "found": 1})
    assert isinstance(looked, CanaryLooked)
    assert isinstance(barred, node_facts.Quarantined)
    assert (barred.devices[0], barred.reason) == (0, "canary.found")
    log.add(NODE, looked, barred)
    log.add(NODE, *facts(log, tags.SANITIZED, RECEIPT))
    assert step(log) == []
    assert devices.orders(KEY, log.node, T0 + 30 * S) == []
    log = empty()
    log.add(NODE, *facts(log, tags.DEVICE_REPORTED, REPORT))
    step(log)
    number = log.node.last_position
    log.add(NODE, *facts(log, tags.DEVICE_PROBED, PROBE))
    log.add(NODE, *facts(log, tags.DEVICE_TESTED, {**TEST, "command": number}))
    assert step(log) == []


def test_what_a_person_put_away_is_not_given_back() -> None:
    """Only a quarantine of health ends by itself."""
    log = empty()
    log.add(NODE, node_facts.Quarantined((0,), "smoke", T0))
    assert step(log) == []


def test_orders_nobody_answers_end_with_the_box() -> None:
    """An order is sent again for an hour, then no more."""
    log = empty()
    log.add(NODE, *facts(log, tags.DEVICE_REPORTED, REPORT))
    step(log)
    assert len(devices.orders(KEY, log.node, T0 + BOX_US)) == 1
    assert devices.orders(KEY, log.node, T0 + 31 * S + BOX_US) == []
    assert WORDS.node == NODE
    assert issubclass(FleetError, Exception)
