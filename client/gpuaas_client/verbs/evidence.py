"""`gpuaas evidence`: what proves it, fetched here and checked by a program of its own.

The verifier is a process of its own, `gpuaas-verify` (extra `verify`): what checks the platform
shares nothing with what asks it.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import click

from gpuaas_client import downloads, models, operations, telling
from gpuaas_client.command import OF_ORGANIZATION, Verb, Verbs, as_of, asked
from gpuaas_client.errors import GpuaasError
from gpuaas_client.events import Cut
from gpuaas_client.moments import TIME
from gpuaas_client.sealing import checked
from gpuaas_client.session import Session
from gpuaas_client.telling import listed, plain
from gpuaas_client.verbs.books import proof

_PATH: Final = click.Path(path_type=Path)
_OUT: Final = click.option("--out", type=_PATH, required=True, metavar="FILE")
_PAGE: Final = 500
_PROGRAM: Final = "gpuaas-verify"
# What a fact says of whom and what it is about, in the order in which a table shows it.
_DETAIL: Final = (
    *("action", "actions", "principal", "user", "approver", "role", "scope", "scopes", "resource"),
    *("project", "runtime", "account", "organization", "group", "binding", "guardrail"),
    *("invitation", "grant", "key", "issuer", "credential", "entries", "size", "what"),
)
_RECEIPT: Final = ("entry.json", "receipt.txt")


@click.group("evidence", cls=Verbs, help="What proves it: receipts, proofs, bundles; verified here")
def evidence() -> None: ...


@evidence.command("checkpoint", help="The newest signed note of the log, as witnesses keep it")
@asked
def checkpoint(session: Session) -> None:
    note = session.client.checkpoint()
    if session.json:
        session.say({"note": note}, "")
    else:
        telling.write(note)


@evidence.command("receipt", short_help="One entry of the log with its proof, in a folder")
@click.argument("position", type=click.IntRange(0))
@click.option("--out", type=_PATH, required=True, metavar="DIR", help="Made; gets both files.")
@asked
def receipt(session: Session, position: int, out: Path) -> None:
    """One entry of the log with its proof: `entry.json` and `receipt.txt` in a folder.

    `gpuaas evidence verify receipt DIR --key VKEY`. It waits until the entry is signed.
    """
    found = session.client.show_receipt(str(position))
    out.mkdir(parents=True, exist_ok=True)
    written = dict(zip(_RECEIPT, (found.entry, found.proof), strict=True))
    for name in written:
        if (out / name).exists():
            raise GpuaasError("export.exists", f"{out / name} is there already")
    for name, text in written.items():
        (out / name).write_bytes(text.encode())
    sentence = f"{out}: entry {position} under a log of {found.size} entries"
    session.say({"folder": str(out), "position": position, "size": found.size}, sentence)


@evidence.command("calls", short_help="A row of counted calls, and its path to its seal")
@click.argument("number", type=click.IntRange(0))
@asked
def calls(session: Session, number: int) -> None:
    """A row of counted calls; its path to the root that its seal names is checked here.

    Exit status 1 when it leads elsewhere. That the seal is in the log is for `gpuaas evidence
    receipt` and `evidence verify receipt` to check; the verifier sees no row in a receipt.
    """
    found = session.client.show_counted(str(number))
    root = checked(number, found, session.client.show_receipt(str(found.position)).entry)
    pairs = (
        ("ROW", found.row),
        ("INDEX", f"{found.index} of {found.count}"),
        ("PATH", listed(found.path)),
        ("ROOT", f"{root}: the path leads to it, checked here"),
        ("SEAL", f"entry {found.position} names that root"),
        ("THEN", f"gpuaas evidence receipt {found.position} --out DIR"),
    )
    session.tell(found, pairs)


@evidence.command("bundle", staff=True, help="The whole log as a file, for who may read all of it")
@_OUT
@asked
def bundle(session: Session, out: Path) -> None:
    size = downloads.fetch(session.client, operations.bundle(), out, session.progress)
    session.say({"file": str(out), "bytes": size}, f"{out}: {size} bytes")


@evidence.command("verify", short_help="Whether a proof, a receipt or a bundle holds; offline")
@click.argument("kind", type=click.Choice(("invoice", "receipt", "bundle")))
@click.argument("what", type=click.Path(exists=True, path_type=Path), metavar="FILE|DIR")
@click.option("--key", required=True, metavar="VKEY", help="The log's, or a file with it.")
@click.option("--witness", multiple=True, metavar="VKEY", help="Of a witness; many.")
@click.option("--quorum", type=click.IntRange(1), metavar="K", help="So many must have signed.")
@asked
def verify(
    session: Session, kind: str, what: Path, key: str, witness: Sequence[str], quorum: int | None
) -> int:
    """Whether an invoice's proof, a receipt (its folder) or a bundle holds; offline. 1 when not.

    The key comes from elsewhere than the API: who could forge the file could name the key.
    """
    words = {
        "invoice": ("invoice", str(what)),
        "receipt": ("receipt", *(str(what / name) for name in _RECEIPT)),
        "bundle": (str(what),),
    }
    argv = [_program(), *words[kind], "--key", key]
    argv += [word for one in witness for word in ("--witness", one)]
    argv += ["--quorum", str(quorum)] if quorum is not None else []
    argv += ["--json"] if session.json else []
    sys.stdout.flush()
    return subprocess.run(argv, check=False).returncode


def _program() -> str:
    """Beside this interpreter, else on PATH. Raises: GpuaasError verifier.absent."""
    beside = Path(sys.executable).with_name(_PROGRAM)
    found = str(beside) if beside.exists() else shutil.which(_PROGRAM)
    if found is None:
        what = "Install gpuaas-verify, best from an auditor of yours."
        raise GpuaasError("verifier.absent", f"there is no {_PROGRAM} here", what)
    return found


@click.command("audit", cls=Verb, short_help="Who did what to which resource, on whose authority")
@click.option("--actor", metavar="ID", help="By this one alone.")
@click.option("--resource", metavar="ID", help="To this one alone.")
@click.option("--action", metavar="TAG", help="A fact's tag, or its beginning up to a dot.")
@click.option("--since", type=TIME, metavar="TIME", help="RFC 3339, or a day of UTC as 2026-05-01.")
@click.option("--until", type=TIME, metavar="TIME", help="RFC 3339, or a day of UTC as 2026-05-01.")
@OF_ORGANIZATION
@click.option("--most", type=click.IntRange(1), default=100, show_default=True)
@click.option("--ocsf", is_flag=True, help="As OCSF events, one a line, for a SIEM.")
@as_of
@asked
def audit(session: Session, most: int, ocsf: bool, **of: str | None) -> None:
    """Acts of people and service accounts, newest first; each with the position that proves it.
    RESOURCE: what it is of, a binding, key or runtime; DETAIL: whom, what and where, of a
    revocation of what it revoked, of a denied act its action and scope. `--resource` finds any id
    that either names.
    Refused calls, those that break-glass let, and reads of evidence are counted by the minute: who,
    which action and why it was refused; on which resource is in no row of refused calls.

    `gpuaas evidence receipt POSITION --out DIR` fetches the proof.
    """
    if ocsf:
        for line in islice(_events(session, of, most), most):
            telling.write(line + "\n")
        return
    head = ("AT", "POSITION", "ACTOR", "ACTION", "RESOURCE", "DETAIL", "OUTCOME", "AUTHORITY")
    call = operations.list_acts(**of)
    session.tell_all(islice(session.client.each(call), most), head, _acted)


def _events(session: Session, of: dict[str, str | None], most: int) -> Iterator[str]:
    """Lines of page after page; the next one is in the answer's Link."""
    cursor: str | None = None
    while True:
        call = operations.export_acts(**of, cursor=cursor, limit=min(most, _PAGE))
        with session.client.streamed(call) as answer:
            cut = Cut()
            for piece in answer.iter_bytes():
                yield from cut.take(piece)
            yield from cut.rest()
            following = answer.links.get("next", {}).get("url", "")
        named = parse_qs(urlsplit(following).query).get("cursor", [""])[0]
        if named in {"", cursor}:
            return
        cursor = named


def _acted(one: models.AuditEntry) -> tuple[str, ...]:
    return (
        *(one.at, str(one.position), one.actor, one.action, plain(next(iter(one.resources), None))),
        _detail({**(one.earlier.fact if one.earlier else {}), **(one.fact or {})}),
        one.outcome if one.calls == 1 else f"{one.outcome} x {one.calls}",
        listed(one.authority) if one.authority else plain(one.reason),
    )


def _detail(fact: Mapping[str, Any]) -> str:
    """`principal=user-… role=viewer scope=project-…`: what of it is there and not empty."""
    found = ((name, fact.get(name)) for name in _DETAIL)
    told = (
        (name, ",".join(map(str, value)) if isinstance(value, list) else value)
        for name, value in found
        if value not in (None, "", "-", [])
    )
    return " ".join(f"{name}={plain(value)}" for name, value in told) or "-"


evidence.add_command(proof)

VERBS: Final = (evidence, audit)
