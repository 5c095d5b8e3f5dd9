"""The 98 + 98 proof cases of transparency-dev/merkle, read from GPUAAS_SHARED, never
copied here.
"""

import json
import os
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from gpuaas_verify.errors import Invalid
from gpuaas_verify.merkle import verify_consistency, verify_inclusion

pytestmark = pytest.mark.shared

CHECKOUT = Path(__file__).resolve().parents[2]


def _cases(kind: str) -> list[dict[str, Any]]:
    shared = Path(os.environ.get("GPUAAS_SHARED", CHECKOUT.parent / "shared"))
    path = shared / "vectors" / "rfc6962" / f"{kind}.json"
    if not path.exists():
        message = f"GPUAAS_SHARED has no vectors/rfc6962/{kind}.json"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    cases: list[dict[str, Any]] = json.loads(path.read_text())
    return cases


def _proof(case: dict[str, Any]) -> list[bytes]:
    return [b64decode(item) for item in case["proof"] or []]


def _inclusion(case: dict[str, Any]) -> None:
    leaf, root = b64decode(case["leafHash"]), b64decode(case["root"])
    verify_inclusion(case["leafIdx"], case["treeSize"], leaf, _proof(case), root)


def _consistency(case: dict[str, Any]) -> None:
    root1, root2 = b64decode(case["root1"]), b64decode(case["root2"])
    verify_consistency(case["size1"], case["size2"], root1, root2, _proof(case))


@pytest.mark.parametrize(
    ("kind", "verify"), [("inclusion", _inclusion), ("consistency", _consistency)]
)
def test_every_vector_is_judged_as_its_authors_judged_it(kind: str, verify: Any) -> None:
    """All 98 cases of each kind: refused exactly where `wantErr` says so."""
    cases = _cases(kind)
    assert len(cases) == 98
    wrong = []
    for case in cases:
        try:
            verify(case)
            refused = False
        except Invalid:
            refused = True
        if refused != case["wantErr"]:
            wrong.append(case["case"])
    assert wrong == []
