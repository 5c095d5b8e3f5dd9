"""What the admission decides by itself because its time has come; nobody asks for it."""

import hashlib
from typing import Final

from api.admission.wire import (
    Ask,
    ClosingAsk,
    ExpireAsk,
    KeepAsk,
    OverdueAsk,
    OverspentAsk,
    ReclaimAsk,
    UnclaimAsk,
    UnreserveAsk,
)
from domain import budgeting, closing, dunning, funding, locking, reserving, together
from domain.admission import AdmissionState
from domain.lending_facts import Unclaim
from domain.purses import wallet_stream
from domain.reservation import EXPIRED

ACTOR: Final = "system-admission"


def due(state: AdmissionState, now: int) -> list[Ask]:
    """What nobody asks for and is to be decided by now."""
    asks: list[Ask] = [
        UnreserveAsk(name, EXPIRED, now, ACTOR, _cause("gpuaas-expiry/1", name))
        for name in together.due(state, now)
    ]
    for org, one in together.due_claims(state, now):
        cause = _cause("gpuaas-claim-expiry/1", one.scope, one.model, str(one.decided_us))
        asks.append(UnclaimAsk(org, Unclaim(one.scope, one.model, EXPIRED, now), ACTOR, cause))
    asks += [
        ReclaimAsk(name, now, ACTOR, _cause("gpuaas-reclaim/1", name))
        for name in together.due_stops(state, now)
    ]
    asks += [
        OverspentAsk(name, now, ACTOR, _cause("gpuaas-budget/1", name))
        for name in budgeting.due_stops(state, now)
    ]
    asks += [
        OverdueAsk(name, now, ACTOR, _cause("gpuaas-overdue/1", name))
        for name in dunning.due_stops(state)
    ]
    asks += [
        ExpireAsk(name, now, ACTOR, _cause("gpuaas-credit/1", name, str(state.version(name))))
        for name in funding.due(state, now)
    ]
    for name in locking.due(state, now):
        of = (name, wallet_stream(state.purses.kept[name]))
        as_of = [str(state.version(one)) for one in of]
        asks.append(KeepAsk(name, now, ACTOR, _cause("gpuaas-keeping/1", name, *as_of)))
    for name in reserving.due(state, now):
        of = (name, state.purses.prepaid[name].wallet)
        as_of = [str(state.version(one)) for one in of]
        asks.append(KeepAsk(name, now, ACTOR, _cause("gpuaas-reserving/1", name, *as_of)))
    for org, stream in closing.due(state, now):
        told = str(state.version(stream))
        cause = _cause("gpuaas-closing/1", org, stream, told)
        asks.append(ClosingAsk(org, stream, now, ACTOR, cause))
    return asks


def _cause(*words: str) -> str:
    return "cmd:" + hashlib.sha256("\n".join(words).encode()).hexdigest()
