"""What of a request and of an answer passes between a client and an app. Pure.

Both heads are parsed whole and written anew (RFC 9112): what one side reads, the other reads so
too. Hop-by-hop fields end here (RFC 9110 section 7.6.1), and so do the platform's own secrets.
"""

from typing import Final

import h11

from domain.errors import DomainError

type Fields = list[tuple[bytes, bytes]]

_HOP: Final = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer "
    b"transfer-encoding upgrade".split()
)
# What the platform believes, or says itself; nobody else's word for it reaches an app.
_OURS: Final = frozenset(
    b"expect forwarded via x-forwarded-for x-forwarded-host x-forwarded-proto "
    b"x-forwarded-port x-real-ip".split()
)
# They would reach beyond this app's origin.
_ANSWERS: Final = frozenset({b"alt-svc", b"clear-site-data"})
_NEVER: Final = frozenset({b"CONNECT", b"TRACE"})


def values(headers: Fields, name: bytes) -> list[bytes]:
    """Every value of a field, in order; `name` in lower case."""
    return [value for key, value in headers if key == name]


def check(request: h11.Request) -> None:
    """Raises: DomainError app.malformed for what two readers could read in two ways."""
    headers = list(request.headers)
    framed = bool(values(headers, b"content-length")), bool(values(headers, b"transfer-encoding"))
    if all(framed) or (framed[1] and request.http_version != b"1.1"):
        raise DomainError("app.malformed", "its length is stated in two ways")
    if request.method in _NEVER or not request.target.startswith(b"/"):
        raise DomainError("app.malformed", "only a path of this origin is asked for")
    if len(values(headers, b"host")) != 1:
        raise DomainError("app.malformed", "one Host, please")
    if wants_websocket(request) and any(framed):
        raise DomainError("app.malformed", "an upgrade has no body")


def wants_websocket(request: h11.Request) -> bool:
    """True for the opening handshake of RFC 6455; no other upgrade is passed on."""
    headers = list(request.headers)
    asked = [value.strip().lower() for value in values(headers, b"upgrade")]
    return (
        request.method == b"GET"
        and request.http_version == b"1.1"
        and asked == [b"websocket"]
        and b"upgrade" in _listed(headers)
        and len(values(headers, b"sec-websocket-key")) == 1
    )


def forwarded(
    request: h11.Request, cookie: str, source: str, scheme: str, *, authorized: bool
) -> Fields:
    """The fields that the app is given. No secret of the platform is among them.

    `authorized`: Authorization is the app's own. Two of them are nobody's.
    """
    headers = list(request.headers)
    dropped = _HOP | _OURS | _listed(headers)
    if not authorized or len(values(headers, b"authorization")) != 1:
        dropped |= {b"authorization"}
    kept: Fields = []
    for name, value in headers:
        # `X_Real_Ip` is `X-Real-Ip` to many frameworks: such names say nothing else of use.
        if name in dropped or b"_" in name:
            continue
        if name == b"cookie":
            left = b"; ".join(one for one in _crumbs(value) if _name(one) != cookie.encode())
            kept += [(name, left)] if left else []
        else:
            kept.append((name, value))
    host = values(headers, b"host")[0]
    kept += [
        (b"x-forwarded-for", source.encode()),
        (b"x-forwarded-proto", scheme.encode()),
        (b"x-forwarded-host", host),
    ]
    if values(headers, b"transfer-encoding"):
        kept.append((b"transfer-encoding", b"chunked"))
    if wants_websocket(request):
        return [*kept, (b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
    return [*kept, (b"connection", b"close")]


def answered(headers: Fields, cookie: str) -> Fields:
    """The fields that the client is given: no hop's, no cookie for other hosts or in our name."""
    dropped = _HOP | _ANSWERS | _listed(headers)
    if values(headers, b"transfer-encoding"):
        dropped |= {b"content-length"}
    kept: Fields = []
    for name, value in headers:
        if name in dropped:
            continue
        if name == b"set-cookie":
            crumbs = _crumbs(value)
            if not crumbs or _name(crumbs[0]) == cookie.encode():
                continue
            kept.append((name, b"; ".join(one for one in crumbs if _name(one) != b"domain")))
        else:
            kept.append((name, value))
    return kept


def cookies(headers: Fields, cookie: str) -> list[str]:
    """Every value that the client has for a cookie: a page of another origin may have set one."""
    crumbs = [one for value in values(headers, b"cookie") for one in _crumbs(value)]
    own = [one.partition(b"=")[2] for one in crumbs if _name(one) == cookie.encode()]
    return [value.decode("ascii", "replace") for value in own]


def bearer(headers: Fields) -> str | None:
    """The token of `Authorization: Bearer`, if that is what was sent, once."""
    found = values(headers, b"authorization")
    scheme, _, token = found[0].partition(b" ") if len(found) == 1 else (b"", b"", b"")
    return token.strip().decode("ascii", "replace") if scheme.lower() == b"bearer" else None


def check_page(request: h11.Request, origin: str) -> None:
    """Raises: DomainError app.foreign_page when another origin's page makes the browser ask.

    Apps are each other's siblings, so SameSite does not part them (Fetch Metadata, RFC 6454).
    Following a link is all that a foreign page may do.
    """
    headers = list(request.headers)
    origins = values(headers, b"origin")
    if origins != [origin.encode()] * len(origins) or (wants_websocket(request) and not origins):
        raise DomainError("app.foreign_page", "the page that asks is of another origin")
    site = values(headers, b"sec-fetch-site") or [b"none"]
    followed = (
        request.method in {b"GET", b"HEAD"}
        and values(headers, b"sec-fetch-mode") == [b"navigate"]
        and values(headers, b"sec-fetch-dest") == [b"document"]
    )
    if not followed and not set(site) <= {b"same-origin", b"none"}:
        raise DomainError("app.foreign_page", "the page that asks is of another origin")


def _listed(headers: Fields) -> frozenset[bytes]:
    """What `Connection` names: fields of this hop alone."""
    named = b",".join(values(headers, b"connection")).lower().split(b",")
    return frozenset(one.strip() for one in named if one.strip())


def _crumbs(value: bytes) -> list[bytes]:
    return [one.strip() for one in value.split(b";") if one.strip()]


def _name(crumb: bytes) -> bytes:
    name = crumb.partition(b"=")[0].strip()
    return name.lower() if name.lower() == b"domain" else name
