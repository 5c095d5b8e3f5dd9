"""Settings of every process, read once from the environment (twelve-factor)."""

import os
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import msgspec

from api.demands import glass_age_s, login_age_s, mfa_demanded
from api.limits import PUBLIC_RATE, RATE, Rate, bounds_of, public_rate_of, rate_of, variables
from api.origin import proxies_of
from api.tls import Pair, ca_of, pair_of
from api.urls import database_url, nats_url
from domain.bounds import BOUNDS, Bounds
from domain.errors import DomainError
from domain.instants import KEEPING, LEASE_US, LEASING, Keeping, Leasing

SECOND_US = 1_000_000
KEEP_S = range(3, 366 * 86_400)
# Agents renew a lease each 120 s, and hold none for longer than 600 s.
LEASES = {
    "GPUAAS_LEASE_S": (range(300, LEASE_US // SECOND_US + 1), LEASING.lease_us // SECOND_US),
    "GPUAAS_DRIFT_PPM": (range(50, 10_001), LEASING.drift_ppm),
    "GPUAAS_STOP_S": (range(10, 601), LEASING.stop_us // SECOND_US),
}
DEFAULT_DATA = ".gpuaas/data"
# Where a gateway may find runtimes: a node says where, and a node may lie.
PRIVATE_NETWORKS = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"
_APPS_URL = re.compile(r"https?://[a-z0-9]([a-z0-9.-]{0,180}[a-z0-9])?(:[0-9]{1,5})?")
_GATEWAY_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,60}")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a process finds its servers and keeps its files.

    `origins`: web origins besides the API's own whose pages may open terminals. `apps_url`: below
    whose name each app of a runtime has an origin of its own; a gateway serves them at `apps_port`.

    `tls`: what API and apps prove themselves with, None for plain HTTP; `ca`: whom a caller of
    the API believes, None for the system's CAs; `issuer_ca`: who is believed of issuers besides
    the web's CAs.

    `data` holds what the embedded stack and the evidence storage write; `signer_state` lies
    apart from it, or a restore of one would roll back the other (EVIDENCE.md section 4).
    `unsigned_bound_s`: appends are refused while an entry has waited longer for its signature.
    `rate`: how often one principal may ask, `public_rate` one address that shows no token;
    `proxies`: whose word counts for the address. `keeping`: how long prepaid volumes are held
    ahead, and locked before they are wiped. `leasing`: how long leases last, and after what time
    nothing runs under one any more. `mfa_demanded`: of administrative actions, of everybody.
    `login_age_s`: how old a sign-in may be for them; 0: as old as a session.
    `glass_age_s`: how long both persons of break-glass are of the staff before it is approved.
    `bounds`: how many of each kind an organization may have.
    """

    data: Path
    signer_state: Path
    database_url: str
    owner_database_url: str
    nats_url: str
    nats_node_url: str
    http_host: str
    http_port: int
    log_name: str
    embedded: bool
    unsigned_bound_s: int = 60
    gateway_host: str = "127.0.0.1"
    gateway_port: int = 8471
    origins: tuple[str, ...] = ()
    gateway_name: str = "gateway-1"
    gateway_networks: str = PRIVATE_NETWORKS
    webhook_networks: str = ""
    apps_port: int = 8472
    apps_url: str = "http://apps.localhost:8472"
    tls: Pair | None = None
    ca: Path | None = None
    issuer_ca: Path | None = None
    keeping: Keeping = KEEPING
    leasing: Leasing = LEASING
    rate: Rate = RATE
    public_rate: Rate = PUBLIC_RATE
    proxies: str = ""
    mfa_demanded: bool = False
    login_age_s: int = 0
    glass_age_s: int = 86_400
    bounds: Bounds = BOUNDS

    @property
    def api_url(self) -> str:
        """Where the API answers."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{self.http_host}:{self.http_port}"

    @property
    def storage(self) -> Path:
        """Tiles, entry bundles, checkpoints and sealed files, outside the database."""
        return self.data / "evidence"

    @property
    def signer_socket(self) -> Path:
        """The Unix socket at which the signer answers the integrator."""
        return self.signer_state / "signer.sock"

    @property
    def issuer_key(self) -> Path:
        """The embedded token issuer's key file."""
        return self.data / "issuer-key.pem"

    @property
    def command_key(self) -> Path:
        """The key that signs commands to nodes."""
        return self.data / "command-key.pem"

    @property
    def recordings(self) -> Path:
        """Recorded terminals, outside the database; the log holds their chunks' heads."""
        return self.data / "recordings"

    @property
    def ssh_user_ca(self) -> Path:
        """The key that signs users' SSH certificates."""
        return self.data / "ssh-user-ca"

    @property
    def ssh_host_ca(self) -> Path:
        """The key that signs hosts' SSH certificates."""
        return self.data / "ssh-host-ca"

    @property
    def nats_tls(self) -> ssl.SSLContext | None:
        """What we connect to NATS with; None unless its URL says tls://.

        Read anew each time. Raises: DomainError tls.unreadable.
        """
        from api.fleet.nats_certificates import platform_tls

        return platform_tls(self.nats_url, self.nats_files)

    @property
    def nats_files(self) -> Path:
        """Certificate and key of the platform's processes for NATS, and the CA they believe."""
        return self.data / "nats-tls"

    @property
    def account_key(self) -> Path:
        """The NATS account key: signs what lets a node into NATS."""
        return self.data / "nats-account.key"

    @property
    def node_ca(self) -> Path:
        """Key and certificate of the CA of the nodes' certificates."""
        return self.data / "node-ca.pem"

    def environment(self) -> dict[str, str]:
        """This process's environment plus what a child needs to read the same settings."""
        return {
            **os.environ,
            "GPUAAS_DATA": str(self.data),
            "GPUAAS_SIGNER_STATE": str(self.signer_state),
            "GPUAAS_DATABASE_URL": self.database_url,
            "GPUAAS_OWNER_DATABASE_URL": self.owner_database_url,
            "GPUAAS_NATS_URL": self.nats_url,
            "GPUAAS_NATS_NODE_URL": self.nats_node_url,
            "GPUAAS_HTTP_HOST": self.http_host,
            "GPUAAS_HTTP_PORT": str(self.http_port),
            "GPUAAS_LOG_NAME": self.log_name,
            "GPUAAS_EMBEDDED": "1" if self.embedded else "0",
            "GPUAAS_UNSIGNED_BOUND_S": str(self.unsigned_bound_s),
            **variables(self.rate, self.public_rate, self.bounds),
            "GPUAAS_TRUSTED_PROXIES": self.proxies,
            "GPUAAS_VOLUME_HOLD_S": str(self.keeping.hold_us // SECOND_US),
            "GPUAAS_VOLUME_WIPE_S": str(self.keeping.wipe_us // SECOND_US),
            "GPUAAS_LEASE_S": str(self.leasing.lease_us // SECOND_US),
            "GPUAAS_DRIFT_PPM": str(self.leasing.drift_ppm),
            "GPUAAS_STOP_S": str(self.leasing.stop_us // SECOND_US),
            "GPUAAS_GATEWAY_HOST": self.gateway_host,
            "GPUAAS_GATEWAY_PORT": str(self.gateway_port),
            "GPUAAS_ORIGINS": " ".join(self.origins),
            "GPUAAS_GATEWAY_NAME": self.gateway_name,
            "GPUAAS_GATEWAY_NETWORKS": self.gateway_networks,
            "GPUAAS_WEBHOOK_NETWORKS": self.webhook_networks,
            "GPUAAS_APPS_PORT": str(self.apps_port),
            "GPUAAS_APPS_URL": self.apps_url,
            "GPUAAS_TLS_CERTIFICATE": "" if self.tls is None else str(self.tls.certificate),
            "GPUAAS_TLS_KEY": "" if self.tls is None else str(self.tls.key),
            "GPUAAS_CA": str(self.ca or ""),
            "GPUAAS_ISSUER_CA": str(self.issuer_ca or ""),
            "GPUAAS_ADMIN_MFA": "1" if self.mfa_demanded else "0",
            "GPUAAS_ADMIN_LOGIN_AGE_S": str(self.login_age_s),
            "GPUAAS_BREAK_GLASS_AGE_S": str(self.glass_age_s),
        }


def data_directory(env: Mapping[str, str] = os.environ) -> Path:
    """GPUAAS_DATA, default `.gpuaas/data` under the current directory; absolute."""
    return Path(env.get("GPUAAS_DATA") or DEFAULT_DATA).absolute()


def signer_directory(env: Mapping[str, str] = os.environ) -> Path:
    """GPUAAS_SIGNER_STATE, default beside the data directory and named for it; absolute.

    `signer` for one that is called `data`, else `<its name>-signer`: two never share a signer.
    """
    named = env.get("GPUAAS_SIGNER_STATE")
    if named:
        return Path(named).absolute()
    data = data_directory(env)
    return data.parent / ("signer" if data.name == "data" else f"{data.name}-signer")


def from_environment(env: Mapping[str, str] = os.environ, *, with_nats: bool = True) -> Settings:
    """The settings of a process that connects to servers somebody runs.

    `with_nats` False: of an errand that needs the database alone.

    Raises:
        DomainError: `config.missing` or `config.malformed`, naming the variable.
    """
    for name in ("GPUAAS_DATABASE_URL", "GPUAAS_NATS_URL")[: 2 if with_nats else 1]:
        if not env.get(name):
            raise DomainError("config.missing", f"{name} is not set; `gpuaas up` starts its own")
    app_url, owner_url, platform_url, node_url = urls(env)
    apps_port = port(env.get("GPUAAS_APPS_PORT") or "8472", "GPUAAS_APPS_PORT")
    tls = pair_of(env)
    return Settings(
        data=data_directory(env),
        signer_state=signer_directory(env),
        database_url=app_url,
        owner_database_url=owner_url,
        nats_url=platform_url,
        nats_node_url=node_url,
        http_host=env.get("GPUAAS_HTTP_HOST") or "127.0.0.1",
        http_port=port(env.get("GPUAAS_HTTP_PORT") or "8470", "GPUAAS_HTTP_PORT"),
        log_name=env.get("GPUAAS_LOG_NAME") or "gpuaas.local",
        embedded=env.get("GPUAAS_EMBEDDED") == "1",
        unsigned_bound_s=unsigned_bound(env),
        gateway_host=env.get("GPUAAS_GATEWAY_HOST") or "127.0.0.1",
        origins=tuple((env.get("GPUAAS_ORIGINS") or "").split()),
        gateway_port=port(env.get("GPUAAS_GATEWAY_PORT") or "8471", "GPUAAS_GATEWAY_PORT"),
        gateway_name=gateway_name(env),
        gateway_networks=env.get("GPUAAS_GATEWAY_NETWORKS") or PRIVATE_NETWORKS,
        webhook_networks=env.get("GPUAAS_WEBHOOK_NETWORKS") or "",
        apps_port=apps_port,
        apps_url=apps_url(env.get("GPUAAS_APPS_URL") or "", apps_port, secure=tls is not None),
        tls=tls,
        ca=ca_of(env),
        issuer_ca=ca_of(env, "GPUAAS_ISSUER_CA"),
        keeping=keeping_of(env),
        leasing=leasing_of(env),
        rate=rate_of(env),
        public_rate=public_rate_of(env),
        proxies=proxies_of(env),
        mfa_demanded=mfa_demanded(env),
        login_age_s=login_age_s(env),
        glass_age_s=glass_age_s(env, embedded=env.get("GPUAAS_EMBEDDED") == "1"),
        bounds=bounds_of(env),
    )


def urls(env: Mapping[str, str] = os.environ) -> tuple[str, str, str, str]:
    """Database, its owner's, NATS, NATS as nodes reach it: each well-formed, or "" when not set.

    Raises:
        DomainError: `config.malformed`, naming the variable.
    """
    kinds = {"GPUAAS_DATABASE_URL": database_url, "GPUAAS_OWNER_DATABASE_URL": database_url}
    kinds |= {"GPUAAS_NATS_URL": nats_url, "GPUAAS_NATS_NODE_URL": nats_url}
    app, owner, platform, node = (
        check(env[name], name) if env.get(name) else "" for name, check in kinds.items()
    )
    return app, owner or app, platform, without_user(node or platform)


def user_of(url: str) -> tuple[str, str]:
    """User and password that a URL names; empty where it names none."""
    parts = urlsplit(url)
    return parts.username or "", parts.password or ""


def without_user(url: str) -> str:
    """The URL as nodes get it: whatever user and password it names are the platform's."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def port(text: str, name: str) -> int:
    """A TCP port from text.

    Raises:
        DomainError: `config.malformed`.
    """
    if not text.isascii() or not text.isdigit() or not 0 < int(text) < 65536:
        raise DomainError("config.malformed", f"{name} is no port: {text!r}")
    return int(text)


def unsigned_bound(env: Mapping[str, str] = os.environ) -> int:
    """GPUAAS_UNSIGNED_BOUND_S, default 60.

    Raises:
        DomainError: `config.malformed` unless it is 1 to 3600 whole seconds.
    """
    text = env.get("GPUAAS_UNSIGNED_BOUND_S") or "60"
    if not text.isascii() or not text.isdigit() or len(text) > 4 or not 0 < int(text) <= 3600:
        detail = f"GPUAAS_UNSIGNED_BOUND_S is not 1 to 3600 seconds: {text!r}"
        raise DomainError("config.malformed", detail)
    return int(text)


def keeping_of(env: Mapping[str, str] = os.environ) -> Keeping:
    """GPUAAS_VOLUME_HOLD_S and GPUAAS_VOLUME_WIPE_S, default three and seven days.

    Raises:
        DomainError: `config.malformed` unless each is 3 seconds to a year, in whole seconds.
    """
    found = []
    names = {"GPUAAS_VOLUME_HOLD_S": KEEPING.hold_us, "GPUAAS_VOLUME_WIPE_S": KEEPING.wipe_us}
    for name, default in names.items():
        text = env.get(name) or str(default // SECOND_US)
        if not text.isascii() or not text.isdigit() or len(text) > 8 or int(text) not in KEEP_S:
            raise DomainError("config.malformed", f"{name} is not 3 s to a year: {text!r}")
        found.append(int(text) * SECOND_US)
    return Keeping(*found)


def leasing_of(env: Mapping[str, str] = os.environ) -> Leasing:
    """GPUAAS_LEASE_S, GPUAAS_DRIFT_PPM and GPUAAS_STOP_S (api/README.md).

    Raises:
        DomainError: `config.malformed`, naming the variable and its bounds.
    """
    found = []
    for name, (bounds, default) in LEASES.items():
        text = env.get(name) or str(default)
        if not text.isascii() or not text.isdigit() or len(text) > 8 or int(text) not in bounds:
            detail = f"{name} is not {bounds.start} to {bounds.stop - 1}: {text!r}"
            raise DomainError("config.malformed", detail)
        found.append(int(text))
    lease_s, drift_ppm, stop_s = found
    return Leasing(lease_s * SECOND_US, drift_ppm, stop_s * SECOND_US)


def gateway_name(env: Mapping[str, str] = os.environ) -> str:
    """GPUAAS_GATEWAY_NAME, default `gateway-1`; one process holds a name at a time.

    Raises:
        DomainError: `config.malformed`.
    """
    text = env.get("GPUAAS_GATEWAY_NAME") or "gateway-1"
    if not _GATEWAY_NAME.fullmatch(text):
        raise DomainError("config.malformed", f"GPUAAS_GATEWAY_NAME is no name: {text!r}")
    return text


def apps_url(text: str, apps_port: int, *, secure: bool) -> str:
    """Scheme, name and maybe a port, as `https://apps.example.org`; of this machine for "".

    `secure`: we speak TLS ourselves. Without it https means a proxy before us.

    Raises: DomainError `config.malformed`.
    """
    if not text:
        return f"{'https' if secure else 'http'}://apps.localhost:{apps_port}"
    if not _APPS_URL.fullmatch(text):
        raise DomainError("config.malformed", f"GPUAAS_APPS_URL is no http(s)://name: {text!r}")
    if secure and not text.startswith("https:"):
        raise DomainError("config.malformed", f"GPUAAS_APPS_URL is not https, but we are: {text!r}")
    return text
