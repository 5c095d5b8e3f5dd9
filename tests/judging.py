"""The verdict of a verifier, whichever copy of its modules it is, on something from wrong_logs or wrong_members."""

import ast
import io
import os
import tarfile
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.wrong_logs import Wrong

VALID: tuple[str, dict[str, Any]] = ("valid", {})


def _place(error: Any) -> dict[str, Any]:
    return {
        name: value
        for name, value in error.as_json().items()
        if name not in {"code", "detail"} and value is not None
    }


def judge(modules: dict[str, ModuleType], wrong: Wrong) -> tuple[str, dict[str, Any]]:
    """(code, where), or VALID. `modules` are those of gpuaas_verify by their last name."""
    errors = modules["errors"]
    try:
        error = _judge(modules, wrong)
    except errors.Invalid as raised:
        error = raised
    except errors.Unreadable:
        return ("unreadable", {})
    return VALID if error is None else (error.code, _place(error))


def _judge(modules: dict[str, ModuleType], wrong: Wrong) -> Any:
    vkey, bundle = modules["note"].Vkey, modules["bundle"]
    keys = tuple(vkey.parse(text) for text in wrong.keys)
    if wrong.kind == "vkey":
        return None
    if wrong.kind == "header":
        modules["tarball"].header(wrong.data[0].decode(), int(wrong.data[1]))
        return None
    if wrong.kind == "value":
        modules["strict"].check_value(ast.literal_eval(wrong.data[0].decode()))
        return None
    if wrong.kind == "json":
        modules["strict"].decode(wrong.data[0])
        return None
    if wrong.kind == "consistency":
        size1, size2, root1, root2, *proof = wrong.data
        modules["merkle"].verify_consistency(int(size1), int(size2), root1, root2, proof)
        return None
    if wrong.kind == "tree":
        return _tree(modules, wrong.data)
    witnesses = tuple(vkey.parse(text) for text in wrong.witnesses)
    trust = bundle.Trust(keys, wrong.known, witnesses, wrong.quorum, wrong.max_age_s, wrong.now_us)
    scope = bundle.Scope(attestations=wrong.attestations)
    if wrong.kind == "directory":
        return _directory(bundle, wrong, trust, scope)
    if wrong.kind == "receipt":
        return modules["receipt"].verify_receipt(*wrong.data, trust).error
    source = modules["tarball"].TarSource(io.BytesIO(wrong.data[0]))
    try:
        return bundle.verify_source(source, trust, scope).error
    finally:
        source.close()


def _tree(modules: dict[str, ModuleType], tiles: tuple[bytes, ...]) -> Any:
    """The tiles above 256 full ones of level 0, whose roots are the first of `tiles`, stored as the others are."""
    roots, *stored = tiles
    with tempfile.TemporaryDirectory() as folder:
        for name, data in zip(("tile/1/000", "tile/2/000.p/1"), stored, strict=True):
            path = Path(folder) / name
            path.parent.mkdir(parents=True)
            path.write_bytes(data)
        tree = modules["tree"].TreeCheck(modules["source"].DirectorySource(Path(folder)))
        for at in range(0, len(roots), 32):
            tree.full(roots[at : at + 32])
        tree.root()
    return None


def _directory(bundle: ModuleType, wrong: Wrong, trust: Any, scope: Any) -> Any:
    """The tar unpacked, with one thing in it that is no member: a link, a pipe, a long name."""
    with tempfile.TemporaryDirectory() as folder:
        root, away = Path(folder) / "bundle", Path(folder) / "away"
        with tarfile.open(fileobj=io.BytesIO(wrong.data[0])) as tar:
            tar.extractall(root, filter="data")
        for spoiled in wrong.data[1:]:
            kind, _, name = spoiled.decode().partition(" ")
            path = root / name
            if kind == "link":
                path.rename(away)
                path.symlink_to(away)
            elif kind == "pipe":
                os.mkfifo(path)
            else:
                path.write_bytes(b"")
        return bundle.verify_path(root, trust, scope).error
