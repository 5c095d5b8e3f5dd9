"""Reads that make a decision lose whenever the one it rests on loses (MONEY.md section 6).

Decisions run ahead of the log. A version alone does not tell that what was believed of a stream
stands: another writer may have filled the place of what lost.
"""

from domain.admission import AdmissionState


def fenced(state: AdmissionState, stream: str, mine: str) -> tuple[tuple[str, int], ...]:
    """Of a node: after the decision before this one on it. A lease renewed in between may fill its
    place; only admissions write quota streams and reservations, so theirs tell.
    """
    other = state.fence.get(stream, mine)
    state.fence[stream] = mine
    return () if other == mine else ((other, state.version(other)),)


def chained(state: AdmissionState, stream: str, mine: str) -> tuple[tuple[str, int], ...]:
    """Of a quota: after the decision before this one on it. A writer whose term is over, and who
    does not know it yet, may fill its place; what it wrote beside the quota (`mine` of this one)
    tells. A setting writes nothing beside: the writer waits for it.
    """
    other = state.chain.get(stream, "")
    state.chain[stream] = mine
    if other in ("", mine) or other not in state.versions:
        return ()
    return ((other, state.version(other)),)
