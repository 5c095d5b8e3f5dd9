"""`gpuaas budget` against a server of our own that says what the API says (contracts/openapi.json)."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from gpuaas_client import exits
from tests.commands import gpuaas

PROJECT = "project-00000000-0000-7000-8000-000000000001"
USD = {"amount": "1200.500000000000", "currency": "USD"}
SPENT = {"amount": "600.250000000001", "currency": "USD"}
NEW: dict[str, Any] = {
    "organization": "o", "scope": PROJECT, "account": "account-1", "amount": USD, "mode": "refuse",
    "spent": None, "forecast": None, "period_end": None, "seen_at": None, "alerts": [],
}  # fmt: skip
SEEN: dict[str, Any] = {
    **NEW, "spent": SPENT, "forecast": USD, "period_end": "2026-12-01T00:00:00.000000Z",
    "seen_at": "2026-11-27T00:00:00.000000Z",
    "alerts": [
        {"what": "50", "amount": SPENT, "at": "2026-11-26T00:00:00.000000Z"},
        {"what": "forecast", "amount": USD, "at": "2026-11-26T00:00:00.000000Z"},
    ],
}  # fmt: skip
REFUSED = {"code": "budget.invalid", "detail": "no", "remedy": "Send an amount."}


@contextmanager
def serving(answers: dict[str, tuple[int, Any]]) -> Iterator[tuple[dict[str, str], list[Any]]]:
    """The environment of a caller, and what was asked: (method and path, body)."""
    asked: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            what = f"{self.command} {self.path}"
            asked.append((what, json.loads(raw) if raw else None))
            status, body = answers[what]
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer  # noqa: N815 - the names that the server looks for

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"}, asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_budget_is_set_and_printed() -> None:
    """In the account's currency, typed as people do and sent as the contract's pattern asks; what
    nobody has seen yet is a dash.
    """
    wanted = ("budget", "set", PROJECT, "1200.50", "USD", "--mode", "refuse")
    with serving({"POST /v1/budgets": (201, NEW)}) as (env, asked):
        done = gpuaas(*wanted, "--account", "account-1", env=env)
        assert gpuaas(*wanted, env=env).status == exits.DONE
    body = {"scope": PROJECT, "amount": USD, "mode": "refuse"}
    assert [one for _, one in asked] == [{**body, "account": "account-1"}, body]
    head, row = done.out.splitlines()
    assert head.split() == ["SCOPE", "MODE", "AMOUNT", "SPENT", "FORECAST", "UNTIL", "ALERTS"]
    assert row.split() == [PROJECT, "refuse", "1200.50", "USD", "-", "-", "-", "-"]


def test_budgets_are_listed_shown_and_cleared() -> None:
    """Page after page; one with what was told of it; amounts rounded for people, exact in JSON."""
    answers = {
        "GET /v1/budgets": (200, {"items": [NEW], "next": "c"}),
        "GET /v1/budgets?cursor=c": (200, {"items": [SEEN], "next": None}),
        f"GET /v1/budgets/{PROJECT}": (200, SEEN),
        "POST /v1/budgets/clear": (200, {**NEW, "amount": None, "mode": None, "account": None}),
    }
    with serving(answers) as (env, asked):
        _, first, second = gpuaas("budget", "list", env=env).out.splitlines()
        assert first.split()[-1] == "-"
        assert second.split()[-2:] == ["50", "forecast"]
        assert json.loads(gpuaas("budget", "list", "--json", env=env).out) == [NEW, SEEN]
        shown = gpuaas("budget", "show", PROJECT, env=env).out
        assert "spent      600.2500 USD" in shown
        assert "told       50% at 2026-11-26T00:00:00.000000Z: 600.2500 USD" in shown
        assert "told       forecast at" in shown
        assert gpuaas("budget", "clear", PROJECT, env=env).out == f"{PROJECT}: no budget\n"
    assert asked[-1] == ("POST /v1/budgets/clear", {"scope": PROJECT})


def test_what_the_api_refuses_is_named() -> None:
    """With its code and what to do about it; for programs as JSON."""
    wanted = ("budget", "set", PROJECT, "0", "USD")
    with serving({"POST /v1/budgets": (400, REFUSED)}) as (env, _):
        done = gpuaas(*wanted, env=env)
        assert done == (exits.FAILED, "", "gpuaas: budget.invalid: no (Send an amount.)\n")
        said = json.loads(gpuaas(*wanted, "--json", env=env).err)
    assert (said["code"], said["remedy"]) == ("budget.invalid", "Send an amount.")
