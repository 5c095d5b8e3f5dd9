"""Operations that a made-up request cannot succeed at, and why; each is tested by name elsewhere."""

from typing import Final

_SIGNED = "whoever asks proves it by a key or token that no schema makes up"
ALONE: Final = {
    "POST /v1/enrol": _SIGNED,
    "POST /v1/nodes/certificate": _SIGNED,
    "POST /v1/nodes/host-certificates": _SIGNED,
    "POST /v1/payments/stripe": _SIGNED,
    "POST /v1/readings": _SIGNED,
    "POST /v1/readings/complete": _SIGNED,
    "POST /v1/sessions": _SIGNED,
    "POST /v1/sessions/{session_id}/end": "there is no session without POST /v1/sessions",
    "POST /v1/mfa/totp/confirm": "it takes the code of the moment",
    "POST /v1/mfa/recovery-codes": "it takes a confirmed second factor",
    "POST /v1/mfa/totp/remove": "it takes a confirmed second factor",
    "POST /v1/mfa/verify": "it takes the code of the moment",
    "POST /v1/break-glass/{grant_id}/approve": "another person of the staff approves, in time",
    "GET /v1/terminals/{session_id}/recording": "a SIMULATED node's terminal says nothing",
    "POST /v1/terminals/{session_id}/tickets": "walks close a terminal sooner than they ask for one",
    "POST /v1/volumes/{volume_id}/restore": "a SIMULATED node takes no snapshot",
    "POST /v1/invitations/{invitation_id}/accept": "it takes the secret that was mailed",
}
