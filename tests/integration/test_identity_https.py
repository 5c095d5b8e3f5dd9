"""Enrolment over HTTPS: the CA whose hash is in the token, and nobody else, is believed."""

import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.enrol import Keys, Machine, enrol, request_of
from api.fleet.node_ca import NodeCa, node_ca, server_certificate
from contracts import enrolment
from contracts.enrolment import EnrolReply, Gpu, Hardware
from contracts.signing import FleetError, public_hex
from evidence.ids import new_id

MACHINE = Machine("T4", (Gpu(0, "GPU-0"),), "s-1", Hardware("", "", ""))
COMMAND_KEY = Ed25519PrivateKey.generate()


class Https:
    """A control plane's HTTPS by `serving`'s certificate, which shows the CA `shown`."""

    def __init__(self, folder: Path, serving: NodeCa, shown: NodeCa, reply: EnrolReply) -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.answer(shown.pem.encode())

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.append(self.path)
                self.answer(msgspec.json.encode(reply))

            def answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                return

        certificate, key = server_certificate(serving, ("127.0.0.1",), time.time_ns() // 1000)
        pem = folder / "server.pem"
        pem.write_bytes(certificate + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.mark.parametrize("who", ["the platform", "another CA", "another server under our CA"])
def test_a_man_in_the_middle_is_no_control_plane(who: str, tmp_path: Path) -> None:
    """An impostor with a CA of its own, or that shows ours without its key, gets no request."""
    ours, theirs = node_ca(tmp_path / "ours.pem"), node_ca(tmp_path / "theirs.pem")
    node, command_key = new_id("node"), public_hex(COMMAND_KEY)
    token = enrolment.new_token(node, command_key, ours.sha256).text()
    reply = EnrolReply(node, 1, command_key, "nats://x", "", "", ca=ours.pem, certificate="x")
    serving = ours if who == "the platform" else theirs
    shown = theirs if who == "another CA" else ours
    front = Https(tmp_path, serving, shown, reply)
    try:
        key = Ed25519PrivateKey.generate()
        request = request_of(Keys(key, key, key), token, MACHINE)
        if who == "the platform":
            assert enrol(front.url, request) == reply
            assert front.asked == ["/v1/enrol"]
        else:
            with pytest.raises(FleetError, match=r"enrol\.impostor"):
                enrol(front.url, request)
            assert front.asked == []
    finally:
        front.close()
