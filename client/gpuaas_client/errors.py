"""What goes wrong, by whose turn it is: each has a permanent code and says what to do about it."""

import contextlib
import re
import ssl
from collections.abc import Mapping
from typing import Any, Final

import httpx
import msgspec
from msgspec import Struct

# As an API that does not say it in words tells that a text has another form.
_FORM: Final = re.compile(r"Expected `[^`]*` matching regex '(.*)'")


class GpuaasError(Exception):
    """`code`: permanent, dotted. `detail`: what happened. `remedy`: what the caller can do."""

    def __init__(self, code: str, detail: str, remedy: str = "") -> None:
        super().__init__(code, detail, remedy)
        self.code = code
        self.detail = detail
        self.remedy = remedy

    def __str__(self) -> str:
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{self.code}: {self.detail}{remedy}"


class Misconfigured(GpuaasError):
    """The settings of this machine: where to, as whom, what is believed."""


class Unreachable(GpuaasError):
    """Nothing was heard, or nothing that the API says; whether it acted is not known."""


class Impostor(GpuaasError):
    """Whoever answered does not prove who it is. Nothing was sent to it."""


class NotSignedIn(GpuaasError):
    """The issuer of identities, or whoever was asked there, said no; `word` is OAuth's for it."""

    def __init__(self, word: str, detail: str) -> None:
        said = f"{word}: {detail}" if detail else word
        super().__init__("sign_in.failed", said, "Sign in again, or ask whoever runs the issuer.")
        self.word = word


class Refused(GpuaasError):
    """The API's own refusal, RFC 9457. `facts` are its numbers, `errors` its fields' faults."""

    def __init__(self, status: int, said: "Said") -> None:
        super().__init__(said.code, said.detail, said.remedy)
        self.status = status
        self.title = said.title
        self.facts = said.facts
        self.errors = said.errors
        self.correlation_id = said.correlation_id

    def __str__(self) -> str:
        if not self.errors:
            return super().__str__()
        said = "; ".join(map(str, self.errors))
        return f"{self.code}: {said}" + (f" ({self.remedy})" if self.remedy else "")


class Unauthenticated(Refused):
    """401: sign in again."""


class Forbidden(Refused):
    """403: somebody else may."""


class NotFound(Refused):
    """404: nothing there that the caller may see."""


class Conflict(Refused):
    """409, 412, 428: the state of things does not allow it, or is not what the caller thinks."""


class Invalid(Refused):
    """400, 413, 415, 422: the request is wrong; sent again it will be."""


class Unavailable(Refused):
    """429, 5xx: not now; it was repeated as long as the caller's patience lasted."""


class FieldFault(Struct, frozen=True):
    """`pointer`: RFC 6901, into the body that was sent; empty for all of it. `form`: what it must
    be, in words, where there are any.
    """

    pointer: str
    detail: str
    form: str = ""

    def __str__(self) -> str:
        pattern = _FORM.fullmatch(self.detail)
        said = self.detail if pattern is None else f"not of the form {pattern[1]}"
        if self.form:
            said = f"must be {self.form}"
        field = self.pointer.removeprefix("/")
        return f"{field}: {said}" if field else said


class Said(Struct, frozen=True, kw_only=True):
    """A problem's body; a proxy's answer has none of it but `code` would be missing."""

    code: str
    detail: str
    remedy: str = ""
    title: str = ""
    correlation_id: str = ""
    facts: Mapping[str, Any] = {}
    errors: tuple[FieldFault, ...] = ()


def _said(body: bytes) -> Said | None:
    """None for what is no problem's body. Of a newer API's, what is understood: its code and detail
    count, whatever form the rest has got.
    """
    found = decoded(body)
    if not isinstance(found, dict):
        return None
    words = {
        name: found[name]
        for name in ("code", "detail", "remedy", "title", "correlation_id")
        if isinstance(found.get(name), str)
    }
    if not {"code", "detail"} <= words.keys():
        return None
    facts = found.get("facts")
    return Said(**words, facts=facts if isinstance(facts, dict) else {}, errors=_faults(found))


def _faults(found: Mapping[str, Any]) -> tuple[FieldFault, ...]:
    told = found.get("errors")
    faults = []
    for one in told if isinstance(told, list) else ():
        with contextlib.suppress(msgspec.ValidationError):
            faults.append(msgspec.convert(one, FieldFault))
    return tuple(faults)


def decoded(body: bytes) -> Any:
    """The JSON, None for what is none, however it is broken."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


_KINDS: Final[dict[int, type[Refused]]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: Conflict,
    428: Conflict,
    429: Unavailable,
}


def no_api(what: str) -> Unreachable:
    """Something else answered: a proxy, a portal that asks for a login."""
    detail = f"no API answered there: {what}"
    return Unreachable("api.unreachable", detail, "Check GPUAAS_URL and that the API runs.")


def refusal(status: int, body: bytes) -> GpuaasError:
    """The error of an answer that is none of 2xx."""
    said = _said(body)
    if said is None:
        return no_api(f"status {status}")
    kind = _KINDS.get(status, Invalid if status < 500 else Unavailable)
    return kind(status, said)


def no_proxy(error: Exception) -> Misconfigured:
    """Of an environment that names a proxy that this installation cannot go through."""
    why = f"the proxy of the environment cannot be used: {error}"
    return Misconfigured(
        "proxy.unusable", why, "Set HTTPS_PROXY to an http:// one, unset ALL_PROXY."
    )


def unheard_secret(what: str, then: str) -> GpuaasError:
    """Of a repeat after a lost answer: it is answered without the secret, which is told once."""
    why = f"{what} is there, and the answer with its secret was lost on its way"
    return GpuaasError("secret.unheard", why, then)


def unheard(url: str, error: httpx.HTTPError | OSError) -> GpuaasError:
    """Why nothing was heard from there."""
    cause: Any = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = f"{url} does not prove who it is: {cause.verify_message}"
            what = "Name its CA in GPUAAS_CA, and an address its certificate has."
            return Impostor("api.impostor", why, what)
        cause = cause.__cause__ or cause.__context__
    said = str(error) or type(error).__name__
    what = "Check GPUAAS_URL and that the API runs."
    return Unreachable("api.unreachable", f"{url} does not answer: {said}", what)
