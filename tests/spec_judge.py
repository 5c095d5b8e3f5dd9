"""`@asyncapi/parser` and Spectral, from npm: foreign judges of the committed documents."""

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "build" / "spec-judge"
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
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of two workers one installs
        return _whole()


def _whole() -> Path:
    if not (FOLDER / "whole").exists():
        npm = shutil.which("npm")
        said = "there is no npm"
        if npm is not None:
            (FOLDER / "package.json").write_text('{"private": true, "type": "module"}\n')
            done = subprocess.run(
                [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--silent", *WANTED],
                cwd=FOLDER, capture_output=True, text=True, check=False,
            )  # fmt: skip
            said = done.stderr[-500:]
            if done.returncode == 0:
                (FOLDER / "rules.yaml").write_text(_RULES)
                (FOLDER / "parse.mjs").write_text(_PARSE)
                (FOLDER / "whole").touch()
                return FOLDER
        message = f"the judges of the documents could not be installed: {said}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return FOLDER


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
