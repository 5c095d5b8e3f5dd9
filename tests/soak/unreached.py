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
    "GET /v1/sessions/{session_id}": "there is no session without POST /v1/sessions",
    "POST /v1/identities": "two sessions of one person are linked",
    "POST /v1/identities/{identity_id}/unlink": "nothing is linked without POST /v1/identities",
    "GET /v1/identities/{identity_id}": "nothing is linked without POST /v1/identities",
    "GET /v1/terminals/{session_id}/recording": "a SIMULATED node's terminal says nothing",
}
