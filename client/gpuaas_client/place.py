"""Where the API is, as whom it is called, and whose certificate is believed."""

import ipaddress
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from msgspec import Struct

from gpuaas_client.errors import Misconfigured


class Place(Struct, frozen=True):
    """`ca`: a PEM file, None for the system's CAs."""

    url: str
    token: str
    ca: Path | None = None

    def __repr__(self) -> str:
        """Without the token: it is printed where something fails."""
        return f"Place({self.url!r})"

    def tls(self) -> ssl.SSLContext:
        """Raises: Misconfigured tls.unreadable."""
        try:
            return ssl.create_default_context(cafile=self.ca)
        except (OSError, ssl.SSLError) as error:
            detail = f"{self.ca} holds no CA certificate: {error}"
            raise Misconfigured("tls.unreadable", detail) from error


def place(url: str, token: str, ca: str | Path | None = None) -> Place:
    """The place, checked. Raises: Misconfigured config.malformed.

    Plain HTTP goes to this machine only: whoever stands between could hand out a host CA of their
    own, and keep the token.
    """
    stripped = url.rstrip("/")
    try:
        parts = urlsplit(stripped)
        known = parts.port != 0 and bool(httpx.URL(stripped).host)
    except (ValueError, httpx.InvalidURL) as error:
        raise Misconfigured("config.malformed", f"not an address: {url!r}") from error
    if "@" in parts.netloc:
        # It looks like the host and is none; a password there would win over the token.
        raise Misconfigured("config.malformed", "GPUAAS_URL has no user and no password in it")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Misconfigured("config.malformed", f"no address, as https://gpu.example.org: {url!r}")
    if not known or not stripped.isprintable() or set(" \\?#") & set(stripped):
        raise Misconfigured("config.malformed", f"not an address: {url!r}")
    if parts.scheme == "http" and not _here(parts.hostname):
        detail = "GPUAAS_URL: http only to this machine, else https"
        raise Misconfigured("config.malformed", detail)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise Misconfigured("config.malformed", "the token is not one word")
    return Place(stripped, token, Path(ca).absolute() if ca else None)


def _here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"  # names below it are asked of a name server by some machines
