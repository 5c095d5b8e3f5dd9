"""The bytes that cross between node and control plane."""

import base64

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct
from msgspec.structs import replace

from contracts import enrolment, fleet
from contracts.fleet import Attested, Body, Command, Receipt, Share, StartRuntime, StopRuntime
from contracts.signing import FleetError, public_hex
from contracts.spec import Spec, principal

NODE = "node-01936f00-0000-7000-8000-000000000000"
OTHER = "node-01936f00-0000-7000-8000-000000000001"
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
BODY = Body("gpuaas-attest/1", NODE, "0" * 32, 7, fleet.FAILED, "runtime-x", 5, {"code": "oom"})
START = Command(
    "gpuaas-command/1", 4, NODE, "0" * 32, "allocation-1", 1, "n", 99,
    StartRuntime("runtime-x", (Share(0, 500),), 99),
)  # fmt: skip


def code_of(error: pytest.ExceptionInfo[FleetError]) -> str:
    return error.value.code


def test_the_signed_body_has_the_bytes_of_facts_md() -> None:
    """Keys in the contract's order, no white space: an auditor re-encodes and compares."""
    attested = fleet.attest(KEY, BODY)
    assert base64.b64decode(attested.body) == (
        b'{"format":"gpuaas-attest/1","node":"' + NODE.encode() + b'","boot":"' + b"0" * 32
        + b'","seq":7,"tag":"gpuaas.runtime.failed.v1","stream":"runtime-x","boottime_us":5,'
        + b'"said":{"code":"oom"}}'
    )  # fmt: skip
    assert fleet.open_attested(attested, public_hex(KEY)) == BODY


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"seq": 8}, "attest.differs"),
        ({"boot": "1" * 32}, "attest.differs"),
        ({"node": OTHER}, "attest.differs"),
        ({"key": public_hex(STRANGER)}, "attest.key_unknown"),
        ({"body": base64.b64encode(b"{}").decode()}, "attest.signature"),
        ({"sig": base64.b64encode(bytes(64)).decode()}, "attest.signature"),
        ({"sig": "!"}, "attest.malformed"),
        ({"body": "e30"}, "attest.malformed"),
    ],
)
def test_a_changed_word_is_refused_by_name(change: dict[str, object], code: str) -> None:
    """No field of an attested word can change without being noticed."""
    with pytest.raises(FleetError) as error:
        fleet.open_attested(replace(fleet.attest(KEY, BODY), **change), public_hex(KEY))
    assert code_of(error) == code


def test_a_body_that_is_signed_but_not_canonical_is_refused() -> None:
    """Two texts with one meaning are one too many: only the canonical bytes are words."""
    spaced = msgspec.json.encode(BODY).replace(b'"seq":7', b'"seq": 7')
    doubled = msgspec.json.encode(BODY).replace(b'"seq":7', b'"seq":6,"seq":7')
    for raw in (spaced, doubled):
        text = base64.b64encode(raw).decode()
        sig = base64.b64encode(KEY.sign(raw)).decode()
        word = Attested(NODE, public_hex(KEY), "0" * 32, 7, text, sig)
        with pytest.raises(FleetError) as error:
            fleet.open_attested(word, public_hex(KEY))
        assert code_of(error) == "attest.malformed"


def test_commands_and_receipts_open_only_under_the_command_key() -> None:
    """Whoever can publish on NATS cannot command a node or free its spool."""
    receipt = Receipt("gpuaas-receipt/1", NODE, "0" * 32, 7, 12, nonce="n")
    assert fleet.open_command(fleet.seal(KEY, START), public_hex(KEY)) == START
    assert fleet.open_receipt(fleet.seal(KEY, receipt), public_hex(KEY)) == receipt
    with pytest.raises(FleetError) as error:
        fleet.open_command(fleet.seal(STRANGER, START), public_hex(KEY))
    assert code_of(error) == "command.forged"
    with pytest.raises(FleetError) as error:
        fleet.open_receipt(fleet.seal(STRANGER, receipt), public_hex(KEY))
    assert code_of(error) == "receipt.forged"


def test_an_order_outside_the_catalogue_is_unknown() -> None:
    """A true signature does not make a node do what its program does not know."""
    raw = msgspec.json.encode(START).replace(b"runtime.start", b"node.shell")
    sig = base64.b64encode(KEY.sign(raw)).decode()
    message = msgspec.json.encode({"body": base64.b64encode(raw).decode(), "sig": sig})
    with pytest.raises(FleetError) as error:
        fleet.open_command(message, public_hex(KEY))
    assert code_of(error) == "command.unknown"


SPEC = Spec("image:1", "sha256:" + "0" * 64, 500, 2**20, 64)


class OldStart(Struct, frozen=True, forbid_unknown_fields=True, tag="runtime.start"):
    """The start order as the release before `spec` knew it."""

    runtime: str
    devices: tuple[Share, ...]
    lease_boottime_us: int


def test_an_agent_one_release_older_takes_what_it_can_carry_out() -> None:
    """Without a spec the bytes are those of the release before; with one they are refused there."""
    old = msgspec.json.encode(OldStart("runtime-x", (Share(0, 500),), 99))
    assert msgspec.json.encode(START.order) == old
    made = msgspec.json.encode(StartRuntime("runtime-x", (Share(0, 500),), 99, SPEC))
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(made, type=OldStart)
    command = replace(START, order=StartRuntime("runtime-x", (Share(0, 500),), 99, SPEC))
    assert fleet.open_command(fleet.seal(KEY, command), public_hex(KEY)) == command


def test_a_field_of_a_newer_release_is_refused_whole_and_its_number_is_named() -> None:
    """A limit that this agent does not know must not be ignored; the platform hears which order."""
    command = replace(START, order=StartRuntime("runtime-x", (Share(0, 500),), 99, SPEC))
    raw = msgspec.json.encode(command).replace(b'"pids":64', b'"pids":64,"gpu_watts":9')
    sig = base64.b64encode(KEY.sign(raw)).decode()
    message = msgspec.json.encode({"body": base64.b64encode(raw).decode(), "sig": sig})
    with pytest.raises(FleetError) as error:
        fleet.open_command(message, public_hex(KEY))
    assert code_of(error) == "command.unknown"
    assert fleet.number_in(message, public_hex(KEY)) == 4
    assert fleet.number_in(message, public_hex(STRANGER)) == 0
    assert fleet.number_in(b"rubbish", public_hex(KEY)) == 0


def test_a_principal_is_one_allocation_in_one_epoch() -> None:
    """A certificate of an earlier owner, or of another epoch, names somebody else."""
    assert principal("allocation-1", 2) != principal("allocation-1", 3)


def test_a_receipt_is_no_command_and_a_beat_is_no_event() -> None:
    """A signature over one kind of message never serves for another."""
    receipt = Receipt("gpuaas-receipt/1", NODE, "0" * 32, 7, 12)
    with pytest.raises(FleetError):
        fleet.open_command(fleet.seal(KEY, receipt), public_hex(KEY))
    beat = fleet.Beat("gpuaas-beat/1", NODE, "0" * 32, 5)
    raw = msgspec.json.encode(beat)
    word = Attested(
        NODE, public_hex(KEY), "0" * 32, 7,
        base64.b64encode(raw).decode(), base64.b64encode(KEY.sign(raw)).decode(),
    )  # fmt: skip
    with pytest.raises(FleetError) as error:
        fleet.open_attested(word, public_hex(KEY))
    assert code_of(error) == "attest.malformed"
    assert fleet.open_beat(fleet.beat_message(KEY, beat), public_hex(KEY)) == beat


def test_a_plain_beat_is_one_that_an_older_platform_knows() -> None:
    """What later releases added is left out of it: skew of one release either way."""
    beat = fleet.Beat("gpuaas-beat/1", NODE, "0" * 32, 5)
    body = base64.b64decode(msgspec.json.decode(fleet.beat_message(KEY, beat))["body"])
    assert list(msgspec.json.decode(body)) == ["format", "node", "boot", "boottime_us"]
    named = replace(beat, instance="a" * 33)
    with pytest.raises(FleetError, match=r"beat\.malformed"):
        fleet.open_beat(fleet.beat_message(KEY, named), public_hex(KEY))


def test_the_same_order_sent_again_is_the_same_order() -> None:
    """Expiry, nonce and lease end may be newer; anything else is another order."""
    later = replace(
        START,
        nonce="m",
        expires_boottime_us=200,
        order=StartRuntime("runtime-x", (Share(0, 500),), 200),
    )
    assert START.same_as(later)
    assert not START.same_as(replace(START, epoch=2))
    assert not START.same_as(replace(START, order=StopRuntime("runtime-x", "user")))
    assert not START.same_as(replace(START, order=StartRuntime("runtime-y", (), 99)))


def test_a_token_carries_its_node_and_the_hash_of_the_true_key() -> None:
    """A man in the middle cannot become the node's control plane; the secret is never stored."""
    token = enrolment.new_token(NODE, public_hex(KEY))
    assert enrolment.parse_token(token.text()) == token
    assert token.command_key_sha256 == enrolment.key_hash(public_hex(KEY))
    assert token.secret not in enrolment.token_hash(token.text())
    for text in ("", token.text()[:-1], token.text() + ".x", token.text().replace("node-", "n-")):
        with pytest.raises(FleetError) as error:
            enrolment.parse_token(text)
        assert code_of(error) == "token.malformed"


def test_enrolment_needs_the_private_key_it_names() -> None:
    """Nobody enrols a key that is not theirs, nor changes a word of who enrols."""
    token = enrolment.new_token(NODE, public_hex(KEY)).text()
    gpus = (enrolment.Gpu(0, "GPU-SIMULATED-0"),)
    request = enrolment.signed_request(
        KEY, enrolment.EnrolRequest(token, public_hex(KEY), "T4", True, gpus, "s", "")
    )
    enrolment.check_proof(request)
    for change in (
        {"key": public_hex(STRANGER)},
        {"model": "H100"},
        {"simulated": False},
        {"proof": "AA=="},
        {"key": "x"},
    ):
        with pytest.raises(FleetError) as error:
            enrolment.check_proof(replace(request, **change))
        assert code_of(error) == "enrol.proof"


def test_subjects_name_one_node_and_nothing_else() -> None:
    """A subject of another shape belongs to nobody."""
    assert fleet.node_of(fleet.subject(NODE, "evt")) == NODE
    for odd in ("gpuaas.v1.node.*.evt", "gpuaas.v1.node.evt", f"gpuaas.v1.node.{NODE}.x.evt"):
        with pytest.raises(FleetError) as error:
            fleet.node_of(odd)
        assert code_of(error) == "subject.malformed"


def test_an_oversized_message_is_refused_unread() -> None:
    """Length is checked before the bytes are parsed."""
    with pytest.raises(FleetError) as error:
        fleet.decode_attested(b" " * 70_000)
    assert code_of(error) == "attest.malformed"
