"""`gpuaas mfa`: a second factor at the embedded issuer, and tokens that say it was used."""

import sys
from typing import Final

import click
from msgspec import UNSET

from gpuaas_client import models, profiles
from gpuaas_client.command import ORGANIZATION, REASON, Verbs, asked
from gpuaas_client.errors import GpuaasError
from gpuaas_client.session import Session
from gpuaas_client.telling import plain

_NOBODY: Final = "there is nobody to ask for the code: give --code"


def _asked_for() -> str:
    """Raises: click.UsageError where nobody answers."""
    if sys.stdin is None or sys.stdin.closed:
        raise click.UsageError(_NOBODY)
    try:
        return str(click.prompt("Code", err=True))
    except click.Abort as over:
        if isinstance(over.__context__, EOFError):
            raise click.UsageError(_NOBODY) from over
        raise


def _typed(_context: click.Context, _option: click.Parameter, code: str | None) -> str:
    return _asked_for() if code is None else code


_CODE: Final = click.option(
    "--code", callback=_typed, help="Six digits, or a recovery code; asked for without it."
)


@click.group("mfa", cls=Verbs, help="A second factor for tokens of the embedded issuer")
def mfa() -> None: ...


@mfa.command("show", help="Whether there is one")
@asked
def show(session: Session) -> None:
    found = session.client.show_factor()
    session.tell(
        found,
        (
            ("STATE", found.state),
            ("RECOVERY CODES", str(found.recovery_codes_left)),
            ("LOCKED UNTIL", plain(found.locked_until)),
        ),
    )


@mfa.command("enrol", help="A secret for an authenticator, shown once; then `gpuaas mfa confirm`")
@click.option("--label", help="What the authenticator shows beside it.")
@asked
def enrol(session: Session, label: str | None) -> None:
    made = session.client.enrol_totp(models.TotpNew(label=label or UNSET))
    session.tell(
        made,
        (
            ("SECRET", made.secret or "was shown before"),
            ("ADDRESS", made.address or "was shown before"),
            ("THEN", "gpuaas mfa confirm"),
        ),
    )


def _codes(session: Session, made: models.RecoveryCodes) -> None:
    rows = made.recovery_codes or ["were shown before"]
    session.tell(made, [("RECOVERY CODE", one) for one in rows])


@mfa.command("confirm", help="By a first code; its recovery codes are shown once")
@_CODE
@asked
def confirm(session: Session, code: str) -> None:
    _codes(session, session.client.confirm_totp(models.Code(code=code)))


@mfa.command("recovery", help="Other recovery codes, shown once")
@_CODE
@asked
def recovery(session: Session, code: str) -> None:
    _codes(session, session.client.replace_recovery_codes(models.Code(code=code)))


@mfa.command("verify", help="A token that says a second factor was used, kept in the profile")
@_CODE
@asked
def verify(session: Session, code: str) -> None:
    """Without a profile, as where GPUAAS_TOKEN names the token, it is printed."""
    name = session.profile or profiles.current(session.env)
    by_env = not session.profile and bool(session.env.get("GPUAAS_TOKEN"))
    client = session.client
    kept = None if by_env else profiles.read(session.env, name)
    made = client.verify_factor(models.Code(code=code))
    if made.token is None:
        raise GpuaasError(
            "mfa.token_unheard",
            "the code was used, and the answer with the token was lost on its way",
            "Run the same command with the next code: a token is shown once.",
        )
    if kept is None:
        session.say(made, made.token)
        return
    profiles.update(session.env, name, kept, token=made.token)
    said = {"profile": name, "expires_at": made.expires_at, "means": made.means}
    session.say(said, f"profile {name} has a second factor until {made.expires_at}")


@mfa.command("remove", help="One's own by a code; with --principal somebody's, by an owner")
@click.option("--code", help="Six digits, or a recovery code; asked for where it is needed.")
@click.option("--principal", metavar="ID", help="Somebody who lost theirs.")
@ORGANIZATION
@REASON
@asked
def remove(
    session: Session, code: str | None, principal: str | None, organization: str | None,
    reason: str | None,
) -> None:  # fmt: skip
    if code is None and principal is None:
        code = _asked_for()
    wanted = models.FactorEnd(
        code=code or UNSET,
        principal=principal or UNSET,
        organization=organization or UNSET,
        reason=reason or UNSET,
    )
    done = session.client.remove_totp(wanted)
    session.say(done, f"{done.principal} has no second factor here any more")


VERBS: Final = (mfa,)
