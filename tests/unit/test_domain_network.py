"""Networks by example: the default is to deny, and a launch names one that stands."""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from contracts import network as told
from domain import network, runtime
from domain.errors import DomainError
from domain.launch import Launch, admit, reads
from domain.network import Rule
from tests.unit.domain_world import NAME, ORG, PROJECT, World, decided, refused

WEB = Rule("203.0.113.0/24", "tcp", 80, 443)
CREATED = network.Created(PROJECT, NAME, False, (WEB,), 5)
CREATE = network.Create(ORG, PROJECT, ORG, NAME, False, (WEB,), 5)


def test_a_network_lives() -> None:
    """Created, changed, deleted once each; the same again is nothing; after the end, refusals."""
    change = network.SetPolicy(True, (), 6)
    changed, deleted = network.PolicyChanged(True, (), 6), network.Deleted(7)
    assert made([], CREATE) == [CREATED]
    assert made([CREATED], network.SetPolicy(False, (WEB,), 6)) == []
    assert made([CREATED], change) == [changed]
    assert made([CREATED, changed], change) == []
    assert made([CREATED, changed], network.Delete(7)) == [deleted]
    assert made([CREATED, deleted], network.Delete(8)) == []
    foreign = replace(CREATE, project_organization="organization-2")
    refusals: tuple[tuple[list[network.Event], network.Command, str], ...] = (
        ([CREATED, deleted], change, "network.deleted"),
        ([], change, "network.unknown"),
        ([CREATED], CREATE, "network.exists"),
        ([], foreign, "network.foreign"),
    )
    for given, command, code in refusals:
        assert denied(given, command) == code


def made(given: Sequence[network.Event], when: network.Command) -> list[network.Event]:
    return decided(network.DECIDER, given, when)


def denied(given: Sequence[network.Event], when: network.Command) -> str:
    return refused(network.DECIDER, given, when)


@pytest.mark.parametrize(
    "rule",
    [
        Rule("203.0.113.1/24", "tcp", 1, 1),
        Rule("203.0.113.0/33", "tcp", 1, 1),
        Rule("203.0.113.0", "tcp", 1, 1),
        Rule("::/0", "tcp", 1, 1),
        Rule("", "tcp", 1, 1),
        Rule("0.0.0.0/0", "icmp", 1, 1),
        Rule("0.0.0.0/0", "udp", 0, 1),
        Rule("0.0.0.0/0", "udp", 2, 1),
        Rule("0.0.0.0/0", "udp", 1, 65_536),
    ],
)
def test_a_rule_that_is_none_is_refused(rule: Rule) -> None:
    """Here, and again on the node, by code of its own."""
    assert denied([], replace(CREATE, egress=(rule,))) == "network.policy_invalid"
    many = network.SetPolicy(False, (WEB,) * 65, 6)
    assert denied([CREATED], many) == "network.policy_invalid"
    if rule.protocol != "icmp":
        on_node = told.Egress(rule.cidr, "tcp", rule.first_port, rule.last_port)
        assert told.fault_of((on_node,)) != ""


@pytest.fixture
def world() -> World:
    return World([("T4", 8)])


def launch(name: str) -> Launch:
    config = runtime.Configure("lab:1", "sha256:0", 1, 1, 1, 0, 5)
    return Launch(
        *(ORG, PROJECT, "runtime-1", "allocation-1", NAME, 1, 1000, (), 5, config),
        network=name,
    )


def test_a_launch_names_a_network_of_its_project_that_stands(world: World) -> None:
    """It is in the admission's append, and the launch loses to a change of the network."""
    world.say("network-1", CREATED)
    world.say("network-2", replace(CREATED, project="project-2"))
    world.say("network-3", CREATED, network.Deleted(6))
    for name, code in (
        ("network-2", "network.unknown"),
        ("network-9", "network.unknown"),
        ("network-3", "network.deleted"),
    ):
        with pytest.raises(DomainError) as error:
            admit(world.state, launch(name))
        assert error.value.code == code
    facts = admit(world.state, launch("network-1"))[0].facts
    assert facts[-1] == runtime.Networked("network-1", 5)
    assert ("network-1", 1) in reads(world.state, launch("network-1"))
    assert not any(isinstance(one, runtime.Networked) for one in without(world))


def without(world: World) -> tuple[object, ...]:
    alone = replace(launch(""), runtime="runtime-2", allocation="allocation-2")
    return admit(world.state, alone)[0].facts
