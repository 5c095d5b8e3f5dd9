"""Profiles: where the API is and as whom it is called, kept for the next command.

`$XDG_CONFIG_HOME/gpuaas/profiles/NAME.json`, 0600 in a folder 0700, for each holds a token;
`$XDG_CONFIG_HOME/gpuaas/current` names the one that counts where none is asked for.
"""

import fcntl
import glob
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gpuaas_client.errors import Misconfigured
from gpuaas_client.place import Place, place

_NAME: Final = re.compile("[A-Za-z0-9][A-Za-z0-9_.-]{0,59}")
DEFAULT: Final = "default"


class Profile(Struct, frozen=True):
    """As its file says it; `ca` is a path, empty for the system's CAs. `session`: the one whose
    token it is, empty for a token that somebody gave. `organization`: the one to act in, empty for
    the token's own.
    """

    url: str
    token: str
    ca: str = ""
    session: str = ""
    organization: str = ""

    def __repr__(self) -> str:
        """Without the token: it is printed where something fails."""
        return f"Profile({self.url!r})"


def folder(env: Mapping[str, str]) -> Path:
    """Ours within the XDG base directory for configuration; it need not be there."""
    named = env.get("XDG_CONFIG_HOME", "")
    home = Path(env.get("HOME") or Path.home())
    # The specification: a relative path is to be ignored.
    return (Path(named) if Path(named).is_absolute() else home / ".config") / "gpuaas"


def file_of(env: Mapping[str, str], name: str) -> Path:
    """Raises: Misconfigured profile.malformed."""
    if not _NAME.fullmatch(name):
        raise Misconfigured("profile.malformed", f"no name of a profile: {name!r}")
    return folder(env) / "profiles" / f"{name}.json"


def keep(env: Mapping[str, str], name: str, profile: Profile) -> Path:
    """The file, whole or not there, readable by its owner only; it is the current one now.

    Raises: Misconfigured profile.malformed, config.malformed.
    """
    path = file_of(env, name)
    place(profile.url, profile.token, profile.ca or None)
    for one in (folder(env), path.parent):
        # For its owner alone whatever the umask: who may write there could put another file.
        one.mkdir(mode=0o700, parents=True, exist_ok=True)
        if one.stat().st_mode & 0o022:
            one.chmod(0o700)
    with _alone(env):
        _write(path, msgspec.json.encode(profile))
    choose(env, name)
    return path


def update(env: Mapping[str, str], name: str, was: Profile, **changed: str) -> None:
    """Those fields alone of one that is there, whatever another command changed meanwhile; which
    one is current stays.

    Raises: Misconfigured profile.changed: it is of another API by now; as `read`.
    """
    with _alone(env):
        now = read(env, name)
        if now.url != was.url:
            # What was got from one API goes to no other.
            detail = f"profile {name} is of {now.url} by now, no more of {was.url}"
            raise Misconfigured("profile.changed", detail)
        _write(file_of(env, name), msgspec.json.encode(replace(now, **changed)))


def choose(env: Mapping[str, str], name: str) -> None:
    """That profile counts where none is asked for. Raises: Misconfigured profile.unknown."""
    read(env, name)
    with _alone(env):
        _write(folder(env) / "current", name.encode())


def forget(env: Mapping[str, str], name: str) -> None:
    """It is gone, its token with it, whatever its file holds. Raises: Misconfigured profile.*."""
    path = file_of(env, name)
    if not path.exists():
        read(env, name)
    with _alone(env):
        path.unlink(missing_ok=True)
        _sweep(path)
    if current(env) == name:
        (folder(env) / "current").unlink(missing_ok=True)


def current(env: Mapping[str, str]) -> str:
    """GPUAAS_PROFILE, else what was chosen last, else `default`."""
    if env.get("GPUAAS_PROFILE"):
        return env["GPUAAS_PROFILE"]
    try:
        return (folder(env) / "current").read_text().strip() or DEFAULT
    except (OSError, ValueError):
        return DEFAULT


def names(env: Mapping[str, str]) -> list[str]:
    """Those that are kept, in order."""
    every = (path.stem for path in (folder(env) / "profiles").glob("*.json"))
    return sorted(name for name in every if _NAME.fullmatch(name))


def read(env: Mapping[str, str], name: str) -> Profile:
    """Raises: Misconfigured profile.unknown, profile.malformed, profile.exposed."""
    path = file_of(env, name)
    try:
        with path.open("rb") as file:
            raw, mode = file.read(), os.fstat(file.fileno()).st_mode
    except OSError as error:
        known = ", ".join(names(env)) or "none"
        detail = f"no profile {name}; there are: {known}"
        raise Misconfigured("profile.unknown", detail, f"gpuaas login --profile {name}") from error
    if mode & 0o077:
        what = f"chmod 600 {path}, and ask for another token"
        raise Misconfigured("profile.exposed", f"others can read {path}", what)
    try:
        return msgspec.json.decode(raw, type=Profile)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Misconfigured("profile.malformed", f"{path}: {error}") from error


def before_it(env: Mapping[str, str]) -> str:
    """What of the environment counts before the current profile, in words; empty for nothing."""
    named = ("GPUAAS_URL", "GPUAAS_TOKEN", "GPUAAS_PROFILE", "GPUAAS_ORGANIZATION")
    there = [name for name in named if env.get(name)]
    return f"{', '.join(there)} of the environment counts before it" if there else ""


def found(env: Mapping[str, str], name: str = "") -> Place:
    """Where a command goes: the profile that was asked for; else GPUAAS_URL and GPUAAS_TOKEN (and
    GPUAAS_CA); else the current profile, with GPUAAS_TOKEN in place of its own token.

    Raises: Misconfigured config.missing, config.malformed, profile.*.
    """
    if not name and env.get("GPUAAS_URL"):
        if not env.get("GPUAAS_TOKEN"):
            # A token that is kept goes to the API that it is of, and nowhere else.
            what = "Set both, or neither and `gpuaas login`; `gpuaas up` prints both."
            raise Misconfigured("config.missing", "GPUAAS_TOKEN is not set", what)
        return place(env["GPUAAS_URL"], env["GPUAAS_TOKEN"], env.get("GPUAAS_CA") or None)
    chosen = name or current(env)
    if not name and not env.get("GPUAAS_PROFILE") and chosen not in names(env):
        what = "`gpuaas login`, or set GPUAAS_URL and GPUAAS_TOKEN; `gpuaas up` prints both."
        raise Misconfigured("config.missing", "nobody is signed in here", what)
    kept = read(env, chosen)
    token = kept.token if name else env.get("GPUAAS_TOKEN") or kept.token
    return place(kept.url, token, kept.ca or None)


def acting_in(env: Mapping[str, str], name: str = "") -> str:
    """GPUAAS_ORGANIZATION, else the organization of the profile that a command goes by; else empty:
    the token's own. Raises: Misconfigured profile.*.
    """
    if env.get("GPUAAS_ORGANIZATION"):
        return env["GPUAAS_ORGANIZATION"]
    chosen = name or current(env)
    given = not name and (env.get("GPUAAS_URL") or env.get("GPUAAS_TOKEN"))
    return "" if given or chosen not in names(env) else read(env, chosen).organization


@contextmanager
def _alone(env: Mapping[str, str]) -> Iterator[None]:
    """No other command changes a profile meanwhile."""
    with (folder(env) / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _sweep(path: Path) -> None:
    """What commands left that were killed while they wrote it: it holds a token."""
    for left in path.parent.glob(f"{glob.escape(path.name)}.*~"):
        left.unlink(missing_ok=True)


def _write(path: Path, raw: bytes) -> None:
    """Whole or as it was, a full disk included."""
    _sweep(path)
    fresh = path.with_name(f"{path.name}.{os.getpid()}~")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(raw)
            out.flush()
            os.fsync(handle)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
