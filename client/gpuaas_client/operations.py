"""Every call of the API as a value, typed by its answer; written by `python -m api.openapi`."""

from gpuaas_client import models
from gpuaas_client.call import Call, quoted


def accept_invitation(invitation_id: str, body: models.InvitationAccept) -> Call[models.Member]:
    """POST /v1/invitations/{invitation_id}/accept"""
    return Call(
        "POST",
        f"/v1/invitations/{quoted(invitation_id)}/accept",
        models.Member,
        body=body,
        acts=True,
    )


def add_group_member(group_id: str, body: models.GroupMember) -> Call[models.Ended]:
    """POST /v1/groups/{group_id}/members"""
    return Call(
        "POST", f"/v1/groups/{quoted(group_id)}/members", models.Ended, body=body, acts=True
    )


def add_member(body: models.MemberNew) -> Call[models.Member]:
    """POST /v1/members"""
    return Call("POST", "/v1/members", models.Member, body=body, acts=True)


def approve_break_glass(grant_id: str) -> Call[models.BreakGlassDone]:
    """POST /v1/break-glass/{grant_id}/approve"""
    return Call(
        "POST", f"/v1/break-glass/{quoted(grant_id)}/approve", models.BreakGlassDone, acts=True
    )


def ask_top_up(account_id: str, body: models.TopUpNew) -> Call[models.TopUpAsked]:
    """POST /v1/accounts/{account_id}/top-ups"""
    return Call(
        "POST",
        f"/v1/accounts/{quoted(account_id)}/top-ups",
        models.TopUpAsked,
        body=body,
        acts=True,
    )


def attribute_project(project_id: str, body: models.ProjectAttribute) -> Call[models.Attribution]:
    """POST /v1/projects/{project_id}/attribution"""
    return Call(
        "POST",
        f"/v1/projects/{quoted(project_id)}/attribution",
        models.Attribution,
        body=body,
        acts=True,
    )


def bundle() -> Call[bytes]:
    """GET /v1/bundle"""
    return Call("GET", "/v1/bundle", bytes, waits=True)


def capacity_now(*, as_of: str | None = None) -> Call[models.Capacity]:
    """GET /v1/capacity"""
    return Call("GET", "/v1/capacity", models.Capacity, query={"as_of": as_of}, waits=True)


def certify_host(body: models.HostCertificateAsk) -> Call[models.HostCertificate]:
    """POST /v1/nodes/host-certificates"""
    return Call("POST", "/v1/nodes/host-certificates", models.HostCertificate, body=body)


def change_webhook(webhook_id: str, body: models.WebhookChange) -> Call[models.WebhookChanged]:
    """POST /v1/webhooks/{webhook_id}/change"""
    return Call(
        "POST",
        f"/v1/webhooks/{quoted(webhook_id)}/change",
        models.WebhookChanged,
        body=body,
        acts=True,
    )


def charge_back(account_id: str, body: models.GiveBackNew) -> Call[models.GaveBack]:
    """POST /v1/accounts/{account_id}/chargebacks"""
    return Call(
        "POST",
        f"/v1/accounts/{quoted(account_id)}/chargebacks",
        models.GaveBack,
        body=body,
        acts=True,
    )


def checkpoint() -> Call[str]:
    """GET /v1/checkpoint"""
    return Call("GET", "/v1/checkpoint", str)


def claim_lent(body: models.ClaimNew) -> Call[models.Claim]:
    """POST /v1/quotas/claims"""
    return Call("POST", "/v1/quotas/claims", models.Claim, body=body, acts=True)


def clear_budget(body: models.BudgetEnd) -> Call[models.Budget]:
    """POST /v1/budgets/clear"""
    return Call("POST", "/v1/budgets/clear", models.Budget, body=body, acts=True)


def close_cost_centre(cost_centre_id: str) -> Call[models.CostCentre]:
    """POST /v1/cost-centres/{cost_centre_id}/close"""
    return Call(
        "POST", f"/v1/cost-centres/{quoted(cost_centre_id)}/close", models.CostCentre, acts=True
    )


def close_organization(organization_id: str, body: models.ClosingNew) -> Call[models.Organization]:
    """POST /v1/organizations/{organization_id}/close"""
    return Call(
        "POST",
        f"/v1/organizations/{quoted(organization_id)}/close",
        models.Organization,
        body=body,
        acts=True,
    )


def close_period(period_id: str) -> Call[models.PeriodClosed]:
    """POST /v1/periods/{period_id}/close"""
    return Call("POST", f"/v1/periods/{quoted(period_id)}/close", models.PeriodClosed, acts=True)


def close_terminal(session_id: str) -> Call[models.Terminal]:
    """POST /v1/terminals/{session_id}/close"""
    return Call("POST", f"/v1/terminals/{quoted(session_id)}/close", models.Terminal, acts=True)


def complete_readings(body: models.Complete) -> Call[models.Completed]:
    """POST /v1/readings/complete"""
    return Call("POST", "/v1/readings/complete", models.Completed, body=body)


def confirm_totp(body: models.Code) -> Call[models.RecoveryCodes]:
    """POST /v1/mfa/totp/confirm"""
    return Call("POST", "/v1/mfa/totp/confirm", models.RecoveryCodes, body=body, acts=True)


def cordon_node(node_id: str) -> Call[models.NodeChanged]:
    """POST /v1/nodes/{node_id}/cordon"""
    return Call("POST", f"/v1/nodes/{quoted(node_id)}/cordon", models.NodeChanged, acts=True)


def create_api_key(body: models.ApiKeyNew) -> Call[models.ApiKey]:
    """POST /v1/api-keys"""
    return Call("POST", "/v1/api-keys", models.ApiKey, body=body, acts=True)


def create_cost_centre(body: models.CostCentreNew) -> Call[models.CostCentre]:
    """POST /v1/cost-centres"""
    return Call("POST", "/v1/cost-centres", models.CostCentre, body=body, acts=True)


def create_department(body: models.DepartmentNew) -> Call[models.Department]:
    """POST /v1/departments"""
    return Call("POST", "/v1/departments", models.Department, body=body, acts=True)


def create_group(body: models.GroupNew) -> Call[models.Group]:
    """POST /v1/groups"""
    return Call("POST", "/v1/groups", models.Group, body=body, acts=True)


def create_invitation(body: models.InvitationNew) -> Call[models.Invitation]:
    """POST /v1/invitations"""
    return Call("POST", "/v1/invitations", models.Invitation, body=body, acts=True)


def create_network(body: models.NetworkNew) -> Call[models.Network]:
    """POST /v1/networks"""
    return Call("POST", "/v1/networks", models.Network, body=body, acts=True)


def create_organization(body: models.OrganizationNew) -> Call[models.Organization]:
    """POST /v1/organizations"""
    return Call("POST", "/v1/organizations", models.Organization, body=body, acts=True)


def create_project(body: models.ProjectNew) -> Call[models.Project]:
    """POST /v1/projects"""
    return Call("POST", "/v1/projects", models.Project, body=body, acts=True)


def create_service_account(body: models.GroupNew) -> Call[models.ServiceAccount]:
    """POST /v1/service-accounts"""
    return Call("POST", "/v1/service-accounts", models.ServiceAccount, body=body, acts=True)


def create_volume(body: models.VolumeNew) -> Call[models.Volume]:
    """POST /v1/volumes"""
    return Call("POST", "/v1/volumes", models.Volume, body=body, acts=True)


def credit_note_as_pdf(credit_note_id: str, *, as_of: str | None = None) -> Call[bytes]:
    """GET /v1/credit-notes/{credit_note_id}/pdf"""
    return Call(
        "GET",
        f"/v1/credit-notes/{quoted(credit_note_id)}/pdf",
        bytes,
        query={"as_of": as_of},
        waits=True,
    )


def credit_note_cii(credit_note_id: str, *, as_of: str | None = None) -> Call[bytes]:
    """GET /v1/credit-notes/{credit_note_id}/cii"""
    return Call(
        "GET",
        f"/v1/credit-notes/{quoted(credit_note_id)}/cii",
        bytes,
        query={"as_of": as_of},
        waits=True,
    )


def credit_note_file(credit_note_id: str, *, as_of: str | None = None) -> Call[bytes]:
    """GET /v1/credit-notes/{credit_note_id}/file"""
    return Call(
        "GET",
        f"/v1/credit-notes/{quoted(credit_note_id)}/file",
        bytes,
        query={"as_of": as_of},
        waits=True,
    )


def credit_note_page(credit_note_id: str, *, as_of: str | None = None) -> Call[bytes]:
    """GET /v1/credit-notes/{credit_note_id}/page"""
    return Call(
        "GET",
        f"/v1/credit-notes/{quoted(credit_note_id)}/page",
        bytes,
        query={"as_of": as_of},
        waits=True,
    )


def credit_note_proof(credit_note_id: str, *, as_of: str | None = None) -> Call[bytes]:
    """GET /v1/credit-notes/{credit_note_id}/proof"""
    return Call(
        "GET",
        f"/v1/credit-notes/{quoted(credit_note_id)}/proof",
        bytes,
        query={"as_of": as_of},
        waits=True,
    )


def credit_note_ubl(credit_note_id: str, *, as_of: str | None = None) -> Call[bytes]:
    """GET /v1/credit-notes/{credit_note_id}/ubl"""
    return Call(
        "GET",
        f"/v1/credit-notes/{quoted(credit_note_id)}/ubl",
        bytes,
        query={"as_of": as_of},
        waits=True,
    )


def delete_group(group_id: str, body: models.AuthorityEnd) -> Call[models.Ended]:
    """POST /v1/groups/{group_id}/delete"""
    return Call("POST", f"/v1/groups/{quoted(group_id)}/delete", models.Ended, body=body, acts=True)


def delete_network(network_id: str) -> Call[models.Network]:
    """POST /v1/networks/{network_id}/delete"""
    return Call("POST", f"/v1/networks/{quoted(network_id)}/delete", models.Network, acts=True)


def delete_service_account(account_id: str, body: models.AuthorityEnd) -> Call[models.Ended]:
    """POST /v1/service-accounts/{account_id}/delete"""
    return Call(
        "POST",
        f"/v1/service-accounts/{quoted(account_id)}/delete",
        models.Ended,
        body=body,
        acts=True,
    )


def delete_volume(volume_id: str) -> Call[models.VolumeChanged]:
    """POST /v1/volumes/{volume_id}/delete"""
    return Call("POST", f"/v1/volumes/{quoted(volume_id)}/delete", models.VolumeChanged, acts=True)


def delete_webhook(webhook_id: str) -> Call[models.WebhookChanged]:
    """POST /v1/webhooks/{webhook_id}/delete"""
    return Call(
        "POST", f"/v1/webhooks/{quoted(webhook_id)}/delete", models.WebhookChanged, acts=True
    )


def distrust_issuer(issuer_id: str, body: models.IssuerEnd) -> Call[models.Issuer]:
    """POST /v1/issuers/{issuer_id}/distrust"""
    return Call(
        "POST", f"/v1/issuers/{quoted(issuer_id)}/distrust", models.Issuer, body=body, acts=True
    )


def drain_node(node_id: str, body: models.NodeDrain) -> Call[models.NodeUpkept]:
    """POST /v1/nodes/{node_id}/drain"""
    return Call(
        "POST", f"/v1/nodes/{quoted(node_id)}/drain", models.NodeUpkept, body=body, acts=True
    )


def end_claim(body: models.ClaimEnd) -> Call[models.Claim]:
    """POST /v1/quotas/claims/end"""
    return Call("POST", "/v1/quotas/claims/end", models.Claim, body=body, acts=True)


def end_reservation(reservation_id: str, body: models.ReservationEnd) -> Call[models.Reservation]:
    """POST /v1/reservations/{reservation_id}/end"""
    return Call(
        "POST",
        f"/v1/reservations/{quoted(reservation_id)}/end",
        models.Reservation,
        body=body,
        acts=True,
    )


def end_session(session_id: str, body: models.SessionEnd) -> Call[models.Session]:
    """POST /v1/sessions/{session_id}/end"""
    return Call(
        "POST", f"/v1/sessions/{quoted(session_id)}/end", models.Session, body=body, acts=True
    )


def enrol_node(body: models.EnrolRequest) -> Call[models.EnrolReply]:
    """POST /v1/enrol"""
    return Call("POST", "/v1/enrol", models.EnrolReply, body=body)


def enrol_totp(body: models.TotpNew) -> Call[models.FactorSecret]:
    """POST /v1/mfa/totp"""
    return Call("POST", "/v1/mfa/totp", models.FactorSecret, body=body, acts=True)


def events(*, follow: bool | None = None) -> Call[bytes]:
    """GET /v1/events"""
    return Call("GET", "/v1/events", bytes, query={"follow": follow}, waits=True)


def explain(body: models.ExplainNew) -> Call[models.Explained]:
    """POST /v1/authorization/explain"""
    return Call("POST", "/v1/authorization/explain", models.Explained, body=body)


def explain_placement(
    *,
    project: str,
    devices: int | None = None,
    gpu_milli: int | None = None,
    model: list[str] | None = None,
    policy: str | None = None,
    reservation: str | None = None,
    region: str | None = None,
) -> Call[models.Explanation]:
    """GET /v1/placement/explain"""
    return Call(
        "GET",
        "/v1/placement/explain",
        models.Explanation,
        query={
            "project": project,
            "devices": devices,
            "gpu_milli": gpu_milli,
            "model": model,
            "policy": policy,
            "reservation": reservation,
            "region": region,
        },
        waits=True,
    )


def export_acts(
    *,
    organization: str | None = None,
    actor: str | None = None,
    resource: str | None = None,
    action: str | None = None,
    since: str | None = None,
    until: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[bytes]:
    """GET /v1/audit/ocsf"""
    return Call(
        "GET",
        "/v1/audit/ocsf",
        bytes,
        query={
            "organization": organization,
            "actor": actor,
            "resource": resource,
            "action": action,
            "since": since,
            "until": until,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def export_books(
    account_id: str,
    form: str,
    *,
    start: str | None = None,
    end: str | None = None,
    as_of: str | None = None,
    offset: str | None = None,
) -> Call[bytes]:
    """GET /v1/accounts/{account_id}/exports/{form}"""
    return Call(
        "GET",
        f"/v1/accounts/{quoted(account_id)}/exports/{quoted(form)}",
        bytes,
        query={"start": start, "end": end, "as_of": as_of, "offset": offset},
        waits=True,
    )


def grant_binding(body: models.BindingNew) -> Call[models.RoleBinding]:
    """POST /v1/role-bindings"""
    return Call("POST", "/v1/role-bindings", models.RoleBinding, body=body, acts=True)


def grant_credit(account_id: str, body: models.GrantNew) -> Call[models.Grant]:
    """POST /v1/accounts/{account_id}/grants"""
    return Call(
        "POST", f"/v1/accounts/{quoted(account_id)}/grants", models.Grant, body=body, acts=True
    )


def grow_volume(volume_id: str, body: models.VolumeGrow) -> Call[models.VolumeChanged]:
    """POST /v1/volumes/{volume_id}/grow"""
    return Call(
        "POST", f"/v1/volumes/{quoted(volume_id)}/grow", models.VolumeChanged, body=body, acts=True
    )


def health() -> Call[models.Health]:
    """GET /v1/health"""
    return Call("GET", "/v1/health", models.Health)


def hear_stripe() -> Call[models.EventHeard]:
    """POST /v1/payments/stripe"""
    return Call("POST", "/v1/payments/stripe", models.EventHeard)


def invite_node(body: models.NodeInvite) -> Call[models.NodeInvited]:
    """POST /v1/nodes"""
    return Call("POST", "/v1/nodes", models.NodeInvited, body=body, acts=True)


def invoice_as_pdf(invoice_id: str, *, as_of: str | None = None) -> Call[bytes]:
    """GET /v1/invoices/{invoice_id}/pdf"""
    return Call(
        "GET", f"/v1/invoices/{quoted(invoice_id)}/pdf", bytes, query={"as_of": as_of}, waits=True
    )


def invoice_cii(invoice_id: str, *, as_of: str | None = None) -> Call[bytes]:
    """GET /v1/invoices/{invoice_id}/cii"""
    return Call(
        "GET", f"/v1/invoices/{quoted(invoice_id)}/cii", bytes, query={"as_of": as_of}, waits=True
    )


def invoice_file(invoice_id: str, *, as_of: str | None = None) -> Call[bytes]:
    """GET /v1/invoices/{invoice_id}/file"""
    return Call(
        "GET", f"/v1/invoices/{quoted(invoice_id)}/file", bytes, query={"as_of": as_of}, waits=True
    )


def invoice_proof(invoice_id: str, *, as_of: str | None = None) -> Call[bytes]:
    """GET /v1/invoices/{invoice_id}/proof"""
    return Call(
        "GET", f"/v1/invoices/{quoted(invoice_id)}/proof", bytes, query={"as_of": as_of}, waits=True
    )


def invoice_ubl(invoice_id: str, *, as_of: str | None = None) -> Call[bytes]:
    """GET /v1/invoices/{invoice_id}/ubl"""
    return Call(
        "GET", f"/v1/invoices/{quoted(invoice_id)}/ubl", bytes, query={"as_of": as_of}, waits=True
    )


def issue_certificate(
    runtime_id: str, body: models.SshCertificateNew
) -> Call[models.SshCertificate]:
    """POST /v1/runtimes/{runtime_id}/ssh-certificates"""
    return Call(
        "POST",
        f"/v1/runtimes/{quoted(runtime_id)}/ssh-certificates",
        models.SshCertificate,
        body=body,
        acts=True,
    )


def issue_pass(runtime_id: str, body: models.AppPassNew) -> Call[models.AppPass]:
    """POST /v1/runtimes/{runtime_id}/app-passes"""
    return Call(
        "POST",
        f"/v1/runtimes/{quoted(runtime_id)}/app-passes",
        models.AppPass,
        body=body,
        acts=True,
    )


def issue_ticket(session_id: str) -> Call[models.TerminalTicket]:
    """POST /v1/terminals/{session_id}/tickets"""
    return Call("POST", f"/v1/terminals/{quoted(session_id)}/tickets", models.TerminalTicket)


def issue_token(body: models.TokenNew) -> Call[models.TokenIssuedOut]:
    """POST /v1/tokens"""
    return Call("POST", "/v1/tokens", models.TokenIssuedOut, body=body, acts=True)


def launch_runtime(body: models.RuntimeNew) -> Call[models.Runtime]:
    """POST /v1/runtimes"""
    return Call("POST", "/v1/runtimes", models.Runtime, body=body, acts=True)


def lift_guardrail(guardrail_id: str, body: models.AuthorityEnd) -> Call[models.Ended]:
    """POST /v1/guardrails/{guardrail_id}/lift"""
    return Call(
        "POST", f"/v1/guardrails/{quoted(guardrail_id)}/lift", models.Ended, body=body, acts=True
    )


def lift_sso(body: models.AuthorityEnd) -> Call[models.Sso]:
    """POST /v1/sso/lift"""
    return Call("POST", "/v1/sso/lift", models.Sso, body=body, acts=True)


def line_proof(invoice_id: str, number: str, *, as_of: str | None = None) -> Call[bytes]:
    """GET /v1/invoices/{invoice_id}/lines/{number}/proof"""
    return Call(
        "GET",
        f"/v1/invoices/{quoted(invoice_id)}/lines/{quoted(number)}/proof",
        bytes,
        query={"as_of": as_of},
        waits=True,
    )


def link_identity(body: models.IdentityLink) -> Call[models.Identity]:
    """POST /v1/identities"""
    return Call("POST", "/v1/identities", models.Identity, body=body, acts=True)


def list_accounts(
    *,
    organization: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Account]]:
    """GET /v1/accounts"""
    return Call(
        "GET",
        "/v1/accounts",
        models.Page[models.Account],
        query={"organization": organization, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_actions() -> Call[models.Page[models.KnownAction]]:
    """GET /v1/authorization/actions"""
    return Call("GET", "/v1/authorization/actions", models.Page[models.KnownAction], waits=True)


def list_acts(
    *,
    organization: str | None = None,
    actor: str | None = None,
    resource: str | None = None,
    action: str | None = None,
    since: str | None = None,
    until: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.AuditEntry]]:
    """GET /v1/audit"""
    return Call(
        "GET",
        "/v1/audit",
        models.Page[models.AuditEntry],
        query={
            "organization": organization,
            "actor": actor,
            "resource": resource,
            "action": action,
            "since": since,
            "until": until,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_api_keys(
    *,
    organization: str | None = None,
    principal: str | None = None,
    made_by: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.ApiKey]]:
    """GET /v1/api-keys"""
    return Call(
        "GET",
        "/v1/api-keys",
        models.Page[models.ApiKey],
        query={
            "organization": organization,
            "principal": principal,
            "made_by": made_by,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_attributions(
    *,
    organization: str | None = None,
    project: str | None = None,
    cost_centre: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Attribution]]:
    """GET /v1/attributions"""
    return Call(
        "GET",
        "/v1/attributions",
        models.Page[models.Attribution],
        query={
            "organization": organization,
            "project": project,
            "cost_centre": cost_centre,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_bindings(
    *,
    organization: str | None = None,
    scope: str | None = None,
    principal: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.RoleBinding]]:
    """GET /v1/role-bindings"""
    return Call(
        "GET",
        "/v1/role-bindings",
        models.Page[models.RoleBinding],
        query={
            "organization": organization,
            "scope": scope,
            "principal": principal,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_books(
    *, cursor: str | None = None, limit: int | None = None, as_of: str | None = None
) -> Call[models.Page[models.BookListed]]:
    """GET /v1/price-books"""
    return Call(
        "GET",
        "/v1/price-books",
        models.Page[models.BookListed],
        query={"cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_break_glass(
    *,
    organization: str | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.BreakGlass]]:
    """GET /v1/break-glass"""
    return Call(
        "GET",
        "/v1/break-glass",
        models.Page[models.BreakGlass],
        query={
            "organization": organization,
            "state": state,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_budgets(
    *,
    organization: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Budget]]:
    """GET /v1/budgets"""
    return Call(
        "GET",
        "/v1/budgets",
        models.Page[models.Budget],
        query={"organization": organization, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_claims(
    *, organization: str | None = None, as_of: str | None = None
) -> Call[models.Page[models.Claim]]:
    """GET /v1/quotas/claims"""
    return Call(
        "GET",
        "/v1/quotas/claims",
        models.Page[models.Claim],
        query={"organization": organization, "as_of": as_of},
        waits=True,
    )


def list_commitments(
    account_id: str,
    *,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Commitment]]:
    """GET /v1/accounts/{account_id}/commitments"""
    return Call(
        "GET",
        f"/v1/accounts/{quoted(account_id)}/commitments",
        models.Page[models.Commitment],
        query={"cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_cost_centre_charges(
    *,
    organization: str | None = None,
    cost_centre: str | None = None,
    project: str | None = None,
    account: str | None = None,
    start: str | None = None,
    end: str | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.CostCentreCharge]]:
    """GET /v1/usage/cost-centres"""
    return Call(
        "GET",
        "/v1/usage/cost-centres",
        models.Page[models.CostCentreCharge],
        query={
            "organization": organization,
            "cost_centre": cost_centre,
            "project": project,
            "account": account,
            "start": start,
            "end": end,
            "as_of": as_of,
        },
        waits=True,
    )


def list_cost_centres(
    *,
    organization: str | None = None,
    department: str | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.CostCentre]]:
    """GET /v1/cost-centres"""
    return Call(
        "GET",
        "/v1/cost-centres",
        models.Page[models.CostCentre],
        query={
            "organization": organization,
            "department": department,
            "state": state,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_credit_notes(
    *,
    organization: str | None = None,
    account: str | None = None,
    invoice: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.CreditNote]]:
    """GET /v1/credit-notes"""
    return Call(
        "GET",
        "/v1/credit-notes",
        models.Page[models.CreditNote],
        query={
            "organization": organization,
            "account": account,
            "invoice": invoice,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_dead_letters(
    webhook_id: str, *, cursor: str | None = None, limit: int | None = None
) -> Call[models.Page[models.DeadLetter]]:
    """GET /v1/webhooks/{webhook_id}/dead-letters"""
    return Call(
        "GET",
        f"/v1/webhooks/{quoted(webhook_id)}/dead-letters",
        models.Page[models.DeadLetter],
        query={"cursor": cursor, "limit": limit},
        waits=True,
    )


def list_departments(
    *,
    organization: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Department]]:
    """GET /v1/departments"""
    return Call(
        "GET",
        "/v1/departments",
        models.Page[models.Department],
        query={"organization": organization, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_departments_of_invoices(
    invoice_id: str, *, as_of: str | None = None
) -> Call[models.Page[models.InvoiceDepartment]]:
    """GET /v1/invoices/{invoice_id}/departments"""
    return Call(
        "GET",
        f"/v1/invoices/{quoted(invoice_id)}/departments",
        models.Page[models.InvoiceDepartment],
        query={"as_of": as_of},
        waits=True,
    )


def list_devices(node_id: str, *, as_of: str | None = None) -> Call[models.DeviceReports]:
    """GET /v1/nodes/{node_id}/devices"""
    return Call(
        "GET",
        f"/v1/nodes/{quoted(node_id)}/devices",
        models.DeviceReports,
        query={"as_of": as_of},
        waits=True,
    )


def list_effects() -> Call[models.Page[models.Effect]]:
    """GET /v1/effects"""
    return Call("GET", "/v1/effects", models.Page[models.Effect], waits=True)


def list_grants(
    *,
    organization: str | None = None,
    project: str | None = None,
    runtime_id: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.AccessGrant]]:
    """GET /v1/access-grants"""
    return Call(
        "GET",
        "/v1/access-grants",
        models.Page[models.AccessGrant],
        query={
            "organization": organization,
            "project": project,
            "runtime_id": runtime_id,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_groups(
    *,
    organization: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Group]]:
    """GET /v1/groups"""
    return Call(
        "GET",
        "/v1/groups",
        models.Page[models.Group],
        query={"organization": organization, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_guardrails(
    *,
    organization: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.GuardrailGiven]]:
    """GET /v1/guardrails"""
    return Call(
        "GET",
        "/v1/guardrails",
        models.Page[models.GuardrailGiven],
        query={"organization": organization, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_identities(
    *, cursor: str | None = None, limit: int | None = None, as_of: str | None = None
) -> Call[models.Page[models.Identity]]:
    """GET /v1/identities"""
    return Call(
        "GET",
        "/v1/identities",
        models.Page[models.Identity],
        query={"cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_images(
    *,
    reference: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Image]]:
    """GET /v1/images"""
    return Call(
        "GET",
        "/v1/images",
        models.Page[models.Image],
        query={"reference": reference, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_incidents(
    *,
    state: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Incident]]:
    """GET /v1/incidents"""
    return Call(
        "GET",
        "/v1/incidents",
        models.Page[models.Incident],
        query={"state": state, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_invitations(
    *,
    organization: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Invitation]]:
    """GET /v1/invitations"""
    return Call(
        "GET",
        "/v1/invitations",
        models.Page[models.Invitation],
        query={"organization": organization, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_invoice_cost_centres(
    invoice_id: str, *, as_of: str | None = None
) -> Call[models.Page[models.InvoiceCostCentre]]:
    """GET /v1/invoices/{invoice_id}/cost-centres"""
    return Call(
        "GET",
        f"/v1/invoices/{quoted(invoice_id)}/cost-centres",
        models.Page[models.InvoiceCostCentre],
        query={"as_of": as_of},
        waits=True,
    )


def list_invoices(
    *,
    organization: str | None = None,
    account: str | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Invoice]]:
    """GET /v1/invoices"""
    return Call(
        "GET",
        "/v1/invoices",
        models.Page[models.Invoice],
        query={
            "organization": organization,
            "account": account,
            "state": state,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_issuers(
    *,
    organization: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Issuer]]:
    """GET /v1/issuers"""
    return Call(
        "GET",
        "/v1/issuers",
        models.Page[models.Issuer],
        query={"organization": organization, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_members(
    *,
    organization: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Member]]:
    """GET /v1/members"""
    return Call(
        "GET",
        "/v1/members",
        models.Page[models.Member],
        query={"organization": organization, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_meters(
    *, cursor: str | None = None, limit: int | None = None, as_of: str | None = None
) -> Call[models.Page[models.Meter]]:
    """GET /v1/meters"""
    return Call(
        "GET",
        "/v1/meters",
        models.Page[models.Meter],
        query={"cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_networks(
    *,
    organization: str | None = None,
    project: str | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Network]]:
    """GET /v1/networks"""
    return Call(
        "GET",
        "/v1/networks",
        models.Page[models.Network],
        query={
            "organization": organization,
            "project": project,
            "state": state,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_nodes(
    *,
    state: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Node]]:
    """GET /v1/nodes"""
    return Call(
        "GET",
        "/v1/nodes",
        models.Page[models.Node],
        query={"state": state, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_operations(
    *,
    organization: str | None = None,
    project: str | None = None,
    resource: str | None = None,
    kind: str | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Operation]]:
    """GET /v1/operations"""
    return Call(
        "GET",
        "/v1/operations",
        models.Page[models.Operation],
        query={
            "organization": organization,
            "project": project,
            "resource": resource,
            "kind": kind,
            "state": state,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_organizations(
    *,
    state: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Organization]]:
    """GET /v1/organizations"""
    return Call(
        "GET",
        "/v1/organizations",
        models.Page[models.Organization],
        query={"state": state, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_periods(
    *,
    account: str | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Period]]:
    """GET /v1/periods"""
    return Call(
        "GET",
        "/v1/periods",
        models.Page[models.Period],
        query={
            "account": account,
            "state": state,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_prices(
    *,
    account: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Price]]:
    """GET /v1/prices"""
    return Call(
        "GET",
        "/v1/prices",
        models.Page[models.Price],
        query={"account": account, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_problems() -> Call[models.Page[models.KnownProblem]]:
    """GET /v1/problems"""
    return Call("GET", "/v1/problems", models.Page[models.KnownProblem])


def list_projects(
    *,
    organization: str | None = None,
    department: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Project]]:
    """GET /v1/projects"""
    return Call(
        "GET",
        "/v1/projects",
        models.Page[models.Project],
        query={
            "organization": organization,
            "department": department,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_quarantined(
    *, cursor: str | None = None, limit: int | None = None, as_of: str | None = None
) -> Call[models.Page[models.QuarantinedReading]]:
    """GET /v1/readings/quarantined"""
    return Call(
        "GET",
        "/v1/readings/quarantined",
        models.Page[models.QuarantinedReading],
        query={"cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_quotas(
    *,
    organization: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Quota]]:
    """GET /v1/quotas"""
    return Call(
        "GET",
        "/v1/quotas",
        models.Page[models.Quota],
        query={"organization": organization, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_rates(
    seller_id: str, *, cursor: str | None = None, limit: int | None = None, as_of: str | None = None
) -> Call[models.Page[models.TaxRate]]:
    """GET /v1/sellers/{seller_id}/rates"""
    return Call(
        "GET",
        f"/v1/sellers/{quoted(seller_id)}/rates",
        models.Page[models.TaxRate],
        query={"cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_reclaims(
    *,
    organization: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Reclaim]]:
    """GET /v1/quotas/reclaims"""
    return Call(
        "GET",
        "/v1/quotas/reclaims",
        models.Page[models.Reclaim],
        query={"organization": organization, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_reratings(
    account_id: str,
    *,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Repricing]]:
    """GET /v1/accounts/{account_id}/reratings"""
    return Call(
        "GET",
        f"/v1/accounts/{quoted(account_id)}/reratings",
        models.Page[models.Repricing],
        query={"cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_reservations(
    *,
    organization: str | None = None,
    project: str | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Reservation]]:
    """GET /v1/reservations"""
    return Call(
        "GET",
        "/v1/reservations",
        models.Page[models.Reservation],
        query={
            "organization": organization,
            "project": project,
            "state": state,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_running_usage(
    *,
    organization: str | None = None,
    department: str | None = None,
    project: str | None = None,
    account: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Call[models.Page[models.UsageRunning]]:
    """GET /v1/usage/running"""
    return Call(
        "GET",
        "/v1/usage/running",
        models.Page[models.UsageRunning],
        query={
            "organization": organization,
            "department": department,
            "project": project,
            "account": account,
            "cursor": cursor,
            "limit": limit,
        },
        waits=True,
    )


def list_runtimes(
    *,
    organization: str | None = None,
    project: str | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Runtime]]:
    """GET /v1/runtimes"""
    return Call(
        "GET",
        "/v1/runtimes",
        models.Page[models.Runtime],
        query={
            "organization": organization,
            "project": project,
            "state": state,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_schemas(
    *, cursor: str | None = None, limit: int | None = None
) -> Call[models.Page[models.KnownSchema]]:
    """GET /v1/schemas"""
    return Call(
        "GET",
        "/v1/schemas",
        models.Page[models.KnownSchema],
        query={"cursor": cursor, "limit": limit},
    )


def list_sellers(
    *, cursor: str | None = None, limit: int | None = None, as_of: str | None = None
) -> Call[models.Page[models.Seller]]:
    """GET /v1/sellers"""
    return Call(
        "GET",
        "/v1/sellers",
        models.Page[models.Seller],
        query={"cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_service_accounts(
    *,
    organization: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.ServiceAccount]]:
    """GET /v1/service-accounts"""
    return Call(
        "GET",
        "/v1/service-accounts",
        models.Page[models.ServiceAccount],
        query={"organization": organization, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_sessions(
    *,
    organization: str | None = None,
    principal: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Session]]:
    """GET /v1/sessions"""
    return Call(
        "GET",
        "/v1/sessions",
        models.Page[models.Session],
        query={
            "organization": organization,
            "principal": principal,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_shares(
    *,
    organization: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.HttpQuotasShare]]:
    """GET /v1/quotas/shares"""
    return Call(
        "GET",
        "/v1/quotas/shares",
        models.Page[models.HttpQuotasShare],
        query={"organization": organization, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_sources(
    *,
    organization: str | None = None,
    project: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Source]]:
    """GET /v1/sources"""
    return Call(
        "GET",
        "/v1/sources",
        models.Page[models.Source],
        query={
            "organization": organization,
            "project": project,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_storage_quotas(
    *,
    organization: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.StorageQuota]]:
    """GET /v1/storage-quotas"""
    return Call(
        "GET",
        "/v1/storage-quotas",
        models.Page[models.StorageQuota],
        query={"organization": organization, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_suspense(
    *,
    waiting: bool | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Aside]]:
    """GET /v1/suspense"""
    return Call(
        "GET",
        "/v1/suspense",
        models.Page[models.Aside],
        query={"waiting": waiting, "cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_transfers(
    account_id: str,
    *,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Transfer]]:
    """GET /v1/accounts/{account_id}/transfers"""
    return Call(
        "GET",
        f"/v1/accounts/{quoted(account_id)}/transfers",
        models.Page[models.Transfer],
        query={"cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def list_usage(
    *,
    organization: str | None = None,
    department: str | None = None,
    project: str | None = None,
    account: str | None = None,
    start: str | None = None,
    end: str | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Usage]]:
    """GET /v1/usage"""
    return Call(
        "GET",
        "/v1/usage",
        models.Page[models.Usage],
        query={
            "organization": organization,
            "department": department,
            "project": project,
            "account": account,
            "start": start,
            "end": end,
            "as_of": as_of,
        },
        waits=True,
    )


def list_volumes(
    *,
    organization: str | None = None,
    project: str | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Volume]]:
    """GET /v1/volumes"""
    return Call(
        "GET",
        "/v1/volumes",
        models.Page[models.Volume],
        query={
            "organization": organization,
            "project": project,
            "state": state,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def list_webhooks(
    *,
    organization: str | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Webhook]]:
    """GET /v1/webhooks"""
    return Call(
        "GET",
        "/v1/webhooks",
        models.Page[models.Webhook],
        query={
            "organization": organization,
            "state": state,
            "cursor": cursor,
            "limit": limit,
            "as_of": as_of,
        },
        waits=True,
    )


def lose_volume(volume_id: str) -> Call[models.VolumeChanged]:
    """POST /v1/volumes/{volume_id}/lost"""
    return Call("POST", f"/v1/volumes/{quoted(volume_id)}/lost", models.VolumeChanged, acts=True)


def make_commitment(account_id: str, body: models.CommitmentNew) -> Call[models.Commitment]:
    """POST /v1/accounts/{account_id}/commitments"""
    return Call(
        "POST",
        f"/v1/accounts/{quoted(account_id)}/commitments",
        models.Commitment,
        body=body,
        acts=True,
    )


def make_reservation(body: models.ReservationNew) -> Call[models.Reservation]:
    """POST /v1/reservations"""
    return Call("POST", "/v1/reservations", models.Reservation, body=body, acts=True)


def metrics() -> Call[bytes]:
    """GET /v1/metrics"""
    return Call("GET", "/v1/metrics", bytes, waits=True)


def move_project(project_id: str, body: models.ProjectMove) -> Call[models.ProjectMoved]:
    """POST /v1/projects/{project_id}/move"""
    return Call(
        "POST", f"/v1/projects/{quoted(project_id)}/move", models.ProjectMoved, body=body, acts=True
    )


def node_discrepancies(
    node_id: str, *, cursor: str | None = None, limit: int | None = None, as_of: str | None = None
) -> Call[models.Page[models.Discrepancy]]:
    """GET /v1/nodes/{node_id}/discrepancies"""
    return Call(
        "GET",
        f"/v1/nodes/{quoted(node_id)}/discrepancies",
        models.Page[models.Discrepancy],
        query={"cursor": cursor, "limit": limit, "as_of": as_of},
        waits=True,
    )


def node_timeline(
    node_id: str,
    *,
    cursor: str | None = None,
    limit: int | None = None,
    leases: bool | None = None,
    as_of: str | None = None,
) -> Call[models.Page[models.Happened]]:
    """GET /v1/nodes/{node_id}/timeline"""
    return Call(
        "GET",
        f"/v1/nodes/{quoted(node_id)}/timeline",
        models.Page[models.Happened],
        query={"cursor": cursor, "limit": limit, "leases": leases, "as_of": as_of},
        waits=True,
    )


def note_incident(incident_id: str, body: models.IncidentNote) -> Call[models.IncidentChanged]:
    """POST /v1/incidents/{incident_id}/note"""
    return Call(
        "POST",
        f"/v1/incidents/{quoted(incident_id)}/note",
        models.IncidentChanged,
        body=body,
        acts=True,
    )


def open_account(body: models.AccountNew) -> Call[models.Account]:
    """POST /v1/accounts"""
    return Call("POST", "/v1/accounts", models.Account, body=body, acts=True)


def open_incident(body: models.IncidentNew) -> Call[models.IncidentChanged]:
    """POST /v1/incidents"""
    return Call("POST", "/v1/incidents", models.IncidentChanged, body=body, acts=True)


def open_session(body: models.SessionNew) -> Call[models.Session]:
    """POST /v1/sessions"""
    return Call("POST", "/v1/sessions", models.Session, body=body)


def open_terminal(
    runtime_id: str, body: models.TerminalNew | None = None
) -> Call[models.TerminalOpened]:
    """POST /v1/runtimes/{runtime_id}/terminals"""
    return Call(
        "POST",
        f"/v1/runtimes/{quoted(runtime_id)}/terminals",
        models.TerminalOpened,
        body=body,
        acts=True,
    )


def order_credit_note(invoice_id: str, body: models.CreditNoteNew) -> Call[models.CreditOrder]:
    """POST /v1/invoices/{invoice_id}/credit-notes"""
    return Call(
        "POST",
        f"/v1/invoices/{quoted(invoice_id)}/credit-notes",
        models.CreditOrder,
        body=body,
        acts=True,
    )


def pause_webhook(webhook_id: str) -> Call[models.WebhookChanged]:
    """POST /v1/webhooks/{webhook_id}/pause"""
    return Call(
        "POST", f"/v1/webhooks/{quoted(webhook_id)}/pause", models.WebhookChanged, acts=True
    )


def place_block(body: models.BlockNew) -> Call[models.Block]:
    """POST /v1/blocks"""
    return Call("POST", "/v1/blocks", models.Block, body=body, acts=True)


def preview_period(account_id: str, body: models.PreviewNew) -> Call[models.Preview]:
    """POST /v1/accounts/{account_id}/preview"""
    return Call("POST", f"/v1/accounts/{quoted(account_id)}/preview", models.Preview, body=body)


def publish_book(name: str, body: models.BookNew) -> Call[models.BookListed]:
    """POST /v1/price-books/{name}"""
    return Call("POST", f"/v1/price-books/{quoted(name)}", models.BookListed, body=body, acts=True)


def publish_price(body: models.PriceNew) -> Call[models.Price]:
    """POST /v1/prices"""
    return Call("POST", "/v1/prices", models.Price, body=body, acts=True)


def publish_tiered(body: models.TieredNew) -> Call[models.Tiered]:
    """POST /v1/prices/tiered"""
    return Call("POST", "/v1/prices/tiered", models.Tiered, body=body, acts=True)


def put_aside(body: models.AsideNew) -> Call[models.Resolution]:
    """POST /v1/suspense"""
    return Call("POST", "/v1/suspense", models.Resolution, body=body, acts=True)


def quarantine_node(node_id: str, body: models.NodeDevices) -> Call[models.NodeUpkept]:
    """POST /v1/nodes/{node_id}/quarantine"""
    return Call(
        "POST", f"/v1/nodes/{quoted(node_id)}/quarantine", models.NodeUpkept, body=body, acts=True
    )


def reactivate_organization(
    organization_id: str, body: models.Standing
) -> Call[models.Organization]:
    """POST /v1/organizations/{organization_id}/reactivate"""
    return Call(
        "POST",
        f"/v1/organizations/{quoted(organization_id)}/reactivate",
        models.Organization,
        body=body,
        acts=True,
    )


def ready() -> Call[models.Readiness]:
    """GET /v1/readiness"""
    return Call("GET", "/v1/readiness", models.Readiness)


def record_payment(invoice_id: str, body: models.PaymentNew) -> Call[models.Payment]:
    """POST /v1/invoices/{invoice_id}/payments"""
    return Call(
        "POST", f"/v1/invoices/{quoted(invoice_id)}/payments", models.Payment, body=body, acts=True
    )


def refund_credit(account_id: str, body: models.GiveBackNew) -> Call[models.GaveBack]:
    """POST /v1/accounts/{account_id}/refunds"""
    return Call(
        "POST", f"/v1/accounts/{quoted(account_id)}/refunds", models.GaveBack, body=body, acts=True
    )


def refund_invoice(invoice_id: str, body: models.ReturnNew) -> Call[models.Payment]:
    """POST /v1/invoices/{invoice_id}/refunds"""
    return Call(
        "POST", f"/v1/invoices/{quoted(invoice_id)}/refunds", models.Payment, body=body, acts=True
    )


def refuse_break_glass(grant_id: str, body: models.BreakGlassEnd) -> Call[models.BreakGlassDone]:
    """POST /v1/break-glass/{grant_id}/refuse"""
    return Call(
        "POST",
        f"/v1/break-glass/{quoted(grant_id)}/refuse",
        models.BreakGlassDone,
        body=body,
        acts=True,
    )


def register_image(body: models.ImageNew) -> Call[models.Image]:
    """POST /v1/images"""
    return Call("POST", "/v1/images", models.Image, body=body, acts=True)


def register_meter(body: models.MeterNew) -> Call[models.Meter]:
    """POST /v1/meters"""
    return Call("POST", "/v1/meters", models.Meter, body=body, acts=True)


def register_seller(body: models.SellerNew) -> Call[models.Seller]:
    """POST /v1/sellers"""
    return Call("POST", "/v1/sellers", models.Seller, body=body, acts=True)


def register_source(body: models.SourceNew) -> Call[models.Source]:
    """POST /v1/sources"""
    return Call("POST", "/v1/sources", models.Source, body=body, acts=True)


def register_webhook(body: models.WebhookNew) -> Call[models.Webhook]:
    """POST /v1/webhooks"""
    return Call("POST", "/v1/webhooks", models.Webhook, body=body, acts=True)


def reinvite_node(node_id: str, body: models.NodeReinvite) -> Call[models.NodeInvited]:
    """POST /v1/nodes/{node_id}/reinvite"""
    return Call(
        "POST", f"/v1/nodes/{quoted(node_id)}/reinvite", models.NodeInvited, body=body, acts=True
    )


def remove_group_member(group_id: str, body: models.GroupMember) -> Call[models.Ended]:
    """POST /v1/groups/{group_id}/members/remove"""
    return Call(
        "POST", f"/v1/groups/{quoted(group_id)}/members/remove", models.Ended, body=body, acts=True
    )


def remove_member(principal: str, body: models.AuthorityEnd) -> Call[models.Ended]:
    """POST /v1/members/{principal}/remove"""
    return Call(
        "POST", f"/v1/members/{quoted(principal)}/remove", models.Ended, body=body, acts=True
    )


def remove_totp(body: models.FactorEnd) -> Call[models.FactorEnded]:
    """POST /v1/mfa/totp/remove"""
    return Call("POST", "/v1/mfa/totp/remove", models.FactorEnded, body=body, acts=True)


def rename_cost_centre(cost_centre_id: str, body: models.CostCentreName) -> Call[models.CostCentre]:
    """POST /v1/cost-centres/{cost_centre_id}/rename"""
    return Call(
        "POST",
        f"/v1/cost-centres/{quoted(cost_centre_id)}/rename",
        models.CostCentre,
        body=body,
        acts=True,
    )


def rename_department(department_id: str, body: models.NewName) -> Call[models.Renamed]:
    """POST /v1/departments/{department_id}/rename"""
    return Call(
        "POST",
        f"/v1/departments/{quoted(department_id)}/rename",
        models.Renamed,
        body=body,
        acts=True,
    )


def rename_group(group_id: str, body: models.GroupName) -> Call[models.Renamed]:
    """POST /v1/groups/{group_id}/rename"""
    return Call(
        "POST", f"/v1/groups/{quoted(group_id)}/rename", models.Renamed, body=body, acts=True
    )


def rename_organization(organization_id: str, body: models.NewName) -> Call[models.Renamed]:
    """POST /v1/organizations/{organization_id}/rename"""
    return Call(
        "POST",
        f"/v1/organizations/{quoted(organization_id)}/rename",
        models.Renamed,
        body=body,
        acts=True,
    )


def rename_project(project_id: str, body: models.NewName) -> Call[models.Renamed]:
    """POST /v1/projects/{project_id}/rename"""
    return Call(
        "POST", f"/v1/projects/{quoted(project_id)}/rename", models.Renamed, body=body, acts=True
    )


def renew_certificate(body: models.RenewalRequest) -> Call[models.RenewalReply]:
    """POST /v1/nodes/certificate"""
    return Call("POST", "/v1/nodes/certificate", models.RenewalReply, body=body)


def reopen_organization(organization_id: str, body: models.Standing) -> Call[models.Organization]:
    """POST /v1/organizations/{organization_id}/reopen"""
    return Call(
        "POST",
        f"/v1/organizations/{quoted(organization_id)}/reopen",
        models.Organization,
        body=body,
        acts=True,
    )


def replace_recovery_codes(body: models.Code) -> Call[models.RecoveryCodes]:
    """POST /v1/mfa/recovery-codes"""
    return Call("POST", "/v1/mfa/recovery-codes", models.RecoveryCodes, body=body, acts=True)


def replay_webhook(webhook_id: str, body: models.WebhookReplay) -> Call[models.WebhookChanged]:
    """POST /v1/webhooks/{webhook_id}/replay"""
    return Call(
        "POST",
        f"/v1/webhooks/{quoted(webhook_id)}/replay",
        models.WebhookChanged,
        body=body,
        acts=True,
    )


def request_break_glass(body: models.BreakGlassNew) -> Call[models.BreakGlass]:
    """POST /v1/break-glass"""
    return Call("POST", "/v1/break-glass", models.BreakGlass, body=body, acts=True)


def require_sanitization(node_id: str) -> Call[models.NodeUpkept]:
    """POST /v1/nodes/{node_id}/require-sanitization"""
    return Call(
        "POST", f"/v1/nodes/{quoted(node_id)}/require-sanitization", models.NodeUpkept, acts=True
    )


def require_sso(body: models.SsoNew) -> Call[models.Sso]:
    """POST /v1/sso"""
    return Call("POST", "/v1/sso", models.Sso, body=body, acts=True)


def rerate_account(account_id: str, body: models.RepricingNew) -> Call[models.Repricing]:
    """POST /v1/accounts/{account_id}/reratings"""
    return Call(
        "POST",
        f"/v1/accounts/{quoted(account_id)}/reratings",
        models.Repricing,
        body=body,
        acts=True,
    )


def resolve_incident(incident_id: str) -> Call[models.IncidentChanged]:
    """POST /v1/incidents/{incident_id}/resolve"""
    return Call(
        "POST", f"/v1/incidents/{quoted(incident_id)}/resolve", models.IncidentChanged, acts=True
    )


def resolve_suspense(suspense_id: str, body: models.ResolveNew) -> Call[models.Resolution]:
    """POST /v1/suspense/{suspense_id}/resolve"""
    return Call(
        "POST",
        f"/v1/suspense/{quoted(suspense_id)}/resolve",
        models.Resolution,
        body=body,
        acts=True,
    )


def restore_volume(volume_id: str, body: models.VolumeRestore) -> Call[models.VolumeChanged]:
    """POST /v1/volumes/{volume_id}/restore"""
    return Call(
        "POST",
        f"/v1/volumes/{quoted(volume_id)}/restore",
        models.VolumeChanged,
        body=body,
        acts=True,
    )


def resume_account(account_id: str, body: models.ResumeNew) -> Call[models.AccountStanding]:
    """POST /v1/accounts/{account_id}/resume"""
    return Call(
        "POST",
        f"/v1/accounts/{quoted(account_id)}/resume",
        models.AccountStanding,
        body=body,
        acts=True,
    )


def resume_webhook(webhook_id: str) -> Call[models.WebhookChanged]:
    """POST /v1/webhooks/{webhook_id}/resume"""
    return Call(
        "POST", f"/v1/webhooks/{quoted(webhook_id)}/resume", models.WebhookChanged, acts=True
    )


def retire_node(node_id: str, body: models.NodeDrain) -> Call[models.NodeUpkept]:
    """POST /v1/nodes/{node_id}/retire"""
    return Call(
        "POST", f"/v1/nodes/{quoted(node_id)}/retire", models.NodeUpkept, body=body, acts=True
    )


def return_node(node_id: str, body: models.NodeReturn) -> Call[models.NodeUpkept]:
    """POST /v1/nodes/{node_id}/return"""
    return Call(
        "POST", f"/v1/nodes/{quoted(node_id)}/return", models.NodeUpkept, body=body, acts=True
    )


def return_payment(invoice_id: str, body: models.ReturnNew) -> Call[models.Payment]:
    """POST /v1/invoices/{invoice_id}/returned-payments"""
    return Call(
        "POST",
        f"/v1/invoices/{quoted(invoice_id)}/returned-payments",
        models.Payment,
        body=body,
        acts=True,
    )


def revoke_api_key(key_id: str, body: models.AuthorityEnd) -> Call[models.Ended]:
    """POST /v1/api-keys/{key_id}/revoke"""
    return Call("POST", f"/v1/api-keys/{quoted(key_id)}/revoke", models.Ended, body=body, acts=True)


def revoke_binding(binding_id: str, body: models.AuthorityEnd) -> Call[models.Ended]:
    """POST /v1/role-bindings/{binding_id}/revoke"""
    return Call(
        "POST", f"/v1/role-bindings/{quoted(binding_id)}/revoke", models.Ended, body=body, acts=True
    )


def revoke_break_glass(grant_id: str, body: models.BreakGlassEnd) -> Call[models.BreakGlassDone]:
    """POST /v1/break-glass/{grant_id}/revoke"""
    return Call(
        "POST",
        f"/v1/break-glass/{quoted(grant_id)}/revoke",
        models.BreakGlassDone,
        body=body,
        acts=True,
    )


def revoke_grant(
    grant_id: str, body: models.AccessRevoke | None = None
) -> Call[models.AccessRevoked]:
    """POST /v1/access-grants/{grant_id}/revoke"""
    return Call(
        "POST",
        f"/v1/access-grants/{quoted(grant_id)}/revoke",
        models.AccessRevoked,
        body=body,
        acts=True,
    )


def revoke_node(node_id: str, body: models.NodeRevocation) -> Call[models.NodeRevoked]:
    """POST /v1/nodes/{node_id}/revoke"""
    return Call(
        "POST", f"/v1/nodes/{quoted(node_id)}/revoke", models.NodeRevoked, body=body, acts=True
    )


def revoke_source(source_id: str, body: models.SourceRevocation) -> Call[models.SourceRevoked]:
    """POST /v1/sources/{source_id}/revoke"""
    return Call(
        "POST",
        f"/v1/sources/{quoted(source_id)}/revoke",
        models.SourceRevoked,
        body=body,
        acts=True,
    )


def rotate_secret(webhook_id: str) -> Call[models.WebhookSecret]:
    """POST /v1/webhooks/{webhook_id}/rotate-secret"""
    return Call(
        "POST", f"/v1/webhooks/{quoted(webhook_id)}/rotate-secret", models.WebhookSecret, acts=True
    )


def sanitize_node(node_id: str, body: models.NodeDevices) -> Call[models.NodeUpkept]:
    """POST /v1/nodes/{node_id}/sanitize"""
    return Call(
        "POST", f"/v1/nodes/{quoted(node_id)}/sanitize", models.NodeUpkept, body=body, acts=True
    )


def set_account_tax(account_id: str, body: models.AccountTaxNew) -> Call[models.AccountTax]:
    """POST /v1/accounts/{account_id}/tax"""
    return Call(
        "POST", f"/v1/accounts/{quoted(account_id)}/tax", models.AccountTax, body=body, acts=True
    )


def set_budget(body: models.BudgetNew) -> Call[models.Budget]:
    """POST /v1/budgets"""
    return Call("POST", "/v1/budgets", models.Budget, body=body, acts=True)


def set_credit(account_id: str, body: models.CreditTermsNew) -> Call[models.CreditTerms]:
    """POST /v1/accounts/{account_id}/credit"""
    return Call(
        "POST",
        f"/v1/accounts/{quoted(account_id)}/credit",
        models.CreditTerms,
        body=body,
        acts=True,
    )


def set_factors(issuer_id: str, body: models.IssuerFactors) -> Call[models.Issuer]:
    """POST /v1/issuers/{issuer_id}/factors"""
    return Call(
        "POST", f"/v1/issuers/{quoted(issuer_id)}/factors", models.Issuer, body=body, acts=True
    )


def set_guardrail(body: models.GuardrailNew) -> Call[models.GuardrailGiven]:
    """POST /v1/guardrails"""
    return Call("POST", "/v1/guardrails", models.GuardrailGiven, body=body, acts=True)


def set_network_policy(network_id: str, body: models.NetworkPolicy) -> Call[models.Network]:
    """POST /v1/networks/{network_id}/policy"""
    return Call(
        "POST", f"/v1/networks/{quoted(network_id)}/policy", models.Network, body=body, acts=True
    )


def set_quota(body: models.QuotaNew) -> Call[models.Quota]:
    """POST /v1/quotas"""
    return Call("POST", "/v1/quotas", models.Quota, body=body, acts=True)


def set_rate(seller_id: str, body: models.TaxRateNew) -> Call[models.TaxRate]:
    """POST /v1/sellers/{seller_id}/rates"""
    return Call(
        "POST", f"/v1/sellers/{quoted(seller_id)}/rates", models.TaxRate, body=body, acts=True
    )


def set_region(node_id: str, body: models.NodeRegion) -> Call[models.NodeUpkept]:
    """POST /v1/nodes/{node_id}/region"""
    return Call(
        "POST", f"/v1/nodes/{quoted(node_id)}/region", models.NodeUpkept, body=body, acts=True
    )


def set_share(body: models.ShareNew) -> Call[models.HttpQuotasShare]:
    """POST /v1/quotas/shares"""
    return Call("POST", "/v1/quotas/shares", models.HttpQuotasShare, body=body, acts=True)


def set_storage_quota(body: models.StorageQuotaNew) -> Call[models.StorageQuota]:
    """POST /v1/storage-quotas"""
    return Call("POST", "/v1/storage-quotas", models.StorageQuota, body=body, acts=True)


def set_terms(account_id: str, body: models.TermsNew) -> Call[models.Terms]:
    """POST /v1/accounts/{account_id}/terms"""
    return Call(
        "POST", f"/v1/accounts/{quoted(account_id)}/terms", models.Terms, body=body, acts=True
    )


def set_topology(node_id: str, body: models.NodeTopology) -> Call[models.NodeUpkept]:
    """POST /v1/nodes/{node_id}/topology"""
    return Call(
        "POST", f"/v1/nodes/{quoted(node_id)}/topology", models.NodeUpkept, body=body, acts=True
    )


def show_account(account_id: str, *, as_of: str | None = None) -> Call[models.Account]:
    """GET /v1/accounts/{account_id}"""
    return Call(
        "GET",
        f"/v1/accounts/{quoted(account_id)}",
        models.Account,
        query={"as_of": as_of},
        waits=True,
    )


def show_account_tax(account_id: str, *, as_of: str | None = None) -> Call[models.AccountTax]:
    """GET /v1/accounts/{account_id}/tax"""
    return Call(
        "GET",
        f"/v1/accounts/{quoted(account_id)}/tax",
        models.AccountTax,
        query={"as_of": as_of},
        waits=True,
    )


def show_api_key(
    key_id: str, *, organization: str | None = None, as_of: str | None = None
) -> Call[models.ApiKey]:
    """GET /v1/api-keys/{key_id}"""
    return Call(
        "GET",
        f"/v1/api-keys/{quoted(key_id)}",
        models.ApiKey,
        query={"organization": organization, "as_of": as_of},
        waits=True,
    )


def show_attribution(project_id: str, *, as_of: str | None = None) -> Call[models.Attribution]:
    """GET /v1/projects/{project_id}/attribution"""
    return Call(
        "GET",
        f"/v1/projects/{quoted(project_id)}/attribution",
        models.Attribution,
        query={"as_of": as_of},
        waits=True,
    )


def show_binding(
    binding_id: str, *, organization: str | None = None, as_of: str | None = None
) -> Call[models.RoleBinding]:
    """GET /v1/role-bindings/{binding_id}"""
    return Call(
        "GET",
        f"/v1/role-bindings/{quoted(binding_id)}",
        models.RoleBinding,
        query={"organization": organization, "as_of": as_of},
        waits=True,
    )


def show_book(
    name: str, *, edition: int | None = None, as_of: str | None = None
) -> Call[models.Book]:
    """GET /v1/price-books/{name}"""
    return Call(
        "GET",
        f"/v1/price-books/{quoted(name)}",
        models.Book,
        query={"edition": edition, "as_of": as_of},
        waits=True,
    )


def show_break_glass(grant_id: str, *, as_of: str | None = None) -> Call[models.BreakGlass]:
    """GET /v1/break-glass/{grant_id}"""
    return Call(
        "GET",
        f"/v1/break-glass/{quoted(grant_id)}",
        models.BreakGlass,
        query={"as_of": as_of},
        waits=True,
    )


def show_budget(scope_id: str, *, as_of: str | None = None) -> Call[models.Budget]:
    """GET /v1/budgets/{scope_id}"""
    return Call(
        "GET", f"/v1/budgets/{quoted(scope_id)}", models.Budget, query={"as_of": as_of}, waits=True
    )


def show_cost_centre(cost_centre_id: str, *, as_of: str | None = None) -> Call[models.CostCentre]:
    """GET /v1/cost-centres/{cost_centre_id}"""
    return Call(
        "GET",
        f"/v1/cost-centres/{quoted(cost_centre_id)}",
        models.CostCentre,
        query={"as_of": as_of},
        waits=True,
    )


def show_counted(number: str) -> Call[models.CountedCalls]:
    """GET /v1/audit/calls/{number}"""
    return Call("GET", f"/v1/audit/calls/{quoted(number)}", models.CountedCalls, waits=True)


def show_credit(account_id: str, *, as_of: str | None = None) -> Call[models.AccountCredit]:
    """GET /v1/accounts/{account_id}/credit"""
    return Call(
        "GET",
        f"/v1/accounts/{quoted(account_id)}/credit",
        models.AccountCredit,
        query={"as_of": as_of},
        waits=True,
    )


def show_credit_note(credit_note_id: str, *, as_of: str | None = None) -> Call[models.CreditNote]:
    """GET /v1/credit-notes/{credit_note_id}"""
    return Call(
        "GET",
        f"/v1/credit-notes/{quoted(credit_note_id)}",
        models.CreditNote,
        query={"as_of": as_of},
        waits=True,
    )


def show_department(department_id: str, *, as_of: str | None = None) -> Call[models.Department]:
    """GET /v1/departments/{department_id}"""
    return Call(
        "GET",
        f"/v1/departments/{quoted(department_id)}",
        models.Department,
        query={"as_of": as_of},
        waits=True,
    )


def show_factor() -> Call[models.SecondFactor]:
    """GET /v1/mfa"""
    return Call("GET", "/v1/mfa", models.SecondFactor, waits=True)


def show_grant(grant_id: str, *, as_of: str | None = None) -> Call[models.AccessGrant]:
    """GET /v1/access-grants/{grant_id}"""
    return Call(
        "GET",
        f"/v1/access-grants/{quoted(grant_id)}",
        models.AccessGrant,
        query={"as_of": as_of},
        waits=True,
    )


def show_group(
    group_id: str, *, organization: str | None = None, as_of: str | None = None
) -> Call[models.Group]:
    """GET /v1/groups/{group_id}"""
    return Call(
        "GET",
        f"/v1/groups/{quoted(group_id)}",
        models.Group,
        query={"organization": organization, "as_of": as_of},
        waits=True,
    )


def show_guardrail(
    guardrail_id: str, *, organization: str | None = None, as_of: str | None = None
) -> Call[models.GuardrailGiven]:
    """GET /v1/guardrails/{guardrail_id}"""
    return Call(
        "GET",
        f"/v1/guardrails/{quoted(guardrail_id)}",
        models.GuardrailGiven,
        query={"organization": organization, "as_of": as_of},
        waits=True,
    )


def show_identity(identity_id: str, *, as_of: str | None = None) -> Call[models.Identity]:
    """GET /v1/identities/{identity_id}"""
    return Call(
        "GET",
        f"/v1/identities/{quoted(identity_id)}",
        models.Identity,
        query={"as_of": as_of},
        waits=True,
    )


def show_image(image_id: str, *, as_of: str | None = None) -> Call[models.Image]:
    """GET /v1/images/{image_id}"""
    return Call(
        "GET", f"/v1/images/{quoted(image_id)}", models.Image, query={"as_of": as_of}, waits=True
    )


def show_incident(incident_id: str, *, as_of: str | None = None) -> Call[models.IncidentShown]:
    """GET /v1/incidents/{incident_id}"""
    return Call(
        "GET",
        f"/v1/incidents/{quoted(incident_id)}",
        models.IncidentShown,
        query={"as_of": as_of},
        waits=True,
    )


def show_invitation(
    invitation_id: str, *, organization: str | None = None, as_of: str | None = None
) -> Call[models.Invitation]:
    """GET /v1/invitations/{invitation_id}"""
    return Call(
        "GET",
        f"/v1/invitations/{quoted(invitation_id)}",
        models.Invitation,
        query={"organization": organization, "as_of": as_of},
        waits=True,
    )


def show_invoice(invoice_id: str, *, as_of: str | None = None) -> Call[models.Invoice]:
    """GET /v1/invoices/{invoice_id}"""
    return Call(
        "GET",
        f"/v1/invoices/{quoted(invoice_id)}",
        models.Invoice,
        query={"as_of": as_of},
        waits=True,
    )


def show_issuer(
    issuer_id: str, *, organization: str | None = None, as_of: str | None = None
) -> Call[models.Issuer]:
    """GET /v1/issuers/{issuer_id}"""
    return Call(
        "GET",
        f"/v1/issuers/{quoted(issuer_id)}",
        models.Issuer,
        query={"organization": organization, "as_of": as_of},
        waits=True,
    )


def show_logs(runtime_id: str, *, most: int | None = None) -> Call[str]:
    """GET /v1/runtimes/{runtime_id}/logs"""
    return Call(
        "GET", f"/v1/runtimes/{quoted(runtime_id)}/logs", str, query={"most": most}, waits=True
    )


def show_me() -> Call[models.Me]:
    """GET /v1/me"""
    return Call("GET", "/v1/me", models.Me, waits=True)


def show_member(
    principal: str, *, organization: str | None = None, as_of: str | None = None
) -> Call[models.Member]:
    """GET /v1/members/{principal}"""
    return Call(
        "GET",
        f"/v1/members/{quoted(principal)}",
        models.Member,
        query={"organization": organization, "as_of": as_of},
        waits=True,
    )


def show_meter(meter_id: str, *, as_of: str | None = None) -> Call[models.Meter]:
    """GET /v1/meters/{meter_id}"""
    return Call(
        "GET", f"/v1/meters/{quoted(meter_id)}", models.Meter, query={"as_of": as_of}, waits=True
    )


def show_network(network_id: str, *, as_of: str | None = None) -> Call[models.Network]:
    """GET /v1/networks/{network_id}"""
    return Call(
        "GET",
        f"/v1/networks/{quoted(network_id)}",
        models.Network,
        query={"as_of": as_of},
        waits=True,
    )


def show_node(node_id: str, *, as_of: str | None = None) -> Call[models.Node]:
    """GET /v1/nodes/{node_id}"""
    return Call(
        "GET", f"/v1/nodes/{quoted(node_id)}", models.Node, query={"as_of": as_of}, waits=True
    )


def show_node_ca() -> Call[bytes]:
    """GET /v1/enrol/ca"""
    return Call("GET", "/v1/enrol/ca", bytes)


def show_operation(operation_id: str, *, as_of: str | None = None) -> Call[models.Operation]:
    """GET /v1/operations/{operation_id}"""
    return Call(
        "GET",
        f"/v1/operations/{quoted(operation_id)}",
        models.Operation,
        query={"as_of": as_of},
        waits=True,
    )


def show_organization(
    organization_id: str, *, as_of: str | None = None
) -> Call[models.Organization]:
    """GET /v1/organizations/{organization_id}"""
    return Call(
        "GET",
        f"/v1/organizations/{quoted(organization_id)}",
        models.Organization,
        query={"as_of": as_of},
        waits=True,
    )


def show_page(invoice_id: str, *, as_of: str | None = None) -> Call[bytes]:
    """GET /v1/invoices/{invoice_id}/page"""
    return Call(
        "GET", f"/v1/invoices/{quoted(invoice_id)}/page", bytes, query={"as_of": as_of}, waits=True
    )


def show_period(period_id: str, *, as_of: str | None = None) -> Call[models.Period]:
    """GET /v1/periods/{period_id}"""
    return Call(
        "GET", f"/v1/periods/{quoted(period_id)}", models.Period, query={"as_of": as_of}, waits=True
    )


def show_problem(code: str) -> Call[bytes]:
    """GET /v1/problems/{code}"""
    return Call("GET", f"/v1/problems/{quoted(code)}", bytes)


def show_project(project_id: str, *, as_of: str | None = None) -> Call[models.Project]:
    """GET /v1/projects/{project_id}"""
    return Call(
        "GET",
        f"/v1/projects/{quoted(project_id)}",
        models.Project,
        query={"as_of": as_of},
        waits=True,
    )


def show_receipt(position: str) -> Call[models.Receipt]:
    """GET /v1/receipts/{position}"""
    return Call("GET", f"/v1/receipts/{quoted(position)}", models.Receipt, waits=True)


def show_recording(session_id: str) -> Call[bytes]:
    """GET /v1/terminals/{session_id}/recording"""
    return Call("GET", f"/v1/terminals/{quoted(session_id)}/recording", bytes, waits=True)


def show_reservation(reservation_id: str, *, as_of: str | None = None) -> Call[models.Reservation]:
    """GET /v1/reservations/{reservation_id}"""
    return Call(
        "GET",
        f"/v1/reservations/{quoted(reservation_id)}",
        models.Reservation,
        query={"as_of": as_of},
        waits=True,
    )


def show_runtime(runtime_id: str, *, as_of: str | None = None) -> Call[models.Runtime]:
    """GET /v1/runtimes/{runtime_id}"""
    return Call(
        "GET",
        f"/v1/runtimes/{quoted(runtime_id)}",
        models.Runtime,
        query={"as_of": as_of},
        waits=True,
    )


def show_schema(tag: str) -> Call[bytes]:
    """GET /v1/schemas/{tag}"""
    return Call("GET", f"/v1/schemas/{quoted(tag)}", bytes)


def show_seller(seller_id: str, *, as_of: str | None = None) -> Call[models.Seller]:
    """GET /v1/sellers/{seller_id}"""
    return Call(
        "GET", f"/v1/sellers/{quoted(seller_id)}", models.Seller, query={"as_of": as_of}, waits=True
    )


def show_service_account(
    account_id: str, *, organization: str | None = None, as_of: str | None = None
) -> Call[models.ServiceAccount]:
    """GET /v1/service-accounts/{account_id}"""
    return Call(
        "GET",
        f"/v1/service-accounts/{quoted(account_id)}",
        models.ServiceAccount,
        query={"organization": organization, "as_of": as_of},
        waits=True,
    )


def show_session(
    session_id: str, *, organization: str | None = None, as_of: str | None = None
) -> Call[models.Session]:
    """GET /v1/sessions/{session_id}"""
    return Call(
        "GET",
        f"/v1/sessions/{quoted(session_id)}",
        models.Session,
        query={"organization": organization, "as_of": as_of},
        waits=True,
    )


def show_source(source_id: str, *, as_of: str | None = None) -> Call[models.Source]:
    """GET /v1/sources/{source_id}"""
    return Call(
        "GET", f"/v1/sources/{quoted(source_id)}", models.Source, query={"as_of": as_of}, waits=True
    )


def show_sso(*, organization: str | None = None, as_of: str | None = None) -> Call[models.Sso]:
    """GET /v1/sso"""
    return Call(
        "GET",
        "/v1/sso",
        models.Sso,
        query={"organization": organization, "as_of": as_of},
        waits=True,
    )


def show_suspense(suspense_id: str, *, as_of: str | None = None) -> Call[models.Aside]:
    """GET /v1/suspense/{suspense_id}"""
    return Call(
        "GET",
        f"/v1/suspense/{quoted(suspense_id)}",
        models.Aside,
        query={"as_of": as_of},
        waits=True,
    )


def show_terminal(session_id: str, *, as_of: str | None = None) -> Call[models.Terminal]:
    """GET /v1/terminals/{session_id}"""
    return Call(
        "GET",
        f"/v1/terminals/{quoted(session_id)}",
        models.Terminal,
        query={"as_of": as_of},
        waits=True,
    )


def show_transfer(account_id: str, row: str, *, as_of: str | None = None) -> Call[models.Transfer]:
    """GET /v1/accounts/{account_id}/transfers/{row}"""
    return Call(
        "GET",
        f"/v1/accounts/{quoted(account_id)}/transfers/{quoted(row)}",
        models.Transfer,
        query={"as_of": as_of},
        waits=True,
    )


def show_trust() -> Call[models.SshTrust]:
    """GET /v1/ssh/ca"""
    return Call("GET", "/v1/ssh/ca", models.SshTrust, waits=True)


def show_upkeep(node_id: str, *, as_of: str | None = None) -> Call[models.NodeUpkeep]:
    """GET /v1/nodes/{node_id}/upkeep"""
    return Call(
        "GET",
        f"/v1/nodes/{quoted(node_id)}/upkeep",
        models.NodeUpkeep,
        query={"as_of": as_of},
        waits=True,
    )


def show_volume(volume_id: str, *, as_of: str | None = None) -> Call[models.VolumeShown]:
    """GET /v1/volumes/{volume_id}"""
    return Call(
        "GET",
        f"/v1/volumes/{quoted(volume_id)}",
        models.VolumeShown,
        query={"as_of": as_of},
        waits=True,
    )


def show_wallet(account_id: str, *, as_of: str | None = None) -> Call[models.Wallet]:
    """GET /v1/accounts/{account_id}/wallet"""
    return Call(
        "GET",
        f"/v1/accounts/{quoted(account_id)}/wallet",
        models.Wallet,
        query={"as_of": as_of},
        waits=True,
    )


def show_webhook(webhook_id: str, *, as_of: str | None = None) -> Call[models.Webhook]:
    """GET /v1/webhooks/{webhook_id}"""
    return Call(
        "GET",
        f"/v1/webhooks/{quoted(webhook_id)}",
        models.Webhook,
        query={"as_of": as_of},
        waits=True,
    )


def snapshot_volume(volume_id: str) -> Call[models.VolumeChanged]:
    """POST /v1/volumes/{volume_id}/snapshot"""
    return Call(
        "POST", f"/v1/volumes/{quoted(volume_id)}/snapshot", models.VolumeChanged, acts=True
    )


def stop_runtime(runtime_id: str, body: models.RuntimeStop | None = None) -> Call[models.Runtime]:
    """POST /v1/runtimes/{runtime_id}/stop"""
    return Call(
        "POST", f"/v1/runtimes/{quoted(runtime_id)}/stop", models.Runtime, body=body, acts=True
    )


def suspend_account(account_id: str, body: models.SuspendNew) -> Call[models.AccountStanding]:
    """POST /v1/accounts/{account_id}/suspend"""
    return Call(
        "POST",
        f"/v1/accounts/{quoted(account_id)}/suspend",
        models.AccountStanding,
        body=body,
        acts=True,
    )


def suspend_organization(organization_id: str, body: models.Standing) -> Call[models.Organization]:
    """POST /v1/organizations/{organization_id}/suspend"""
    return Call(
        "POST",
        f"/v1/organizations/{quoted(organization_id)}/suspend",
        models.Organization,
        body=body,
        acts=True,
    )


def take_readings(body: models.Batch) -> Call[models.Taken]:
    """POST /v1/readings"""
    return Call("POST", "/v1/readings", models.Taken, body=body)


def tie_fact(incident_id: str, body: models.IncidentTie) -> Call[models.IncidentChanged]:
    """POST /v1/incidents/{incident_id}/tie"""
    return Call(
        "POST",
        f"/v1/incidents/{quoted(incident_id)}/tie",
        models.IncidentChanged,
        body=body,
        acts=True,
    )


def trust_issuer(body: models.IssuerNew) -> Call[models.Issuer]:
    """POST /v1/issuers"""
    return Call("POST", "/v1/issuers", models.Issuer, body=body, acts=True)


def uncordon_node(node_id: str) -> Call[models.NodeChanged]:
    """POST /v1/nodes/{node_id}/uncordon"""
    return Call("POST", f"/v1/nodes/{quoted(node_id)}/uncordon", models.NodeChanged, acts=True)


def undrain_node(node_id: str, body: models.NodeUndrain) -> Call[models.NodeUpkept]:
    """POST /v1/nodes/{node_id}/undrain"""
    return Call(
        "POST", f"/v1/nodes/{quoted(node_id)}/undrain", models.NodeUpkept, body=body, acts=True
    )


def unlink_identity(identity_id: str, body: models.IdentityUnlink) -> Call[models.Identity]:
    """POST /v1/identities/{identity_id}/unlink"""
    return Call(
        "POST",
        f"/v1/identities/{quoted(identity_id)}/unlink",
        models.Identity,
        body=body,
        acts=True,
    )


def verify_factor(body: models.Code) -> Call[models.SteppedUp]:
    """POST /v1/mfa/verify"""
    return Call("POST", "/v1/mfa/verify", models.SteppedUp, body=body, acts=True)


def where_to_sign_in(
    *, domain: str | None = None, issuer: str | None = None
) -> Call[models.SignIn]:
    """GET /v1/sign-in"""
    return Call("GET", "/v1/sign-in", models.SignIn, query={"domain": domain, "issuer": issuer})


def withdraw_invitation(invitation_id: str, body: models.AuthorityEnd) -> Call[models.Ended]:
    """POST /v1/invitations/{invitation_id}/withdraw"""
    return Call(
        "POST",
        f"/v1/invitations/{quoted(invitation_id)}/withdraw",
        models.Ended,
        body=body,
        acts=True,
    )
