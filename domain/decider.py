from collections.abc import Callable, Iterable

from msgspec import Struct


class Decider[S, C, E](Struct, frozen=True):
    """One aggregate as three values: where it begins, what it decides, what it remembers.

    `decide` is pure and refuses with DomainError; `evolve` never refuses and computes nothing.
    """

    initial: S
    decide: Callable[[C, S], list[E]]
    evolve: Callable[[S, E], S]


class Emit(Struct, frozen=True):
    """What a decision wants appended to one stream; `expected` is its version before (0 = new).

    `reads`: streams the decision rests on without writing them, and their versions.
    """

    stream: str
    org: str
    expected: int
    facts: tuple[Struct, ...]
    reads: tuple[tuple[str, int], ...] = ()


def fold[S, C, E](decider: Decider[S, C, E], events: Iterable[E]) -> S:
    """The state after these events, in order, from the beginning."""
    state = decider.initial
    for event in events:
        state = decider.evolve(state, event)
    return state
