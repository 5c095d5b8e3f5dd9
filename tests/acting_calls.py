"""For each mutating route of the document a request that acts, each time another one."""

from typing import Final

from tests.acting_proofs import (
    Proving,
    certifying_host,
    enrolling_node,
    paying,
    reading,
    renewing,
    signing_in,
    telling_all,
)
from tests.acting_recipes import (
    ACCOUNT,
    ASIDE,
    CENTRE,
    CLOSE,
    CORDON,
    DEPARTMENT,
    DRAIN,
    GROUP,
    INCIDENT,
    INVITATION,
    ISSUER,
    MEMBERS,
    NETWORK,
    QUARANTINE,
    RESERVATION,
    RUNTIME,
    SERVICE,
    SOURCE,
    SSH,
    SUSPEND,
    SUSPEND_ACCOUNT,
    TENANT,
    TERMINAL,
    WEBHOOK,
    Recipe,
    accepted,
    after,
    asking_in,
    attributed,
    booked,
    bound,
    budgeted,
    by_recovery_code,
    claimed,
    cleared,
    committed,
    confirming,
    ended,
    enrolling,
    entering,
    entry,
    given_back,
    guarded,
    in_group,
    lifting_sso,
    limited,
    linking,
    made_new,
    member,
    moved,
    of_org,
    of_project,
    on,
    on_account,
    on_invoice,
    out_of_group,
    own_key,
    period_closed,
    priced_rate,
    removed_member,
    renamed,
    requiring_sso,
    rerated,
    restored,
    seller,
    session_ended,
    shared,
    stored,
    taxed,
    then,
    tiered,
    unclaimed,
    why,
)
from tests.acting_world import usd

BACK: Final = {"minor": 1, "at": "2025-01-03T00:00:00Z", "reference": "to Kunde"}
CALLS: Final[dict[str, Recipe]] = {
    "/v1/access-grants/{grant_id}/revoke": after(member(SSH), "/v1/access-grants/{}/revoke", why),
    "/v1/accounts": ACCOUNT,
    "/v1/accounts/{account_id}/chargebacks": lambda w: given_back(w, "chargebacks"),
    "/v1/accounts/{account_id}/commitments": on_account("commitments", committed),
    "/v1/accounts/{account_id}/credit": on(
        "account", "credit", lambda w: {"due_days": 20 + w.number() % 40}
    ),
    "/v1/accounts/{account_id}/grants": on_account(
        "grants", lambda w: {"amount": usd(1), "reference": f"g-{w.number()}"}
    ),
    "/v1/accounts/{account_id}/refunds": lambda w: given_back(w, "refunds"),
    "/v1/accounts/{account_id}/reratings": on_account("reratings", rerated),
    "/v1/accounts/{account_id}/resume": then(SUSPEND_ACCOUNT, "resume", why),
    "/v1/accounts/{account_id}/suspend": SUSPEND_ACCOUNT,
    "/v1/accounts/{account_id}/tax": on("account", "tax", taxed),
    "/v1/accounts/{account_id}/terms": on("account", "terms", {"terms": "prepaid"}),
    "/v1/api-keys": own_key,
    "/v1/api-keys/{key_id}/revoke": after(own_key, "/v1/api-keys/{}/revoke", ended),
    "/v1/blocks": made_new("/v1/blocks", lambda w: of_project(w, name="b", count=2, gpu_milli=100)),
    "/v1/break-glass": asking_in,
    "/v1/break-glass/{grant_id}/approve": entering("approve"),
    "/v1/break-glass/{grant_id}/refuse": entering("refuse", {}),
    "/v1/break-glass/{grant_id}/revoke": entering("revoke", {}, approved=True),
    "/v1/budgets": budgeted,
    "/v1/budgets/clear": cleared,
    "/v1/cost-centres": CENTRE,
    "/v1/cost-centres/{cost_centre_id}/close": after(CENTRE, "/v1/cost-centres/{}/close"),
    "/v1/cost-centres/{cost_centre_id}/rename": after(
        CENTRE, "/v1/cost-centres/{}/rename", renamed
    ),
    "/v1/departments": DEPARTMENT,
    "/v1/departments/{department_id}/rename": after(
        DEPARTMENT, "/v1/departments/{}/rename", renamed
    ),
    "/v1/groups": GROUP,
    "/v1/groups/{group_id}/delete": after(GROUP, "/v1/groups/{}/delete", ended),
    "/v1/groups/{group_id}/members": in_group,
    "/v1/groups/{group_id}/members/remove": out_of_group,
    "/v1/groups/{group_id}/rename": after(
        GROUP, "/v1/groups/{}/rename", lambda w: of_org(w, **renamed(w))
    ),
    "/v1/guardrails": guarded,
    "/v1/guardrails/{guardrail_id}/lift": after(guarded, "/v1/guardrails/{}/lift", ended),
    "/v1/identities": linking,
    "/v1/identities/{identity_id}/unlink": after(linking, "/v1/identities/{}/unlink", why),
    "/v1/images": made_new(
        "/v1/images",
        lambda w: {"reference": f"lab:{w.number()}", "digest": f"sha256:{w.number():064x}"},
    ),
    "/v1/incidents": INCIDENT,
    "/v1/incidents/{incident_id}/note": after(
        INCIDENT, "/v1/incidents/{}/note", lambda _: {"note": "n"}
    ),
    "/v1/incidents/{incident_id}/resolve": after(INCIDENT, "/v1/incidents/{}/resolve"),
    "/v1/incidents/{incident_id}/tie": after(
        INCIDENT, "/v1/incidents/{}/tie", lambda _: {"position": 1}
    ),
    "/v1/invitations": INVITATION,
    "/v1/invitations/{invitation_id}/accept": accepted,
    "/v1/invitations/{invitation_id}/withdraw": after(
        INVITATION, "/v1/invitations/{}/withdraw", ended
    ),
    "/v1/invoices/{invoice_id}/credit-notes": on_invoice(
        "credit-notes", {"why": "outage", "lines": [{"line": 0, "minor": 1}]}
    ),
    "/v1/invoices/{invoice_id}/payments": on_invoice(
        "payments", {"minor": 1, "paid_at": "2025-01-01T00:00:00Z"}
    ),
    "/v1/invoices/{invoice_id}/refunds": on_invoice("refunds", BACK, over_paid=True),
    "/v1/invoices/{invoice_id}/returned-payments": on_invoice(
        "returned-payments", BACK, over_paid=True
    ),
    "/v1/issuers": ISSUER,
    "/v1/issuers/{issuer_id}/distrust": after(ISSUER, "/v1/issuers/{}/distrust", why),
    "/v1/issuers/{issuer_id}/factors": after(
        ISSUER, "/v1/issuers/{}/factors", lambda w: {"amr": [], "acr": [f"urn:{w.number()}"]}
    ),
    "/v1/members": MEMBERS,
    "/v1/members/{principal}/remove": removed_member,
    "/v1/meters": made_new("/v1/meters", lambda w: w.meter("readings", f"app.m{w.number()}")),
    "/v1/mfa/recovery-codes": by_recovery_code("recovery-codes"),
    "/v1/mfa/totp": enrolling,
    "/v1/mfa/totp/confirm": confirming,
    "/v1/mfa/totp/remove": by_recovery_code("totp/remove"),
    "/v1/mfa/verify": by_recovery_code("verify"),
    "/v1/networks": NETWORK,
    "/v1/networks/{network_id}/delete": after(NETWORK, "/v1/networks/{}/delete"),
    "/v1/networks/{network_id}/policy": after(
        NETWORK, "/v1/networks/{}/policy", lambda _: {"egress": [], "internal": True}
    ),
    "/v1/nodes": made_new("/v1/nodes", lambda _: {"name": "n", "model": "L4"}),
    "/v1/nodes/{node_id}/cordon": CORDON,
    "/v1/nodes/{node_id}/drain": DRAIN,
    "/v1/nodes/{node_id}/quarantine": QUARANTINE,
    "/v1/nodes/{node_id}/region": on("node", "region", {"region": "eu-de-1"}),
    "/v1/nodes/{node_id}/reinvite": then(
        on("node", "revoke", {"reason": "gone"}), "reinvite", lambda _: {}
    ),
    "/v1/nodes/{node_id}/require-sanitization": on("node", "require-sanitization"),
    "/v1/nodes/{node_id}/retire": on("node", "retire", {"reason": "old"}),
    "/v1/nodes/{node_id}/return": then(QUARANTINE, "return", lambda _: {}),
    "/v1/nodes/{node_id}/revoke": on("node", "revoke", {"reason": "gone"}),
    "/v1/nodes/{node_id}/sanitize": then(
        QUARANTINE, "sanitize", lambda _: {"reason": "asked", "devices": [0]}
    ),
    "/v1/nodes/{node_id}/topology": on("node", "topology", {"zone": "z", "group": 1}),
    "/v1/nodes/{node_id}/uncordon": then(CORDON, "uncordon"),
    "/v1/nodes/{node_id}/undrain": then(DRAIN, "undrain", lambda _: {"reason": "fan"}),
    "/v1/organizations": TENANT,
    "/v1/organizations/{organization_id}/close": CLOSE,
    "/v1/organizations/{organization_id}/reactivate": then(SUSPEND, "reactivate", why),
    "/v1/organizations/{organization_id}/rename": after(
        TENANT, "/v1/organizations/{}/rename", renamed
    ),
    "/v1/organizations/{organization_id}/reopen": then(CLOSE, "reopen", why),
    "/v1/organizations/{organization_id}/suspend": SUSPEND,
    "/v1/periods/{period_id}/close": period_closed,
    "/v1/price-books/{name}": booked,
    "/v1/prices": made_new("/v1/prices", lambda w: entry(w) | {"price": usd(1)}),
    "/v1/prices/tiered": made_new("/v1/prices/tiered", tiered),
    "/v1/projects": made_new(
        "/v1/projects",
        lambda w: {"department": w.department, "account": w.account, "name": f"P{w.number()}"},
    ),
    "/v1/projects/{project_id}/attribution": attributed,
    "/v1/projects/{project_id}/move": moved,
    "/v1/projects/{project_id}/rename": on("project", "rename", renamed),
    "/v1/quotas": limited,
    "/v1/quotas/claims": claimed,
    "/v1/quotas/claims/end": unclaimed,
    "/v1/quotas/shares": shared,
    "/v1/reservations": RESERVATION,
    "/v1/reservations/{reservation_id}/end": after(RESERVATION, "/v1/reservations/{}/end", why),
    "/v1/role-bindings": bound,
    "/v1/role-bindings/{binding_id}/revoke": after(bound, "/v1/role-bindings/{}/revoke", ended),
    "/v1/runtimes": RUNTIME,
    "/v1/runtimes/{runtime_id}/app-passes": member(on("runtime", "app-passes", {"port": 8080})),
    "/v1/runtimes/{runtime_id}/ssh-certificates": member(SSH),
    "/v1/runtimes/{runtime_id}/stop": after(RUNTIME, "/v1/runtimes/{}/stop"),
    "/v1/runtimes/{runtime_id}/terminals": member(TERMINAL),
    "/v1/sso": requiring_sso,
    "/v1/sso/lift": lifting_sso,
    "/v1/sellers": made_new("/v1/sellers", seller),
    "/v1/sellers/{seller_id}/rates": priced_rate,
    "/v1/service-accounts": SERVICE,
    "/v1/service-accounts/{account_id}/delete": after(
        SERVICE, "/v1/service-accounts/{}/delete", ended
    ),
    "/v1/sessions/{session_id}/end": session_ended,
    "/v1/sources": SOURCE,
    "/v1/sources/{source_id}/revoke": after(SOURCE, "/v1/sources/{}/revoke", why),
    "/v1/storage-quotas": stored,
    "/v1/suspense": ASIDE,
    "/v1/suspense/{suspense_id}/resolve": after(
        ASIDE, "/v1/suspense/{}/resolve", lambda _: {"returned": True}
    ),
    "/v1/terminals/{session_id}/close": after(member(TERMINAL), "/v1/terminals/{}/close"),
    "/v1/tokens": made_new("/v1/tokens", lambda _: {"subject": "user-1", "role": "auditor"}),
    "/v1/volumes": made_new("/v1/volumes", lambda w: of_project(w, name="v", size_mib=64)),
    "/v1/volumes/{volume_id}/delete": on("volume", "delete"),
    "/v1/volumes/{volume_id}/grow": on("volume", "grow", {"size_mib": 128}),
    "/v1/volumes/{volume_id}/lost": on("abandoned", "lost"),
    "/v1/volumes/{volume_id}/restore": restored,
    "/v1/volumes/{volume_id}/snapshot": on("volume", "snapshot"),
    "/v1/webhooks": WEBHOOK,
    "/v1/webhooks/{webhook_id}/change": after(
        WEBHOOK, "/v1/webhooks/{}/change", lambda w: {"url": f"https://8.8.8.8/{w.number()}"}
    ),
    "/v1/webhooks/{webhook_id}/delete": after(WEBHOOK, "/v1/webhooks/{}/delete"),
    "/v1/webhooks/{webhook_id}/pause": after(WEBHOOK, "/v1/webhooks/{}/pause"),
    "/v1/webhooks/{webhook_id}/replay": after(
        WEBHOOK, "/v1/webhooks/{}/replay", lambda _: {"from_position": 1}
    ),
    "/v1/webhooks/{webhook_id}/resume": after(
        after(WEBHOOK, "/v1/webhooks/{}/pause"), "/v1/webhooks/{}/resume"
    ),
    "/v1/webhooks/{webhook_id}/rotate-secret": after(WEBHOOK, "/v1/webhooks/{}/rotate-secret"),
}

# By a proof of their own, which is good once, in place of an Idempotency-Key.
PROVED: Final[dict[str, Proving]] = {
    "/v1/enrol": enrolling_node,
    "/v1/nodes/certificate": renewing,
    "/v1/nodes/host-certificates": certifying_host,
    "/v1/payments/stripe": paying,
    "/v1/readings": reading,
    "/v1/readings/complete": telling_all,
    "/v1/sessions": signing_in,
}

# What does nothing that is kept, so that there is no effect to be had once: why, and its test.
_KEEPS_NOTHING: Final = "integration/test_acts.py::test_what_takes_no_key_keeps_nothing"
OTHERS: Final = {
    "/v1/accounts/{account_id}/preview": ("a question", _KEEPS_NOTHING),
    "/v1/accounts/{account_id}/top-ups": (
        "the payment is the provider's, who is given the key: contract/test_stripe.py",
        _KEEPS_NOTHING,
    ),
    "/v1/authorization/explain": ("a question", _KEEPS_NOTHING),
    "/v1/terminals/{session_id}/tickets": (
        "in memory, for half a minute, spent by its first use; each is another",
        _KEEPS_NOTHING,
    ),
}

# What names something that has no version to decide on.
VERSIONLESS: Final = frozenset({"/v1/price-books/{name}"})
# What makes something beside the thing in its path, which stays at its version: whether each is
# another, or, said again, the same one.
BESIDE: Final = {
    "/v1/accounts/{account_id}/commitments": False,
    "/v1/accounts/{account_id}/grants": False,
    "/v1/accounts/{account_id}/refunds": False,
    "/v1/accounts/{account_id}/reratings": False,
    "/v1/runtimes/{runtime_id}/app-passes": True,
    "/v1/runtimes/{runtime_id}/ssh-certificates": True,
    "/v1/runtimes/{runtime_id}/terminals": True,
}
