"""`oidc-provider` from npm: an OpenID Connect issuer nobody here wrote, and a person's browser."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urljoin, urlsplit

import httpx

from api.embedded.children import free_port
from api.tls import Pair
from tests import npm

CLIENT: Final = "gpuaas"
_WANTED: Final = ("oidc-provider@8.8.1",)
_SERVE: Final = """\
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import Provider from "oidc-provider";
const [port, client, cert, key] = process.argv.slice(2);
const provider = new Provider(`http${cert ? "s" : ""}://127.0.0.1:${port}`, {
  clients: [{
    client_id: client, application_type: "native", token_endpoint_auth_method: "none",
    redirect_uris: ["http://127.0.0.1/"], response_types: ["code"],
    grant_types: ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
  }],
  features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
  pkce: { required: () => true, methods: ["S256"] },
});
const server = cert
  ? https.createServer({ cert: readFileSync(cert), key: readFileSync(key) }, provider.callback())
  : http.createServer(provider.callback());
server.listen(Number(port), "127.0.0.1", () => console.log("ready"));
"""
_FIELD: Final = re.compile(r'<input[^>]*name="([^"]+)"[^>]*?(?:value="([^"]*)")?\s*/?>')
_ACTION: Final = re.compile(r'<form[^>]*action="([^"]+)"')


@contextmanager
def serving(tls: Pair | None = None) -> Iterator[str]:
    """Its issuer identifier, for as long as the block; with a pair over HTTPS."""
    folder = npm.installed("foreign-issuer", _WANTED, {"serve.mjs": _SERVE})
    port = free_port()
    pair = [] if tls is None else [str(tls.certificate), str(tls.key)]
    argv = ["node", str(folder / "serve.mjs"), str(port), CLIENT, *pair]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=folder) as program:
        try:
            assert program.stdout is not None
            assert any(line == "ready\n" for line in program.stdout)
            yield f"http{'s' if tls else ''}://127.0.0.1:{port}"
        finally:
            program.kill()


def signs_in(address: str, who: str) -> str:
    """What a person does in a browser: opens the address, fills in each form that comes, follows
    where it leads. The last page's text.
    """
    with httpx.Client(follow_redirects=False, timeout=30) as browser:
        answer = browser.get(address)
        for _ in range(20):
            if answer.is_redirect:
                answer = browser.get(urljoin(str(answer.url), answer.headers["Location"]))
                continue
            form = _ACTION.search(answer.text)
            if form is None:
                return answer.text
            filled = {name: value or who for name, value in _FIELD.findall(answer.text)}
            filled.pop("abort", None)
            answer = browser.post(urljoin(str(answer.url), form[1]), data=filled)
    raise AssertionError(f"no end at {urlsplit(str(answer.url)).path}")


if __name__ == "__main__":
    signs_in(sys.argv[1], sys.argv[2])
