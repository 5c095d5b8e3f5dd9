"""What scopes keep and claim beyond their use, added up along the way as use changes.

`lending.spare` says the same by going through the whole tree; an admission has no time for that.
"""

from collections.abc import Sequence

from domain.lending_facts import Lending, ShareSet, Sums, Use, Where
from domain.storage_quota import WHOLE, scope_key


def least_milli(state: Lending, share: ShareSet, where: Where, *, claims: bool) -> int:
    """What counts for the scope even when it does not use it."""
    kept = share.kept_milli
    claim = state.claims.get(where) if claims else None
    return kept if claim is None else max(kept, min(claim.gpu_milli, share.guaranteed_milli))


def settle(state: Lending, used: Use, way: Sequence[str], model: str) -> None:
    """The sums after the use of these scopes has changed, from the project upwards."""
    for scope in way:
        _lift(state, state.kept, used, (scope, model), way, claims=False)
        if state.claims:
            _lift(state, state.pledged, used, (scope, model), way, claims=True)


def _lift(
    state: Lending, sums: Sums, used: Use, where: Where, way: Sequence[str], *, claims: bool
) -> None:
    """The scope's own sum; what changes above it, too, unless `way` comes there later."""
    share = state.shares.get(where)
    if share is None:
        return
    least = least_milli(state, share, where, claims=claims)
    own = max(sums.below.get(where, 0), least - used.get(where, 0))
    change = own - sums.own.get(where, 0)
    if not change:
        return
    _put(sums.own, where, own)
    if share.parent:
        above = (scope_key(share.parent), where[1])
        _put(sums.below, above, sums.below.get(above, 0) + change)
        if above[0] not in way:
            _lift(state, sums, used, above, way, claims=claims)


def resum(state: Lending, used: Use, model: str) -> None:
    """Both sums of a model anew: its shares or claims have changed."""
    for sums, claims in ((state.kept, False), (state.pledged, True)):
        for known in (sums.own, sums.below):
            for where in [one for one in known if one[1] == model or (claims and not state.claims)]:
                del known[where]
    models = {model} | ({of for _, of in state.shares} if len(state.claims) == 1 else set())
    _walk(state, state.kept, used, (WHOLE, model), claims=False)
    for one in models if state.claims else ():
        _walk(state, state.pledged, used, (WHOLE, one), claims=True)


def _walk(state: Lending, sums: Sums, used: Use, where: Where, *, claims: bool) -> int:
    below = sum(
        _walk(state, sums, used, (one, where[1]), claims=claims)
        for one in state.below.get(where, ())
    )
    share = state.shares.get(where)
    own = below
    if share is not None:
        least = least_milli(state, share, where, claims=claims)
        own = max(below, least - used.get(where, 0))
    _put(sums.below, where, below)
    _put(sums.own, where, own)
    return own


def _put(known: dict[Where, int], where: Where, milli: int) -> None:
    if milli:
        known[where] = milli
    else:
        known.pop(where, None)
