"""Whether a webhook is the platform's: for whoever receives one.

The signature is that of Standard Webhooks (github.com/standard-webhooks/standard-webhooks), v1:
HMAC-SHA256 by the secret that `gpuaas webhook create` showed, over id, time and body as they came.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gpuaas_client.errors import GpuaasError, Misconfigured
from gpuaas_client.events import Event, event_of

_PREFIX: Final = "whsec_"
_LEAST_BYTES: Final = 24
_TOLERANCE_S: Final = 300


def verified(
    secrets: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance_s: int = _TOLERANCE_S,
    clock: Callable[[], float] = time.time,
) -> Event:
    """The event that the body is, once one of its signatures is by one of the secrets.

    `body`: the very bytes that came; what was decoded and encoded again is another. `headers` by
    names in any case. While a secret rotates either of both counts. Who keeps each `webhook-id` for
    `tolerance_s` takes no event twice: it is the same however often one is sent.

    Raises: GpuaasError webhook.forged: it is not the platform's; webhook.stale: it was sent longer
    ago than that, or will be; Misconfigured webhook.secret; Unreachable answer.malformed.
    """
    keys = [_key(one) for one in ([secrets] if isinstance(secrets, str) else secrets)]
    said = {name.lower(): value for name, value in headers.items()}
    message, at = said.get("webhook-id", ""), said.get("webhook-timestamp", "")
    signed = f"{message}.{at}.".encode() + body
    made = [hmac.new(key, signed, hashlib.sha256).digest() for key in keys]
    given = [_signature(one) for one in said.get("webhook-signature", "").split(" ")]
    if not any(hmac.compare_digest(own, one) for own in made for one in given):
        raise GpuaasError("webhook.forged", "no signature of it is by the secret")
    if not (at.isascii() and at.isdecimal()) or abs(clock() - int(at[:19])) > tolerance_s:
        why = f"it says it was sent at {at[:19]}, more than {tolerance_s} s from now"
        raise GpuaasError("webhook.stale", why, "Check this machine's clock.")
    return event_of(body)


def _key(secret: str) -> bytes:
    """Of an empty one anybody could sign. Raises: Misconfigured webhook.secret."""
    try:
        found = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        found = b""
    if len(found) < _LEAST_BYTES:
        raise Misconfigured("webhook.secret", "it is no secret of a webhook, whsec_ and base64")
    return found


def _signature(text: str) -> bytes:
    """Empty for none that is understood."""
    version, _, raw = text.partition(",")
    try:
        return base64.b64decode(raw, validate=True) if version == "v1" else b""
    except (binascii.Error, ValueError):
        return b""
