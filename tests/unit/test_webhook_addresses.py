"""A webhook never leads inside: whatever its URL says, however its name is looked up."""

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from api.fleet.node_ca import written
from api.oidc.provider import Provider
from api.tls import believing
from api.webhooks.addresses import Checked, Lookups, Network, checked, networks_of, public
from api.webhooks.sending import Outcome, Sender
from domain.errors import DomainError
from tests.webhook_receiver import receiving

LOCAL = networks_of("127.0.0.1/32")
REFUSED = {f"webhook.{name}" for name in ("not_https", "not_public", "unresolved", "url_refused")}


class Resolver(asyncio.SelectorEventLoop):
    """A loop whose names lead where a test says, one answer after the other, the last for ever."""

    def __init__(self, *answers: list[str]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[object] = []

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        looked = getattr(func, "func", func)
        if looked is not socket.getaddrinfo:
            return super().run_in_executor(executor, func, *args)
        host, port = getattr(func, "args", args)[:2]
        return self.create_task(self.looked_up(host, port))

    async def looked_up(self, host: object, port: object) -> list[Any]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not found:
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]


def asked(url: str, *answers: list[str], besides: tuple[Network, ...] = ()) -> str:
    """The address that the URL leads to, its name looked up by a `Resolver` where there is one."""
    loop = Resolver(*answers) if answers else None
    with asyncio.Runner(loop_factory=None if loop is None else lambda: loop) as runner:
        return runner.run(checked(url, Lookups(), "a", besides)).address


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255",
        "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.9",
        "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1", "192.0.0.8",
        "::1", "::", "fe80::1", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1", "fec0::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
        "2002:7f00:1::1", "2002:a00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "64:ff9b:1::1",
        "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1",
        "::ffff:0:7f00:1", "100::1", "2001:20::1", "3fff::1", "5f00::1", "2002:e000:1::",
    ],
)  # fmt: skip
def test_private_ranges_are_refused(address: str) -> None:
    """No loopback, private, link-local, shared, reserved or multicast address, nor one inside
    another: mapped, translated or tunnelled.
    """
    assert not public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
)
def test_public_addresses_are_called(address: str) -> None:
    """What anybody on the internet may be meant by."""
    assert public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/",
        "https://0177.0.0.1/", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://localhost/",
        "http://1.1.1.1/", "ftp://1.1.1.1/", "file:///etc/passwd", "gopher://1.1.1.1/", "https://",
        "https:///x", "//1.1.1.1/", "https://1.1.1.1@127.0.0.1/", "https://a:b@1.1.1.1/",
        "https://1.1.1.1/#x", "https://1.1.1.1\\@127.0.0.1/", "https://1.1.1.1:99999/",
        "https://0251.0376.0251.0376/", "https://2852039166/", "https://0xa9fea9fe/", "https://169.254.43518/",
        "https://0/", "https://0.0.0.0/", "https://[::]/", "https://[fe80::1%25lo]/", "https://[::ffff:a9fe:a9fe]/",
        "https://[64:ff9b::a9fe:a9fe]/", "https://127.0.0.1:443/", "https://\u2460\u2461\u2466.0.0.1/",
        "https://1.1.1.1/a b", "https://1.1.1.1/\r\nHost: x", "https://xn--.invalid/", "https://\uff11.1.1.1/",
    ],
)  # fmt: skip
def test_an_odd_url_is_refused(url: str) -> None:
    """Only https, no user, no other spelling of an inner address; what is wrong with it is told."""
    with pytest.raises(DomainError) as refused:
        asked(url)
    assert refused.value.code in REFUSED
    assert refused.value.facts["pointer"] == "/url"


@pytest.mark.parametrize(
    ("url", "code", "said"),
    [
        ("http://1.1.1.1/", "webhook.not_https", "http:"),
        ("ftp://1.1.1.1/", "webhook.not_https", "ftp:"),
        ("http://10.0.0.1/", "webhook.not_https", "http:"),
        ("https://10.0.0.1/", "webhook.not_public", "10.0.0.1 is not"),
        ("https://[::ffff:a9fe:a9fe]/", "webhook.not_public", "is not a public address"),
        ("https://hooks.test/", "webhook.unresolved", "hooks.test is not found"),
        ("https://a@1.1.1.1/", "webhook.url_refused", "names a user"),
    ],
)
def test_a_refused_url_is_told_what_is_wrong_with_it(url: str, code: str, said: str) -> None:
    """Its scheme, the address that it names, or its name: each by a code of its own."""
    answers = [] if "10.0" in url or "[" in url or "1.1" in url else [["10.0.0.1"]]
    with pytest.raises(DomainError, match=re.escape(said)) as refused:
        asked(url, *answers)
    assert refused.value.code == code


def test_one_private_address_among_public_ones_is_refused() -> None:
    """A name with several addresses leads only to public ones, and one that leads nowhere or inside
    is refused in the same words, http within the operator's own networks too.
    """
    assert asked("https://hooks.test/", ["1.1.1.1", "1.0.0.1"]) == "1.1.1.1"
    said = set()
    for answer in (["1.1.1.1", "10.0.0.1"], ["10.0.0.1"], []):
        for url, besides in (("https://hooks.test/", ()), ("http://hooks.test/", LOCAL)):
            with pytest.raises(DomainError) as refused:
                asked(url, answer, besides=besides)
            said.add((refused.value.code, refused.value.detail))
    assert len(said) == 1


def test_networks_besides_are_named_by_the_operator() -> None:
    """Within them http is taken too; beyond them nothing changes."""
    assert asked("http://inner.test/", ["127.0.0.1"], besides=LOCAL) == "127.0.0.1"
    with pytest.raises(DomainError):
        asked("http://inner.test/", ["127.0.0.2"], besides=LOCAL)
    with pytest.raises(DomainError, match=r"config\.malformed"):
        networks_of("10.0.0.1/8")


def sent(loop: Resolver, url: str, **more: Any) -> Outcome:
    async def main() -> Outcome:
        sender = Sender(LOCAL, **more)
        try:
            return await sender.send(url, {"webhook-id": "a"}, b"{}", "a")
        finally:
            await sender.close()

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main())


def test_dns_rebinding_leads_to_the_address_that_was_checked() -> None:
    """The name is looked up once a send, and what was looked at is connected to; a name that leads
    inside by the time of a send is not called.
    """
    with receiving() as mine, receiving("127.0.0.2", mine.port) as inner:
        url = f"http://hooks.test:{mine.port}/a"
        loop = Resolver(["127.0.0.1"], ["127.0.0.2"])
        assert sent(loop, url).status == 200
        assert loop.asked == ["hooks.test"]
        assert mine.heard[0].headers["host"] == f"hooks.test:{mine.port}"
        refused = sent(Resolver(["127.0.0.2"]), url)
        assert (refused.taken, refused.status) == (False, None)
        assert "webhook.unresolved" in refused.detail, "nothing is told of what is inside"
        assert (len(mine.heard), inner.heard) == (1, [])


def test_names_that_nobody_answers_for_hold_up_nobody_elses_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many one organization asks for; it has its share again once its threads are back."""
    answers, asked_for = threading.Event(), []

    def looked_up(host: str, port: int, **_: Any) -> list[Any]:
        asked_for.append(host)
        assert host != "never.test" or answers.wait(20)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("1.1.1.1", port))]

    async def main() -> None:
        lookups = Lookups()

        def asking(host: str, of: str) -> asyncio.Task[Checked]:
            return asyncio.create_task(checked(f"https://{host}/", lookups, of))

        many = [asking("never.test", "greedy") for _ in range(100)]
        assert (await asking("hooks.test", "modest")).address == "1.1.1.1"
        for one in many:
            one.cancel()
        late = asking("hooks.test", "greedy")
        assert (await asking("hooks.test", "modest")).address == "1.1.1.1"
        assert not late.done()
        answers.set()
        assert (await late).address == "1.1.1.1"

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    asyncio.run(main())
    assert asked_for.count("never.test") == 8, "who waits no more is not looked up for"


def test_a_redirect_is_not_followed() -> None:
    """It is an answer that does not take the event; nobody is called on a receiver's word."""
    with receiving() as mine, receiving("127.0.0.2") as inner:
        mine.answer, mine.more = (lambda _: 307), {"Location": inner.url}
        outcome = sent(Resolver(["127.0.0.1"]), f"http://hooks.test:{mine.port}/a")
        assert (outcome.taken, outcome.status, inner.heard) == (False, 307, [])


def test_a_receiver_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the patience, whatever it sends meanwhile; a proxy of the environment is not asked."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        outcome = sent(Resolver(["127.0.0.1"]), f"http://hooks.test:{port}/", patience_s=0.2)
    assert outcome == Outcome(False, None, "no answer within 0.2 s")


def test_a_dead_name_server_of_one_issuer_keeps_no_other_from_being_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Names of issuers are not looked up by the loop's own few threads, which everything shares."""
    answers, real = threading.Event(), socket.getaddrinfo

    def looked_up(host: Any, *args: Any, **more: Any) -> Any:
        if "never.test" in str(host):
            answers.wait(20)
            raise socket.gaierror
        return real(host, *args, **more)

    async def main(port: int) -> None:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        lookups = Lookups()
        dead = Provider("https://never.test", loopback=True, lookups=lookups)
        asking = asyncio.create_task(dead.published())
        await asyncio.sleep(0.05)
        alive = Provider(f"http://localhost:{port}", loopback=True, lookups=lookups)
        async with asyncio.timeout(4):
            with pytest.raises(DomainError, match="ReadError"):
                await alive.published()
        answers.set()
        with pytest.raises(DomainError, match="ConnectError"):
            await asking

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    with endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000) as port:
        asyncio.run(main(port))


@contextlib.contextmanager
def endless(said: bytes) -> Iterator[int]:
    """The port of one who answers so, again and again, as long as anybody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            line, _ = server.accept()
            with line, contextlib.suppress(OSError):
                while True:
                    line.sendall(said)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(
    "said",
    [b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, b"HTTP/1.1 103 Hints\r\nX: %s\r\n\r\n" % b"x" * 9000],
)
def test_a_stranger_who_never_comes_to_an_end_is_not_listened_to(said: bytes) -> None:
    """Interim answers are no answer: a receiver, or an issuer, that gives nothing else is left after
    some of them, long before its time is over, and everybody else has their turns meanwhile.
    """
    with endless(said) as port:
        outcome = sent(Resolver(["127.0.0.1"]), f"http://hooks.test:{port}/", patience_s=60)
    assert outcome == Outcome(False, None, "ReadError: it says more than is listened to")
    with endless(said) as port, pytest.raises(DomainError, match="ReadError") as refused:
        asyncio.run(Provider(f"http://127.0.0.1:{port}", loopback=True).published())
    assert refused.value.code == "issuer.unreachable"


def test_a_receiver_proves_the_name_although_its_address_is_called(tmp_path: Path) -> None:
    """Over TLS the certificate must be of the URL's name, from a CA that is believed."""
    for name, taken in (("hooks.test", True), ("else.test", False)):
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate, key, ca = written(tmp_path, (name,), tmp_path / name)
        server.load_cert_chain(certificate, key)
        with receiving(tls=server) as receiver:
            url = f"https://hooks.test:{receiver.port}/a"
            known = sent(Resolver(["127.0.0.1"]), url, believing=believing(ca))
            assert known.taken is taken, name
            assert not sent(Resolver(["127.0.0.1"]), url).taken, "a CA that nobody believes"
            assert len(receiver.heard) == taken


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.test:1/%zz?%00=%ff", "http://a_b.test:1/", "http://xn--a.test:1/",
        "http://-a.test:1/", "http://a..b:1/", "http://hooks.test.:1/", "http://hooks.test:0/",
        "http://[::1%25lo]:1/", "http://" + "a" * 70 + ".test:1/", "http://hooks.test:1/?a=[{}]|^`",
    ],
)  # fmt: skip
def test_a_strange_url_is_its_own_fault(url: str) -> None:
    """Whatever it makes of itself is said of that webhook; nothing is raised."""
    assert not sent(Resolver(["127.0.0.1"]), url).taken
