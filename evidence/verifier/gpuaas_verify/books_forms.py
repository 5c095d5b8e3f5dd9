"""How shapes of facts are written down; those of accounts' credit and what goes back."""

INTEGER = frozenset({int})
TEXT = frozenset({str})
LIST = frozenset({list})
OBJECT = frozenset({dict})
YES_NO = frozenset({bool})
POSITION_OR_NULL = frozenset({int, type(None)})

type Shape = dict[str, frozenset[type]]


def shaped(integers: str, order: str, **others: frozenset[type]) -> Shape:
    """The fields in order, each with the types it may be of: text unless said otherwise."""
    whole = set(integers.split())
    return {name: others.get(name, INTEGER if name in whole else TEXT) for name in order.split()}


CREDIT: dict[str, Shape] = {
    **dict.fromkeys(
        ("gpuaas.account.suspended.v1", "gpuaas.account.resumed.v1"),
        shaped("decided_us", "about reason decided_us"),
    ),
    "gpuaas.account.credit_set.v1": shaped(
        "limit_pico due_days suspend_days stop_days decided_us",
        "limit_pico due_days remind_days suspend_days stop_days decided_us",
        remind_days=LIST,
    ),
    **dict.fromkeys(
        ("gpuaas.account.over_limit.v1", "gpuaas.account.within_limit.v1"),
        shaped("limit_pico used_pico decided_us", "limit_pico used_pico decided_us"),
    ),
    "gpuaas.account.dunned.v1": shaped(
        "days due_us due_minor decided_us", "invoice step days due_us due_minor decided_us"
    ),
    "gpuaas.account.dunning_ended.v1": shaped("decided_us", "invoice decided_us"),
    "gpuaas.wallet.credit_charged_back.v1": shaped(
        "amount_pico taken_pico decided_us balance_pico held_pico",
        "grant amount_pico taken_pico reference decided_us balance_pico held_pico",
    ),
    "gpuaas.wallet.credit_refunded.v1": shaped(
        "amount_pico decided_us balance_pico held_pico",
        "grant amount_pico reference decided_us balance_pico held_pico",
    ),
    "gpuaas.wallet.arrears_met.v1": shaped(
        "amount_pico decided_us balance_pico held_pico",
        "amount_pico decided_us balance_pico held_pico",
    ),
    "gpuaas.invoice.payment_returned.v1": shaped(
        "amount_minor due_minor returned_us decided_us",
        "amount_minor due_minor reference returned_us decided_us",
        reference=OBJECT,
    ),
    "gpuaas.invoice.refunded.v1": shaped(
        "amount_minor due_minor refunded_us decided_us",
        "amount_minor due_minor reference refunded_us decided_us",
        reference=OBJECT,
    ),
    "gpuaas.suspense.received.v1": shaped(
        "amount_pico decided_us", "currency amount_pico line text why decided_us", text=OBJECT
    ),
    "gpuaas.suspense.resolved.v1": shaped("decided_us", "how about decided_us"),
}
