"""An issuer of identities over real HTTP on loopback, that also makes the tokens nobody should."""

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from jwt.algorithms import ECAlgorithm

from domain.issuer import Trusted

AUDIENCE: Final = "gpuaas-client"


class Issuer:
    """What it publishes may be changed at any time; `asked` are the paths it was asked for.

    `more`: members of its key set besides, or in place of, `keys`. `drip_s`: between two bytes.
    `packed`: sent in place of the document, in that `encoding`.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.keys: dict[str, EllipticCurvePrivateKey] = {}
        self.document: dict[str, Any] = {"issuer": url, "jwks_uri": f"{url}/keys"}
        self.more: dict[str, Any] = {}
        self.status = 200
        self.drip_s = 0.0
        self.location = ""
        self.packed, self.encoding = b"", ""
        self.asked: list[str] = []
        self.new_key("key-1")

    def new_key(self, kid: str) -> None:
        """The only one from now on."""
        self.keys = {kid: generate_private_key(SECP256R1())}

    def published(self) -> dict[str, Any]:
        every = []
        for kid, key in self.keys.items():
            said = json.loads(ECAlgorithm.to_jwk(key.public_key()))
            every.append({**said, "kid": kid, "use": "sig", "alg": "ES256"})
        return {"keys": every, **self.more}

    def claims(self, **changes: object) -> dict[str, Any]:
        """Of a token made just now; a change to None leaves the claim out."""
        now = int(time.time())
        said = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "somebody",
            "iat": now,
            "exp": now + 300,
            "nonce": "n-1",
            "jti": secrets.token_hex(8),
            **changes,
        }
        return {name: value for name, value in said.items() if value is not None}

    def token(self, headers: dict[str, Any] | None = None, **changes: object) -> str:
        [(kid, key)] = self.keys.items()
        return jwt.encode(self.claims(**changes), key, "ES256", {"kid": kid, **(headers or {})})

    def trusted(self, *algorithms: str) -> Trusted:
        return Trusted(self.url, AUDIENCE, "-", algorithms or ("ES256",), (), 0)


@contextmanager
def issuer() -> Iterator[Issuer]:
    """It listens for as long as the block."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            made.asked.append(self.path)
            keys = self.path == "/keys"
            packed = b"" if keys else made.packed
            said = packed or json.dumps(made.published() if keys else made.document).encode()
            self.send_response(made.status)
            if packed:
                self.send_header("Content-Encoding", made.encoding)
            if made.location:
                self.send_header("Location", made.location)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            with suppress(OSError):  # whoever asked has gone
                step = 1 if made.drip_s else len(said)
                for at in range(0, len(said), step):
                    self.wfile.write(said[at : at + step])
                    time.sleep(made.drip_s)

        def log_message(self, *_: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        made = Issuer(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
