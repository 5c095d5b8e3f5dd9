"""The page of each refusal: where a problem's `type` leads, and the same under docs/problems/."""

from html import escape
from typing import Any, Final

import msgspec

from contracts.problems import PROBLEMS, Problem

POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
_WORTH: Final = {
    401: "Sign in or send a valid token, then the same request may succeed.",
    402: "The same request succeeds once the money is there.",
    409: "The same request is refused again until what stands in its way has changed.",
    412: "Read the resource again, decide anew, and send its new ETag.",
    428: "Read the resource, and send its ETag.",
    429: "The same request may succeed after the time in Retry-After.",
    502: "The same request, with the same Idempotency-Key, may succeed later.",
    503: "The same request, with the same Idempotency-Key, may succeed after Retry-After.",
}


def again(problem: Problem) -> str:
    """Whether to repeat the request as it is."""
    if problem.status in _WORTH:
        return _WORTH[problem.status]
    if problem.status >= 500:
        return "Not the caller's fault: report it with the correlation id."
    return "The same request is refused again: change it first."


def markdown(code: str) -> str:
    """The page under docs/problems/."""
    one = PROBLEMS[code]
    return (
        f"# {one.title}\n\n`{code}`, HTTP status {one.status}\n\n"
        f"**What to do.** {one.remedy}\n\n**Again?** {again(one)}\n"
    )


def registry() -> dict[str, Any]:
    """Every code with its status, title and remedy, in order."""
    return {code: msgspec.to_builtins(one) for code, one in sorted(PROBLEMS.items())}


def html(code: str) -> str:
    """The page that the API serves: the same words, no script, nothing fetched."""
    one = PROBLEMS[code]
    title, remedy, worth = escape(one.title), escape(one.remedy), escape(again(one))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        "<style>body{font:1rem/1.5 sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem}"
        f"</style><h1>{title}</h1><p><code>{escape(code)}</code>, HTTP status {one.status}</p>"
        f"<p><b>What to do.</b> {remedy}</p><p><b>Again?</b> {worth}</p></html>\n"
    )
