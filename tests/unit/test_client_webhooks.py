"""A webhook as its receiver takes it: signed as the platform signs, nothing else."""

import json

import pytest

from api.webhooks import signatures
from gpuaas_client import GpuaasError, webhooks

EVENT = {
    "specversion": "1.0", "id": "7", "source": "s", "type": "gpuaas.runtime.usable.v1",
    "subject": "runtime-1", "time": "now", "org": "o", "actor": "a", "cause": "c", "version": 1,
    "data": {"n": 1},
}  # fmt: skip
BODY = json.dumps(EVENT).encode()
SECRET, OTHER = signatures.new_secret(), signatures.new_secret()
AT = 1_700_000_000


def clock() -> float:
    return AT + 10.0


def test_what_the_platform_signed_is_its_event() -> None:
    """By one secret or either of two, while one rotates; names of headers in any case."""
    headers = signatures.headers([SECRET], "m-1", AT, BODY)
    upper = {name.title(): value for name, value in headers.items()}
    for secrets in (SECRET, [OTHER, SECRET]):
        event = webhooks.verified(secrets, upper, BODY, clock=clock)
        assert (event.position, event.subject) == (7, "runtime-1")
    both = signatures.headers([OTHER, SECRET], "m-1", AT, BODY)
    assert webhooks.verified(SECRET, both, BODY, clock=clock).id == "7"


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature", ""])
def test_what_was_changed_on_the_way_is_forged(name: str) -> None:
    """Each header and the body, changed or left out; another version of a signature; another's."""
    headers = signatures.headers([SECRET], "m-1", AT, BODY)
    for value in ("", "x", "v1,", "v1,!", "v2,AAAA", f"{headers.get(name, '')}1"):
        changed = {**headers, name: value} if name else headers
        body = BODY if name else BODY + b" "
        with pytest.raises(GpuaasError, match=r"webhook\.forged"):
            webhooks.verified(SECRET, changed, body, clock=clock)
    with pytest.raises(GpuaasError, match=r"webhook\.forged"):
        webhooks.verified(OTHER, headers, BODY, clock=clock)


def test_what_was_sent_long_ago_is_stale_and_a_secret_is_one() -> None:
    """Five minutes on either side; of an empty secret anybody could sign."""
    for at in (AT - 291, AT + 311):
        headers = signatures.headers([SECRET], "m-1", at, BODY)
        with pytest.raises(GpuaasError, match=r"webhook\.stale"):
            webhooks.verified(SECRET, headers, BODY, clock=clock)
    for secret in ("", "whsec_", "whsec_!", "whsec_AAAA"):
        with pytest.raises(GpuaasError, match=r"webhook\.secret"):
            webhooks.verified(secret, signatures.headers([SECRET], "m", AT, BODY), BODY)
    with pytest.raises(GpuaasError, match=r"answer\.malformed"):
        webhooks.verified(SECRET, signatures.headers([SECRET], "m", AT, b"[]"), b"[]", clock=clock)
