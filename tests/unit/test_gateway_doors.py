"""What a gateway lets in and throws out, given what the log says."""

import base64
import os
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from api.gateway.certificates import presented
from api.gateway.doors import Doors, Entry, Route
from api.ssh.authority import Authority, Ticket, sign_host, sign_user
from domain import access, grant, organization, runtime
from domain.words import Attested, Private
from evidence.reader import Recorded

ORG = "organization-1"
RUNTIME, GRANT, SESSION = "runtime-1", "access-1", "access-9"
PRIVATE = Private("00" * 32)
WORD = Attested("node-1", "00" * 32, "11" * 16, 1, "e30=", "aa")
NOW = 1_000
UNTIL = 5_000
HERE = Entry(GRANT, RUNTIME, "allocation-1.3", "user-1", ORG, "ssh")


def allocated(epoch: int = 3, allocation: str = "allocation-1") -> runtime.Allocated:
    return runtime.Allocated(allocation, "node-1", "T4", (), epoch, 1)


ROUTED = runtime.Routed(1, "10.1.0.2", 22, "ssh-ed25519 AAAA", 2, WORD)
GRANTED = grant.Granted(RUNTIME, "project-1", "user-1", "ssh", UNTIL, NOW)
ISSUED = grant.CertificateIssued(7, "allocation-1.3", "ab" * 32, PRIVATE, NOW, NOW + 9)


def doors(*facts: tuple[str, Struct]) -> Doors:
    """Doors of gateway-1 after these facts."""
    made = Doors("gateway-1")
    for position, (stream, fact) in enumerate(facts):
        made.apply(Recorded(position, stream, 1, "", ORG, "user-1", "", NOW, fact))
    return made


LIVE = ((RUNTIME, allocated()), (RUNTIME, ROUTED), (GRANT, GRANTED), (GRANT, ISSUED))


def test_a_suspended_organization_enters_nothing_until_it_is_back() -> None:
    """Whatever stands otherwise: its people are out, others' are not."""
    gone = (ORG, organization.Suspended("unpaid", 5))
    assert doors(*LIVE, gone).why_not(HERE, NOW) == "suspended"
    assert doors(*LIVE, ("organization-2", gone[1])).why_not(HERE, NOW) is None
    back = (ORG, organization.Reactivated("paid", 6))
    assert doors(*LIVE, gone, back).why_not(HERE, NOW) is None


def test_a_pass_opens_its_port_at_its_epoch() -> None:
    """One port of one runtime; gone with its grant, its runtime, its epoch, and its token too."""
    passed = (GRANT, grant.PassIssued("allocation-1.3", 8888, "cd" * 32, NOW))
    live = (*LIVE[:3], passed)
    made = doors(*live)
    entry = Entry(GRANT, RUNTIME, "allocation-1.3", "user-1", ORG, "http")
    assert made.admit_app(GRANT, RUNTIME, 8888) == entry
    assert made.tokens == {"cd" * 32: GRANT}
    assert made.why_not(entry, NOW) is None
    assert made.admit_app(GRANT, RUNTIME, 8889) is None
    assert made.admit_app(GRANT, "runtime-2", 8888) is None
    assert doors(*LIVE).admit_app(GRANT, RUNTIME, 8888) is None, "a certificate is no pass"
    assert made.admit(RUNTIME, GRANT, 7, "ssh") is None, "a pass is no certificate"
    for end in (
        (GRANT, grant.Revoked("x", 9)), (RUNTIME, runtime.Stopping("x", 9)),
        (RUNTIME, allocated(epoch=4)),
    ):  # fmt: skip
        over = doors(*live, end)
        assert over.why_not(entry, NOW) is not None
        assert over.admit_app(GRANT, RUNTIME, 8888) is None
        assert over.tokens == {}
    made.forget(UNTIL)
    assert made.tokens == {}


def test_the_holder_of_a_logged_certificate_enters() -> None:
    """Grant, runtime and serial must be those of the log; the route is the node's last word."""
    made = doors(*LIVE)
    assert made.admit(RUNTIME, GRANT, 7, "ssh") == HERE
    assert made.why_not(HERE, NOW) is None
    assert made.doors[RUNTIME].route == Route("10.1.0.2", 22, "ssh-ed25519 AAAA")
    assert made.admit(RUNTIME, GRANT, 8, "ssh") is None, "a serial nobody logged"
    assert made.admit("runtime-2", GRANT, 7, "ssh") is None
    assert made.admit(RUNTIME, "access-2", 7, "ssh") is None


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ((GRANT, grant.Revoked("left", NOW)), "revoked"),
        ((RUNTIME, runtime.Stopping("requested", NOW)), "runtime_ended"),
        ((RUNTIME, runtime.Cancelled("requested", NOW)), "runtime_ended"),
        ((RUNTIME, runtime.Lost(NOW, NOW)), "runtime_ended"),
        ((RUNTIME, runtime.Stopped(1, NOW, NOW, WORD)), "runtime_ended"),
        ((RUNTIME, runtime.Failed("x.y", 1, NOW, NOW, WORD)), "runtime_ended"),
        ((RUNTIME, allocated(epoch=4)), "epoch_moved"),
        ((RUNTIME, allocated(allocation="allocation-2")), "epoch_moved"),
    ],
)
def test_what_ends_access(after: tuple[str, Struct], why: str) -> None:
    """Revocation, any end of the runtime and a newer epoch; nothing is remembered of what ended."""
    made = doors(*LIVE, after)
    assert made.why_not(HERE, NOW) == why
    assert made.admit(RUNTIME, GRANT, 7, "ssh") is None
    assert not made.passes


def test_a_grant_ends_by_itself() -> None:
    """At its `until`, to the microsecond; then it is forgotten."""
    made = doors(*LIVE)
    assert made.why_not(HERE, UNTIL - 1) is None
    assert made.why_not(HERE, UNTIL) == "grant_over"
    made.forget(UNTIL - 1)
    assert made.passes
    made.forget(UNTIL)
    assert not made.passes
    assert not made.doors[RUNTIME].grants


def test_only_sessions_of_this_gateway_are_its_own() -> None:
    """What it opened and nobody closed is what a killed process left behind."""
    opened = access.SessionOpened(GRANT, RUNTIME, "ssh", "gateway-1", PRIVATE, NOW)
    foreign = access.SessionOpened(GRANT, RUNTIME, "ssh", "gateway-2", PRIVATE, NOW)
    closed = access.SessionClosed("ended", 1, 2, NOW)
    assert doors((SESSION, opened), ("access-8", foreign)).unclosed == {SESSION: ORG}
    assert not doors((SESSION, opened), (SESSION, closed)).unclosed


def ticket(principal: str = "allocation-1.3") -> Ticket:
    now = time.time_ns() // 1000
    return Ticket(7, GRANT, principal, now, now + 600_000_000, "10.0.0.0/8")


def wire(line: str) -> bytes:
    return base64.b64decode(line.split()[1])


def test_claims_are_read_from_user_certificates_only() -> None:
    """A host's certificate, a changed byte, a plain key: nothing is claimed."""
    keys = Authority(Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate())
    public = Ed25519PrivateKey.generate().public_key()
    raw = wire(sign_user(keys, public, ticket()))
    found = presented(raw)
    assert found is not None
    assert (found.grant, found.serial, found.principal) == (GRANT, 7, "allocation-1.3")
    assert presented(wire(sign_host(keys, public, ticket()))) is None
    for at in range(0, len(raw), 7):
        assert presented(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]) is None, at
    for size in range(0, len(raw), 11):
        assert presented(raw[:size]) is None, size
    assert presented(raw + b"\0") is None
    assert presented(b"\0\0\0\x0bssh-ed25519" + b"\0\0\0\x20" + os.urandom(32)) is None


@given(st.binary(max_size=400))
def test_rubbish_claims_nothing(raw: bytes) -> None:
    """Whatever bytes come, the answer is None and no error."""
    kind = b"ssh-ed25519-cert-v01@openssh.com"
    assert presented(raw) is None
    assert presented(len(kind).to_bytes(4) + kind + raw) is None
