"""`gpuaas webhook`: where an organization's facts are sent, and what did not arrive."""

from typing import Final

import click
from msgspec import UNSET

from gpuaas_client import models, operations
from gpuaas_client.command import OF_ORGANIZATION, ORGANIZATION, STATE, Verbs, asked
from gpuaas_client.errors import unheard_secret
from gpuaas_client.session import Session
from gpuaas_client.telling import listed, plain
from gpuaas_client.verbs.members import own

_HEAD: Final = ("WEBHOOK", "URL", "STATE", "TAGS", "SENT", "WAITING", "DEAD")


@click.group("webhook", cls=Verbs, help="Where an organization's facts are sent")
def webhook() -> None: ...


def _row(one: models.Webhook) -> tuple[str, ...]:
    counts = (one.sent, one.waiting, one.dead)
    return (one.id, plain(one.url), one.state, listed(one.tags), *map(plain, counts))


@webhook.command("list", help="Those of an organization, with what waits and what is dead")
@OF_ORGANIZATION
@STATE
@asked
def webhooks(session: Session, organization: str | None, state: str | None) -> None:
    call = operations.list_webhooks(organization=organization, state=state)
    session.tell_all(session.client.each(call), _HEAD, _row)


@webhook.command("create", help="An address over https; its secret is shown once")
@click.argument("url")
@ORGANIZATION
@click.option(
    "--tag",
    multiple=True,
    metavar="TAG",
    help="Only facts of this tag (gpuaas.runtime.usable.v1) or of an area (gpuaas.runtime.*);"
    " once for each (default: all).",
)
@asked
def webhook_new(session: Session, url: str, organization: str | None, tag: tuple[str, ...]) -> None:
    wanted = models.WebhookNew(
        url=url, organization=own(session, organization), tags=list(tag) or UNSET
    )
    made = session.client.register_webhook(wanted)
    session.tell(made, (("WEBHOOK", made.id), ("SECRET", made.secret or "was shown before")))


@webhook.command("change", help="Where it leads, and what is sent; its secret and its place stay")
@click.argument("webhook")
@click.option("--url", metavar="URL", help="Over https; what waits is sent there.")
@click.option(
    "--tag", multiple=True, metavar="TAG", help="In place of those it has; once for each."
)
@click.option("--all", "everything", is_flag=True, help="Facts of every tag.")
@asked
def change(
    session: Session, webhook: str, url: str | None, tag: tuple[str, ...], everything: bool
) -> None:
    if everything and tag:
        raise click.UsageError("--tag, or --all")
    if not (url or tag or everything):
        raise click.UsageError("--url, --tag or --all")
    tags = list(tag) if tag or everything else None
    done = session.client.change_webhook(webhook, models.WebhookChange(url=url, tags=tags))
    session.say(done, f"{webhook} is changed")


@webhook.command("pause", help="Nothing is sent there until it is resumed; then all of it")
@click.argument("webhook")
@asked
def pause(session: Session, webhook: str) -> None:
    session.say(session.client.pause_webhook(webhook), f"{webhook} is paused")


@webhook.command("resume", help="It goes on where it stood, also when it was disabled")
@click.argument("webhook")
@asked
def resume(session: Session, webhook: str) -> None:
    session.say(session.client.resume_webhook(webhook), f"{webhook} goes on")


@webhook.command("dead", help="Facts that were given up, and why")
@click.argument("webhook")
@asked
def dead(session: Session, webhook: str) -> None:
    def row(one: models.DeadLetter) -> tuple[str, ...]:
        return (str(one.position), str(one.attempts), plain(one.status), plain(one.detail))

    call = operations.list_dead_letters(webhook)
    session.tell_all(session.client.each(call), ("POSITION", "TRIED", "STATUS", "WHY"), row)


@webhook.command("replay", help="All facts from a position on, again")
@click.argument("webhook")
@click.option(
    "--from", "position", type=click.IntRange(0), required=True, metavar="POSITION",
    help="Of the log, as `gpuaas events` and `webhook dead` show it.",
)  # fmt: skip
@asked
def replay(session: Session, webhook: str, position: int) -> None:
    wanted = models.WebhookReplay(from_position=position)
    session.say(session.client.replay_webhook(webhook, wanted), f"{webhook} goes on at {position}")


@webhook.command("rotate", help="Another secret, shown once; the old one signs beside it a while")
@click.argument("webhook")
@asked
def rotate(session: Session, webhook: str) -> None:
    made = session.client.rotate_secret(webhook)
    if made.secret is None:
        raise unheard_secret(f"another secret of {webhook}", "Rotate it once more.")
    session.say(made, made.secret)


@webhook.command("delete", help="Nothing is sent there any more")
@click.argument("webhook")
@asked
def delete(session: Session, webhook: str) -> None:
    session.say(session.client.delete_webhook(webhook), f"{webhook} is deleted")


VERBS: Final = (webhook,)
