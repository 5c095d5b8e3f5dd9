"""Enrolment of an invited node and its certificates: its own key instead of a bearer token."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import JSONBody
from msgspec import UNSET

from api.auth import unknown
from api.body import FrontRequest
from api.edge import now_us
from api.fleet import callout, node_ca
from api.services import Services, services_of
from contracts import enrolment, nkeys
from contracts.enrolment import EnrolReply, EnrolRequest, RenewalReply, RenewalRequest
from contracts.signing import FleetError, public_hex, unbase64, verify
from domain import identity, node
from domain.decider import fold
from domain.errors import DomainError
from domain.identity import Certified, Certify, Hardware, Reinvited
from domain.words import Gpu
from evidence.append import Append, Write
from evidence.reader import Recorded

_MOST_GPUS: Final = 64
_LONGEST: Final = 200
_TRIES: Final = 8


@get("/v1/enrol/ca", opt={"public": True}, media_type="application/x-pem-file")
async def show_node_ca(request: FrontRequest) -> Response[str]:
    """The node CA's certificate (PEM). A token's holder compares its hash before trusting it."""
    return Response(services_of(request).node_ca.pem, media_type="application/x-pem-file")


@post("/v1/enrol", opt={"public": True}, status_code=200)
async def enrol_node(request: FrontRequest, data: JSONBody[EnrolRequest]) -> Response[EnrolReply]:
    """Where and as whom the node talks from now on. The same token and key repeat the answer."""
    services = services_of(request)
    try:
        token = enrolment.parse_token(data.token)
        enrolment.check_proof(data)
        certify = _asked_at_enrolment(services, token.node, data)
    except FleetError as error:
        raise DomainError(error.code, error.detail) from error
    texts = [data.model, data.serial, *(gpu.uuid for gpu in data.gpus)]
    if not isinstance(data.hardware, type(UNSET)):
        texts += [data.hardware.product, data.hardware.serial, data.hardware.machine]
    if len(data.gpus) > _MOST_GPUS or max(map(len, texts)) > _LONGEST:
        raise DomainError("request.invalid", "more GPUs or longer names than a node has")
    stream = token.node
    position, certified = await _enrolled(services, stream, data, certify)
    return Response(_reply(services, stream, data, position, certified))


@post("/v1/nodes/certificate", opt={"public": True}, status_code=200)
async def renew_certificate(
    request: FrontRequest, data: JSONBody[RenewalRequest]
) -> Response[RenewalReply]:
    """A certificate in place of the one that the node proves to hold. A repeat is the same one.

    A node whose keys are certified already and that proves another certificate has a double: the
    log says so, and both are barred.
    """
    services = services_of(request)
    recorded = await services.log.read_stream(data.node) if _is_node(data.node) else []
    state = fold(node.DECIDER, _facts(recorded))
    if not isinstance(state, node.Serving):
        raise unknown("node")
    try:
        certify = _asked_at_renewal(services, data, state)
    except FleetError as error:
        raise DomainError(error.code, error.detail) from error
    try:
        certified = await _certified(services, data.node, certify)
    except DomainError as error:
        if error.code == "node.certificate_stale":
            await _changed(services, data.node, identity.ReportDouble(error.code, now_us()))
        raise
    return Response(
        RenewalReply(_pem(services, data.node, data.csr, certified), services.node_ca.pem)
    )


async def _enrolled(
    services: Services, stream: str, data: EnrolRequest, certify: Certify | None
) -> tuple[int, Certified | None]:
    command = _enrol(data)
    for _ in range(_TRIES):
        recorded = await services.log.read_stream(stream)
        if not recorded:
            raise unknown("node")
        facts = _facts(recorded)
        tokens = [one for one in facts if isinstance(one, node.Invited | Reinvited)]
        if tokens[-1].token_sha256 != command.token_sha256:
            raise DomainError("node.token_refused", "the token is not the one of this node")
        state = fold(node.DECIDER, facts)
        events = list(node.decide(command, state))
        if certify is not None:
            events += node.decide(certify, _after(state, events))
        certified = _latest(Certified, [*facts, *events])
        if not events:
            return _enrolled_at(recorded), certified
        # By what it says: a second request of the same token is an append of its own.
        cause = f"cmd:{enrolment.token_hash(data.token + data.proof)}"
        write = Write(stream, "-", recorded[-1].version, tuple(events))
        try:
            appended = await services.log.append(Append((write,), stream, cause))
        except DomainError as error:
            if error.code != "log.version_stale":
                raise
        else:
            new = isinstance(events[0], node.Enrolled)
            return appended.first if new else _enrolled_at(recorded), certified
    raise DomainError("log.version_stale", "the stream keeps changing; repeat the request")


def _enrol(data: EnrolRequest) -> node.Enrol:
    said = data.hardware if isinstance(data.hardware, enrolment.Hardware) else None
    return node.Enrol(
        token_sha256=enrolment.token_hash(data.token),
        key=data.key,
        model=data.model,
        simulated=data.simulated,
        gpus=tuple(Gpu(gpu.index, gpu.uuid) for gpu in data.gpus),
        serial=data.serial,
        now_us=now_us(),
        hardware=Hardware(said.product, said.serial, said.machine) if said else Hardware(),
        fingerprint=enrolment.fingerprint(said, data.gpus) if said else "",
    )


def _asked_at_enrolment(services: Services, stream: str, data: EnrolRequest) -> Certify | None:
    if not isinstance(data.csr, str) or not isinstance(data.nkey, str):
        return None  # an agent of the release before
    return _certify(services, stream, data.nkey, data.csr, "")


def _asked_at_renewal(services: Services, data: RenewalRequest, state: node.Serving) -> Certify:
    text = enrolment.renewal_text(data)
    verify(state.enrolled.key, unbase64(data.proof, "enrol.proof"), text, "enrol.proof")
    replaces = ""
    if data.certificate:
        held = node_ca.signed_by(services.node_ca, data.certificate, data.node)
        key = held.public_bytes_raw().hex()
        verify(key, unbase64(data.held, "enrol.proof"), text, "enrol.proof")
        replaces = node_ca.der_sha256(data.certificate)
    return _certify(services, data.node, data.nkey, data.csr, replaces)


def _certify(services: Services, stream: str, nkey: str, csr: str, replaces: str) -> Certify:
    nkeys.user_key(nkey)
    key = node_ca.requested_key(csr)
    # Whole seconds: the first instant in the certificate is the one in the fact.
    start_us = now_us() // 1_000_000 * 1_000_000
    _, digest = node_ca.node_certificate(services.node_ca, stream, key, start_us)
    return Certify(
        nkey=nkey,
        public_sha256=node_ca.public_sha256(key),
        certificate_sha256=digest,
        replaces=replaces,
        not_before_us=start_us,
        not_after_us=start_us + node_ca.LIFE_US,
    )


async def _certified(services: Services, stream: str, command: Certify) -> Certified:
    facts = await _changed(services, stream, command)
    found = _latest(Certified, facts)
    assert found is not None, "decided above"
    return found


async def _changed(services: Services, stream: str, command: node.Command) -> list[Any]:
    for _ in range(_TRIES):
        recorded = await services.log.read_stream(stream)
        facts = _facts(recorded)
        events = node.decide(command, fold(node.DECIDER, facts))
        if not events:
            return facts
        write = Write(stream, "-", recorded[-1].version, tuple(events))
        cause = f"pos:{recorded[-1].position}"
        try:
            await services.log.append(Append((write,), stream, cause))
        except DomainError as error:
            if error.code != "log.version_stale":
                raise
        else:
            return [*facts, *events]
    raise DomainError("log.version_stale", "the stream keeps changing; repeat the request")


def _facts(recorded: list[Recorded]) -> list[Any]:
    return [one.fact for one in recorded]  # a node's stream has node facts


def _enrolled_at(recorded: list[Recorded]) -> int:
    return [one.position for one in recorded if isinstance(one.fact, node.Enrolled)][-1]


def _after(state: node.State, events: list[node.Event]) -> node.State:
    for event in events:
        state = node.evolve(state, event)
    return state


def _latest[F](kind: type[F], facts: list[Any]) -> F | None:
    """The last fact of this kind since the last enrolment."""
    for fact in reversed(facts):
        if isinstance(fact, kind):
            return fact
        if isinstance(fact, node.Enrolled):
            return None
    return None


def _pem(services: Services, stream: str, csr: str, certified: Certified) -> str:
    key = node_ca.requested_key(csr)
    made = node_ca.node_certificate(services.node_ca, stream, key, certified.not_before_us)
    return made[0]


def _is_node(text: str) -> bool:
    return enrolment.NODE.fullmatch(text) is not None


def _reply(
    services: Services, stream: str, data: EnrolRequest, position: int, certified: Certified | None
) -> EnrolReply:
    secret = callout.password(services.account_key, stream, data.key)
    with_keys = certified is not None and isinstance(data.csr, str)
    return EnrolReply(
        node=stream,
        position=position,
        command_key=public_hex(services.command_key),
        nats_url=services.settings.nats_node_url,
        nats_user="" if with_keys else stream,
        nats_password="" if with_keys else secret,
        ca=services.node_ca.pem if with_keys else UNSET,
        certificate=(
            _pem(services, stream, str(data.csr), certified)
            if with_keys and certified is not None
            else UNSET
        ),
    )
