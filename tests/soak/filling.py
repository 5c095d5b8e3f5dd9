"""A generated case, asked about things that there are, where its parts are meant to be right.

What is generated to be wrong stays as it is; a part of the rest stays random, too.
"""

import random
import re
import uuid
from typing import Any, Final

from schemathesis import Case
from schemathesis.core.parameters import ParameterLocation

from api.edge import instant, now_us
from tests.soak.known import Known, kind_of

# Words that mean something, by the name of their field or parameter.
WORDS: Final[dict[str, tuple[Any, ...]]] = {
    "zone": ("UTC", "Europe/Berlin"), "currency": ("USD",), "country": ("DE", "FR"),
    "role": ("member", "viewer", "admin", "user"), "model": ("T4", "A10"),
    "models": (["T4"], []), "principal": ("user-owner", "user-viewer", "user-x", "user-y"),
    "subject": ("user-x", "user-y"), "networks": ([],), "unless_networks": ([],),
    "actions": (["runtime.*"], ["network.*"]), "action": ("runtime.launch", "account.list"),
    "scopes": ([], ["runtime.*"]), "policy": ("pack", "spread"), "region": ("",),
    "form": ("hledger", "beancount", "focus.csv", "focus-1.4.csv", "charges.csv"),
    "number": ("0",), "row": ("0", "1"), "reservation": ("",), "image": ("",), "digest": ("sha256:" + "0" * 64,),
    "volumes": ([],), "state": ("usable", "running", "stopped"), "limit": (10, 100),
    "gpu_milli": (100, 200), "devices": (1, []), "size_mib": (1, 24), "meter": ("gpu.time",),
    "reference": ("registry.example/image", "paid-1", "paid-2"), "network": ("",),
    "egress": ([],), "domains": ([],), "bucket": ("paid",), "source": ("",),
    "vat_id": ("DE123456789",), "name": ("a", "b", "\u00e9\u4e2d"), "email": ("a@b.c",),
    "divisor": (1, 1000), "amount": ("1.000000000000", "0.000000000001"), "minor": (1, 5),
    "terms": ("prepaid", "postpaid"), "cpu_milli": (100,), "memory_bytes": (2**28,), "pids": (64,),
    "public_key": ("ssh-ed25519 " + "AAAAC3NzaC1lZDI1NTE5AAAAI" + "A" * 43,),
    "treatment": ("standard",), "category": ("S",), "rate_bp": (1900,), "prefix": ("ABC",),
    "book": ("a", "-"), "edition": (1,), "mode": ("soft", "refuse"), "aggregation": ("sum",),
    "most": (10,), "columns": (80,), "rows": (24,), "count": (1, 2), "port": (8080,),
}  # fmt: skip
# Where a word means something else.
_HERE: Final[dict[tuple[str, str], tuple[Any, ...]]] = {
    ("/v1/nodes/{node_id}/region", "region"): ("eu-de-1",),
    ("/v1/meters", "meter"): ("app.tokens", "app.calls"),
    ("/v1/meters", "source"): ("readings",),
    ("/v1/accounts/{account_id}/commitments", "price"): ("1.000000000000",),
    ("/v1/accounts/{account_id}/commitments", "quantity"): ("1000",),
    ("/v1/quotas/shares", "guaranteed_milli"): (1000,),
    ("/v1/quotas/shares", "lendable_milli"): (0,),
    ("/v1/quotas/shares", "limit_milli"): (8000,),
    ("/v1/quotas/claims", "gpu_milli"): (100,),
    ("/v1/nodes/{node_id}/topology", "group"): (0,),
    ("/v1/suspense/{suspense_id}/resolve", "how"): ("returned",),
    ("/v1/members/{principal}/remove", "principal"): ("user-x", "user-y"),
    ("/v1/members", "principal"): ("user-x", "user-y"),
    ("/v1/quotas", "limit_milli"): (1_000_000,),
    ("/v1/sources", "meters"): (["app.tokens"],),
    ("/v1/webhooks", "url"): ("https://a.example",),
    ("/v1/accounts/{account_id}/chargebacks", "reference"): ("paid-1",),
    ("/v1/accounts/{account_id}/refunds", "reference"): ("paid-1",),
    ("/v1/accounts/{account_id}/grants", "reference"): ("paid-1", "paid-2"),
}
KINDS: Final = {
    "scope": "project", "key": "token", "session": "access", "grant": "access",
    "credit_note": "invoice",
}  # fmt: skip
# What it ends is not to be what the callers live in.
_ENDS: Final = re.compile(
    r"/(suspend|close|remove|revoke|distrust|delete|retire|end|quarantine|drain|cordon|reinvite"
    r"|require-sanitization|sanitize|move)$|/v1/guardrails$|/v1/role-bindings$"
)
_LEAST_AHEAD_US: Final = 5_000_000
_URLS: Final = ("url", "issuer")


class Filling:
    """Owned by one run; `receiver` is the one address that anything may be sent to."""

    def __init__(self, known: Known, rng: random.Random, receiver: str) -> None:
        self._known = known
        self._rng = rng
        self._receiver = receiver

    def fill(self, case: Case[Any]) -> None:
        """The case as it is sent, but for who sends it."""
        right = _right(case)
        ends = _ENDS.search(case.path) is not None
        if ParameterLocation.PATH in right:
            self._path(case, ends=ends)
        if ParameterLocation.QUERY in right:
            self._query(case)
        if ParameterLocation.HEADER in right:
            self._headers(case)
        if ParameterLocation.BODY in right and isinstance(case.body, (dict, list)):
            case.body = self._body(case, case.body, "", ends=ends)
        self._organization(case)
        self._inside(case)

    def _organization(self, case: Case[Any]) -> None:
        """Whose thing it is, where that may be left out and the platform's own people name it."""
        body: Any = case.body
        if not isinstance(body, dict) or body.get("organization") is not None:
            return
        if "organization" in _fields(case) and self._chance(0.6):
            body["organization"] = self._known.one("organization", self._rng)

    def _path(self, case: Case[Any], *, ends: bool) -> None:
        for name in case.path_parameters:
            found = self._known.thing(case.path, name, self._rng, ends=ends)
            words = _words(case, name)
            if name == "position":
                found = str(self._rng.randrange(self._known.position + 2))
            if (found or words) and self._chance(0.9):
                case.path_parameters[name] = found or self._rng.choice(words)

    def _query(self, case: Case[Any]) -> None:
        for name in list(case.query):
            if not self._chance(0.85):
                continue
            kind = KINDS.get(name, name.removesuffix("_id"))
            found = self._known.one(kind, self._rng)
            if name == "issuer":
                found = self._known.thing(
                    "/v1/issuers/{issuer_id}", "issuer_id", self._rng, ends=False
                )
            if name in ("as_of", "start", "end", "since", "until") and self._chance(0.5):
                case.query[name] = self._moment(name)
            elif _words(case, name):
                case.query[name] = self._rng.choice(_words(case, name))
            elif found is not None and self._chance(0.5):
                case.query[name] = found
            else:
                del case.query[name]

    def _moment(self, name: str) -> str:
        if name == "as_of" and self._chance(0.5):
            return str(self._rng.randrange(self._known.position + 1))
        return instant(now_us() - self._rng.randrange(1_000_000, 20_000_000))

    def _headers(self, case: Case[Any]) -> None:
        if "Idempotency-Key" in case.headers and self._chance(0.95):
            case.headers["Idempotency-Key"] = uuid.UUID(int=self._rng.getrandbits(128)).hex
        version = next(
            (
                self._known.versions[one]
                for one in map(str, case.path_parameters.values())
                if one in self._known.versions
            ),
            None,
        )
        if "If-Match" in case.headers and self._chance(0.9):
            if version is None or self._chance(0.3):
                del case.headers["If-Match"]
            else:
                case.headers["If-Match"] = f'"{version}"'
        if "Organization" in case.headers and self._chance(0.95):
            del case.headers["Organization"]
        for name in ("Min-Log-Position", "Last-Event-ID"):
            if name in case.headers and self._chance(0.95):
                last = self._known.position
                case.headers[name] = str(self._rng.choice((last, max(0, last - 5))))

    def _body(self, case: Case[Any], value: Any, name: str, *, ends: bool) -> Any:
        if isinstance(value, dict):
            return {key: self._body(case, below, key, ends=ends) for key, below in value.items()}
        words = [one for one in _words(case, name) if type(one) is type(value)]
        if words and self._chance(0.9):
            return self._rng.choice(words)
        if isinstance(value, list):
            return [self._body(case, below, name, ends=ends) for below in value]
        if not isinstance(value, str) or not self._chance(0.95):
            return value
        if name in ("start", "end"):
            ahead_us = _LEAST_AHEAD_US * (1 if name == "start" else 1_000_000)
            return instant(now_us() + ahead_us)
        period = self._known.periods.get(str(case.path_parameters.get("account_id")))
        if name == "period" and period is not None:
            return period
        if kind_of(value):
            return self._known.one(kind_of(value), self._rng, ends=ends) or value
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T.*Z", value):
            return instant(now_us() + self._rng.randrange(_LEAST_AHEAD_US, 10**12))
        return "".join(one for one in value if one.isprintable()) or value

    def _inside(self, case: Case[Any]) -> None:
        """Whatever the case is: nothing is sent to anybody else, what follows a log ends at its
        head, and a header is one (with a control character it is none, and no server reads on).
        """
        for name, value in list(case.headers.items()):
            case.headers[name] = re.sub(r"[\x00-\x1f\x7f]", "", str(value))
        body: Any = case.body
        if isinstance(body, dict):
            for name in _URLS:
                if isinstance(body.get(name), str) and ":" in body[name]:
                    hook = "/hook" if case.path == "/v1/webhooks" else ""
                    body[name] = self._receiver + hook
        if case.path == "/v1/events":
            if case.query.get("follow") is not False:
                case.query["follow"] = "false"
            if "Last-Event-ID" not in case.headers:  # not the whole log each time
                case.headers["Last-Event-ID"] = str(max(0, self._known.position - 20))

    def _chance(self, part: float) -> bool:
        return self._rng.random() < part


def _words(case: Case[Any], name: str) -> tuple[Any, ...]:
    return _HERE.get((case.path, name), WORDS.get(name, ()))


def _fields(case: Case[Any]) -> dict[str, Any]:
    """The fields that its body may have."""
    for one in case.operation.body:
        schema = one.optimized_schema
        if isinstance(schema, dict):
            return dict(schema.get("properties", {}))
    return {}


def _right(case: Case[Any]) -> set[ParameterLocation]:
    meta = case.meta
    assert meta is not None
    return {
        location
        for location in (
            ParameterLocation.PATH, ParameterLocation.QUERY, ParameterLocation.HEADER,
            ParameterLocation.BODY,
        )
        if not meta.is_negative_at(location)
    }  # fmt: skip
