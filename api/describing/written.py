"""Every generated contract as a file: what each must hold, and one command that writes them all."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from api.describing import asyncapi, pages
from api.describing.messages import MESSAGES
from api.describing.schemas import fact_schema, message_schema
from contracts.problems import PROBLEMS
from domain import effects
from domain.facts import TAGS

ROOT: Final = Path(__file__).parents[2]
# Whole folders: what is in them and is not generated is taken away.
FOLDERS: Final = ("contracts/schemas/facts", "contracts/schemas/messages", "docs/problems")


def json_text(document: dict[str, Any]) -> str:
    """The exact text of a committed document, fields of facts in the order of their bytes."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def files() -> Iterator[tuple[str, str]]:
    """(path below the root, text) of every generated file but the OpenAPI document."""
    for tag in TAGS:
        yield f"contracts/schemas/facts/{tag}.json", json_text(fact_schema(tag))
    for name in MESSAGES:
        yield f"contracts/schemas/messages/{name}.json", json_text(message_schema(name))
    for code in PROBLEMS:
        yield f"docs/problems/{code}.md", pages.markdown(code)
    yield "contracts/asyncapi.json", json_text(asyncapi.document())
    yield "contracts/problems.json", json_text(pages.registry())
    yield "contracts/effects.md", effects.page()


def stale() -> list[str]:
    """Files that are not what the code says: changed, missing, or of what is no more."""
    wanted = dict(files())
    found = {
        str(path.relative_to(ROOT)) for folder in FOLDERS for path in (ROOT / folder).glob("*")
    }
    return sorted(
        {name for name, text in wanted.items() if _read(name) != text} | (found - set(wanted))
    )


def write() -> None:
    """Brings every file to what the code says."""
    wanted = dict(files())
    for name in stale():
        path = ROOT / name
        if name in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[name])
        else:
            path.unlink()


def _read(name: str) -> str | None:
    path = ROOT / name
    return path.read_text() if path.is_file() else None
