"""Webhooks with the secrets and replays that hold: as their facts say."""

from typing import Final

from domain import webhook
from projections.batch import Apply, Batch
from projections.entries import Entry
from projections.table import Shape, json, text

SHAPES: Final = (
    Shape(
        "webhook",
        ("webhook",),
        "webhook, from_position, to_position, organization, url, tags, registered_us",
    ),
    Shape(
        "webhook_change",
        ("webhook",),
        "webhook, from_position, to_position, version, url, tags, decided_us",
    ),
    Shape(
        "webhook_secret",
        ("webhook",),
        "webhook, from_position, to_position, version, secret, decided_us",
    ),
    Shape(
        "webhook_replay",
        ("webhook",),
        "webhook, from_position, to_position, version, first, decided_us",
    ),
    Shape(
        "webhook_disabled",
        ("webhook",),
        "webhook, from_position, to_position, version, reason, decided_us",
    ),
    Shape(
        "webhook_pause",
        ("webhook",),
        "webhook, from_position, to_position, version, paused, decided_us",
    ),
    Shape("webhook_end", ("webhook",), "webhook, from_position, to_position, version, decided_us"),
)


def _registered(b: Batch, e: Entry, f: webhook.Registered) -> None:
    tail = f"{e.org}\t{text(f.url.private)}\t{json(f.tags)}\t{f.registered_us}"
    b["webhook"].open(e.stream, e.position, _head(e), tail, new=e.version == 1)
    tail = f"{e.version}\t{text(f.secret.private)}\t{f.registered_us}"
    b["webhook_secret"].open(e.stream, e.position, _head(e), tail, new=e.version == 1)


def _changed(b: Batch, e: Entry, f: webhook.Changed) -> None:
    tail = f"{e.version}\t{text(f.url.private)}\t{json(f.tags)}\t{f.decided_us}"
    b["webhook_change"].open(e.stream, e.position, _head(e), tail)


def _rotated(b: Batch, e: Entry, f: webhook.SecretRotated) -> None:
    tail = f"{e.version}\t{text(f.secret.private)}\t{f.decided_us}"
    b["webhook_secret"].open(e.stream, e.position, _head(e), tail)


def _replayed(b: Batch, e: Entry, f: webhook.ReplayAsked) -> None:
    tail = f"{e.version}\t{f.from_position}\t{f.decided_us}"
    b["webhook_replay"].open(e.stream, e.position, _head(e), tail)
    b["webhook_disabled"].close(e.stream, e.position)


def _disabled(b: Batch, e: Entry, f: webhook.Disabled) -> None:
    tail = f"{e.version}\t{text(f.reason)}\t{f.decided_us}"
    b["webhook_disabled"].open(e.stream, e.position, _head(e), tail)


def _paused(b: Batch, e: Entry, f: webhook.Paused) -> None:
    tail = f"{e.version}\tt\t{f.decided_us}"
    b["webhook_pause"].open(e.stream, e.position, _head(e), tail)


def _resumed(b: Batch, e: Entry, f: webhook.Resumed) -> None:
    tail = f"{e.version}\tf\t{f.decided_us}"
    b["webhook_pause"].open(e.stream, e.position, _head(e), tail)
    b["webhook_disabled"].close(e.stream, e.position)


def _deleted(b: Batch, e: Entry, f: webhook.Deleted) -> None:
    b["webhook_end"].open(e.stream, e.position, _head(e), f"{e.version}\t{f.decided_us}")


def _head(e: Entry) -> str:
    return f"{e.stream}\t{e.position}"


APPLY: Final[dict[type, Apply]] = {
    webhook.Registered: _registered,
    webhook.Changed: _changed,
    webhook.SecretRotated: _rotated,
    webhook.ReplayAsked: _replayed,
    webhook.Disabled: _disabled,
    webhook.Paused: _paused,
    webhook.Resumed: _resumed,
    webhook.Deleted: _deleted,
}
