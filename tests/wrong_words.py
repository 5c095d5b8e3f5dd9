"""Logs in which a node's words and the facts disagree, as in wrong_logs."""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Any

from gpuaas_verify import strict
from tests.bundles import (
    NODE,
    ORG,
    RUNTIME,
    START_US,
    LogDraft,
    attested,
    enrolled,
    launched,
    private_key,
    public_key,
    stopped,
    uid,
)
from tests.wrong_logs import Edit, Wrong, fact, log_case, without


def spoken(position: int, said: dict[str, Any] | None = None, **changes: Any) -> Edit:
    """The words of one entry spoken again, signed, with other contents."""

    def edit(log: LogDraft) -> None:
        draft = log.drafts[position]
        old = draft["fact"]["attested"]
        arguments = {"stream": draft["stream"], "tag": draft["tag"], "seq": old["seq"]}
        arguments |= {"boottime_us": draft["fact"]["boottime_us"], "said": said or {}, **changes}
        draft["fact"]["attested"] = attested(**arguments)

    return edit


def body(position: int, change: Callable[[dict[str, Any]], Any]) -> Edit:
    """The signed body of one entry replaced by what `change` makes of it, signed by the node."""

    def edit(log: LogDraft) -> None:
        words = log.drafts[position]["fact"]["attested"]
        raw = strict.encode(change(strict.decode(b64decode(words["body"]))))
        words["body"] = b64encode(raw).decode()
        words["sig"] = b64encode(private_key("node").sign(raw)).decode()

    return edit


def word_cases() -> Iterator[Wrong]:
    def case(name: str, code: str, edit: Edit, where: str, position: int = 8) -> Wrong:
        return log_case(name, f"attest.{code}", edit, position=position, field=where)

    def words(**changes: Any) -> Edit:
        return lambda log: log.drafts[8]["fact"]["attested"].update(changes)

    stranger = private_key("stranger")
    yield case("a body that is no base64", "malformed", words(body="*"), "attested")
    yield case("a body that is no JSON", "malformed", words(body="e30x"), "attested")
    yield case("a signature that is no base64", "malformed", words(sig="*"), "attested")
    yield case("not signed", "bad_signature", words(sig=b64encode(bytes(64)).decode()), "sig")
    yield case("no key", "bad_signature", words(key="ff" * 32), "sig")
    other = body(8, lambda said: {**said, "format": "gpuaas-attest/2"})
    yield case("another format of words", "malformed", other, "attested")
    reordered = body(8, lambda said: {"node": said["node"], **said})
    yield case("a body in another order", "malformed", reordered, "attested")
    yield case(
        "said that is no object", "malformed", body(8, lambda b: {**b, "said": 1}), "attested"
    )
    yield case("words of a node unknown", "unknown_node", spoken(8, node=uid("node", 9)), "node")
    for name, value in (("node", uid("node", 9)), ("boot", "aa" * 16), ("seq", 99)):
        changed = {name: value}
        edit = words(**changed)
        yield case(f"words that name another {name}", "contradicts", edit, name)
    yield case("words about another tag", "contradicts", spoken(8, tag="gpuaas.x.y.v1"), "tag")
    elsewhere = spoken(8, stream=uid("runtime", 9))
    yield case("words about another runtime", "contradicts", elsewhere, "stream")
    yield case("words of another moment", "contradicts", spoken(8, boottime_us=7), "boottime_us")
    yes = body(5, lambda said: {**said, "seq": True})
    yield case("true for a number in the body", "contradicts", yes, "seq", 5)
    yield case("more said", "contradicts", spoken(8, said={"code": "x"}), "said")
    yield case("words of a stranger", "wrong_key", spoken(8, key=stranger), "key")
    rekeyed = fact(4, key=public_key(stranger).hex())
    yield case("enrolled with another key", "wrong_key", rekeyed, "key", position=5)

    def two(log: LogDraft) -> None:
        words(sig="*")(log)
        log.drafts[9]["fact"]["attested"]["sig"] = "*"

    yield case("two lies", "malformed", two, "attested")

    def first_the_key(log: LogDraft) -> None:
        rekeyed(log)
        words(sig="*")(log)

    yield case("another key, and then a lie", "wrong_key", first_the_key, "key", 5)
    yield case("words of another boot", "wrong_boot", spoken(8, boot="aa" * 16), "boot")
    yield case("an anchor of another boot", "wrong_boot", fact(5, boot="aa" * 16), "boot", 5)
    yield case("a seq twice", "repeated_seq", spoken(8, seq=1), "seq")
    yield case("another instant", "wrong_instant", fact(8, usable_us=START_US), "usable_us")
    yield case(
        "stopped at another instant", "wrong_instant", fact(9, stopped_us=1), "stopped_us", 9
    )

    def unenrolled(log: LogDraft) -> None:
        without(log, 4)
        log.drafts[4]["version"] = 1

    yield case("never enrolled", "unknown_node", unenrolled, "node", 4)
    yield case("never anchored", "wrong_boot", lambda log: without(log, 5), "boot", 7)

    def unallocated(log: LogDraft) -> None:
        without(log, 7)
        for draft in log.drafts[7:9]:
            draft["version"] -= 1

    yield case("never allocated", "wrong_node", unallocated, "node", 7)
    moved = fact(7, node=uid("node", 9))
    yield case("allocated on another node", "wrong_node", moved, "node")


def life_cases() -> Iterator[Wrong]:
    """Leases, losses and failures, after the small log's node is enrolled."""

    def base(log: LogDraft) -> None:
        enrolled(log)
        launched(log)

    def case(name: str, code: str, edit: Edit, where: str, position: int = 6) -> Wrong:
        return log_case(name, f"attest.{code}", edit, base, position=position, field=where)

    def barred(tag: str, fact: dict[str, Any]) -> Edit:
        def edit(log: LogDraft) -> None:
            log.add(NODE, tag, fact)
            stopped(log)

        return edit

    for tag, why in (("revoked", {"reason": "operator"}), ("doubled", {"sign": "lease.nonce"})):
        edit = barred(f"node.{tag}", {**why, "decided_us": START_US})
        yield case(f"a word of a {tag} node", "barred", edit, "node", 7)

    def lost(log: LogDraft, lost_us: int) -> None:
        log.add(RUNTIME, "runtime.lost", {"lost_us": lost_us, "decided_us": START_US}, org=ORG)

    def leased(log: LogDraft, stream: str = NODE, said: list[str] | None = None) -> None:
        lease = {"runtimes": [RUNTIME], "boottime_us": 1, "renewed_us": START_US + 700_000_000}
        words = {"runtimes": [RUNTIME] if said is None else said}
        log.spoken(stream, "node.lease_renewed", {**lease, "until_us": 9}, words)

    def leased_then_lost(log: LogDraft) -> None:
        leased(log)
        lost(log, START_US + 600_000_000)

    def failed(log: LogDraft) -> None:
        moment = {"code": "x", "boottime_us": 9, "failed_us": START_US + 600_000_000}
        log.spoken(RUNTIME, "runtime.failed", {**moment, "decided_us": 1}, {"code": "y"})

    def degraded_then_stopped(log: LogDraft) -> None:
        later_us = START_US + 900_000_000
        moment = {"boottime_us": 900_001_000, "degraded_us": later_us, "decided_us": later_us}
        log.spoken(RUNTIME, "runtime.degraded", moment)
        earlier = {"boottime_us": 9, "stopped_us": START_US, "decided_us": later_us}
        log.spoken(RUNTIME, "runtime.stopped", earlier)

    yield case("lost at another instant", "wrong_instant", lambda log: lost(log, 5), "lost_us")
    yield case("lost before its lease", "wrong_instant", leased_then_lost, "lost_us", 7)
    yield case(
        "a lease of other runtimes", "contradicts", lambda log: leased(log, said=[]), "runtimes"
    )
    yield case("a failure for another reason", "contradicts", failed, "code")
    yield case(
        "stopped before it degraded", "wrong_instant", degraded_then_stopped, "stopped_us", 7
    )

    def ill(log: LogDraft, said: dict[str, Any]) -> None:
        fact = {"devices": [0], "uuid": "GPU-0", "state": "suspect", "cause": "xid", "xid": 48}
        moment = {"ecc_uncorrected": None, "boottime_us": 9, "decided_us": 10}
        words = {**fact, "ecc_uncorrected": None}
        log.spoken(NODE, "node.device_reported", {**fact, **moment}, {**words, **said})

    worse = case(
        "another state of a device",
        "contradicts",
        lambda log: ill(log, {"state": "failed"}),
        "state",
    )
    yield worse
    yield case("another device", "contradicts", lambda log: ill(log, {"devices": [1]}), "devices")
    yield case(
        "a count for none",
        "contradicts",
        lambda log: ill(log, {"ecc_uncorrected": 0}),
        "ecc_uncorrected",
    )

    def leased_elsewhere(log: LogDraft) -> None:
        enrolled(log, uid("node", 9))
        log.seq += 1
        moment = {"boottime_us": 1, "renewed_us": START_US + 700_000_000, "until_us": 9}
        said = {"runtimes": [RUNTIME]}
        node = uid("node", 9)
        log.spoken(node, "node.lease_renewed", {**said, **moment}, said, node=node)
        lost(log, START_US + 700_000_000)

    yield case("kept alive by another node", "wrong_instant", leased_elsewhere, "lost_us", 9)
    foreign = uid("node", 9)
    yield case("a lease by another node", "wrong_node", lambda log: leased(log, foreign), "node")

    def unknown(log: LogDraft) -> None:
        log.add(uid("runtime", 9), "runtime.lost", {"lost_us": 1, "decided_us": 1}, org=ORG)

    yield case("lost, never allocated", "wrong_node", unknown, "node")


def said_cases() -> list[Wrong]:
    return [*word_cases(), *life_cases()]
