"""What a gateway must know to let in and to throw out, folded from the log: pure, no clock.

Live runtimes with their present principal and route, grants that stand with the certificates that
were issued under them, and this gateway's sessions that no fact has closed. What has ended is
forgotten, so memory follows what lives, not how long the log is.
"""

from msgspec import Struct, field

from contracts import ssh
from domain import access, grant, organization, runtime
from evidence.reader import Recorded


class Route(Struct, frozen=True):
    """Where the node says that the runtime's sshd answers, and its host key."""

    address: str
    port: int
    host_key: str


class Door(Struct):
    org: str
    principal: str
    route: Route | None = None
    grants: set[str] = field(default_factory=set)


class App(Struct, frozen=True):
    """The port that a pass opens, at one allocation and epoch; `token` is the hash of a secret."""

    principal: str
    port: int
    token: str


class Pass(Struct):
    """A grant that stands; `principals` by the serials of the certificates issued under it."""

    org: str
    runtime: str
    user: str
    until_us: int
    principals: dict[int, str] = field(default_factory=dict)
    app: App | None = None


class Entry(Struct, frozen=True):
    """Somebody who was let in: by which grant, to which runtime, as which principal."""

    grant: str
    runtime: str
    principal: str
    user: str
    org: str
    way: str


class Doors:
    """`applied`: the next position to apply. Owned by one event loop."""

    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        self.applied = 0
        self.doors: dict[str, Door] = {}
        self.passes: dict[str, Pass] = {}
        self.tokens: dict[str, str] = {}  # hash of a program's token -> grant
        self.suspended: set[str] = set()  # organizations
        self.unclosed: dict[str, str] = {}  # session -> org

    def apply(self, entry: Recorded) -> None:
        """Entries in order; those of other streams change nothing."""
        match entry.fact:
            case runtime.Allocated(allocation=allocation, epoch=epoch):
                self._ended(entry.stream)
                self.doors[entry.stream] = Door(entry.org, ssh.principal(allocation, epoch))
            case runtime.Routed(address=address, port=port, host_key=key):
                door = self.doors.get(entry.stream)
                if door is not None:
                    door.route = Route(address, port, key)
            case (
                runtime.Stopping()
                | runtime.Stopped()
                | runtime.Failed()
                | runtime.Cancelled()
                | runtime.Lost()
            ):
                self._ended(entry.stream)
            case grant.Granted() as fact:
                self._granted(entry, fact)
            case grant.CertificateIssued(serial=serial, principal=principal):
                standing = self.passes.get(entry.stream)
                if standing is not None:
                    standing.principals[serial] = principal
            case grant.PassIssued(principal=principal, port=port, token_sha256=token):
                standing = self.passes.get(entry.stream)
                if standing is not None:
                    standing.app = App(principal, port, token)
                    if token:
                        self.tokens[token] = entry.stream
            case grant.Revoked():
                self.revoke(entry.stream)
            case organization.Suspended():
                self.suspended.add(entry.stream)
            case organization.Reactivated():
                self.suspended.discard(entry.stream)
            case access.SessionOpened(gateway=gateway) if gateway == self.gateway:
                self.unclosed[entry.stream] = entry.org
            case access.SessionClosed():
                self.unclosed.pop(entry.stream, None)
            case _:
                pass

    def _granted(self, entry: Recorded, fact: grant.Granted) -> None:
        door = self.doors.get(fact.runtime)
        if door is not None:
            door.grants.add(entry.stream)
            self.passes[entry.stream] = Pass(entry.org, fact.runtime, fact.user, fact.until_us)

    def revoke(self, stream: str) -> None:
        """Nobody is behind a door by that grant any more."""
        gone = self._dropped(stream)
        door = None if gone is None else self.doors.get(gone.runtime)
        if door is not None:
            door.grants.discard(stream)

    def _ended(self, stream: str) -> None:
        gone = self.doors.pop(stream, None)
        for name in () if gone is None else gone.grants:
            self._dropped(name)

    def _dropped(self, name: str) -> Pass | None:
        gone = self.passes.pop(name, None)
        if gone is not None and gone.app is not None:
            self.tokens.pop(gone.app.token, None)
        return gone

    def forget(self, now_us: int) -> None:
        """Drops the grants that are over; whoever came in by them is told `grant_over` first."""
        for name in [name for name, one in self.passes.items() if one.until_us <= now_us]:
            self.revoke(name)

    def admit(self, runtime_id: str, grant_id: str, serial: int, way: str) -> Entry | None:
        """Who the holder of that certificate is; None when the log knows no such certificate."""
        standing = self.passes.get(grant_id)
        if standing is None or standing.runtime != runtime_id:
            return None
        principal = standing.principals.get(serial)
        if principal is None:
            return None
        return Entry(grant_id, runtime_id, principal, standing.user, standing.org, way)

    def admit_app(self, grant_id: str, runtime_id: str, port: int) -> Entry | None:
        """Who the holder of that pass is; None when it opens no such port of that runtime."""
        standing = self.passes.get(grant_id)
        if standing is None or standing.app is None:
            return None
        if (standing.runtime, standing.app.port) != (runtime_id, port):
            return None
        app, way = standing.app, grant.HTTP
        return Entry(grant_id, runtime_id, app.principal, standing.user, standing.org, way)

    def why_not(self, entry: Entry, now_us: int) -> str | None:
        """The reason why that entry may not be, or not remain, inside; None when it may."""
        if entry.org in self.suspended:
            return "suspended"
        door = self.doors.get(entry.runtime)
        if door is None:
            return "runtime_ended"
        if door.principal != entry.principal:
            return "epoch_moved"
        standing = self.passes.get(entry.grant)
        if standing is None:
            return "revoked"
        return "grant_over" if now_us >= standing.until_us else None
