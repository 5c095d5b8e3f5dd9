"""`gpuaas nats-config`: what a nats-server that others run needs to be this platform's."""

import argparse
import sys
from urllib.parse import urlsplit

from api.config import Settings, user_of
from api.embedded.nats_config import server_config
from api.fleet.keys import ed25519
from api.fleet.nats_certificates import give_platform, give_server
from api.fleet.node_ca import node_ca
from contracts import nkeys


def written(settings: Settings, args: argparse.Namespace) -> int:
    """0 with the configuration in a file (0600) or printed; certificates where its URL is tls://."""
    _, password = user_of(settings.nats_url)
    issuer = nkeys.public(ed25519(settings.account_key), nkeys.ACCOUNT)
    tls = None
    if urlsplit(settings.nats_url).scheme == "tls":
        tls = args.tls or (args.out.parent if args.out else settings.data / "nats-server")
        ca = node_ca(settings.node_ca)
        give_server(ca, tls, tuple(args.name or (urlsplit(settings.nats_url).hostname or "nats",)))
        give_platform(ca, settings.nats_files)
    else:
        said = "GPUAAS_NATS_URL is not tls://, so nobody is asked for a certificate"
        print(f"  {said} ...", file=sys.stderr, flush=True)
    text = server_config(args.listen, args.store, password, issuer, tls and tls.absolute())
    if args.out is None:
        print(text, end="")
        return 0
    args.out.touch(mode=0o600)
    args.out.write_text(text)
    return 0
