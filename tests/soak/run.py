"""schemathesis against the running server: cases sent, judged and counted.

A case is one request that schemathesis made up; what its checks ask besides is not counted. A
failure is kept once per kind with the command that repeats it: a run finds all of them.
"""

import random
import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import FlakyStrategyDefinition, Unsatisfiable
from schemathesis import Case, GenerationMode, Response, checks
from schemathesis.core import NOT_SET
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.core.parameters import ParameterLocation
from schemathesis.core.result import Ok
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.generation.meta import CoveragePhaseData

from contracts.authorization.registry import BY_ROUTE
from tests.acting_recipes import Call
from tests.soak.checks import OFF, found_by_its_maker, nobody_is_let_in, registered_problem
from tests.soak.filling import Filling
from tests.soak.known import parts
from tests.soak.world import Caller, World

STEPS: Final = 10
_PROBED: Final = 2  # answers of each operation whose credentials are taken away as a check
_FOUND: Final = 10  # things made by each operation that their maker asks for
_SELDOM: Final = {"GET /v1/bundle": 25, "GET /v1/metrics": 40}
_MODES: Final = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
_SHOWN: Final = 700
_MAY: Final = 0.5


class Soak:
    """One run: owned by one thread. `heard` is told after each case how many there were,
    `failed` of each new kind of failure.
    """

    def __init__(
        self,
        world: World,
        first_seed: int,
        *,
        heard: Callable[[int], None] = lambda _: None,
        failed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.world = world
        self._heard = heard
        self._failed_so = failed
        self.cases = 0
        self.ended = False  # by whoever sets it: before the next case
        self.statuses: dict[str, Counter[int]] = defaultdict(Counter)
        self.reached: set[str] = set()  # operations that took something
        self.failures: dict[tuple[str, str], str] = {}
        self.refused: Counter[tuple[str, str]] = Counter()  # of what was meant to be right
        self._rng = random.Random(first_seed)
        self._filling = Filling(world.known, self._rng, world.receiver)
        self._walk: Any = None
        self._strategies: dict[tuple[str, GenerationMode], Any] = {}
        self._probed: Counter[str] = Counter()
        self.found: Counter[str] = Counter()  # how often what it made was asked for
        self._session = requests.Session()
        self._session.trust_env = False
        config = schemathesis.Config()
        self.schema = schemathesis.openapi.from_dict(world.document, config=config)
        self.schema.config.update(base_url=world.url)
        refused = self.schema.config.checks.negative_data_rejection
        # Whoever may not see whose thing it is is told so first.
        unkeyed = self.schema.config.checks.missing_required_header
        unkeyed.expected_statuses = [*unkeyed.expected_statuses, "404"]
        # Too long a body is 413, and an ETag that nobody gave is stale.
        refused.expected_statuses = [*refused.expected_statuses, "402", "410", "412", "413"]
        self.operations = sorted(
            (one.ok() for one in self.schema.get_all_operations() if isinstance(one, Ok)),
            key=lambda one: str(one.label),
        )

    def cover(self, most: int) -> None:
        """At most so many of each operation's deterministic cases: bounds, types, methods."""
        for operation in self.operations:
            asked = self.schema.iter_coverage_cases(
                operation,
                generation_modes=list(_MODES),
                generation_config=self.schema.config.generation_for(
                    operation=operation, phase="coverage"
                ),
            )
            found = list(asked)
            for case in found if len(found) <= most else self._rng.sample(found, most):
                self.ask(case)

    def fuzz(self, examples: int, first_seed: int) -> None:
        """So many of each operation's cases, rightly and wrongly made each."""
        quiet = settings(
            max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        # Who is nobody is told by the callers; a token made up beside other faults only hides them.
        self.schema.config.generation.update(with_security_parameters=False)
        for operation in self.operations:
            for mode in _MODES:

                @seed(first_seed)
                @quiet
                @given(self._strategy(operation, mode))
                def asked(case: Case[Any]) -> None:
                    self.ask(case)

                try:
                    asked()
                except Unsatisfiable:
                    assert mode is GenerationMode.NEGATIVE, operation.label

    def _strategy(self, operation: Any, mode: GenerationMode) -> Any:
        """Made once: each holds validators of its own, of the whole document, for ever."""
        key = str(operation.label), mode
        if key not in self._strategies:
            self._strategies[key] = operation.as_strategy(generation_mode=mode)
        return self._strategies[key]

    def walk(self, scenarios: int, first_seed: int) -> None:
        """At most so many walks along links, each of one caller."""
        asked = settings(
            max_examples=scenarios, stateful_step_count=STEPS, database=None, deadline=None,
            phases=[Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        if self._walk is None:
            self._walk = _walk(self)
        try:
            seed(first_seed)(self._walk).run(settings=asked)
        except FlakyStrategyDefinition:
            return  # what there is to choose from depends on what the server answered

    def caller(self, case: Case[Any] | None = None) -> Caller:
        """Of a case, anybody, more often somebody who may; of a walk, somebody who is known."""
        among = self.world.callers
        if case is None:
            among = tuple(one for one in among if one.role)
        elif self._rng.random() < _MAY:
            action = BY_ROUTE.get(str(case.operation.label))
            roles = set() if action is None else set(action.roles)
            among = tuple(one for one in among if one.role in roles) or among
        return self._rng.choices(among, [one.share for one in among])[0]

    def ask(self, case: Case[Any]) -> None:
        if self._skipped(case):
            return
        caller = self.caller(case)
        response = self.send(case, caller)
        self.judge(response, case, caller)

    def _skipped(self, case: Case[Any]) -> bool:
        label = str(case.operation.label)
        return sum(self.statuses[label].values()) >= _SELDOM.get(label, 1 << 60)

    def example(self, label: str, call: Call) -> None:
        """A request made by hand, counted and judged like any other; it has to succeed."""
        operation = next(one for one in self.operations if one.label == label)
        case = operation.Case(
            path_parameters=parts(operation.path, call.path),
            headers={"Idempotency-Key": uuid.UUID(int=self._rng.getrandbits(128)).hex}
            | ({"If-Match": f'"{call.version}"'} if call.version else {}),
            body=NOT_SET if call.body is None else call.body,
            media_type=None if call.body is None else "application/json",
        )
        token = call.token or self.world.callers[0].token
        caller = Caller("example", token, "operator", 0)
        response = self._sent(case, caller)
        self.judge(response, case, caller)
        if not 200 <= response.status_code < 300:
            error = AssertionError("an act that is possible was refused")
            self._failed(case, response, caller, error)

    def not_furnished(self, label: str, error: AssertionError) -> None:
        """What an example needs could not be made."""
        self._go_on()
        report = f"{label}: its example cannot be asked: {str(error)[:_SHOWN]}\n"
        self.failures[label, "not furnished"] = report
        self._failed_so(report)

    def _go_on(self) -> None:
        if self.ended:
            raise KeyboardInterrupt

    def send(self, case: Case[Any], caller: Caller) -> Response:
        self._filling.fill(case)
        return self._sent(case, caller)

    def _sent(self, case: Case[Any], caller: Caller) -> Response:
        self._go_on()
        headers = None if _unsigned(case) or caller.token is None else _bearer(caller.token)
        if headers is None and not _unsigned(case):
            case.headers.pop("Authorization", None)
        response = case.call(headers=headers, session=self._session, timeout=30)
        self.cases += 1
        self._heard(self.cases)
        label = str(case.operation.label)
        self.statuses[label][response.status_code] += 1
        if 200 <= response.status_code < 300:
            if case.method.upper() == case.operation.method.upper():
                self.reached.add(label)
            media = response.headers.get("content-type", [""])[0]
            body = response.json() if media == "application/json" else None
            self.world.known.learn(case.path, response.headers, body)
        elif caller.role and case.meta is not None and case.meta.generation.mode.is_positive:
            self.refused[label, _code(response)] += 1
        return response

    def judge(
        self,
        response: Response,
        case: Case[Any],
        caller: Caller,
        recorder: ScenarioRecorder | None = None,
    ) -> None:
        """Every check; whatever fails is kept."""
        label = str(case.operation.label)
        off = list(OFF)
        if caller.token is None or not caller.role or self._probed[label] >= _PROBED:
            off.append(checks.ignored_auth)
        elif response.status_code < 300:
            self._probed[label] += 1
        headers = None if caller.token is None else _bearer(caller.token)
        try:
            case.validate_response(
                response, additional_checks=[registered_problem], excluded_checks=off,
                headers=headers, transport_kwargs={"session": self._session}, recorder=recorder,
            )  # fmt: skip
            if not caller.role and not _unsigned(case):
                nobody_is_let_in(response, case)
            if response.status_code == 201:
                self._found(response, case, headers)
        except FailureGroup as group:
            for one in group.exceptions:
                self._failed(case, response, caller, one)
        except AssertionError as error:
            self._failed(case, response, caller, error)

    def _found(self, response: Response, case: Case[Any], headers: dict[str, str] | None) -> None:
        """Asks for what was made, a few times of each operation."""
        path = self.world.known.made(case.path, response.json())
        label = str(case.operation.label)
        if path is not None and self.found[label] < _FOUND:
            self.found[label] += 1
            found_by_its_maker(response, self.world.url + path, headers or {}, self._session)

    def _failed(
        self, case: Case[Any], response: Response, caller: Caller, error: BaseException
    ) -> None:
        label = str(case.operation.label)
        title = error.title if isinstance(error, Failure) else type(error).__name__
        kind = re.sub(r"[0-9]+", "0", f"{title}: {error}")[:160]
        if (label, kind) in self.failures:
            return
        command = case.as_curl_command(headers=dict(response.request.headers))
        told = f"{label} by {caller.name}: {title}\n  {str(error)[:_SHOWN]}\n"
        said = response.content[:_SHOWN].decode(errors="replace")
        meta = case.meta
        about = (
            ""
            if meta is None
            else f"{meta.generation.mode} {getattr(meta.phase.data, 'description', '')}"
        )
        if response.status_code >= 500:
            about += "\n" + self.world.log.read_text(errors="replace")[-_SHOWN * 3 :]
        report = f"{told}  {response.status_code} {said}\n  {about}\n  {command[:_SHOWN]}\n"
        self.failures[label, kind] = report
        self._failed_so(report)

    def table(self) -> str:
        """Cases of each operation, by status."""
        lines = []
        for label in sorted(self.statuses):
            counted = self.statuses[label]
            by_status = "  ".join(f"{status}: {counted[status]}" for status in sorted(counted))
            lines.append(f"{sum(counted.values()):7}  {label:75} {by_status}")
        return "\n".join(lines)

    def unreached(self, but: Iterable[str] = ()) -> list[str]:
        """Operations that never took anything, but for those named, and why not."""
        return [
            f"{one.label}: {self._why(str(one.label))}"
            for one in self.operations
            if str(one.label) not in {*but, *self.reached}
        ]

    def _why(self, label: str) -> str:
        said = Counter({code: count for (of, code), count in self.refused.items() if of == label})
        return "; ".join(f"{count} {code}" for code, count in said.most_common(4))


def _walk(soak: Soak) -> Any:
    class Walk(soak.schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            self.caller = soak.caller()

        def call(self, case: Case[Any], **_: Any) -> Response:
            return soak.send(case, self.caller)

        def validate_response(self, response: Response, case: Case[Any], **_: Any) -> None:
            soak.judge(response, case, self.caller, self.recorder)

    return Walk


def _code(response: Response) -> str:
    try:
        found: Any = response.json()
    except ValueError:
        return "no JSON"
    return str(found.get("code")) + " " + str(found.get("detail"))[:90]


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _unsigned(case: Case[Any]) -> bool:
    """Whether the case is about the credentials themselves: it brings its own, or none."""
    meta = case.meta
    if meta is None or not meta.is_negative_at(ParameterLocation.HEADER):
        return False
    data = meta.phase.data
    names = {getattr(data, "parameter", None)}
    if not isinstance(data, CoveragePhaseData):
        names |= {one.parameter for one in getattr(data, "mutations", ())}
    return "authorization" in {str(one).lower() for one in names}
