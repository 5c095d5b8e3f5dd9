"""Stripe's adapter against answers RECORDED from its public API reference, played by a local server.

Nobody here has called Stripe: what its servers do beyond these pages is not shown.
"""

import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from api.bank import Transfers
from api.paying import stripe
from api.paying.port import BACK, IN, OUT, Movement, TopUp
from api.paying.reconciling import Granted, Report, compared, told
from api.paying.settings import secrets_of, stripe_of
from api.paying.stripe import Stripe
from contracts.payments import reference_of
from domain.errors import DomainError

PAGES = Path(__file__).parent / "stripe"
ACCOUNT = "account-00000000-0000-7000-8000-000000000001"
SECRET, OLD = "whsec_new", "whsec_old"
NOW = 1_748_000_100
E12 = 10**12
PAID = "stripe:pi_3MtwBwLkdIwHu7ix28a3tqPa"

type Asked = tuple[str, str, dict[str, list[str]], dict[str, str]]
type Answer = Callable[[str, dict[str, list[str]]], tuple[int, str | bytes]]  # a page, or bytes


def page(name: str) -> bytes:
    return (PAGES / f"{name}.json").read_bytes()


@contextmanager
def server(answer: Answer) -> Iterator[tuple[Stripe, list[Asked]]]:
    """Stripe's place on this machine; what it was asked."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        def _said(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            parts = urlsplit(self.path)
            form = parse_qs(self.rfile.read(size).decode()) if size else parse_qs(parts.query)
            asked.append((self.command, parts.path, form, dict(self.headers)))
            status, name = answer(parts.path, form)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(name if isinstance(name, bytes) else page(name) if name else b"<html>")

        do_GET = do_POST = _said  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            """Quiet."""

    here = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=here.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{here.server_port}"
        yield Stripe("sk_test_1", url, "https://gpuaas.example/credit"), asked
    finally:
        here.shutdown()
        thread.join()
        here.server_close()


def test_a_top_up_is_a_checkout_page_under_one_key() -> None:
    """Form-encoded, in minor units, with the account in the payment's metadata."""
    with server(lambda *_: (200, "checkout_session")) as (port, asked):
        found = port.ask(TopUp(ACCOUNT, 25 * E12, "USD", "key-1"))
    assert found.url.startswith("https://checkout.stripe.com/c/pay/cs_test_")
    assert found.payment_reference == reference_of(ACCOUNT)
    [(method, path, form, headers)] = asked
    assert (method, path) == ("POST", "/v1/checkout/sessions")
    assert headers["Authorization"] == "Bearer sk_test_1"
    assert headers["Idempotency-Key"] == "key-1"
    assert headers["Stripe-Version"] == stripe.VERSION
    assert form["line_items[0][price_data][unit_amount]"] == ["2500"]
    assert form["line_items[0][price_data][currency]"] == ["usd"]
    assert form["payment_intent_data[metadata][gpuaas_account]"] == [ACCOUNT]
    assert form["mode"] == ["payment"]


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        ((400, "error"), "payment.refused", "at least \\$0.50"),
        ((500, ""), "payment.refused", "500"),
        ((200, ""), "payment.malformed", "not what Stripe says"),
        ((200, "error"), "payment.malformed", "not what Stripe says"),
    ],
)
def test_what_is_no_page_is_refused_by_name(answer: tuple[int, str], code: str, words: str) -> None:
    """With Stripe's own sentence where it has one."""
    with server(lambda *_: answer) as (port, _), pytest.raises(DomainError, match=words) as caught:
        port.ask(TopUp(ACCOUNT, E12, "USD", "k"))
    assert caught.value.code == code
    gone = Stripe("sk_test_1", port.url, "https://x")
    with pytest.raises(DomainError, match=r"payment\.unreachable"):
        gone.ask(TopUp(ACCOUNT, E12, "USD", "k"))


def test_what_moved_is_read_page_by_page() -> None:
    """A payment as the payer paid it, whatever the balance's currency; what went back names its
    payment; payouts and fees are none.
    """

    def answer(_: str, form: dict[str, list[str]]) -> tuple[int, str]:
        return (
            200,
            "balance_transactions_2" if "starting_after" in form else "balance_transactions_1",
        )

    with server(answer) as (port, asked):
        found = list(port.movements(NOW))
    assert [one[2].get("starting_after") for one in asked] == [None, ["txn_1Dispute"]]
    assert all(one[2]["created[gte]"] == [str(NOW)] for one in asked)
    assert all(one[2]["expand[]"] == ["data.source"] for one in asked)
    assert found == [
        Movement("txn_1Payout", "", OUT, -20 * E12, "USD"),
        Movement("txn_1Dispute", PAID, BACK, -25 * E12, "USD"),
        Movement("txn_1Yen", "stripe:pi_yen", IN, 5000 * E12, "JPY"),
        Movement("txn_1Fee", "", OUT, -E12, "USD"),
        Movement("txn_1Charge", PAID, IN, 25 * E12, "USD"),
    ]


@pytest.mark.parametrize(
    ("currency", "pico", "minor"),
    [
        ("USD", 25 * E12, 2500), ("USD", E12 // 100, 1), ("JPY", 500 * E12, 500),
        ("KWD", 5_120 * 10**9, 5120), ("ISK", 5 * E12, 500), ("UGX", 7 * E12, 700),
        ("MGA", 3 * E12, 3),
    ],
)  # fmt: skip
def test_amounts_are_minor_units_of_stripes_own_table(currency: str, pico: int, minor: int) -> None:
    """No digits, two or three; exact both ways."""
    assert stripe.minor_of(pico, currency) == minor
    assert stripe.pico_of(minor, currency) == pico


@pytest.mark.parametrize(
    ("currency", "pico"),
    [
        ("USD", 1), ("USD", 0), ("USD", -E12), ("JPY", E12 // 2), ("KWD", 5_124 * 10**9),
        ("ISK", E12 // 2), ("USD", 10**6 * E12),
    ],
)  # fmt: skip
def test_what_cannot_be_paid_there_is_refused(currency: str, pico: int) -> None:
    """Parts of a minor unit, of a whole one where Stripe wants those, nothing, too much."""
    with pytest.raises(DomainError, match=r"payment\.amount_invalid"):
        stripe.minor_of(pico, currency)


def signature(body: bytes, secret: str = SECRET, at: int = NOW) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()


BODY = page("payment_intent_succeeded")


@pytest.mark.parametrize(
    "header",
    [
        f"t={NOW},v1={signature(BODY)}",
        f"t={NOW},v1={'0' * 64},v1={signature(BODY)},v0=x",
        f"t={NOW},v1={signature(BODY, OLD)}",
        f"t={NOW - 300},v1={signature(BODY, at=NOW - 300)}",
        f"t={NOW + 300},v1={signature(BODY, at=NOW + 300)}",
    ],
)
def test_an_event_is_signed_by_one_of_the_secrets_in_time(header: str) -> None:
    """The new one or, while it is replaced, the old one; any `v1` of several; 300 s either way."""
    stripe.check_signed(BODY, header, (SECRET, OLD), NOW)


@pytest.mark.parametrize(
    "header",
    [
        "", "t=", "v1=" + signature(BODY), f"t={NOW}", f"t={NOW},v1=",
        f"t={NOW},v0={signature(BODY)}",
        f"t={NOW},v1={signature(BODY, 'whsec_other')}",
        f"t={NOW},v1={signature(BODY + b' ')}",
        f"t={NOW + 1},v1={signature(BODY)}",
        f"t={NOW},t={NOW},v1={signature(BODY)}",
        f"t=+{NOW},v1={signature(BODY)}",
        f"t={NOW - 301},v1={signature(BODY, at=NOW - 301)}",
        f"t={NOW + 301},v1={signature(BODY, at=NOW + 301)}",
        f"t={NOW},v1=\u00e9",
    ],
)  # fmt: skip
def test_anything_else_is_refused(header: str) -> None:
    """Another secret, other bytes, another time, too old, an older scheme, nothing."""
    with pytest.raises(DomainError, match=r"payment\.unsigned"):
        stripe.check_signed(BODY, header, (SECRET, OLD), NOW)


def test_an_event_names_its_payment() -> None:
    """As recorded; what is none is refused."""
    event = stripe.event_of(BODY)
    paid = stripe.intent_of(event)
    assert (event.type, event.livemode) == ("payment_intent.succeeded", False)
    assert (stripe.reference(paid.id), paid.amount_received) == (PAID, 2500)
    assert paid.metadata[stripe.ACCOUNT] == ACCOUNT
    for bad in (b"", b"[]", b'{"id":"evt_1"}'):
        with pytest.raises(DomainError, match=r"payment\.malformed"):
            stripe.event_of(bad)
    said = json.loads(BODY)
    for field, value in (("id", "ch_1"), ("id", "pi_\n"), ("amount_received", 0), ("metadata", 3)):
        changed = {**said, "data": {"object": {**said["data"]["object"], field: value}}}
        with pytest.raises(DomainError, match=r"payment\.malformed"):
            stripe.intent_of(stripe.event_of(json.dumps(changed).encode()))


def test_a_report_names_what_is_missing_on_either_side() -> None:
    """Payments without credit, credit without a payment, both of other amounts, what went back."""

    def moved(reference: str, amount: int, kind: str = IN) -> Movement:
        return Movement(f"txn_{reference}_{kind}", f"stripe:{reference}", kind, amount, "USD")

    def grant(reference: str, amount: int, of: str = "stripe") -> Granted:
        return Granted(f"{of}:{reference}", ACCOUNT, amount, "USD")

    movements = [
        moved("a", 5), moved("a", 5), moved("b", 6), moved("c", 7), moved("a", -5, BACK),
        Movement("txn_x", "", OUT, -9, "USD"),
    ]  # fmt: skip
    grants = [grant("a", 5), grant("c", 8), grant("d", 1), grant("e", 1, "bank")]
    report = compared("stripe", movements, grants)
    assert (report.matched, report.agrees) == (1, False)
    assert [one.reference for one in report.lacking] == ["stripe:b"]
    assert [one.reference for one in report.foreign] == ["stripe:d"]
    assert [one.reference for one, _ in report.differing] == ["stripe:c"]
    assert [one.number for one in report.returned] == ["txn_a_back"]
    assert [line.split()[0] for line in told(report)] == ["NOT", "NOT", "DIFFERS", "WENT", "1"]
    assert compared("stripe", [moved("a", 5)], [grant("a", 5), grant("z", 1, "bank")]).agrees


def test_what_was_charged_back_here_too_is_no_difference() -> None:
    """Parts add up, and come again; a dispute that was won brings back; more than that is told."""

    def back(number: str, amount: int, currency: str = "USD") -> Movement:
        return Movement(number, "stripe:a", BACK, amount, currency)

    paid = Movement("txn_a", "stripe:a", IN, 9, "USD")

    def report(returned: int, *back: Movement) -> Report:
        credit = Granted("stripe:a", ACCOUNT, 9, "USD", returned)
        return compared("stripe", [paid, *back], [credit])

    parts = (back("b", -4), back("c", -5))
    assert report(9, *parts, parts[0]).agrees
    assert report(8, *parts).returned == parts
    assert report(5, *parts, back("won", 4)).agrees
    assert report(0, *parts, back("won", 9)).agrees
    assert report(9, back("b", -9, "EUR")).returned, "of another currency it explains nothing"
    assert report(9, Movement("x", "stripe:none", BACK, -1, "USD")).returned
    assert report(9, Movement("x", "", BACK, -1, "USD")).returned


def test_a_bank_is_the_same_port() -> None:
    """Its statement's lines are movements; nothing is asked of it but to name a reference."""
    raw = b"line,amount,currency,text\nopening,1,USD,\nb-1,2.5,USD,x\nb-2,-1,USD,fee\nclosing,2.5,USD,\n"
    port = Transfers(raw)
    assert port.ask(TopUp(ACCOUNT, E12, "USD", "k")).payment_reference == reference_of(ACCOUNT)
    assert [(one.reference, one.kind) for one in port.movements(0)] == [
        ("bank:b-1", IN), ("bank:b-2", OUT),
    ]  # fmt: skip


def test_settings_name_a_whole_provider_or_none() -> None:
    """The key leaves this machine encrypted only; several secrets while one is replaced."""
    assert stripe_of({}) is None
    env = {"GPUAAS_STRIPE_KEY": "sk_live_1", "GPUAAS_STRIPE_RETURNS": "https://x"}
    found = stripe_of(env)
    assert found is not None
    assert (found.url, found.live) == ("https://api.stripe.com", True)
    for bad in (
        {"GPUAAS_STRIPE_KEY": "sk_test_1"},
        env | {"GPUAAS_STRIPE_URL": "http://stripe.example"},
        env | {"GPUAAS_STRIPE_URL": "ftp://127.0.0.1"},
    ):
        with pytest.raises(DomainError, match=r"config\."):
            stripe_of(bad)
    assert secrets_of({"GPUAAS_STRIPE_SECRETS": f" {SECRET} {OLD}"}) == (SECRET, OLD)
