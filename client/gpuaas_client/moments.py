"""Instants as people type them."""

import re
from datetime import UTC, datetime
from typing import Any, Final

import click

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)


class Moment(click.ParamType):
    """RFC 3339 in UTC, which a day, `2026-05-01`, and another offset, `…T10:00:00+02:00`, become.

    What is none of these is left as it is: the API says what an instant is.
    """

    name = "time"

    def convert(
        self, value: Any, _param: click.Parameter | None, _ctx: click.Context | None
    ) -> str:
        """The midnight in UTC that a day begins with."""
        text = str(value)
        if _DAY.fullmatch(text):
            return f"{text}T00:00:00Z"
        if "T" not in text or text.endswith("Z"):
            return text
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            return text
        if at.tzinfo is None:
            return text
        return at.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


TIME: Final = Moment()
