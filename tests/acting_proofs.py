"""Requests that act by a proof of their own, each time on something new, and what repeats hear."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct

from agent import certificate, host_certificates, identity
from agent.config import Config
from agent.enrol import Keys, Machine, checked, request_of
from api.edge import instant
from contracts.enrolment import Gpu, Hardware
from contracts.signing import public_hex
from contracts.usage import Reading, Reporter
from domain import runtime
from tests.acting_recipes import public_key
from tests.acting_world import World, now_us, usd, word
from tests.integration.test_top_ups import SECRET, paid, signature

STRIPE_SECRETS: Final = SECRET
# Signed anew; by the settings of the process.
_ITS_OWN: Final = frozenset(("certificate", "nats_url"))


class Proof(Struct, frozen=True):
    """`signed`: a text or number of the body that is signed. `repeat`: what a repeat's answer says
    otherwise than the first, or the code that refuses it.
    """

    path: str
    raw: bytes
    signed: str
    repeat: dict[str, Any] | str = {}
    headers: dict[str, str] = {}

    async def send(self, client: httpx.AsyncClient, raw: bytes = b"") -> httpx.Response:
        headers = {"Content-Type": "application/json", **self.headers}
        return await client.post(self.path, content=raw or self.raw, headers=headers)

    def acted(self, answer: httpx.Response) -> bool:
        """It is the first one's."""
        said = answer.json() if answer.is_success else None
        return said is not None and (
            isinstance(self.repeat, str)
            or not self.repeat
            or any(said[name] != value for name, value in self.repeat.items())
        )

    def differs(self, first: httpx.Response, again: httpx.Response) -> dict[str, Any]:
        """What the answer to a repeat is otherwise than it must be."""
        said = again.json()
        if isinstance(self.repeat, str) or not first.is_success or not again.is_success:
            return {} if said.get("code") == self.repeat else said
        wanted = first.json() | self.repeat
        names = wanted.keys() - _ITS_OWN
        return {name: (wanted[name], said[name]) for name in names if wanted[name] != said[name]}

    def forged(self) -> bytes:
        """The same under the same proof, but for one thing."""
        body = msgspec.json.decode(self.raw)
        inner = body["readings"][0] if self.signed in body.get("readings", [{}])[0] else body
        value = inner[self.signed]
        if isinstance(value, int):
            inner[self.signed] = value + 1
        else:
            middle = len(value) // 2
            inner[self.signed] = value[:middle] + chr(ord(value[middle]) ^ 1) + value[middle + 1 :]
        return msgspec.json.encode(body)


type Proving = Callable[[World], Awaitable[Proof]]


async def enrolling_node(w: World) -> Proof:
    return (await _invited(w))[0]


async def _invited(w: World) -> tuple[Proof, str, Path]:
    number = w.number()
    state = w.stage.services.settings.data / f"agent-{number}"
    state.mkdir()
    keys = Keys(
        identity.event_key(state), identity.nats_key(state), identity.certificate_key(state)
    )
    hardware = Hardware(f"uuid-{number}", f"serial-{number}", f"machine-{number}")
    machine = Machine("L4", (Gpu(0, f"GPU-p{number}"),), f"s-{number}", hardware)
    token = (await w.made("/v1/nodes", {"name": "n", "model": "L4"}))["token"]
    asked = msgspec.json.encode(request_of(keys, token, machine))
    return Proof("/v1/enrol", asked, "serial"), token, state


async def renewing(w: World) -> Proof:
    enrol, token, state = await _invited(w)
    answer = await enrol.send(w.stage.client)
    assert answer.status_code == 200, answer.text
    reply = checked(token, answer.content)
    identity.keep_enrolment(state, reply)
    asked = certificate.request_of(Config(state=state), reply.node)
    return Proof("/v1/nodes/certificate", msgspec.json.encode(asked), "nkey")


async def certifying_host(w: World) -> Proof:
    """Of a runtime whose node has attested the key of its sshd."""
    made, key = await w.make_usable(models=["T4"], policy="spread"), public_key()
    await w.says(made, runtime.Routed(1, "10.0.0.1", 22, key, now_us(), word(w.host)))
    asked = host_certificates.request_of(w.stage.keys[w.host], w.host, made, key)
    return Proof("/v1/nodes/host-certificates", asked, "proof")


async def paying(w: World) -> Proof:
    """An event that is told again is known by its payment."""
    name = f"pi_{w.number()}"
    raw = msgspec.json.encode(paid(w.account, f"evt_{name}", id=name))
    headers = {"Stripe-Signature": signature(raw, int(time.time()))}
    return Proof("/v1/payments/stripe", raw, "id", {"became": "repeated"}, headers)


async def _source(w: World) -> Reporter:
    key = Ed25519PrivateKey.generate()
    body = {"project": w.project, "key": public_hex(key), "meters": ["app.words"]}
    return Reporter(key, await w.new("/v1/sources", body), 1)


async def _priced(w: World, model: str) -> int:
    """From when on, which is past; further ahead where the machine was too busy for less."""
    for ahead_us in (60_000, 3_000_000, 20_000_000):
        at = now_us() + ahead_us
        body = {"meter": "app.words", "model": model, "state": "read", "price": usd(1)}
        answer = await w.stage.post("/v1/prices", {**body, "effective_from": instant(at)})
        if answer.status_code == 201:
            await asyncio.sleep(max(0, at + 1000 - now_us()) / 1_000_000)
            return at
    raise AssertionError("the machine is too busy")


async def reading(w: World) -> Proof:
    model = f"m{w.number()}"
    reporter, at = await _source(w), await _priced(w, model)
    said = Reading("app.words", w.project, {"model": model}, at, at, 1)
    raw = msgspec.json.encode(reporter.batch((said,)))
    repeat = {"new": 0, "repeated": 1, "position": None}
    return Proof("/v1/readings", raw, "quantity", repeat)


async def telling_all(w: World) -> Proof:
    raw = msgspec.json.encode((await _source(w)).complete(now_us()))
    return Proof("/v1/readings/complete", raw, "until_us", {"position": None})


async def signing_in(w: World) -> Proof:
    """An identity token opens one session: whoever lost the answer signs in again."""
    assert w.identities is not None, "the world has somebody who vouches for people"
    body = {**w.issuer(), "algorithms": ["ES256"]}
    at = await w.new("/v1/issuers", body)
    token = w.identities.token(aud=body["client_id"], sub=f"person-{w.number()}")
    asked = {"issuer": at, "id_token": token, "nonce": "n-1"}
    return Proof("/v1/sessions", msgspec.json.encode(asked), "id_token", "session.token_used")
