"""The configuration of a nats-server that asks the platform who may enter as which node."""

import json
from pathlib import Path
from typing import Final

from contracts import nkeys

# A server sends a nonce to sign only when it has a user with a key: this one is nobody's.
_NOBODY: Final = nkeys.spelled(bytes([nkeys.USER]) + bytes(32))
_CONFIG: Final = """\
listen: {listen}
{tls}server_name: "gpuaas"
max_payload: 1MB
jetstream {{ store_dir: {store}, sync_interval: always, limits {{ default_max_consumers: -1 }} }}
system_account: SYS
accounts {{
  SYS {{
    users: [ {{ nkey: {nobody} }} ]
    exports: [
      {{ service: "$SYS.REQ.SERVER.*.KICK", accounts: [GPUAAS] }}
      {{ service: "$SYS.REQ.SERVER.PING.CONNZ", response: stream, accounts: [GPUAAS] }}
    ]
  }}
  GPUAAS {{
    jetstream: enabled
    users: [ {{ user: platform, password: {password} }} ]
    imports: [
      {{ service: {{ account: SYS, subject: "$SYS.REQ.SERVER.*.KICK" }} }}
      {{ service: {{ account: SYS, subject: "$SYS.REQ.SERVER.PING.CONNZ" }} }}
    ]
  }}
}}
authorization {{
  timeout: 4
  auth_callout {{ issuer: {issuer}, account: GPUAAS, auth_users: [platform] }}
}}
"""


# Before the first byte of NATS, and nobody without a certificate of the node CA.
_TLS: Final = """\
tls {{
  cert_file: {own}, key_file: {own}, ca_file: {ca}
  verify: true, handshake_first: true, min_version: "1.3", timeout: 4
}}
"""


def server_config(
    listen: str, store: Path, password: str, issuer: str, tls: Path | None = None
) -> str:
    """The file's text. `issuer`: the public half of the account key, which signs who enters.

    `tls`: the folder of `nats_certificates.give_server`, as the server sees it.
    """
    secure = ""
    if tls is not None:
        own, ca = json.dumps(str(tls / "server.pem")), json.dumps(str(tls / "ca.pem"))
        secure = _TLS.format(own=own, ca=ca)
    return _CONFIG.format(
        tls=secure,
        listen=json.dumps(listen),
        store=json.dumps(str(store)),
        password=json.dumps(password),
        issuer=issuer,
        nobody=_NOBODY,
    )
