"""The command as it is typed: profiles, refusals that help, JSON, completion, terminals."""

import json
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from contracts import terminal_client as contract
from contracts.terminal import MAX_SIDE
from gpuaas_client import exits, profiles, terminal_wire
from gpuaas_client.cli import GROUP, SECTIONS
from gpuaas_client.errors import Misconfigured
from gpuaas_client.terminal import Leaving
from gpuaas_client.terminal_wire import Exited, Line, Shown
from tests.commands import gpuaas
from tests.runtime_answers import runtime
from tests.serving import Answer, problem, serving

PROJECT = "project-00000000-0000-7000-8000-000000000001"
ME: dict[str, Any] = {
    "principal": "user-1", "organization": "o", "mfa": False, "roles": [], "organizations": ["o"],
}  # fmt: skip
URL, TOKEN = "http://127.0.0.1:9", "secret-token"


def test_a_profile_is_its_owners_alone(tmp_path: Path) -> None:
    """0600 in 0700; one that others can read is refused; what is no name makes no file."""
    env = {"HOME": str(tmp_path)}
    kept = profiles.keep(env, "work", profiles.Profile(URL, TOKEN))
    assert kept == tmp_path / ".config" / "gpuaas" / "profiles" / "work.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700
    assert profiles.found(env).token == TOKEN
    for name in ("", "../x", "a/b", ".hidden", "a" * 61):
        with pytest.raises(Misconfigured, match=r"profile\.malformed"):
            profiles.keep(env, name, profiles.Profile(URL, TOKEN))
    kept.chmod(0o640)
    with pytest.raises(Misconfigured, match=r"profile\.exposed"):
        profiles.found(env)


def test_who_one_is_follows_what_was_said_last_and_nearest(tmp_path: Path) -> None:
    """--profile, then both variables, then GPUAAS_PROFILE, then the current one; a kept token goes
    to its own URL only.
    """
    env = {"HOME": "/nonexistent", "XDG_CONFIG_HOME": str(tmp_path)}
    profiles.keep(env, "a", profiles.Profile("https://a.example", "ta"))
    profiles.keep(env, "b", profiles.Profile("https://b.example", "tb"))
    assert profiles.found(env).url == "https://b.example", "the one that was kept last"
    profiles.choose(env, "a")
    assert profiles.found(env).url == "https://a.example"
    assert profiles.found({**env, "GPUAAS_PROFILE": "b"}).token == "tb"
    both = {**env, "GPUAAS_URL": "https://c.example", "GPUAAS_TOKEN": "tc"}
    assert profiles.found(both).token == "tc"
    assert profiles.found(both, "b").token == "tb"
    assert profiles.found({**env, "GPUAAS_TOKEN": "other"}).url == "https://a.example"
    with pytest.raises(Misconfigured, match="GPUAAS_TOKEN is not set"):
        profiles.found({**env, "GPUAAS_URL": "https://c.example"})
    with pytest.raises(Misconfigured, match=r"profile\.unknown: no profile z; there are: a, b"):
        profiles.found(env, "z")
    profiles.forget(env, "a")
    with pytest.raises(Misconfigured, match="nobody is signed in here"):
        profiles.found(env)


def test_a_token_that_was_given_is_sent_as_no_sign_in(tmp_path: Path) -> None:
    """To link a profile that keeps no session is refused here, and the token goes nowhere; what the
    help says to sign in with is a command.
    """
    env = {"HOME": str(tmp_path)}
    with serving() as (url, asked):
        profiles.keep(env, "other", profiles.Profile(url, TOKEN))
        profiles.keep(env, "mine", profiles.Profile(url, TOKEN))
        done = gpuaas("identity", "link", "other", env=env)
    assert (done.status, done.out, len(asked)) == (exits.NOT_ALLOWED, "", 0)
    assert "profile.no_session" in done.err
    assert "gpuaas login --profile other" in done.err
    said = " ".join(gpuaas("identity", "link", "--help", env=env).out.split())
    assert "`gpuaas login --profile PROFILE`" in said


def test_a_login_is_kept_once_the_api_has_taken_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From standard input, never an argument; a token that is refused is not kept; a key that is
    for something else is no refused one.
    """
    env = {"HOME": str(tmp_path)}
    answers = (
        (Answer(401, problem("auth.invalid")), exits.NOT_ALLOWED),
        (Answer(403, problem("auth.forbidden", policy="")), exits.NOT_ALLOWED),
        (Answer(200, ME), exits.DONE),
        (Answer(403, problem("auth.forbidden", policy="key.scopes")), exits.DONE),
    )
    for answer, status in answers:
        said = tmp_path / "said"
        said.write_text(f"{TOKEN}\n")
        with serving(answer) as (url, asked), said.open() as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            done = gpuaas("login", url, "--token-stdin", "--profile", "p", env=env)
        assert done.status == status, done
        assert asked[0].headers["authorization"] == f"Bearer {TOKEN}"
        assert TOKEN not in done.out + done.err
        assert profiles.names(env) == ([] if status else ["p"])
        if not status:
            profiles.forget(env, "p")


def test_another_organization_is_acted_in_until_told_otherwise(tmp_path: Path) -> None:
    """Kept with the profile once the API agrees; a variable does it for one command; where there is
    a token of its own the profile's counts for nothing.
    """
    env = {"HOME": str(tmp_path)}
    there = {**ME, "organization": "o2", "organizations": ["o", "o2"]}
    answers = (
        Answer(404, problem("resource.unknown")), Answer(200, there), Answer(200, there),
        Answer(200, ME), Answer(200, ME), Answer(200, ME), Answer(200, ME),
    )  # fmt: skip
    with serving(*answers) as (url, asked):
        profiles.keep(env, "p", profiles.Profile(url, TOKEN))
        assert gpuaas("act-in", "o3", env=env).status == exits.NOT_FOUND
        assert profiles.acting_in(env) == ""
        assert gpuaas("act-in", "o2", env=env).out == "profile p acts in o2 now\n"
        said = gpuaas("whoami", env=env).out
        assert re.search(r"in +o2\nalso +o\n", said), said
        gpuaas("whoami", env={**env, "GPUAAS_ORGANIZATION": "o4"})
        gpuaas("whoami", env={**env, "GPUAAS_URL": url, "GPUAAS_TOKEN": "t"})
        assert gpuaas("act-in", env=env).status == exits.DONE
        gpuaas("whoami", env=env)
    named = [one.headers.get("organization") for one in asked]
    assert named == ["o3", "o2", "o2", "o4", None, None, None]


def test_a_launch_that_is_refused_says_what_would_fit() -> None:
    """From the admission's own state; the status is that of a limit; programs get the facts."""
    fit = {"model": "A10", "devices": 8, "free_devices": 4, "most_devices": 4, "most_milli": 1000}
    part = {**fit, "model": "T4", "most_devices": 0, "most_milli": 300}
    later = [{"devices": 8, "in_about_s": 1190, "because": ["runtimes.stopping"]}]
    fit = {**fit, "soon": later}
    none = Answer(409, problem("capacity.none_fits", asked=8))
    told = Answer(
        200, {"position": 1, "models": [fit, part, {**part, "model": "L4", "most_milli": 0}]}
    )
    launch = ("launch", "A10", "--gpus", "8", "--project", PROJECT)
    with serving(none, told) as (url, asked):
        done = gpuaas(*launch, env={"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"})
    assert done.status == exits.LIMIT
    first, second = done.err.splitlines()
    assert first == (
        "  this would fit now, as far as there is quota: 4 x A10, 300 milli of a T4; "
        "8 x A10 in about 20 min"
    )
    assert second == "gpuaas: capacity.none_fits: no (do)"
    body = asked[0].body
    assert body.pop("name").startswith("gpu-")
    assert body == {"project": PROJECT, "models": ["A10"], "devices": 8, "gpu_milli": 1000}
    with serving(none) as (url, _):
        done = gpuaas(*launch, "--json", env={"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"})
    assert json.loads(done.err)["facts"] == {"asked": 8}


def operation(*steps: str, state: str = "running") -> dict[str, Any]:
    said = [{"what": one, "position": 1, "at": "2025-01-01T00:00:00Z"} for one in steps]
    return {
        "id": "operation-1", "kind": "runtime.launch", "resource": "runtime-1", "state": state,
        "organization": "o", "project": PROJECT, "began_at": "2025-01-01T00:00:00Z",
        "ended_at": None, "steps": said, "error": None, "version": len(said),
    }  # fmt: skip


def test_a_launch_is_waited_for_and_its_steps_told() -> None:
    """By its operation; on standard error, each once; standard output is the answer. One that
    failed is status 1.
    """
    for last, ends, status in (("usable", "succeeded", 0), ("failed", "failed", exits.FAILED)):
        launch = ("launch", "--project", PROJECT, "--wait", "--json")
        seen = [operation("requested"), operation("requested", "starting")]
        seen = [*seen, seen[1], operation("requested", "starting", last, state=ends)]
        answers = [{"items": seen[:1], "next": None}, *seen, runtime(state=last)]
        made = Answer(201, runtime(state="allocated"))
        with serving(made, *(Answer(200, one) for one in answers)) as (url, _):
            done = gpuaas(*launch, env={"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"})
        assert done.status == status
        assert json.loads(done.out)["state"] == last
        told = [line.split()[1] for line in done.err.splitlines()]
        assert told == ["requested", "starting", last, "is"]


def test_operations_are_listed_and_waited_for() -> None:
    """One that does not succeed is status 1, and says why in a registered word."""
    error = problem("runtime.never_ready") | {"type": "t"}
    failed = operation("requested", "failed", state="failed") | {"error": error}
    for verb, answer in (("wait", failed), ("show", failed)):
        with serving(Answer(200, answer)) as (url, _):
            env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"}
            done = gpuaas("operations", verb, "operation-1", env=env)
        assert done.status == (exits.FAILED if verb == "wait" else exits.DONE)
        assert "runtime.never_ready" in done.out
    page = {"items": [failed], "next": None}
    with serving(Answer(200, page)) as (url, asked):
        env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"}
        done = gpuaas("operations", "list", "--resource", "runtime-1", "--state", "failed", env=env)
    assert "runtime.launch" in done.out
    assert asked[0].what.endswith("resource=runtime-1&state=failed")


def test_capacity_says_what_fits_at_what_price_and_why_not() -> None:
    """The account's own price before the default one, none that begins later; the least quota."""
    fit = {"model": "A10", "devices": 8, "free_devices": 4, "most_devices": 4, "most_milli": 1000}
    free = {"most_devices": 0, "most_milli": 0, "free_devices": 0}
    models = [fit, {**fit, **free, "model": "T4"}, {**fit, "model": "L4"}]
    models[0] = {**fit, "soon": [{"devices": 8, "in_about_s": 40, "because": ["devices.wiped"]}]}
    own = {"account": "account-1", "department": "d", "organization": "o", "id": PROJECT}
    limit = {"model": "A10", "organization": "o", "used_milli": 500, "reserved_milli": 0}
    prices = [
        priced("A10", "2"), priced("A10", "1.5", account="account-1"), priced("T4", "9", region="eu-1"),
        priced("A10", "7", effective_from="2999-01-01T00:00:00Z"),
        priced("A10", "3", account="account-2"),
    ]  # fmt: skip
    answers = (
        {"position": 1, "models": models},
        {"items": prices, "next": None},
        {"items": [{**own, "name": "P", "created_at": None, "version": 1}], "next": None},
        {"items": [{**limit, "scope": "o", "limit_milli": 4500}, {**limit, "scope": PROJECT, "limit_milli": 2500}, {**limit, "scope": PROJECT, "model": "*", "limit_milli": 9000}], "next": None},
    )  # fmt: skip
    with serving(*(Answer(200, one) for one in answers)) as (url, _):
        env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"}
        # The only project there is, unless one is named.
        done = gpuaas("capacity", env=env)
    _, a10, t4, l4 = (line.split("  ") for line in done.out.splitlines())
    cells = [[cell.strip() for cell in row if cell.strip()] for row in (a10, t4, l4)]
    assert cells == [
        [
            "A10",
            "4 x A10",
            "8 x A10 in less than a minute",
            "4",
            "8",
            "2.000 GPUs",
            "1.50 USD",
            "-",
        ],
        ["T4", "-", "-", "0", "8", "8.500 GPUs", "9.00 USD in eu-1", "nothing is free"],
        ["L4", "4 x L4", "-", "4", "8", "8.500 GPUs", "-", "it has no price"],
    ]


def priced(model: str, amount: str, **changed: str) -> dict[str, Any]:
    return {
        "account": "default", "divisor": "3600000000000", "meter": "gpu.time", "model": model,
        "effective_from": "2020-01-01T00:00:00Z", "position": 1, "region": "-", "state": "-",
        "published_at": "2020-01-01T00:00:00Z",
        "price": {"amount": f"{amount.ljust(2, '.').ljust(14, '0')}", "currency": "USD"}, **changed,
    }  # fmt: skip


def test_a_command_sees_what_the_one_before_it_did(tmp_path: Path) -> None:
    """For half a minute, at the same address; then nothing is waited for."""
    made = {"id": "organization-1", "name": "a", "created_at": None, "state": "open", "version": 1}
    acted = Answer(201, made, (("Log-Position", "41"),))
    page = Answer(200, {"items": [], "next": None})
    with serving(acted, page, page) as (url, asked):
        env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t", "HOME": str(tmp_path)}
        assert gpuaas("organization", "create", "a", env=env).out == "organization-1\n"
        gpuaas("list", env=env)
        [kept] = (tmp_path / ".local" / "state" / "gpuaas").iterdir()
        os.utime(kept, (0, 0))
        gpuaas("list", env=env)
    told = [one.headers.get("min-log-position") for one in asked]
    assert told == [None, "41", None]


def test_json_and_profile_are_typed_wherever_one_likes(tmp_path: Path) -> None:
    """Before the verb, between its words, behind it."""
    env = {"HOME": str(tmp_path)}
    page = Answer(200, {"items": [], "next": None})
    with serving(*[page] * 3) as (url, asked):
        profiles.keep(env, "work", profiles.Profile(url, "working"))
        profiles.keep(env, "home", profiles.Profile(url, "resting"))
        more = ("--json", "--profile", "work")
        for words in (
            (*more, "member", "list"),
            ("member", *more, "list"),
            ("member", "list", *more),
        ):
            assert gpuaas(*words, env=env) == (exits.DONE, "[]\n", "")
    assert {one.headers["authorization"] for one in asked} == {"Bearer working"}


def test_nobody_to_ask_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a program that types nothing would be asked for is no interruption of it."""
    with Path("/dev/null").open() as empty:
        monkeypatch.setattr(sys, "stdin", empty)
        for words in (("login",), ("volume", "delete", "volume-1")):
            done = gpuaas(*words, env={"HOME": str(tmp_path)})
            assert (done.status, "nobody to ask" in done.err) == (exits.USAGE, True)


def test_wrong_usage_and_unknown_verbs_are_status_2() -> None:
    """With what would be right."""
    for words in (("launch", "--gpus", "2", "--milli", "5"), ("lst",), ("show",), ("--nope",)):
        done = gpuaas(*words, env={})
        assert done.status == exits.USAGE
        assert "gpuaas" in done.err


def test_a_refusal_is_explained_by_its_code() -> None:
    """What to do about it; for a word that is no code, those that are near."""
    known = {
        "code": "quota.exceeded", "title": "Over the limit", "status": 409, "remedy": "Less.",
        "type": "/v1/problems/quota.exceeded",
    }  # fmt: skip
    page = Answer(200, {"items": [known], "next": None})
    with serving(page, page) as (url, _):
        env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"}
        said = gpuaas("explain", "quota.exceeded", env=env)
        assert f"page       {url}/v1/problems/quota.exceeded" in said.out
        assert "do         Less." in said.out
        wrong = gpuaas("explain", "quota.exeded", env=env)
    assert (wrong.status, "Near it: quota.exceeded." in wrong.err) == (exits.NOT_FOUND, True)


def test_help_shows_every_verb_once_in_its_section() -> None:
    """Those of others last, by entry points; `gpuaas COMMAND --help` exists for each. All of them are
    told in one manner.
    """
    done = gpuaas("--help", env={})
    assert done.status == exits.DONE
    listed = [line.split()[0] for line in done.out.splitlines() if re.match("  [a-z]", line)]
    verbs = {str(one.name) for _, section in SECTIONS for one in section}
    others = {one.name for one in entry_points(group=GROUP)}
    assert sorted(set(listed) & (verbs | others)) == sorted(verbs | others)
    told = re.findall(r"^  ([a-z-]+)  +(\S.*)$", done.out.partition("Every day:")[2], re.MULTILINE)
    assert {name for name, _ in told} >= verbs | others
    assert [name for name, text in told if not text[0].isupper() or text.endswith(".")] == []
    assert done.out.index("Every day:") < done.out.index("For who runs this installation:")
    for name in sorted(verbs):
        assert gpuaas(name, "--help", env={}).status == exits.DONE


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_verbs_options_and_ids(shell: str, tmp_path: Path) -> None:
    """By the script that `completion` prints, and by asking the API for ids."""
    done = gpuaas("completion", shell, env={})
    assert "_GPUAAS_COMPLETE" in done.out
    ours = [runtime(), runtime(id="runtime-2"), runtime(id="other")]
    # What a tenant names is neither more words to the shell nor obeyed by its terminal.
    theirs = [
        runtime(id="runtime-3", name="a\nplain\nevil\t\x1b[2J"),
        runtime(id="runtime-4\nevil"),
    ]
    page = {"items": [*ours, *theirs], "next": None}
    project = {"id": "project-1", "department": "d", "account": "a", "organization": "o"}
    projects = {
        "items": [{**project, "name": name, "created_at": None, "version": 1} for name in ("train", "other")],
        "next": None,
    }  # fmt: skip
    for typed, answers, found in (
        ("gpuaas la", (), ["launch"]),
        ("gpuaas launch --gp", (), ["--gpus"]),
        ("gpuaas show runtime-", (Answer(200, page),), ["runtime-1", "runtime-2"]),
        ("gpuaas project show tr", (Answer(200, projects),), ["train"]),
    ):
        with serving(*answers) as (url, _):
            last = typed.rpartition(" ")[2]
            env = {
                **os.environ, "GPUAAS_URL": url, "GPUAAS_TOKEN": "t", "HOME": str(tmp_path),
                "_GPUAAS_COMPLETE": f"{shell}_complete", "COMP_WORDS": typed,
                "COMP_CWORD": last if shell == "fish" else str(typed.count(" ")),
            }  # fmt: skip
            said = subprocess.run(
                [sys.executable, "-m", "gpuaas_client"], env=env, capture_output=True, text=True,
                check=False, timeout=60,
            )  # fmt: skip
        for one in found:
            assert one in said.stdout, said
        assert "other" not in said.stdout
        assert "evil" not in re.split("[\n\t,]", said.stdout), said
        assert "\x1b" not in said.stdout


def test_the_audit_is_exported_for_a_siem_page_by_page() -> None:
    """Lines as the API gives them, at most as many as were asked for, over its Link."""
    lines = [json.dumps({"metadata": {"uid": str(number)}}).encode() + b"\n" for number in range(4)]
    more = (("Link", '</v1/audit/ocsf?limit=3&cursor=abc>; rel="next"'),)
    with serving(Answer(200, b"".join(lines[:2]), more), Answer(200, lines[2])) as (url, asked):
        env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": TOKEN, "HOME": "/nonexistent"}
        told = gpuaas("audit", "--ocsf", "--actor", "user-1", "--most", "3", env=env)
    assert (told.status, told.out.encode()) == (exits.DONE, b"".join(lines[:3]))
    assert "cursor=abc" in asked[1].what
    assert "actor=user-1" in asked[1].what


def test_the_audit_says_to_whom_and_what_was_denied() -> None:
    """A column has whom and what the fact is about, and why it was denied where no policy did it."""
    act = {
        "position": 7, "at": "2026-01-01T00:00:00.000000Z", "actor": "user-1",
        "action": "gpuaas.access.binding_granted.v1", "resource": "access-1",
        "resources": ["binding-1"], "earlier": None, "organization": "organization-1", "authority": ["token:admin"], "outcome": "done",
        "calls": 1, "since": "2026-01-01T00:00:00.000000Z", "credential": None, "reason": None,
        "receipt": "/v1/receipts/7", "proof": None,
        "fact": {"binding": "binding-1", "principal": "user-2", "role": "viewer",
                 "scope": "project-1", "networks": [], "until_us": 0, "policies": ["token:admin"]},
    }  # fmt: skip
    denied = {**act, "outcome": "denied", "authority": [], "reason": "not granted",
              "fact": {"action": "binding.grant", "scope": "organization-1", "policies": [],
                       "key": "\x1b[2J"}}  # fmt: skip
    counted = {**act, "fact": None, "resource": None, "resources": []}
    page = {"items": [act, denied, counted], "next": None}
    with serving(Answer(200, page)) as (url, _):
        env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": TOKEN, "HOME": "/nonexistent"}
        told = gpuaas("audit", env=env)
    head, granted, refused, last = told.out.splitlines()
    assert head.split()[4:] == ["RESOURCE", "DETAIL", "OUTCOME", "AUTHORITY"]
    assert "principal=user-2 role=viewer scope=project-1 binding=binding-1  " in granted
    assert "action=binding.grant scope=organization-1 key=?[2J  " in refused
    assert refused.endswith("denied   not granted")
    assert last.split()[4:] == ["-", "-", "done", "token:admin"]


def test_a_pipe_that_is_closed_ends_the_command_quietly(tmp_path: Path) -> None:
    """`gpuaas list | head -0`: no traceback."""
    page = {"items": [runtime() for _ in range(500)], "next": None}
    with serving(Answer(200, page)) as (url, _):
        env = {**os.environ, "GPUAAS_URL": url, "GPUAAS_TOKEN": "t", "HOME": str(tmp_path)}
        argv = f"{sys.executable} -m gpuaas_client list --json | head -c 1"
        done = subprocess.run(
            ["bash", "-c", argv], env=env, capture_output=True, text=True, check=False, timeout=60
        )
    assert (done.stdout, done.stderr) == ("[", "")


def test_what_cannot_be_written_is_a_failure(tmp_path: Path) -> None:
    """A full disk, found at the end of a little output: one sentence, status 1; letters that the
    terminal has not are told by numbers.
    """
    name = {"id": "o", "name": "G\u00fcnther", "created_at": None, "state": "open", "version": 1}
    page = Answer(200, {"items": [name], "next": None})
    with serving(page, page) as (url, _):
        env = {**os.environ, "GPUAAS_URL": url, "GPUAAS_TOKEN": "t", "HOME": str(tmp_path)}
        argv = f"{sys.executable} -m gpuaas_client organization list"
        said = subprocess.run(
            ["bash", "-c", f"{argv} > /dev/full; echo $?; PYTHONIOENCODING=ascii {argv}"], env=env,
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    assert said.stderr == "gpuaas: [Errno 28] No space left on device\n"
    assert said.stdout.splitlines()[0] == "1"
    assert "G\\xfcnther" in said.stdout


def test_the_terminals_wire_is_the_contracts() -> None:
    """Both write the same bytes, and each reads what the other wrote."""
    names = ("INPUT", "ACK", "RESIZE", "CLOSE", "HELLO", "OUTPUT", "TYPED", "GAP", "EXIT",
             "OVER", "TAKEN", "RULES", "UNREACHABLE", "WINDOW", "PIECE", "MAX_SIDE")  # fmt: skip
    for name in names:
        assert getattr(terminal_wire, name) == getattr(contract, name), name
    assert terminal_wire.resize(80, 24) == contract.resize(80, 24)
    assert terminal_wire.resize(0, 10**6) == contract.resize(1, MAX_SIDE)
    line = Line()
    assert line.take(contract.hello(5, 0, 4)) is None
    assert line.take(contract.message(contract.OUTPUT, 5, b"abc")) == Shown(b"abc")
    assert line.ack() == contract.ack(8)
    line.type(b"123456")
    assert list(line.sends()) == [contract.message(contract.INPUT, 0, b"1234")]
    assert list(line.sends()) == []
    line.take(contract.typed(2, 100))
    assert list(line.sends()) == [contract.message(contract.INPUT, 4, b"56")]
    assert line.take(contract.hello(8, 3, 100)) is None, (
        "after a loss: what was not taken goes again"
    )
    assert list(line.sends()) == [contract.message(contract.INPUT, 3, b"456")]
    assert line.take(contract.gap(8, 20)) == Shown(b"", 12)
    assert line.take(contract.exited(20, -9)) == Exited(-9)
    for wrong in (b"", contract.message(contract.OUTPUT, 3, b"x"), contract.message(contract.HELLO), contract.typed(9, 1)):  # fmt: skip
        with pytest.raises(ValueError, match=r"."):
            line.take(wrong)


def test_a_person_leaves_by_enter_tilde_dot() -> None:
    """Only at the beginning of a line, however the keys come; anything else is typed as it is."""
    assert Leaving().take(b"ls\r~.rest") == (b"ls\r", True)
    assert Leaving().take(b"~.") == (b"", True)
    assert Leaving().take(b"a~.b") == (b"a~.b", False)
    slow = Leaving()
    assert [slow.take(one) for one in (b"\r", b"~", b"x", b"\r~", b"~", b".")] == [
        (b"\r", False), (b"", False), (b"~x", False), (b"\r", False), (b"~~", False), (b".", False),
    ]  # fmt: skip
    slow.take(b"\r~")
    assert slow.take(b".") == (b"", True)


def test_tables_show_instants_to_the_second_and_json_exactly() -> None:
    """People compare seconds; programs get what was said."""
    project = {
        "id": PROJECT,
        "name": "p",
        "created_at": "2026-05-01T10:00:00.123456Z",
        "version": 1,
    }
    made = {**project, "account": "a", "department": "d", "organization": "o"}
    page = Answer(200, {"items": [made], "next": None})
    with serving(page, page) as (url, _):
        env = {"GPUAAS_URL": url, "GPUAAS_TOKEN": "t"}
        assert "2026-05-01T10:00:00Z" in gpuaas("project", "list", env=env).out
        assert "10:00:00.123456Z" in gpuaas("project", "list", "--json", env=env).out
