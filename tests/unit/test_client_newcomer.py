"""What a newcomer meets: a wrong field, nobody there, names for ids, what is SIMULATED."""

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from api.auth import unknown
from contracts.problems import PROBLEMS
from domain import binding, break_glass
from gpuaas_client import client, exits, profiles, terminal
from gpuaas_client.errors import FieldFault
from gpuaas_client.own_codes import OWN
from gpuaas_client.verbs import break_glass as break_glass_verbs
from gpuaas_client.verbs import members
from tests.commands import gpuaas
from tests.runtime_answers import runtime
from tests.serving import Answer, problem, serving

KEY_MADE: dict[str, Any] = {
    "created_at": "c", "id": "key-1", "key": "secret", "last_used_at": None, "mfa": False,
    "name": "a", "organization": "o", "prefix": "s", "principal": "user-1", "revoked": False,
    "scopes": [], "secret_already_shown": False, "until": "2027-01-01T00:00:00Z", "version": 1,
    "made_by": "user-1", "maker_belongs": True, "public_key": None,
}  # fmt: skip
HOOK: dict[str, Any] = {
    "id": "webhook-1", "secret": "s", "url": "u", "organization": "o", "tags": [], "state": "s",
    "secret_already_shown": False, "sent": None, "waiting": None, "dead": None,
    "registered_at": "r", "version": 1,
}  # fmt: skip
OPENED = {"id": "access-1", "path": "/v1/terminals/access-1", "ticket": "x"}


def env_of(url: str) -> dict[str, str]:
    return {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t", "HOME": "/nonexistent"}


def test_a_refusal_names_the_fields_that_are_wrong() -> None:
    """By their pointers, in the API's words where it has any; programs get all of it."""
    pattern = "Expected `str` matching regex '^(owner|viewer)$'"
    faults = [
        {"pointer": "/role", "detail": pattern, "form": "one of owner, viewer"},
        {"pointer": "/days", "detail": "too many", "form": ""},
    ]
    refused = Answer(400, problem("request.invalid") | {"errors": faults})
    words = ("key", "create", "a")
    with serving(refused, refused) as (url, _):
        done = gpuaas(*words, env=env_of(url))
        told = gpuaas(*words, "--json", env=env_of(url))
    said = "gpuaas: request.invalid: role: must be one of owner, viewer; days: too many (do)\n"
    assert (done.status, done.err) == (exits.FAILED, said)
    assert '"errors":[{"pointer":"/role","detail":"Expected' in told.err
    other = FieldFault("/name", "Expected `str` matching regex '^[a-z]+$'")
    assert str(other) == "name: not of the form ^[a-z]+$", "of an API that has no words for it"
    assert str(FieldFault("", "no object")) == "no object"


def test_nobody_there_is_said_at_once_and_given_up_soon() -> None:
    """In seconds, with one line meanwhile; the same status for a verb of the server's."""
    began = time.monotonic()
    done = gpuaas("list", env=env_of("http://127.0.0.1:1"))
    assert time.monotonic() - began < 10
    assert done.status == exits.NOT_NOW
    assert done.err.count("trying again for 3 s") == 1, done.err
    began_steps = subprocess.run(
        [sys.executable, "-m", "api.cli", "first-steps"], capture_output=True, text=True,
        env=env_of("http://127.0.0.1:1") | {"PYTHONPATH": ":".join(sys.path)}, check=False,
        timeout=60,
    )  # fmt: skip
    assert began_steps.returncode == exits.NOT_NOW, began_steps.stderr
    assert "urlopen" not in began_steps.stderr


def test_no_session_is_opened_where_nothing_can_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file, /dev/null or nothing as standard input is wrong usage, before anything is asked."""
    (tmp_path / "keys").touch()
    for name in (str(tmp_path / "keys"), "/dev/null"):
        with Path(name).open() as stdin, serving() as (url, asked):
            monkeypatch.setattr(sys, "stdin", stdin)
            done = gpuaas("terminal", "runtime-1", env=env_of(url))
            assert (done.status, asked) == (exits.USAGE, []), done.err
    monkeypatch.setattr(sys, "stdin", None)
    assert gpuaas("terminal", "runtime-1", env={}).status == exits.USAGE


def test_a_session_is_closed_where_the_client_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this command opened, it does not leave behind."""

    async def broken(_: terminal.Screen) -> int:
        raise OSError("broken")

    monkeypatch.setattr(terminal, "can_type", lambda: True)
    monkeypatch.setattr(terminal.Screen, "run", broken)
    with serving(Answer(201, OPENED), Answer(200, {})) as (url, asked):
        done = gpuaas("terminal", "runtime-1", env=env_of(url))
    assert done.status == exits.FAILED, done.err
    assert asked[1].what == "POST /v1/terminals/access-1/close"


def test_what_is_simulated_is_entered_by_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """No ssh answers there: that is said before a key is made; one with a route has a way in."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with serving(*[Answer(200, runtime())] * 5) as (url, _):
        done = gpuaas("ssh", "runtime-1", env=env_of(url))
    assert done.status == exits.CONFLICT
    assert "ssh.simulated" in done.err
    assert "gpuaas terminal runtime-1" in done.err


def test_who_may_enter_but_not_look_enters(tmp_path: Path) -> None:
    """A key for entering alone asks for its certificate, whatever it may not see."""
    no = Answer(403, problem("auth.forbidden"))
    with serving(no, no) as (url, asked):
        done = gpuaas("ssh", "runtime-1", env=env_of(url) | {"HOME": str(tmp_path)})
    assert done.status == exits.NOT_ALLOWED
    assert asked[1].what.startswith("POST ")


def test_a_runtime_is_named_by_its_name() -> None:
    """Of those of one name, the one that has not ended; many of them are told with their ids."""
    own = [runtime(id="runtime-2", state="stopped"), runtime(id="runtime-3"), runtime(name="b")]

    with serving(page(*own), Answer(200, own[1])) as (url, asked):
        assert gpuaas("show", "n", env=env_of(url)).status == exits.DONE
    assert asked[1].what == "GET /v1/runtimes/runtime-3"
    with serving(page(*own, runtime(id="runtime-4"))) as (url, _):
        done = gpuaas("stop", "n", env=env_of(url))
    assert done.status == exits.USAGE
    assert "runtime-3 (usable), runtime-4 (usable)" in done.err


SERVICE = {"id": "service-1", "name": "ci", "organization": "o", "version": 1}
GROUP = {"id": "group-1", "name": "ci", "organization": "o", "members": [], "version": 1}
PROJECT = {
    "id": "project-7", "name": "train", "department": "d", "account": "a", "organization": "o",
    "created_at": None, "version": 1,
}  # fmt: skip


def test_whatever_has_a_name_is_named_by_it(tmp_path: Path) -> None:
    """A project, a service account for a key, a scope of several kinds; what several have is told
    with their ids, what none has with what is near. Ids, and - for the platform, ask nothing. The
    profile that is named counts for the look-up, wherever it is typed.
    """
    with serving(page(PROJECT), Answer(200, PROJECT)) as (url, asked):
        profiles.keep({"HOME": str(tmp_path)}, "p", profiles.Profile(url, "other"))
        env = env_of("http://127.0.0.1:1") | {"HOME": str(tmp_path)}
        done = gpuaas("project", "show", "train", "--profile", "p", env=env)
    assert (done.status, asked[1].what) == (exits.DONE, "GET /v1/projects/project-7"), done
    with serving(page(PROJECT), Answer(200, PROJECT)) as (url, asked):
        assert gpuaas("project", "show", "project:train", env=env_of(url)).status == exits.DONE
    with serving(page(SERVICE), Answer(201, KEY_MADE)) as (url, asked):
        assert gpuaas("key", "create", "a", "--for", "ci", env=env_of(url)).status == exits.DONE
    assert asked[1].body["principal"] == "service-1"
    with serving(page(SERVICE), page(GROUP)) as (url, _):
        done = gpuaas("role", "grant", "ci", "member", "-", env=env_of(url))
    assert done.status == exits.USAGE
    assert "name.ambiguous: 2 things are named ci: service-1 (service account), group-1" in done.err
    with serving(page(GROUP), Answer(403, problem("auth.forbidden"))) as (url, asked):
        gpuaas("role", "grant", "group:ci", "member", "-", env=env_of(url))
    assert asked[1].body["principal"] == "group-1", "of that kind alone"
    with serving(page(), page(), page(PROJECT)) as (url, _):
        done = gpuaas("budget", "show", "trian", env=env_of(url))
    assert done.status == exits.NOT_FOUND
    assert "name.unknown: no organization or department or project that you see" in done.err
    assert "Near it: train." in done.err
    refused = Answer(403, problem("auth.forbidden"))
    with serving(refused, page(), page(PROJECT), Answer(200, {})) as (url, asked):
        gpuaas("budget", "clear", "train", env=env_of(url))
    assert asked[-1].body == {"scope": "project-7"}, "of what may be listed"


def test_a_key_is_told_with_its_end_beside_it() -> None:
    """Standard output is the key alone."""
    with serving(Answer(201, KEY_MADE)) as (url, _):
        done = gpuaas("key", "create", "a", env=env_of(url))
    assert done.out == "secret\n"
    assert done.err == "  key-1 ends 2027-01-01T00:00:00Z; it is shown this once\n"


def test_roles_are_chosen_from_those_there_are() -> None:
    """The command's are the platform's; another is wrong usage, with what there is."""
    assert set(members.TENANT_ROLES) == set(binding.TENANT_ROLES)
    assert set(members.ROLES) == {*binding.TENANT_ROLES, *binding.STAFF_ROLES}
    assert set(break_glass_verbs.ROLES) == set(break_glass.ROLES)
    done = gpuaas("member", "invite", "a@b.example", "boss", env={})
    assert (done.status, "'viewer'" in done.err) == (exits.USAGE, True)


def test_a_code_that_nobody_can_be_asked_for_is_wrong_usage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where standard input is closed or at its end: it says which option."""
    with Path("/dev/null").open() as empty:
        for stdin in (None, empty):
            monkeypatch.setattr(sys, "stdin", stdin)
            for words in (("confirm",), ("remove",)):
                done = gpuaas("mfa", *words, env={})
                assert (done.status, "give --code" in done.err) == (exits.USAGE, True), done


def test_the_way_in_is_told_to_who_may_go_it() -> None:
    """After a launch that was waited for: the terminal or ssh where a decision allows it, else who
    enters; where nothing is decided nothing is promised.
    """
    made = Answer(201, runtime(state="allocated"))
    none = Answer(200, {"items": [], "next": None})
    route = {"allocation": "a", "address": "1", "epoch": 1, "host_key": "k", "port": 22}
    routed = runtime(route=route)
    for seen, answer, said in (
        (runtime(), explained(allowed=True), "next: gpuaas terminal runtime-1\n"),
        (routed, explained(allowed=True), "next: gpuaas ssh runtime-1\n"),
        (runtime(), explained(allowed=False), "next: gpuaas show runtime-1; entering it is for"),
        (runtime(), Answer(403, problem("auth.forbidden")), "next: gpuaas show runtime-1; "),
    ):
        with serving(made, none, Answer(200, seen), answer) as (url, asked):
            done = gpuaas("launch", "--project", "project-1", "--wait", env=env_of(url))
        assert done.status == exits.DONE, done.err
        assert said in done.out
        assert asked[-1].body["action"] == (
            "access.issue_certificate" if seen is routed else "terminal.open"
        )


def explained(*, allowed: bool) -> Answer:
    said = {"action": "a", "scope": "s", "principal": "p", "policies": [], "would_allow": []}
    return Answer(200, {**said, "allowed": allowed})


def used(**changed: Any) -> dict[str, Any]:
    return {
        "account": "account-1", "department": None, "project": "project-1", "meter": "gpu.time",
        "model": "T4", "price": 1, "period": "period-1", "runtimes": 1, "volumes": 0,
        "reservations": 0, "quantity": "5400000000000", "amount":
        {"amount": "1.500049999999", "currency": "USD"}, **changed,
    }  # fmt: skip


def test_usage_is_told_as_people_count_with_what_runs_below() -> None:
    """In GPU-hours and GiB-hours, rounded, a meter of one's own in its unit; what is not charged
    yet is an estimate and says so; programs get one list, exact.
    """
    small = {"amount": "0.000000000001", "currency": "USD"}
    stored = used(meter="storage.capacity", model="local", quantity="1", amount=small)
    tokens = used(meter="tokens", model="m", quantity="42")
    meter = {
        "aggregation": "sum", "dimensions": ["model"], "divisor": "1", "id": "m", "meter": "tokens",
        "source": "readings", "unit": "token",
    }  # fmt: skip
    runs = {
        "runtime": "runtime-1", "account": "account-1", "department": None, "project": "project-1",
        "meter": "gpu.time", "model": "T4", "since": "s", "until": "u", "quantity": "900000000000",
        "estimate": {"amount": "0.250000000000", "currency": "USD"},
    }  # fmt: skip
    charged, running = page(used(), stored, tokens), page(runs, {**runs, "estimate": None})
    with serving(charged, page(meter), running) as (url, _):
        done = gpuaas("usage", env=env_of(url))
    table, _, below = done.out.partition(
        "\nrunning, not charged yet: an estimate by the price list\n"
    )
    rows = [
        [cell.strip() for cell in line.split("  ") if cell.strip()] for line in table.splitlines()
    ]
    assert [row[3:5] for row in rows] == [
        ["USED", "CHARGED"], ["1.5000 GPU-hours", "1.5000 USD"],
        ["< 0.0001 GiB-hours", "< 0.0001 USD"], ["42 token", "1.5000 USD"],
    ]  # fmt: skip
    assert "0.2500 GPU-hours  about 0.2500 USD" in below
    assert "no price" in below
    with serving(charged) as (url, _):
        assert '"amount": "1.500049999999"' in gpuaas("usage", "--json", env=env_of(url)).out
    with serving(running) as (url, _):
        done = gpuaas("usage", "--running", env=env_of(url))
    assert done.out.startswith("running, not charged yet: an estimate by the price list\nPROJECT")
    with serving(running) as (url, asked):
        assert '"estimate": {' in gpuaas("usage", "--running", "--json", env=env_of(url)).out
    assert asked[0].what.startswith("GET /v1/usage/running")
    with serving(page(), Answer(403, problem("auth.forbidden"))) as (url, _):
        done = gpuaas("usage", env=env_of(url))
    assert (done.status, "not shown: auth.forbidden" in done.err) == (exits.DONE, True)
    assert gpuaas("usage", "--running", "--end", "x", env={}).status == exits.USAGE


def page(*found: dict[str, Any]) -> Answer:
    return Answer(200, {"items": list(found), "next": None})


def test_the_organization_is_the_one_that_one_acts_in() -> None:
    """Without --organization; the only one that is seen for who acts in none; of many, which is
    asked for, as wrong usage.
    """
    org = {"id": "o1", "name": "A", "created_at": None, "state": "open", "version": 1}
    create = ("webhook", "create", "https://hooks.example/a")
    for found, named in (((ME,), "o"), (({**ME, "organization": None}, org), "o1")):
        me, *seen = found
        answers = [Answer(200, me), *([page(*seen)] if seen else []), Answer(201, HOOK)]
        with serving(*answers) as (url, asked):
            assert gpuaas(*create, env=env_of(url)).status == exits.DONE
        assert asked[-1].body["organization"] == named
    nobody = {**ME, "organization": None}
    with serving(Answer(200, nobody), page(org, {**org, "id": "o2"})) as (url, _):
        done = gpuaas("issuer", "trust", "https://id", "--client-id", "c", env=env_of(url))
    assert (done.status, "o1 (A), o2 (A)" in done.err) == (exits.USAGE, True)
    assert "--organization ID" in done.err


ME: dict[str, Any] = {
    "principal": "user-1", "organization": "o", "mfa": False, "roles": [], "organizations": ["o"],
}  # fmt: skip


def test_a_name_that_is_none_is_told_what_is_near() -> None:
    """Of runtimes, those that have not ended first, and of actions; nothing is asked of the name."""
    own = [runtime(name="train-1", state="stopped"), runtime(name="train-2"), runtime(name="web")]
    for verb in ("show", "stop", "logs"):
        with serving(page(*own)) as (url, asked):
            done = gpuaas(verb, "tran-2", env=env_of(url))
        assert (done.status, len(asked)) == (exits.NOT_FOUND, 1)
        assert "runtime.unknown" in done.err
        assert "Near it: train-2, train-1." in done.err
    with serving(page()) as (url, _):
        assert "`gpuaas list`" in gpuaas("ssh", "a", env=env_of(url)).err
    known: list[dict[str, Any]] = [
        {"action": one, "administrative": False, "level": "l", "roles": [], "route": "r"}
        for one in ("runtime.launch", "runtime.list", "binding.grant")
    ]
    refused = Answer(400, problem("request.invalid", pointer="/action"))
    for typed, said in (
        ("runtime.lunch", "Near it: runtime.launch, "), ("grant", "Near it: binding.grant."),
        ("role.grant", "Near it: binding.grant."),
        ("zzz", "`gpuaas call list-actions`"), ("runtime.list", "request.invalid"),
    ):  # fmt: skip
        with serving(refused, page(*known)) as (url, _):
            done = gpuaas("why", typed, "project-1", env=env_of(url))
        assert said in done.err, done
        assert done.status == (exits.FAILED if "request" in said else exits.NOT_FOUND)


def test_a_size_is_said_in_the_unit_that_one_thinks_in() -> None:
    """MiB where none is said; what is no size is wrong usage, before anything is asked."""
    for typed, size in (("64", 64), ("10GiB", 10240), ("2TiB", 2097152)):
        with serving(Answer(400, problem("request.invalid"))) as (url, asked):
            gpuaas("volume", "grow", "volume-1", typed, env=env_of(url))
        assert asked[0].body == {"size_mib": size}
    for typed in ("0", "10GB", "1.5GiB", "", "1e3"):
        done = gpuaas("volume", "grow", "volume-1", typed, env={})
        assert (done.status, "as 512 (MiB), 10GiB or 2TiB" in done.err) == (exits.USAGE, True), done


def test_what_the_command_says_itself_is_explained_without_an_api() -> None:
    """Every code that it raises: of those that are the API's, too, the API says it."""
    raised = re.compile(
        r'(?:GpuaasError|Misconfigured|Unreachable|Impostor)\(\s*"([a-z_]+\.[a-z_]+)"'
    )
    found: set[str] = set()
    for path in Path(client.__file__).parent.rglob("*.py"):
        found |= set(raised.findall(path.read_text()))
    assert len(found) > 20
    assert found - OWN.keys() - PROBLEMS.keys() == set()
    done = gpuaas("explain", "config.missing", env={})
    assert (done.status, "gpuaas login" in done.out) == (exits.DONE, True)


def test_a_model_that_is_none_is_told_which_there_are() -> None:
    """By a launch that was refused, and by `capacity`."""
    fit = {"model": "T4", "devices": 8, "free_devices": 4, "most_devices": 4, "most_milli": 1000}
    told = Answer(200, {"position": 1, "models": [{**fit, "soon": []}]})
    none = Answer(409, problem("capacity.none_fits", asked=1))
    with serving(none, told) as (url, _):
        done = gpuaas("launch", "T5", "--project", "project-1", env=env_of(url))
    assert (done.status, done.err.splitlines()[0]) == (
        exits.LIMIT, "  no GPU here is a T5; there are: T4",
    )  # fmt: skip
    with serving(told, told, page(), page()) as (url, _):
        done = gpuaas("capacity", "T5", env=env_of(url))
        assert done.status == exits.NOT_FOUND
        assert "no GPU here is a T5; there are: T4" in done.err
        some = gpuaas("capacity", "T5", "T4", env=env_of(url))
    assert (some.status, "no GPU here is a T5" in some.err) == (exits.DONE, True)


def test_a_secret_is_in_no_argument(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An invitation's comes from standard input as a token does; where nothing is there, it says so."""
    made = {"organization": "o", "principal": "user-1", "roles": [], "version": 1}
    (tmp_path / "said").write_text("s-1\n")
    with (tmp_path / "said").open() as stdin, serving(Answer(200, made)) as (url, asked):
        monkeypatch.setattr(sys, "stdin", stdin)
        done = gpuaas("member", "accept", "i", "o", "--secret-stdin", env=env_of(url))
    assert (done.status, asked[0].body) == (exits.DONE, {"organization": "o", "secret": "s-1"})
    assert "s-1" not in done.out + done.err
    accept = ("member", "accept", "i", "o", "--secret-stdin")
    with Path("/dev/null").open() as empty:
        for nothing in (None, empty):
            monkeypatch.setattr(sys, "stdin", nothing)
            for words in (accept, ("login", "https://a", "--token-stdin")):
                done = gpuaas(*words, env={"HOME": str(tmp_path)})
                assert (done.status, "nothing on standard" in done.err) == (exits.USAGE, True)


def test_who_acts_where_they_do_not_belong_is_told_so() -> None:
    """As staff does who is there by break-glass; of any other thing that is not there nothing is."""
    for detail, said in (
        ("there is no such organization here", True), ("there is no such runtime here", False),
    ):  # fmt: skip
        refused = Answer(404, problem("resource.unknown") | {"detail": detail})
        for acting in ("o-2", ""):
            with serving(refused) as (url, _):
                done = gpuaas("whoami", env={**env_of(url), "GPUAAS_ORGANIZATION": acting})
            assert ("belongs to o-2" in done.err) is (said and bool(acting)), done
    assert str(unknown("organization")).endswith("there is no such organization here")


def test_a_proxy_that_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that the environment names: a sentence, nothing sent."""
    for proxy in ("socks5://127.0.0.1:9", "ftp://127.0.0.1:9"):
        monkeypatch.setenv("ALL_PROXY", proxy)
        done = gpuaas("whoami", env={"GPUAAS_URL": "https://gpu.example", "GPUAAS_TOKEN": "t"})
        assert (done.status, "proxy.unusable" in done.err) == (exits.FAILED, True), done


def test_a_secret_whose_answer_was_lost_is_none() -> None:
    """The repeat is answered without it: a script that keeps what is printed keeps no sentence."""
    lost = {**KEY_MADE, "key": None, "secret_already_shown": True}
    token = {
        "token": None, "expires_at": "e", "principal": "user-a", "role": "staff",
        "secret_already_shown": True,
    }  # fmt: skip
    for words, answer in (
        (("key", "create", "a"), lost),
        (("token", "create", "--subject", "a", "--role", "staff"), token),
        (("webhook", "rotate", "webhook-1"), {**HOOK, "secret": None}),
    ):
        with serving(Answer(0), Answer(201, answer)) as (url, asked):
            done = gpuaas(*words, env=env_of(url))
        assert len({one.headers["idempotency-key"] for one in asked}) == 1
        assert (done.status, done.out) == (exits.FAILED, ""), done
        assert "secret.unheard" in done.err
