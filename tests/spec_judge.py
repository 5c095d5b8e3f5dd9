"""`@asyncapi/parser` and Spectral, from npm: foreign judges of the committed documents."""

import json
import subprocess
from pathlib import Path

from tests import npm

WANTED = ("@asyncapi/parser@3.6.3", "@stoplight/spectral-cli@6.16.3")
# What is turned off: the document is AsyncAPI 3.0 by decision; an operator's e-mail is not ours to say.
_RULES = """\
extends: ["spectral:oas", "spectral:asyncapi"]
rules:
  asyncapi-latest-version: off
  asyncapi-info-contact-properties: off
"""
_PARSE = """\
import { Parser } from "@asyncapi/parser";
import { readFileSync } from "node:fs";
const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const wrong = diagnostics.filter((d) => d.severity < 2).map((d) => `${d.code} ${d.message} ${d.path.join(".")}`);
const tags = document ? document.messages().all().map((m) => m.id()) : [];
console.log(JSON.stringify({ accepted: !!document, wrong, tags }));
"""


def _installed() -> Path:
    return npm.installed("spec-judge", WANTED, {"rules.yaml": _RULES, "parse.mjs": _PARSE})


def spectral(document: Path) -> list[str]:
    """What Spectral says against the document, warnings too; each with its place."""
    folder = _installed()
    done = subprocess.run(
        [folder / "node_modules" / ".bin" / "spectral", "lint", "-r", folder / "rules.yaml",
         "-f", "json", "-q", document],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in {0, 1}, done.stderr[-2000:]
    return [
        f"{one['code']} at {'.'.join(map(str, one['path']))}: {one['message']}"
        for one in json.loads(done.stdout)
    ]


def parsed(document: Path) -> tuple[bool, list[str], set[str]]:
    """Whether the AsyncAPI parser takes it; its errors and warnings; the messages it found."""
    folder = _installed()
    done = subprocess.run(
        ["node", folder / "parse.mjs", document], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    said = json.loads(done.stdout)
    return said["accepted"], said["wrong"], set(said["tags"])
