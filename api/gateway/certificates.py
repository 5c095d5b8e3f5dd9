"""A user certificate as the wire carries it, read strictly before anything is believed."""

import base64
import struct
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)
from msgspec import Struct

_MOST_BYTES: Final = 16_384
_LONGEST_TYPE: Final = 100
# Anything else that is critical would restrict the holder in a way this gateway does not enforce.
_KNOWN: Final = frozenset({b"source-address"})


class Presented(Struct, frozen=True):
    """What the certificate claims; who signed it is checked apart."""

    grant: str
    serial: int
    principal: str


def presented(raw: bytes) -> Presented | None:
    """The claims of a well-formed user certificate with one principal, else None."""
    if not 4 < len(raw) <= _MOST_BYTES:
        return None
    length = struct.unpack_from(">I", raw)[0]
    kind = raw[4 : 4 + length]
    if length > _LONGEST_TYPE or b"-cert-v01@openssh.com" not in kind:
        return None
    try:
        found = load_ssh_public_identity(kind + b" " + base64.b64encode(raw))
        if not isinstance(found, SSHCertificate):
            return None
        found.verify_cert_signature()
        return _claims(found)
    except (ValueError, InvalidSignature, UnsupportedAlgorithm, struct.error):
        return None


def _claims(found: SSHCertificate) -> Presented | None:
    principals = found.valid_principals
    if found.type is not SSHCertificateType.USER or len(principals) != 1:
        return None
    if not set(found.critical_options) <= _KNOWN:
        return None
    return Presented(found.key_id.decode("ascii"), found.serial, principals[0].decode("ascii"))
