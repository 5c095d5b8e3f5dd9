"""`gpuaas evidence calls`: a row's path to the root of its seal, checked where it is shown."""

import json
from typing import Any

from gpuaas_client import exits
from gpuaas_client.sealing import root_of
from gpuaas_verify.merkle import inclusion_proof, leaf_hash, nodes_of, root_hash
from tests.commands import gpuaas
from tests.unit.test_budget_verbs import serving

FIRST, COUNT, PLACE, SEAL = 40, 7, 4, 9


def test_a_path_leads_to_the_root_from_its_own_place_alone() -> None:
    """For every place of trees of up to 40 rows; from another place, another row, or by a longer or
    shorter path it leads elsewhere, or nowhere.
    """
    for count in range(1, 41):
        rows = [b"row %d" % one for one in range(count)]
        leaves = [leaf_hash(one) for one in rows]
        root = root_hash(leaves)
        for at, row in enumerate(rows):
            path = inclusion_proof(at, count, nodes_of(leaves))
            assert root_of(row, (at, count), path) == root
            assert root_of(row + b"x", (at, count), path) != root
            assert root_of(row, (at, count), [*path, root]) != root
            assert root_of(row, (count, count), path) is None
            if path:
                assert root_of(row, (at ^ 1, count), path) != root
                assert root_of(row, (at, count), path[:-1]) != root


def _answers() -> tuple[dict[str, Any], dict[str, Any]]:
    """What the API says of row 44, and the seal's entry."""
    rows = [json.dumps({"calls": 1, "row": FIRST + one}) for one in range(COUNT)]
    leaves = [leaf_hash(one.encode()) for one in rows]
    path = [one.hex() for one in inclusion_proof(PLACE, COUNT, nodes_of(leaves))]
    told = {
        "row": rows[PLACE], "index": PLACE, "count": COUNT, "path": path, "position": SEAL,
        "receipt": f"/v1/receipts/{SEAL}",
    }  # fmt: skip
    seal = {"first_row": FIRST, "count": COUNT, "root": root_hash(leaves).hex()}
    return told, {"position": SEAL, "fact": seal}


def _asked(told: dict[str, Any], entry: dict[str, Any]) -> tuple[int, str]:
    receipt = {"entry": json.dumps(entry), "position": SEAL, "proof": "", "size": SEAL + 1}
    answers = {
        f"GET /v1/audit/calls/{FIRST + PLACE}": (200, told),
        f"GET /v1/receipts/{SEAL}": (200, receipt),
    }
    with serving(answers) as (env, _):
        done = gpuaas("evidence", "calls", str(FIRST + PLACE), env=env)
    return done.status, done.out + done.err


def test_a_row_that_is_not_under_its_seal_is_not_shown() -> None:
    """What is sealed is shown with its root; another row, root, place, number of rows or entry is
    refused with exit status 1.
    """
    told, entry = _answers()
    status, said = _asked(told, entry)
    assert status == exits.DONE, said
    assert entry["fact"]["root"] in said
    seal = entry["fact"]
    for wrong in (
        _asked({**told, "row": told["row"].replace('"calls": 1', '"calls": 2')}, entry),
        _asked({**told, "index": PLACE - 1}, entry),
        _asked({**told, "path": told["path"][:-1]}, entry),
        _asked({**told, "path": ["x"]}, entry),
        _asked(told, {**entry, "position": SEAL + 1}),
        _asked(told, {**entry, "fact": {**seal, "root": "0" * 64}}),
        _asked(told, {**entry, "fact": {**seal, "count": COUNT + 1}}),
        _asked(told, {**entry, "fact": {**seal, "first_row": FIRST + 1}}),
        _asked(told, {**entry, "fact": {}}),
    ):
        assert wrong[0] == 1, wrong
        assert "calls.not_sealed" in wrong[1]
