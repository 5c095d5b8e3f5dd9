import pytest

from domain import webhook
from domain.decider import fold
from domain.errors import DomainError
from domain.words import Private

URL, KEY, NEW = Private("11"), Private("22"), Private("33")
REGISTERED = webhook.Registered("organization-1", URL, ("gpuaas.runtime.*",), KEY, 1)
REGISTER = webhook.Register("organization-1", URL, ("gpuaas.runtime.*",), KEY, 1)
GONE = webhook.Deleted(2)
OFF = webhook.Disabled("answered.410", 2)
OTHER, AREAS = Private("44"), ("gpuaas.volume.*",)
HELD, ON = webhook.Paused(2), webhook.Resumed(3)
BOTH = webhook.Changed(OTHER, AREAS, 3)


def change(url: Private | None = None, tags: tuple[str, ...] | None = None) -> webhook.Change:
    return webhook.Change(url, tags, 3)


@pytest.mark.parametrize(
    ("given", "when", "then"),
    [
        ([], REGISTER, [REGISTERED]),
        ([], webhook.Register("organization-1", URL, (), KEY, 1),
         [webhook.Registered("organization-1", URL, (), KEY, 1)]),
        ([REGISTERED], webhook.RotateSecret(NEW, 3), [webhook.SecretRotated(NEW, 3)]),
        ([REGISTERED], webhook.AskReplay(7, 3), [webhook.ReplayAsked(7, 3)]),
        ([REGISTERED, webhook.SecretRotated(NEW, 2)], webhook.Delete(2), [GONE]),
        ([REGISTERED], webhook.Disable("answered.410", 2), [OFF]),
        ([REGISTERED, OFF], webhook.Disable("answered.410", 3), []),
        ([REGISTERED, OFF], webhook.AskReplay(7, 3), [webhook.ReplayAsked(7, 3)]),
        ([REGISTERED, OFF, webhook.ReplayAsked(7, 3)], webhook.Disable("answered.410", 2), [OFF]),
        ([REGISTERED, OFF], webhook.RotateSecret(NEW, 3), [webhook.SecretRotated(NEW, 3)]),
        ([REGISTERED, OFF], webhook.Delete(2), [GONE]),
        ([REGISTERED, GONE], webhook.Disable("answered.410", 3), []),
        ([], webhook.Disable("answered.410", 3), "webhook.unknown"),
        ([REGISTERED, GONE], webhook.Delete(3), []),
        ([REGISTERED], REGISTER, "webhook.exists"),
        ([REGISTERED, GONE], REGISTER, "webhook.exists"),
        ([REGISTERED], change(OTHER, AREAS), [BOTH]),
        ([REGISTERED], change(OTHER), [webhook.Changed(OTHER, REGISTERED.tags, 3)]),
        ([REGISTERED], change(tags=()), [webhook.Changed(URL, (), 3)]),
        ([REGISTERED, BOTH], change(tags=AREAS), []),
        ([REGISTERED, BOTH], change(URL), [webhook.Changed(URL, AREAS, 3)]),
        ([REGISTERED, OFF], change(OTHER, AREAS), [BOTH]),
        ([REGISTERED, OFF, BOTH], webhook.Disable("answered.410", 4), []),
        ([REGISTERED, HELD, BOTH], webhook.Pause(4), []),
        ([REGISTERED], change(tags=("gpuaas.*",)), "webhook.invalid"),
        ([], change(OTHER), "webhook.unknown"),
        ([REGISTERED, GONE], change(OTHER), "webhook.deleted"),
        ([REGISTERED], webhook.Pause(2), [HELD]),
        ([REGISTERED, OFF], webhook.Pause(2), []),
        ([REGISTERED, HELD], webhook.Resume(3), [ON]),
        ([REGISTERED, OFF], webhook.Resume(3), [ON]),
        ([REGISTERED, HELD, ON], webhook.Resume(4), []),
        ([REGISTERED, OFF, ON], webhook.Disable("answered.410", 2), [OFF]),
        ([REGISTERED, HELD], webhook.Disable("answered.410", 3), []),
        ([REGISTERED, HELD, webhook.ReplayAsked(7, 3)], webhook.Resume(3), [ON]),
        ([REGISTERED, HELD], webhook.RotateSecret(NEW, 3), [webhook.SecretRotated(NEW, 3)]),
        ([REGISTERED, HELD], webhook.Delete(2), [GONE]),
        ([REGISTERED, GONE], webhook.Pause(3), "webhook.deleted"),
        ([REGISTERED, GONE], webhook.Resume(3), "webhook.deleted"),
        ([], webhook.Delete(1), "webhook.unknown"),
        ([], webhook.AskReplay(1, 1), "webhook.unknown"),
        ([REGISTERED, GONE], webhook.RotateSecret(NEW, 3), "webhook.deleted"),
        ([REGISTERED, GONE], webhook.AskReplay(1, 3), "webhook.deleted"),
        ([], webhook.Register("o", URL, ("gpuaas.*",), KEY, 1), "webhook.invalid"),
        ([], webhook.Register("o", URL, ("gpuaas.runtime.usable",), KEY, 1), "webhook.invalid"),
        ([], webhook.Register("o", URL, ("gpuaas.a.b.v1",) * 2, KEY, 1), "webhook.invalid"),
        ([], webhook.Register("o", URL, tuple(f"gpuaas.a.b.v{n}" for n in range(1, 52)), KEY, 1),
         "webhook.invalid"),
    ],
)  # fmt: skip
def test_a_webhook_is_registered_changed_and_deleted(
    given: list[webhook.Event], when: webhook.Command, then: list[webhook.Event] | str
) -> None:
    """Registered once, with tags or areas; changed, paused and resumed until deleted, for good."""
    state = fold(webhook.DECIDER, given)
    if isinstance(then, str):
        with pytest.raises(DomainError) as refused:
            webhook.decide(when, state)
        assert refused.value.code == then
    else:
        assert webhook.decide(when, state) == then


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ((), True),
        (("gpuaas.runtime.*",), True),
        (("gpuaas.runtime.usable.v1",), True),
        (("gpuaas.runtime.usable.v2", "gpuaas.run.*", "gpuaas.volume.*"), False),
    ],
)
def test_what_is_told(tags: tuple[str, ...], told: bool) -> None:
    """A tag whole, or its area; without any, everything."""
    assert webhook.wanted(tags, "gpuaas.runtime.usable.v1") is told
