"""`gpuaas node list` and `gpuaas node show`: nodes as an operator reads them, over the HTTP API."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from api.calling import Api, api_of

_HEAD = ("NODE", "NAME", "MODEL", "STATE", "UPKEEP", "GPUS", "BARRED")


def listed(env: Mapping[str, str] = os.environ) -> int:
    """Prints every node, oldest first. Raises: DomainError as `Api.get`."""
    say([_HEAD, *(_row(one) for one in items(api_of(env), "/v1/nodes"))])
    return 0


def shown(node: str, env: Mapping[str, str] = os.environ) -> int:
    """Prints one node with its devices. Raises: DomainError as `Api.get`."""
    found = api_of(env).get(f"/v1/nodes/{quote(node, safe='')}")
    used = f"{found['used_milli']} of {found['gpus'] * 1000} milli"
    for name, text in (
        *zip(_HEAD[:-1], _row(found)[:-1], strict=True),
        ("CORDONED", "yes" if found["cordoned"] else "no"),
        ("SIMULATED", {True: "yes", False: "no", None: "-"}[found["simulated"]]),
        ("USED", used),
        ("BARRED", barred(found)),
    ):
        print(f"{name.lower():10} {text}")
    for one in found["devices"]:
        print(f"device {one['index']:<3} {one['uuid']}  {one['used_milli']} milli used")
    return 0


def barred(node: Mapping[str, Any]) -> str:
    """By what, why and since when nothing it says counts, and what ends it; `no` else."""
    said = node["barred"]
    if said is None:
        return "no"
    return f"{said['by']} ({said['reason']}) since {said['since']}; revoke, reinvite, enrol anew"


def _row(node: Mapping[str, Any]) -> tuple[str, ...]:
    said = node["barred"]
    return (
        *(
            node["id"],
            plain(node["name"] or "-"),
            plain(node["model"]),
            node["state"],
            node["upkeep"],
        ),
        *(str(node["gpus"]), "-" if said is None else f"{said['by']} since {said['since']}"),
    )


def say(rows: Sequence[Sequence[str]]) -> None:
    """Prints the rows in columns; the first is the head."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        )


def plain(text: str) -> str:
    """People's and machines' words without what a terminal would obey."""
    return "".join(one if one.isprintable() else "?" for one in text)


def items(api: Api, path: str) -> Iterator[Mapping[str, Any]]:
    """Every item of a list, page after page. Raises: DomainError as `Api.get`."""
    cursor = ""
    while True:
        page = api.get(f"{path}{cursor}")
        yield from page["items"]
        if page["next"] is None:
            return
        cursor = f"?cursor={quote(page['next'])}"
