"""Logs that are wrong in one thing only, chained, hashed and signed by the real key: what a verifier must notice.

Positions in the small log: 0 opened, 1 account, 2 period, 3 price, 4 enrolled, 5 anchored, 6 requested, 7 allocated,
8 usable, 9 stopped, 10 rating seal, 11 ledger seal, 12 file.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gpuaas_verify import strict
from tests.bundles import (
    LOG_VKEY,
    NODE,
    ORG,
    RUNTIME,
    START_US,
    LogDraft,
    attested,
    enrolled,
    launched,
    opened,
    private_key,
    public_key,
    small_log,
    tar_of,
    uid,
)

type Place = Mapping[str, Any]


@dataclass(frozen=True)
class Wrong:
    """Something to judge and the one verdict it must get: the code, and where."""

    name: str
    code: str
    place: Place
    kind: str = "bundle"
    data: tuple[bytes, ...] = ()
    keys: tuple[str, ...] = (LOG_VKEY.format(),)
    known: tuple[bytes, ...] = ()
    witnesses: tuple[str, ...] = ()
    quorum: int = 0
    max_age_s: int | None = None
    now_us: int = field(default=START_US)


type Edit = Callable[[LogDraft], object]


def log_case(
    name: str, code: str, edit: Callable[[LogDraft], object], base: Edit | None = None, **place: Any
) -> Wrong:
    """A log that `edit` makes wrong; `base` says what is there before, the small log if None."""
    log = small_log() if base is None else opened()
    if base is not None:
        base(log)
    edit(log)
    return Wrong(name, code, place, data=(tar_of(log.members()),))


def put(at: int, /, **changes: Any) -> Edit:
    """Sets envelope fields of one entry."""
    return lambda log: log.drafts[at].update(changes)


def fact(at: int, /, **changes: Any) -> Edit:
    """Sets fields of one entry's fact."""
    return lambda log: log.drafts[at]["fact"].update(changes)


def without(log: LogDraft, position: int) -> None:
    del log.drafts[position]
    for number, draft in enumerate(log.drafts):
        draft["position"] = number


def envelope_cases() -> Iterator[Wrong]:
    malformed: list[tuple[str, int, Any]] = [
        ("position", 3, "3"), ("position", 3, 1 << 62), ("position", 3, -1), ("prev", 3, "A" * 64), ("prev", 3, 7),
        ("at_us", 3, 1 << 62), ("at_us", 3, None), ("salt", 3, "00"), ("stream", 3, "pricebook-1"),
        ("stream", 3, "x" * 32 + uid("", 1)), ("stream", 3, uid("Pricebook", 1)), ("version", 3, 0),
        ("version", 3, 1 << 62), ("version", 3, True), ("tag", 3, "gpuaas.price"), ("tag", 3, "other.price.a.v1"),
        ("tag", 3, "gpuaas.price.entry_published.v01"), ("org", 3, "organization-1"), ("org", 3, uid("user", 1)),
        ("actor", 3, "somebody"), ("actor", 3, "user-a@b.example"), ("cause", 3, "cmd:00"), ("cause", 3, "pos:03"),
        ("cause", 3, "pos:3"), ("cause", 3, "pos:-1"), ("fact", 3, []), ("fact", 3, None),
    ]  # fmt: skip
    for name, position, value in malformed:
        what = f"{name} is {str(value)[:40]!r}"
        edit = put(position, **{name: value})
        yield log_case(what, "entry.malformed", edit, position=position, field=name)

    def unordered(log: LogDraft) -> None:
        log.drafts[3] = {"salt": log.drafts[3].pop("salt"), **log.drafts[3]}

    yield log_case("keys in another order", "entry.malformed", unordered, position=3)
    extra, missing = put(3, note=1), lambda log: log.drafts[3].pop("salt")
    yield log_case("a twelfth key", "entry.malformed", extra, position=3, field="note")
    yield log_case("no salt", "entry.malformed", missing, position=3, field="salt")
    control, huge = fact(3, region="a\x7f"), fact(3, price_pico=10**38)
    yield log_case("DEL in a fact", "json.not_canonical", control, position=3)
    yield log_case("39 digits in a fact", "json.not_canonical", huge, position=3)
    deep: Any = []
    for _ in range(16):
        deep = [deep]
    yield log_case("too deep a fact", "json.not_canonical", fact(3, region=deep), position=3)


def place_cases() -> Iterator[Wrong]:
    def case(name: str, code: str, edit: Edit, position: int, where: str) -> Wrong:
        return log_case(name, code, edit, position=position, field=where)

    yield case("another position", "entry.position", put(3, position=4), 3, "position")
    yield case("entry 0 says 1", "entry.position", put(0, position=1), 0, "position")
    yield case("another prev", "entry.prev", put(3, prev="ab" * 32), 3, "prev")
    yield case("entry 0 has a prev", "entry.prev", put(0, prev="ab" * 32), 0, "prev")
    yield case("earlier than the last", "entry.at_us", put(3, at_us=START_US + 1), 3, "at_us")
    yield case("a version left out", "entry.version", put(9, version=5), 9, "version")
    yield case("a version twice", "entry.version", put(9, version=3), 9, "version")
    yield case("begins at version 2", "entry.version", put(3, version=2), 3, "version")
    other = put(9, org=uid("organization", 77))
    yield case("the stream changes hands", "entry.org", other, 9, "org")
    yield case("of an organization", "entry.wrong_org", put(3, org=ORG), 3, "org")
    yield case("of the platform", "entry.wrong_org", put(1, org="-"), 1, "org")
    renamed = put(3, stream=uid("node", 99))
    yield case("in another kind of stream", "entry.wrong_stream", renamed, 3, "stream")
    unknown = put(3, tag="gpuaas.price.entry_hidden.v1")
    yield case("an unknown tag about money", "entry.unknown_tag", unknown, 3, "tag")
    yield case("a second opening", "entry.opened", put(3, tag="gpuaas.log.opened.v1"), 3, "tag")
    heartbeat = {"tag": "gpuaas.log.heartbeat.v1", "fact": {}}
    yield case("not opened", "entry.opened", put(0, **heartbeat), 0, "tag")
    yield case("another format", "entry.opened", fact(0, format="gpuaas-log/2"), 0, "fact")
    yield case("an origin without id", "entry.opened", fact(0, origin="log.example"), 0, "fact")
    yield case("no vkey", "entry.opened", fact(0, vkey="x"), 0, "vkey")
    foreign = fact(0, origin="other.example/0123456789abcdef")
    yield case("another origin", "checkpoint.origin", foreign, 0, "origin")

    def organization(log: LogDraft) -> None:
        name = {"private": "0" * 64}
        log.add(
            uid("organization", 8), "organization.created", {"name": name, "created_us": 1}, org=ORG
        )

    yield case("an organization of another", "entry.wrong_org", organization, 13, "org")


def block_cases() -> Iterator[Wrong]:
    """What only shows between runs of entry bundles: the 1,025th entry begins the second run."""

    def beats(log: LogDraft, count: int = 1_030) -> None:
        for version in range(2, count + 1):
            log.add(uid("log", 0), "log.heartbeat", {})
            log.drafts[-1]["version"] = version

    def case(name: str, code: str, where: str, **changes: Any) -> Wrong:
        return log_case(name, code, put(1_024, **changes), base=beats, position=1_024, field=where)

    yield case("another prev in a second run", "entry.prev", "prev", prev="ab" * 32)
    yield case("earlier in a second run", "entry.at_us", "at_us", at_us=START_US)
    yield case("a version left out before a second run", "entry.version", "version", version=1_030)
    yield case("another position in a second run", "entry.position", "position", position=9_999)

    def two_orgs(log: LogDraft) -> None:
        fact_ = {"reason": "x", "decided_us": 1}
        log.drafts[3].update(stream=uid("quotum", 1), version=1, org=ORG, fact=fact_)
        log.drafts[3]["tag"] = log.drafts[1_025]["tag"] = "gpuaas.quotum.other.v1"
        log.drafts[1_025].update(stream=uid("quotum", 1), version=2, org=uid("organization", 9))
        for draft in (*log.drafts[4:1_025], *log.drafts[1_026:]):
            draft["version"] -= 1 if draft["position"] < 1_025 else 2

    name = "the stream changes hands in a second run"
    yield log_case(name, "entry.org", two_orgs, base=beats, position=1_025, field="org")


def shape_cases() -> Iterator[Wrong]:
    def case(name: str, edit: Edit, position: int, where: str = "fact") -> Wrong:
        return log_case(name, "fact.malformed", edit, position=position, field=where)

    yield case("a field more", fact(3, extra=1), 3)
    yield case("a field less", lambda log: log.drafts[3]["fact"].pop("region"), 3)
    yield case("text for a number", fact(3, divisor="1"), 3, "divisor")
    yield case("true for a number", fact(3, divisor=True), 3, "divisor")
    yield case("null for a number", fact(3, divisor=None), 3, "divisor")
    yield case("text for null or a number", fact(12, supersedes="1"), 12, "supersedes")
    yield case("a short digest", fact(12, sha256="00"), 12, "sha256")
    yield case("a private value in the clear", fact(6, name={"private": "Alice"}), 6, "name")
    yield case("a private value and more", fact(6, name={"private": "0" * 64, "x": 1}), 6, "name")
    yield case("a private number", fact(6, name={"private": 1}), 6, "name")
    yield case("a model that is no text", fact(6, models=["T4", 1]), 6, "models")
    yield case("a GPU without uuid", fact(4, gpus=[{"index": 0}]), 4, "gpus")
    shares: list[tuple[str, list[Any]]] = [
        ("no object", [1]),
        ("more than a device", [{"index": 0, "milli": 1001}]),
        ("of nothing", [{"index": 0, "milli": 0}]),
        ("of no device", [{"index": -1, "milli": 1}]),
        ("twice one device", [{"index": 0, "milli": 1}, {"index": 0, "milli": 1}]),
        ("out of order", [{"index": 1, "milli": 1}, {"index": 0, "milli": 1}]),
        ("of a text", [{"index": 0, "milli": "1"}]),
    ]
    for name, devices in shares:
        yield case(f"a share {name}", fact(7, devices=devices), 7, "devices")

    def words(**changes: Any) -> Edit:
        return lambda log: log.drafts[8]["fact"]["attested"].update(changes)

    for where, value in (("key", "00"), ("boot", "00"), ("seq", -1), ("seq", "1"), ("x", 1)):
        yield case(f"attested {where} {value!r}", words(**{where: value}), 8, "attested")

    def again(log: LogDraft) -> None:
        log.drafts[0]["fact"]["continues"] = {"origin": "x"}

    yield case("continues what", again, 0, "continues")


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
    yes = body(8, lambda said: {**said, "seq": True})
    yield case("true for a number in the body", "contradicts", yes, "seq")
    yield case("more said", "contradicts", spoken(8, said={"code": "x"}), "said")
    yield case("words of a stranger", "wrong_key", spoken(8, key=stranger), "key")
    rekeyed = fact(4, key=public_key(stranger).hex())
    yield case("enrolled with another key", "wrong_key", rekeyed, "key", position=5)
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
    foreign = uid("node", 9)
    yield case("a lease by another node", "wrong_node", lambda log: leased(log, foreign), "node")

    def unknown(log: LogDraft) -> None:
        log.add(uid("runtime", 9), "runtime.lost", {"lost_us": 1, "decided_us": 1}, org=ORG)

    yield case("lost, never allocated", "wrong_node", unknown, "node")


def log_cases() -> list[Wrong]:
    makers = (
        envelope_cases, place_cases, block_cases, shape_cases, word_cases, life_cases,
    )  # fmt: skip
    return [wrong for make in makers for wrong in make()]
