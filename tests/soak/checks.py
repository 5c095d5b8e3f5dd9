"""What holds of every answer beside schemathesis's own checks."""

from typing import Any, Final

import msgspec
import requests
from schemathesis import Case, CheckContext, Response, checks

from contracts.http import Problem
from contracts.problems import PROBLEMS

_MEDIA: Final = "application/problem+json"
# Left out, with why:
# positive_data_acceptance: whether a thing is there, a price is in time or money suffices stands in
#   no schema, so what is well-formed is refused by rule all the time;
# use_after_free: it looks for the method DELETE, and things here are ended by acts;
# ensure_resource_availability: it wants every parameter from links, an Idempotency-Key too, so it
#   would never judge; `found_by_its_maker` is the same law;
# object_level_authorization: it tells identities apart only where schemathesis signs in itself;
#   tests/integration/test_tenants_apart.py asks every route for what is another tenant's.
OFF: Final = (
    checks.positive_data_acceptance, checks.use_after_free, checks.ensure_resource_availability,
    checks.object_level_authorization,
)  # fmt: skip


def registered_problem(_: CheckContext, response: Response, case: Case[Any]) -> None:
    """A refusal is a problem of the registry, whole, under its own status."""
    if response.status_code < 400:
        return
    [media] = response.headers.get("content-type", [""])
    assert media == _MEDIA, f"a refusal as {media!r}"
    try:
        problem = msgspec.json.decode(response.content, type=Problem, strict=True)
    except msgspec.MsgspecError as error:
        raise AssertionError(f"no problem: {error}") from error
    known = PROBLEMS.get(problem.code)
    assert known is not None, f"{problem.code} is not registered"
    assert (problem.status, known.status) == (response.status_code,) * 2, problem
    assert problem.type == f"/v1/problems/{problem.code}", problem.type
    assert problem.title == known.title, problem.title
    assert len(problem.correlation_id) == 32, problem.correlation_id


def found_by_its_maker(
    response: Response, url: str, headers: dict[str, str], session: requests.Session
) -> None:
    """What somebody made is there for them as soon as they have the answer.

    Where nothing was new, no position is answered, and nothing is asked.
    """
    said = response.headers.get("log-position")
    if said is None:
        return
    asked = {**headers, "Min-Log-Position": said[0]}
    found = session.get(url, headers=asked, timeout=30)
    assert found.status_code == 200, f"not found by its maker: {found.status_code} {found.text}"


def nobody_is_let_in(response: Response, case: Case[Any]) -> None:
    """Without credentials that count, what is not public is refused before anything else."""
    security: Any = case.operation.definition.raw.get("security")
    if security != [] and case.method != "OPTIONS":
        assert response.status_code in {401, 404, 405}, "answered somebody without credentials"
