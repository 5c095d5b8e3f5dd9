"""The configuration of a nats-server that asks the platform who may enter as which node."""

import json
from pathlib import Path
from typing import Final

from contracts import nkeys

# A server sends a nonce to sign only when it has a user with a key: this one is nobody's.
_NOBODY: Final = nkeys.spelled(bytes([nkeys.USER]) + bytes(32))
_CONFIG: Final = """\
listen: {listen}
server_name: "gpuaas"
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


def server_config(listen: str, store: Path, password: str, issuer: str) -> str:
    """The file's text. `issuer`: the public half of the account key, which signs who enters."""
    return _CONFIG.format(
        listen=json.dumps(listen),
        store=json.dumps(str(store)),
        password=json.dumps(password),
        issuer=issuer,
        nobody=_NOBODY,
    )
