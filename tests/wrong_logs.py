"""Logs that are wrong in one thing only, chained, hashed and signed by the real key: what a verifier must notice.

Positions in the small log: 0 opened, 1 account, 2 period, 3 price, 4 enrolled, 5 anchored, 6 requested, 7 allocated,
8 usable, 9 stopped, 10 rating seal, 11 ledger seal, 12 file.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gpuaas_verify.note import Vkey
from tests.bundles import (
    LOG_VKEY,
    NODE,
    ORG,
    ORIGIN,
    RUNTIME,
    START_US,
    LogDraft,
    enrolled,
    launched,
    opened,
    priced,
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
    attestations: bool = True


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
        ("stream", 3, "x" * 32 + uid("", 1)), ("stream", 3, uid("Pricebook", 1)),
        ("stream", 3, uid("pricebook", 1).replace("-7000-", "-4000-")),
        ("stream", 3, uid("pricebook", 1).replace("-8000-", "-c000-")),
        ("org", 3, uid("organization", 1).replace("-7000-", "-1000-")),
        ("org", 3, uid("organization", 1).replace("-8000-", "-0000-")), ("version", 3, 0),
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

    def stopping(**changes: Any) -> Callable[[LogDraft], None]:
        def edit(log: LogDraft) -> None:
            log.add(RUNTIME, "runtime.stopping", {"reason": "x", "decided_us": 1}, org=ORG)
            log.drafts[-1].update(changes)

        return edit

    yield case("a version left out of a stop", "entry.version", stopping(version=6), 13, "version")
    elsewhere = stopping(org=uid("organization", 77))
    yield case("the stop changes hands", "entry.org", elsewhere, 13, "org")
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
    command = small_log().drafts[3]["cause"]
    repeated = put(12, cause=command)
    yield case("a command id again", "entry.repeated_command", repeated, 12, "cause")
    yield case("not opened", "entry.opened", put(0, **heartbeat), 0, "tag")
    yield case("another format", "entry.opened", fact(0, format="gpuaas-log/2"), 0, "fact")
    yield case("an origin without id", "entry.opened", fact(0, origin="log.example"), 0, "fact")
    yield case("no vkey", "entry.opened", fact(0, vkey="x"), 0, "vkey")
    mallory = Vkey(ORIGIN, public_key(private_key("mallory"))).format()
    yield case("another key", "entry.opened_key", fact(0, vkey=mallory), 0, "vkey")
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
            log.add(uid("log", 0), "log.heartbeat", {}, version=version)

    def case(name: str, code: str, where: str, **changes: Any) -> Wrong:
        return log_case(name, code, put(1_024, **changes), base=beats, position=1_024, field=where)

    yield case("another prev in a second run", "entry.prev", "prev", prev="ab" * 32)
    yield case("earlier in a second run", "entry.at_us", "at_us", at_us=START_US)
    yield case("a version left out before a second run", "entry.version", "version", version=1_030)
    yield case("no salt in a second run", "entry.malformed", "salt", salt="00")
    yield case("another position in a second run", "entry.position", "position", position=9_999)

    def across(log: LogDraft, count: int = 1_030) -> None:
        beats(log, count)
        log.drafts[1_024]["cause"] = log.drafts[1_023]["cause"]

    yield log_case("an append across two runs", "valid", lambda log: None, across)
    again: Edit = lambda log: log.drafts[1_028].update(cause=log.drafts[1_023]["cause"])  # noqa: E731
    old: Edit = lambda log: log.drafts[1_024].update(cause=log.drafts[500]["cause"])  # noqa: E731
    began: dict[str, Any] = {"position": 1_024, "field": "cause"}
    name = "a second run begins with a command of the first"
    yield log_case(name, "entry.repeated_command", old, beats, **began)
    name = "its command again"
    place: dict[str, Any] = {"position": 1_028, "field": "cause"}
    yield log_case(name, "entry.repeated_command", again, across, **place)
    positions: Edit = lambda log: [put(at, cause="pos:5")(log) for at in (7, 9, 1_023, 1_026)]  # noqa: E731
    yield log_case("a position that caused much", "valid", positions, across)

    def two_orgs(log: LogDraft) -> None:
        fact_ = {"reason": "x", "decided_us": 1}
        log.drafts[3].update(stream=uid("app", 1), version=1, org=ORG, fact=fact_)
        log.drafts[3]["tag"] = log.drafts[1_025]["tag"] = "gpuaas.app.other.v1"
        log.drafts[1_025].update(stream=uid("app", 1), version=2, org=uid("organization", 9))
        for draft in (*log.drafts[4:1_025], *log.drafts[1_026:]):
            draft["version"] -= 1 if draft["position"] < 1_025 else 2

    name = "the stream changes hands in a second run"
    yield log_case(name, "entry.org", two_orgs, base=beats, position=1_025, field="org")


def unknown_cases() -> Iterator[Wrong]:
    """Tags nobody knows where they could hide money or the state it rests on: refused, wherever not named open."""

    def case(kind: str, tag: str) -> Wrong:
        def edit(log: LogDraft) -> None:
            log.add(uid(kind, 40), tag, {"x": 1}, org=ORG)

        name = f"an unknown {tag} in a {kind} stream"
        return log_case(name, "entry.unknown_tag", edit, position=13, field="tag")

    for tag in (
        "wallet.topped_up",
        "quota.exceeded",
        "hold.placed",
        "weather.rained",
        "rate.set",
    ):
        yield case(tag.partition(".")[0], tag)
        yield case("app", tag)
    for kind in ("runtime", "account", "log", "quota", "wallet"):
        yield case(kind, "app.installed")


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
        ("by other names", [{"index": 0, "weight": 1}]),
    ]
    for name, devices in shares:
        yield case(f"a share {name}", fact(7, devices=devices), 7, "devices")

    def ill(devices: list[Any]) -> Edit:
        told = {"devices": devices, "reason": "xid", "decided_us": START_US}
        return lambda log: log.add(NODE, "node.quarantined", told)

    for name, devices in (
        ("of a text", ["0"]), ("of a truth", [True]), ("of no device", [-1]),
        ("twice one device", [0, 0]), ("out of order", [1, 0]),
    ):  # fmt: skip
        yield case(f"an index {name}", ill(devices), 13, "devices")

    def ruled(**changes: Any) -> Edit:
        rule = {"cidr": "10.0.0.0/8", "protocol": "tcp", "first_port": 1, "last_port": 2, **changes}
        told = {"internal": False, "egress": [rule], "decided_us": START_US}
        return lambda log: log.add(uid("network", 9), "network.policy_changed", told, org=ORG)

    for where, value in (
        ("cidr", 1), ("x", 1), ("protocol", "icmp"), ("first_port", 0), ("first_port", 3), ("last_port", 65_536),
    ):  # fmt: skip
        yield case(f"a rule with {where} {value}", ruled(**{where: value}), 13, "egress")

    def words(**changes: Any) -> Edit:
        return lambda log: log.drafts[8]["fact"]["attested"].update(changes)

    for where, value in (("key", "00"), ("boot", "00"), ("seq", -1), ("seq", "1"), ("x", 1)):
        yield case(f"attested {where} {value!r}", words(**{where: value}), 8, "attested")

    def again(log: LogDraft) -> None:
        log.drafts[0]["fact"]["continues"] = {"origin": "x"}

    yield case("continues what", again, 0, "continues")
    yield case("a price that continues", fact(3, continues=1), 3)


def credit_cases() -> Iterator[Wrong]:
    """Parts of a credit note that are none (facts.md, head)."""
    numbers = ("net_minor", "tax_minor", "total_minor")
    rest = {**dict.fromkeys(numbers, 0), "file": "x", "sha256": "0" * 64, "issued_us": START_US}

    def credited(parts: list[Any]) -> Edit:
        names = dict.fromkeys(("credit_note", "number", "account", "seller"), "x")
        told = {**names, "parts": parts, "why": "x", **rest}
        return lambda log: log.add(uid("invoice", 9), "credit_note.issued", told, org=ORG)

    for name, parts in (
        ("no object", [1]), ("by other names", [{"index": 0, "minor": 1}]),
        ("of a text", [{"line": "0", "minor": 1}]), ("of no line", [{"line": -1, "minor": 1}]),
        ("twice one line", [{"line": 0, "minor": 1}] * 2),
        ("out of order", [{"line": 1, "minor": 1}, {"line": 0, "minor": 1}]),
    ):  # fmt: skip
        edit = credited(parts)
        yield log_case(f"a part {name}", "fact.malformed", edit, position=13, field="parts")


def tier_cases() -> Iterator[Wrong]:
    """Tiers of a price that are none (facts.md, head)."""
    numbers = ("effective_from_us", "published_us", "divisor", "free")
    words = ("account", "meter", "model", "region", "state", "currency")

    def priced(tiers: list[Any]) -> Edit:
        told = {"book": "x", "edition": 1, **dict.fromkeys(words, "x"), **dict.fromkeys(numbers, 1)}
        told |= {"tiers": tiers, "minimum_pico": 0}

        def edit(log: LogDraft) -> None:
            log.add(uid("pricebook", 6), "price.entry_published", told)
            log.drafts[-1]["tag"] = "gpuaas.price.entry_published.v2"

        return edit

    for name, tier in (
        ("no object", 1), ("by other names", {"to": None, "price_pico": 1}),
        ("up to a text", {"up_to": "1", "price_pico": 1}), ("without end", {"price_pico": 1}),
        ("of no price", {"up_to": None, "price_pico": None}),
    ):  # fmt: skip
        edit = priced([tier])
        yield log_case(f"a tier {name}", "fact.malformed", edit, position=13, field="tiers")
    whole = priced([{"up_to": 5, "price_pico": 1}, {"up_to": None, "price_pico": 0}])
    yield log_case("tiers that are some", "valid", whole)


def right_cases() -> Iterator[Wrong]:
    """Logs that look unusual and are right."""

    def case(name: str, edit: Edit, base: Edit | None = None) -> Wrong:
        return log_case(name, "valid", edit, base)

    yield case("the small log", lambda log: None)
    yield case("the log alone", lambda log: None, lambda log: None)

    def foreign(log: LogDraft) -> None:
        log.drafts[1]["cause"] = "pos:0"
        log.drafts[2]["fact"]["tzdata"] = log.drafts[1]["fact"]["tzdata"] = "Zürich"

    yield case("a word that is not ASCII", foreign)

    def created(log: LogDraft) -> None:
        name = {"private": "0" * 64}
        log.add(ORG, "organization.created", {"name": name, "created_us": 1}, org=ORG)
        reason = {"reason": "späte Zahlung", "decided_us": 1}
        log.add(ORG, "organization.suspended", reason, org=ORG)

    yield case("an organization", created)

    def application(log: LogDraft) -> None:
        log.add(uid("app", 1), "app.installed", {"any": ["thing"]}, org=ORG)
        log.add(uid("token", 1), "access.token_revoked", {"any": 1}, org=ORG)

    yield case("an unknown tag of an open area in an open stream", application)

    def again(log: LogDraft) -> None:
        priced(log)
        enrolled(log)
        log.add(NODE, "node.enrolled", dict(log.drafts[4]["fact"]))
        launched(log)

    yield case("a node enrolled again", again, lambda log: None)

    def unknown_runtime(log: LogDraft) -> None:
        enrolled(log)
        said = {"runtimes": [uid("runtime", 99)]}
        moment = {"boottime_us": 1, "renewed_us": START_US, "until_us": 9}
        log.spoken(NODE, "node.lease_renewed", {**said, **moment}, said)

    yield case("a lease of a runtime nobody knows", unknown_runtime, lambda log: None)
    liar = log_case("lies not looked at", "valid", fact(4, key="00" * 32))
    yield replace(liar, attestations=False)


def log_cases() -> list[Wrong]:
    makers = (
        right_cases, envelope_cases, place_cases, block_cases, unknown_cases, shape_cases, credit_cases,
        tier_cases,
    )  # fmt: skip
    return [wrong for make in makers for wrong in make()]
