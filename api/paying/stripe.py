"""Stripe as a payment port: checkout pages, what moved on its balance, and its signed events.

Written from Stripe's public API reference and tested against the answers that it shows, kept in
`tests/contract/stripe`: written down from there, captured from no call. Stripe itself was never
called. Amounts are in its minor units:
https://docs.stripe.com/currencies. Signatures: https://docs.stripe.com/webhooks (`t=`, `v1=`).
"""

import hashlib
import hmac
import http.client
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import msgspec
from msgspec import Struct

from api.paying.port import BACK, IN, OUT, Asked, Movement, TopUp
from contracts.payments import reference_of
from domain.errors import DomainError

NAME: Final = "stripe"
VERSION: Final = "2025-04-30.basil"
ACCOUNT: Final = "gpuaas_account"  # in a payment's metadata: whose credit it is
TOLERANCE_S: Final = 300
PICO_DIGITS: Final = 12
LARGEST_MINOR: Final = 99_999_999
_ZERO: Final = frozenset(("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA")).union(
    ("PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
_THREE: Final = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))
_WHOLE: Final = frozenset({"ISK", "UGX"})  # two digits on the wire, both of them 0
_INTENT: Final = re.compile(r"pi_[A-Za-z0-9]{1,48}")
_DISPUTE: Final = re.compile(r"(du|dp)_[A-Za-z0-9]{1,48}")
_SECONDS: Final = re.compile(r"[0-9]{1,12}")
_PATIENCE_S: Final = 30
_PAGE: Final = 100
_KINDS: Final = {"charge": IN, "payment": IN, "payout": OUT}
_BACK: Final = ("refund", "payment_refund", "adjustment", "payment_failure_refund")


class Intent(Struct, frozen=True):
    """A payment, as far as it is read."""

    id: str
    amount_received: int
    currency: str
    livemode: bool
    metadata: dict[str, str] = {}


class Dispute(Struct, frozen=True):
    """A payment that its payer's bank took back; `amount` of it, in the payer's currency."""

    id: str
    amount: int
    currency: str
    payment_intent: str


class _Data(Struct, frozen=True):
    object: msgspec.Raw


class Event(Struct, frozen=True):
    """Signed by Stripe; `data.object` is read by its type."""

    id: str
    type: str
    livemode: bool
    data: _Data


class _Source(Struct, frozen=True):
    """A charge, a refund or a dispute: each names the payment it is of, in the payer's currency."""

    amount: int = 0
    currency: str = ""
    payment_intent: str | None = None


class _Transaction(Struct, frozen=True):
    id: str
    type: str
    amount: int
    currency: str
    source: _Source | str | None = None


class _Transactions(Struct, frozen=True):
    data: list[_Transaction]
    has_more: bool


class _Session(Struct, frozen=True):
    id: str
    url: str | None = None


def minor_digits(currency: str) -> int:
    """How many digits after the point its amounts have there."""
    return 0 if currency in _ZERO else 3 if currency in _THREE else 2


def minor_of(amount_pico: int, currency: str) -> int:
    """The amount on the wire. Raises: DomainError payment.amount_invalid."""
    minor, rest = divmod(amount_pico, _unit(currency))
    step = 10 if currency in _THREE else 100 if currency in _WHOLE else 1
    if rest or minor % step or not 0 < minor <= LARGEST_MINOR:
        facts: dict[str, int | str] = {"step_minor": step, "most_minor": LARGEST_MINOR}
        raise DomainError("payment.amount_invalid", "not an amount that can be paid there", facts)
    return minor


def pico_of(minor: int, currency: str) -> int:
    """An amount of the wire, exactly."""
    return minor * _unit(currency)


def _unit(currency: str) -> int:
    unit: int = 10 ** (PICO_DIGITS - minor_digits(currency))
    return unit


def check_signed(body: bytes, header: str, secrets: tuple[str, ...], now_s: int) -> None:
    """Nothing when one of the secrets signed exactly these bytes within the tolerance.

    Several `v1` and several secrets count: a secret is being replaced then.

    Raises: DomainError payment.unsigned.
    """
    parts = [one.partition("=") for one in header.split(",")]
    times = [value for name, _, value in parts if name.strip() == "t"]
    signs = [value for name, _, value in parts if name.strip() == "v1"]
    if len(times) != 1 or not _SECONDS.fullmatch(times[0]):
        raise DomainError("payment.unsigned", "no time of its signature")
    signed = times[0].encode() + b"." + body
    right = [hmac.new(one.encode(), signed, hashlib.sha256).hexdigest() for one in secrets]
    # Every pair is compared: how long it takes tells nothing.
    if not sum(hmac.compare_digest(a.encode(), b.encode()) for a in right for b in signs):
        raise DomainError("payment.unsigned", "not signed with a secret of this endpoint")
    if abs(now_s - int(times[0])) > TOLERANCE_S:
        raise DomainError("payment.unsigned", f"signed more than {TOLERANCE_S} s from now")


def event_of(body: bytes) -> Event:
    """Raises: DomainError payment.malformed."""
    return _read(body, Event)


def intent_of(event: Event) -> Intent:
    """The payment that an event of one is about. Raises: DomainError payment.malformed."""
    found = _read(bytes(event.data.object), Intent)
    if not _INTENT.fullmatch(found.id) or found.amount_received <= 0:
        raise DomainError("payment.malformed", "no payment in it")
    return found


def dispute_of(event: Event) -> Dispute:
    """The dispute that an event of one is about. Raises: DomainError payment.malformed."""
    found = _read(bytes(event.data.object), Dispute)
    named = _INTENT.fullmatch(found.payment_intent) and _DISPUTE.fullmatch(found.id)
    if not named or found.amount <= 0:
        raise DomainError("payment.malformed", "no dispute of a payment in it")
    return found


def reference(intent: str) -> str:
    """What the grant of a payment is known by."""
    return f"{NAME}:{intent}"


class _Still(urllib.request.HTTPRedirectHandler):
    """Nothing is followed: the key goes nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


@cache
def _opener() -> urllib.request.OpenerDirector:
    """Made when it is first needed: it reads the certificates that this machine believes."""
    return urllib.request.build_opener(_Still)


class Stripe(Struct, frozen=True):
    """`key`: secret; `returns`: where payers go back to."""

    key: str
    url: str
    returns: str

    @property
    def name(self) -> str:
        return NAME

    @property
    def live(self) -> bool:
        """Whether its payments are real money."""
        return self.key.startswith(("sk_live_", "rk_live_"))

    def ask(self, wanted: TopUp) -> Asked:
        """A page where this amount is paid, for a day. Raises: DomainError `payment.*`."""
        item, data = "line_items[0]", "line_items[0][price_data]"
        form = {
            "mode": "payment",
            "client_reference_id": wanted.account,
            "success_url": self.returns,
            "cancel_url": self.returns,
            f"{item}[quantity]": "1",
            f"{data}[currency]": wanted.currency.lower(),
            f"{data}[unit_amount]": str(minor_of(wanted.amount_pico, wanted.currency)),
            f"{data}[product_data][name]": f"Credit for {wanted.account}",
            f"payment_intent_data[metadata][{ACCOUNT}]": wanted.account,
        }
        body = urllib.parse.urlencode(form).encode()
        made = self._called("/v1/checkout/sessions", body, {"Idempotency-Key": wanted.key})
        session = _read(made, _Session)
        if not session.url:
            raise DomainError("payment.malformed", "a session without a page")
        return Asked(NAME, session.url, reference_of(wanted.account))

    def account_of(self, intent: str) -> str:
        """Whose credit the payment is, by its metadata; empty when it says of nobody.

        Raises: DomainError `payment.*`.
        """
        found = _read(self._called(f"/v1/payment_intents/{intent}", None, {}), Intent)
        return found.metadata.get(ACCOUNT, "")

    def movements(self, since_s: int) -> Iterator[Movement]:
        """What moved on the balance, the newest first. Raises: DomainError `payment.*`."""
        after = ""
        while True:
            asked = {"limit": _PAGE, "created[gte]": since_s, "expand[]": "data.source"}
            if after:
                asked["starting_after"] = after
            query = urllib.parse.urlencode(asked)
            raw = self._called(f"/v1/balance_transactions?{query}", None, {})
            page = _read(raw, _Transactions)
            for one in page.data:
                yield _movement(one)
            if not page.has_more or not page.data:
                return
            after = page.data[-1].id

    def _called(self, path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - the settings looked at the scheme
            self.url + path,
            data=body,
            headers={"Authorization": f"Bearer {self.key}", "Stripe-Version": VERSION, **headers},
        )
        try:
            with _opener().open(request, timeout=_PATIENCE_S) as answer:
                found: bytes = answer.read()
                return found
        except urllib.error.HTTPError as refused:
            raise _refusal(refused) from refused
        except (OSError, http.client.HTTPException) as error:
            raise DomainError("payment.unreachable", f"Stripe does not answer: {error}") from error


def _movement(one: _Transaction) -> Movement:
    kind = _KINDS.get(one.type, BACK if one.type in _BACK else OUT)
    amount, currency, source = one.amount, one.currency.upper(), one.source
    paid = source.payment_intent if isinstance(source, _Source) else None
    if kind != OUT and isinstance(source, _Source) and source.currency:
        # As the payer paid it, or was paid back: the balance may be of another currency.
        amount = source.amount if amount >= 0 else -source.amount
        currency = source.currency.upper()
    return Movement(
        *(one.id, reference(paid) if paid and kind != OUT else "", kind),
        *(pico_of(amount, currency), currency),
    )


def _read[T](raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.MsgspecError as error:
        raise DomainError("payment.malformed", f"not what Stripe says: {error}") from error


def _refusal(refused: urllib.error.HTTPError) -> DomainError:
    try:
        said: Any = msgspec.json.decode(refused.read())
        why = str(said["error"].get("message", said["error"].get("type", "")))
    except (msgspec.MsgspecError, OSError, KeyError, TypeError, AttributeError):
        why = ""
    return DomainError("payment.refused", f"Stripe refused it ({refused.code}): {why[:200]}")
