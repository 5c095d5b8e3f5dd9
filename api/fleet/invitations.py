"""Enrolment tokens: what a machine is given to find and believe this control plane, once."""

from typing import Final

from api.services import Services
from contracts import enrolment
from contracts.signing import public_hex

INVITATION_US: Final = 15 * 60 * 1_000_000


def invitation(services: Services, node_id: str) -> str:
    """A fresh token for the node: shown once, only its hash is kept."""
    command_key = public_hex(services.command_key)
    return enrolment.new_token(node_id, command_key, services.node_ca.sha256).text()
