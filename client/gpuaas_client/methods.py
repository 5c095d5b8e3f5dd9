"""Every call of the API as a method; written by `python -m api.openapi`."""

from abc import ABC, abstractmethod

from gpuaas_client import models, operations
from gpuaas_client.call import Call


class Methods(ABC):
    @abstractmethod
    def do[T](
        self, call: Call[T], *, key: str = "", if_match: str = "", at_least: int | None = None
    ) -> T: ...

    def accept_invitation(
        self,
        invitation_id: str,
        body: models.InvitationAccept,
        *,
        key: str = "",
        if_match: str = "",
    ) -> models.Member:
        """POST /v1/invitations/{invitation_id}/accept"""
        return self.do(
            operations.accept_invitation(invitation_id, body), key=key, if_match=if_match
        )

    def add_group_member(
        self, group_id: str, body: models.GroupMember, *, key: str = "", if_match: str = ""
    ) -> models.Ended:
        """POST /v1/groups/{group_id}/members"""
        return self.do(operations.add_group_member(group_id, body), key=key, if_match=if_match)

    def add_member(
        self, body: models.MemberNew, *, key: str = "", if_match: str = ""
    ) -> models.Member:
        """POST /v1/members"""
        return self.do(operations.add_member(body), key=key, if_match=if_match)

    def approve_break_glass(
        self, grant_id: str, *, key: str = "", if_match: str = ""
    ) -> models.BreakGlassDone:
        """POST /v1/break-glass/{grant_id}/approve"""
        return self.do(operations.approve_break_glass(grant_id), key=key, if_match=if_match)

    def ask_top_up(
        self, account_id: str, body: models.TopUpNew, *, key: str = "", if_match: str = ""
    ) -> models.TopUpAsked:
        """POST /v1/accounts/{account_id}/top-ups"""
        return self.do(operations.ask_top_up(account_id, body), key=key, if_match=if_match)

    def attribute_project(
        self, project_id: str, body: models.ProjectAttribute, *, key: str = "", if_match: str = ""
    ) -> models.Attribution:
        """POST /v1/projects/{project_id}/attribution"""
        return self.do(operations.attribute_project(project_id, body), key=key, if_match=if_match)

    def bundle(self, *, at_least: int | None = None) -> bytes:
        """GET /v1/bundle"""
        return self.do(operations.bundle(), at_least=at_least)

    def capacity_now(
        self, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Capacity:
        """GET /v1/capacity"""
        return self.do(operations.capacity_now(as_of=as_of), at_least=at_least)

    def certify_host(self, body: models.HostCertificateAsk) -> models.HostCertificate:
        """POST /v1/nodes/host-certificates"""
        return self.do(operations.certify_host(body))

    def change_webhook(
        self, webhook_id: str, body: models.WebhookChange, *, key: str = "", if_match: str = ""
    ) -> models.WebhookChanged:
        """POST /v1/webhooks/{webhook_id}/change"""
        return self.do(operations.change_webhook(webhook_id, body), key=key, if_match=if_match)

    def charge_back(
        self, account_id: str, body: models.GiveBackNew, *, key: str = "", if_match: str = ""
    ) -> models.GaveBack:
        """POST /v1/accounts/{account_id}/chargebacks"""
        return self.do(operations.charge_back(account_id, body), key=key, if_match=if_match)

    def checkpoint(self) -> str:
        """GET /v1/checkpoint"""
        return self.do(operations.checkpoint())

    def claim_lent(
        self, body: models.ClaimNew, *, key: str = "", if_match: str = ""
    ) -> models.Claim:
        """POST /v1/quotas/claims"""
        return self.do(operations.claim_lent(body), key=key, if_match=if_match)

    def clear_budget(
        self, body: models.BudgetEnd, *, key: str = "", if_match: str = ""
    ) -> models.Budget:
        """POST /v1/budgets/clear"""
        return self.do(operations.clear_budget(body), key=key, if_match=if_match)

    def close_cost_centre(
        self, cost_centre_id: str, *, key: str = "", if_match: str = ""
    ) -> models.CostCentre:
        """POST /v1/cost-centres/{cost_centre_id}/close"""
        return self.do(operations.close_cost_centre(cost_centre_id), key=key, if_match=if_match)

    def close_organization(
        self, organization_id: str, body: models.ClosingNew, *, key: str = "", if_match: str = ""
    ) -> models.Organization:
        """POST /v1/organizations/{organization_id}/close"""
        return self.do(
            operations.close_organization(organization_id, body), key=key, if_match=if_match
        )

    def close_period(
        self, period_id: str, *, key: str = "", if_match: str = ""
    ) -> models.PeriodClosed:
        """POST /v1/periods/{period_id}/close"""
        return self.do(operations.close_period(period_id), key=key, if_match=if_match)

    def close_terminal(
        self, session_id: str, *, key: str = "", if_match: str = ""
    ) -> models.Terminal:
        """POST /v1/terminals/{session_id}/close"""
        return self.do(operations.close_terminal(session_id), key=key, if_match=if_match)

    def complete_readings(self, body: models.Complete) -> models.Completed:
        """POST /v1/readings/complete"""
        return self.do(operations.complete_readings(body))

    def confirm_totp(
        self, body: models.Code, *, key: str = "", if_match: str = ""
    ) -> models.RecoveryCodes:
        """POST /v1/mfa/totp/confirm"""
        return self.do(operations.confirm_totp(body), key=key, if_match=if_match)

    def cordon_node(self, node_id: str, *, key: str = "", if_match: str = "") -> models.NodeChanged:
        """POST /v1/nodes/{node_id}/cordon"""
        return self.do(operations.cordon_node(node_id), key=key, if_match=if_match)

    def create_api_key(
        self, body: models.ApiKeyNew, *, key: str = "", if_match: str = ""
    ) -> models.ApiKey:
        """POST /v1/api-keys"""
        return self.do(operations.create_api_key(body), key=key, if_match=if_match)

    def create_cost_centre(
        self, body: models.CostCentreNew, *, key: str = "", if_match: str = ""
    ) -> models.CostCentre:
        """POST /v1/cost-centres"""
        return self.do(operations.create_cost_centre(body), key=key, if_match=if_match)

    def create_department(
        self, body: models.DepartmentNew, *, key: str = "", if_match: str = ""
    ) -> models.Department:
        """POST /v1/departments"""
        return self.do(operations.create_department(body), key=key, if_match=if_match)

    def create_group(
        self, body: models.GroupNew, *, key: str = "", if_match: str = ""
    ) -> models.Group:
        """POST /v1/groups"""
        return self.do(operations.create_group(body), key=key, if_match=if_match)

    def create_invitation(
        self, body: models.InvitationNew, *, key: str = "", if_match: str = ""
    ) -> models.Invitation:
        """POST /v1/invitations"""
        return self.do(operations.create_invitation(body), key=key, if_match=if_match)

    def create_network(
        self, body: models.NetworkNew, *, key: str = "", if_match: str = ""
    ) -> models.Network:
        """POST /v1/networks"""
        return self.do(operations.create_network(body), key=key, if_match=if_match)

    def create_organization(
        self, body: models.OrganizationNew, *, key: str = "", if_match: str = ""
    ) -> models.Organization:
        """POST /v1/organizations"""
        return self.do(operations.create_organization(body), key=key, if_match=if_match)

    def create_project(
        self, body: models.ProjectNew, *, key: str = "", if_match: str = ""
    ) -> models.Project:
        """POST /v1/projects"""
        return self.do(operations.create_project(body), key=key, if_match=if_match)

    def create_service_account(
        self, body: models.GroupNew, *, key: str = "", if_match: str = ""
    ) -> models.ServiceAccount:
        """POST /v1/service-accounts"""
        return self.do(operations.create_service_account(body), key=key, if_match=if_match)

    def create_volume(
        self, body: models.VolumeNew, *, key: str = "", if_match: str = ""
    ) -> models.Volume:
        """POST /v1/volumes"""
        return self.do(operations.create_volume(body), key=key, if_match=if_match)

    def credit_note_as_pdf(
        self, credit_note_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> bytes:
        """GET /v1/credit-notes/{credit_note_id}/pdf"""
        return self.do(
            operations.credit_note_as_pdf(credit_note_id, as_of=as_of), at_least=at_least
        )

    def credit_note_cii(
        self, credit_note_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> bytes:
        """GET /v1/credit-notes/{credit_note_id}/cii"""
        return self.do(operations.credit_note_cii(credit_note_id, as_of=as_of), at_least=at_least)

    def credit_note_file(
        self, credit_note_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> bytes:
        """GET /v1/credit-notes/{credit_note_id}/file"""
        return self.do(operations.credit_note_file(credit_note_id, as_of=as_of), at_least=at_least)

    def credit_note_page(
        self, credit_note_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> bytes:
        """GET /v1/credit-notes/{credit_note_id}/page"""
        return self.do(operations.credit_note_page(credit_note_id, as_of=as_of), at_least=at_least)

    def credit_note_proof(
        self, credit_note_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> bytes:
        """GET /v1/credit-notes/{credit_note_id}/proof"""
        return self.do(operations.credit_note_proof(credit_note_id, as_of=as_of), at_least=at_least)

    def credit_note_ubl(
        self, credit_note_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> bytes:
        """GET /v1/credit-notes/{credit_note_id}/ubl"""
        return self.do(operations.credit_note_ubl(credit_note_id, as_of=as_of), at_least=at_least)

    def delete_group(
        self, group_id: str, body: models.AuthorityEnd, *, key: str = "", if_match: str = ""
    ) -> models.Ended:
        """POST /v1/groups/{group_id}/delete"""
        return self.do(operations.delete_group(group_id, body), key=key, if_match=if_match)

    def delete_network(
        self, network_id: str, *, key: str = "", if_match: str = ""
    ) -> models.Network:
        """POST /v1/networks/{network_id}/delete"""
        return self.do(operations.delete_network(network_id), key=key, if_match=if_match)

    def delete_service_account(
        self, account_id: str, body: models.AuthorityEnd, *, key: str = "", if_match: str = ""
    ) -> models.Ended:
        """POST /v1/service-accounts/{account_id}/delete"""
        return self.do(
            operations.delete_service_account(account_id, body), key=key, if_match=if_match
        )

    def delete_volume(
        self, volume_id: str, *, key: str = "", if_match: str = ""
    ) -> models.VolumeChanged:
        """POST /v1/volumes/{volume_id}/delete"""
        return self.do(operations.delete_volume(volume_id), key=key, if_match=if_match)

    def delete_webhook(
        self, webhook_id: str, *, key: str = "", if_match: str = ""
    ) -> models.WebhookChanged:
        """POST /v1/webhooks/{webhook_id}/delete"""
        return self.do(operations.delete_webhook(webhook_id), key=key, if_match=if_match)

    def distrust_issuer(
        self, issuer_id: str, body: models.IssuerEnd, *, key: str = "", if_match: str = ""
    ) -> models.Issuer:
        """POST /v1/issuers/{issuer_id}/distrust"""
        return self.do(operations.distrust_issuer(issuer_id, body), key=key, if_match=if_match)

    def drain_node(
        self, node_id: str, body: models.NodeDrain, *, key: str = "", if_match: str = ""
    ) -> models.NodeUpkept:
        """POST /v1/nodes/{node_id}/drain"""
        return self.do(operations.drain_node(node_id, body), key=key, if_match=if_match)

    def end_claim(
        self, body: models.ClaimEnd, *, key: str = "", if_match: str = ""
    ) -> models.Claim:
        """POST /v1/quotas/claims/end"""
        return self.do(operations.end_claim(body), key=key, if_match=if_match)

    def end_reservation(
        self, reservation_id: str, body: models.ReservationEnd, *, key: str = "", if_match: str = ""
    ) -> models.Reservation:
        """POST /v1/reservations/{reservation_id}/end"""
        return self.do(operations.end_reservation(reservation_id, body), key=key, if_match=if_match)

    def end_session(
        self, session_id: str, body: models.SessionEnd, *, key: str = "", if_match: str = ""
    ) -> models.Session:
        """POST /v1/sessions/{session_id}/end"""
        return self.do(operations.end_session(session_id, body), key=key, if_match=if_match)

    def enrol_node(self, body: models.EnrolRequest) -> models.EnrolReply:
        """POST /v1/enrol"""
        return self.do(operations.enrol_node(body))

    def enrol_totp(
        self, body: models.TotpNew, *, key: str = "", if_match: str = ""
    ) -> models.FactorSecret:
        """POST /v1/mfa/totp"""
        return self.do(operations.enrol_totp(body), key=key, if_match=if_match)

    def explain(self, body: models.ExplainNew) -> models.Explained:
        """POST /v1/authorization/explain"""
        return self.do(operations.explain(body))

    def explain_placement(
        self,
        *,
        project: str,
        devices: int | None = None,
        gpu_milli: int | None = None,
        model: list[str] | None = None,
        policy: str | None = None,
        reservation: str | None = None,
        region: str | None = None,
        at_least: int | None = None,
    ) -> models.Explanation:
        """GET /v1/placement/explain"""
        return self.do(
            operations.explain_placement(
                project=project,
                devices=devices,
                gpu_milli=gpu_milli,
                model=model,
                policy=policy,
                reservation=reservation,
                region=region,
            ),
            at_least=at_least,
        )

    def export_acts(
        self,
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
        at_least: int | None = None,
    ) -> bytes:
        """GET /v1/audit/ocsf"""
        return self.do(
            operations.export_acts(
                organization=organization,
                actor=actor,
                resource=resource,
                action=action,
                since=since,
                until=until,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def export_books(
        self,
        account_id: str,
        form: str,
        *,
        start: str | None = None,
        end: str | None = None,
        as_of: str | None = None,
        offset: str | None = None,
        at_least: int | None = None,
    ) -> bytes:
        """GET /v1/accounts/{account_id}/exports/{form}"""
        return self.do(
            operations.export_books(
                account_id, form, start=start, end=end, as_of=as_of, offset=offset
            ),
            at_least=at_least,
        )

    def grant_binding(
        self, body: models.BindingNew, *, key: str = "", if_match: str = ""
    ) -> models.RoleBinding:
        """POST /v1/role-bindings"""
        return self.do(operations.grant_binding(body), key=key, if_match=if_match)

    def grant_credit(
        self, account_id: str, body: models.GrantNew, *, key: str = "", if_match: str = ""
    ) -> models.Grant:
        """POST /v1/accounts/{account_id}/grants"""
        return self.do(operations.grant_credit(account_id, body), key=key, if_match=if_match)

    def grow_volume(
        self, volume_id: str, body: models.VolumeGrow, *, key: str = "", if_match: str = ""
    ) -> models.VolumeChanged:
        """POST /v1/volumes/{volume_id}/grow"""
        return self.do(operations.grow_volume(volume_id, body), key=key, if_match=if_match)

    def health(self) -> models.Health:
        """GET /v1/health"""
        return self.do(operations.health())

    def hear_stripe(self) -> models.EventHeard:
        """POST /v1/payments/stripe"""
        return self.do(operations.hear_stripe())

    def invite_node(
        self, body: models.NodeInvite, *, key: str = "", if_match: str = ""
    ) -> models.NodeInvited:
        """POST /v1/nodes"""
        return self.do(operations.invite_node(body), key=key, if_match=if_match)

    def invoice_as_pdf(
        self, invoice_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> bytes:
        """GET /v1/invoices/{invoice_id}/pdf"""
        return self.do(operations.invoice_as_pdf(invoice_id, as_of=as_of), at_least=at_least)

    def invoice_cii(
        self, invoice_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> bytes:
        """GET /v1/invoices/{invoice_id}/cii"""
        return self.do(operations.invoice_cii(invoice_id, as_of=as_of), at_least=at_least)

    def invoice_file(
        self, invoice_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> bytes:
        """GET /v1/invoices/{invoice_id}/file"""
        return self.do(operations.invoice_file(invoice_id, as_of=as_of), at_least=at_least)

    def invoice_proof(
        self, invoice_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> bytes:
        """GET /v1/invoices/{invoice_id}/proof"""
        return self.do(operations.invoice_proof(invoice_id, as_of=as_of), at_least=at_least)

    def invoice_ubl(
        self, invoice_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> bytes:
        """GET /v1/invoices/{invoice_id}/ubl"""
        return self.do(operations.invoice_ubl(invoice_id, as_of=as_of), at_least=at_least)

    def issue_certificate(
        self, runtime_id: str, body: models.SshCertificateNew, *, key: str = "", if_match: str = ""
    ) -> models.SshCertificate:
        """POST /v1/runtimes/{runtime_id}/ssh-certificates"""
        return self.do(operations.issue_certificate(runtime_id, body), key=key, if_match=if_match)

    def issue_pass(
        self, runtime_id: str, body: models.AppPassNew, *, key: str = "", if_match: str = ""
    ) -> models.AppPass:
        """POST /v1/runtimes/{runtime_id}/app-passes"""
        return self.do(operations.issue_pass(runtime_id, body), key=key, if_match=if_match)

    def issue_ticket(self, session_id: str) -> models.TerminalTicket:
        """POST /v1/terminals/{session_id}/tickets"""
        return self.do(operations.issue_ticket(session_id))

    def issue_token(
        self, body: models.TokenNew, *, key: str = "", if_match: str = ""
    ) -> models.TokenIssuedOut:
        """POST /v1/tokens"""
        return self.do(operations.issue_token(body), key=key, if_match=if_match)

    def launch_runtime(
        self, body: models.RuntimeNew, *, key: str = "", if_match: str = ""
    ) -> models.Runtime:
        """POST /v1/runtimes"""
        return self.do(operations.launch_runtime(body), key=key, if_match=if_match)

    def lift_guardrail(
        self, guardrail_id: str, body: models.AuthorityEnd, *, key: str = "", if_match: str = ""
    ) -> models.Ended:
        """POST /v1/guardrails/{guardrail_id}/lift"""
        return self.do(operations.lift_guardrail(guardrail_id, body), key=key, if_match=if_match)

    def lift_sso(
        self, body: models.AuthorityEnd, *, key: str = "", if_match: str = ""
    ) -> models.Sso:
        """POST /v1/sso/lift"""
        return self.do(operations.lift_sso(body), key=key, if_match=if_match)

    def line_proof(
        self, invoice_id: str, number: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> bytes:
        """GET /v1/invoices/{invoice_id}/lines/{number}/proof"""
        return self.do(operations.line_proof(invoice_id, number, as_of=as_of), at_least=at_least)

    def link_identity(
        self, body: models.IdentityLink, *, key: str = "", if_match: str = ""
    ) -> models.Identity:
        """POST /v1/identities"""
        return self.do(operations.link_identity(body), key=key, if_match=if_match)

    def list_accounts(
        self,
        *,
        organization: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Account]:
        """GET /v1/accounts"""
        return self.do(
            operations.list_accounts(
                organization=organization, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_actions(self, *, at_least: int | None = None) -> models.Page[models.KnownAction]:
        """GET /v1/authorization/actions"""
        return self.do(operations.list_actions(), at_least=at_least)

    def list_acts(
        self,
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
        at_least: int | None = None,
    ) -> models.Page[models.AuditEntry]:
        """GET /v1/audit"""
        return self.do(
            operations.list_acts(
                organization=organization,
                actor=actor,
                resource=resource,
                action=action,
                since=since,
                until=until,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_api_keys(
        self,
        *,
        organization: str | None = None,
        principal: str | None = None,
        made_by: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.ApiKey]:
        """GET /v1/api-keys"""
        return self.do(
            operations.list_api_keys(
                organization=organization,
                principal=principal,
                made_by=made_by,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_attributions(
        self,
        *,
        organization: str | None = None,
        project: str | None = None,
        cost_centre: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Attribution]:
        """GET /v1/attributions"""
        return self.do(
            operations.list_attributions(
                organization=organization,
                project=project,
                cost_centre=cost_centre,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_bindings(
        self,
        *,
        organization: str | None = None,
        scope: str | None = None,
        principal: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.RoleBinding]:
        """GET /v1/role-bindings"""
        return self.do(
            operations.list_bindings(
                organization=organization,
                scope=scope,
                principal=principal,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_books(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.BookListed]:
        """GET /v1/price-books"""
        return self.do(
            operations.list_books(cursor=cursor, limit=limit, as_of=as_of), at_least=at_least
        )

    def list_break_glass(
        self,
        *,
        organization: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.BreakGlass]:
        """GET /v1/break-glass"""
        return self.do(
            operations.list_break_glass(
                organization=organization, state=state, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_budgets(
        self,
        *,
        organization: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Budget]:
        """GET /v1/budgets"""
        return self.do(
            operations.list_budgets(
                organization=organization, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_claims(
        self,
        *,
        organization: str | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Claim]:
        """GET /v1/quotas/claims"""
        return self.do(
            operations.list_claims(organization=organization, as_of=as_of), at_least=at_least
        )

    def list_commitments(
        self,
        account_id: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Commitment]:
        """GET /v1/accounts/{account_id}/commitments"""
        return self.do(
            operations.list_commitments(account_id, cursor=cursor, limit=limit, as_of=as_of),
            at_least=at_least,
        )

    def list_cost_centre_charges(
        self,
        *,
        organization: str | None = None,
        cost_centre: str | None = None,
        project: str | None = None,
        account: str | None = None,
        start: str | None = None,
        end: str | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.CostCentreCharge]:
        """GET /v1/usage/cost-centres"""
        return self.do(
            operations.list_cost_centre_charges(
                organization=organization,
                cost_centre=cost_centre,
                project=project,
                account=account,
                start=start,
                end=end,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_cost_centres(
        self,
        *,
        organization: str | None = None,
        department: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.CostCentre]:
        """GET /v1/cost-centres"""
        return self.do(
            operations.list_cost_centres(
                organization=organization,
                department=department,
                state=state,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_credit_notes(
        self,
        *,
        organization: str | None = None,
        account: str | None = None,
        invoice: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.CreditNote]:
        """GET /v1/credit-notes"""
        return self.do(
            operations.list_credit_notes(
                organization=organization,
                account=account,
                invoice=invoice,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_dead_letters(
        self,
        webhook_id: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.DeadLetter]:
        """GET /v1/webhooks/{webhook_id}/dead-letters"""
        return self.do(
            operations.list_dead_letters(webhook_id, cursor=cursor, limit=limit), at_least=at_least
        )

    def list_departments(
        self,
        *,
        organization: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Department]:
        """GET /v1/departments"""
        return self.do(
            operations.list_departments(
                organization=organization, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_departments_of_invoices(
        self, invoice_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Page[models.InvoiceDepartment]:
        """GET /v1/invoices/{invoice_id}/departments"""
        return self.do(
            operations.list_departments_of_invoices(invoice_id, as_of=as_of), at_least=at_least
        )

    def list_devices(
        self, node_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.DeviceReports:
        """GET /v1/nodes/{node_id}/devices"""
        return self.do(operations.list_devices(node_id, as_of=as_of), at_least=at_least)

    def list_effects(self, *, at_least: int | None = None) -> models.Page[models.Effect]:
        """GET /v1/effects"""
        return self.do(operations.list_effects(), at_least=at_least)

    def list_grants(
        self,
        *,
        organization: str | None = None,
        project: str | None = None,
        runtime_id: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.AccessGrant]:
        """GET /v1/access-grants"""
        return self.do(
            operations.list_grants(
                organization=organization,
                project=project,
                runtime_id=runtime_id,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_groups(
        self,
        *,
        organization: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Group]:
        """GET /v1/groups"""
        return self.do(
            operations.list_groups(
                organization=organization, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_guardrails(
        self,
        *,
        organization: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.GuardrailGiven]:
        """GET /v1/guardrails"""
        return self.do(
            operations.list_guardrails(
                organization=organization, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_identities(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Identity]:
        """GET /v1/identities"""
        return self.do(
            operations.list_identities(cursor=cursor, limit=limit, as_of=as_of), at_least=at_least
        )

    def list_images(
        self,
        *,
        reference: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Image]:
        """GET /v1/images"""
        return self.do(
            operations.list_images(reference=reference, cursor=cursor, limit=limit, as_of=as_of),
            at_least=at_least,
        )

    def list_incidents(
        self,
        *,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Incident]:
        """GET /v1/incidents"""
        return self.do(
            operations.list_incidents(state=state, cursor=cursor, limit=limit, as_of=as_of),
            at_least=at_least,
        )

    def list_invitations(
        self,
        *,
        organization: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Invitation]:
        """GET /v1/invitations"""
        return self.do(
            operations.list_invitations(
                organization=organization, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_invoice_cost_centres(
        self, invoice_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Page[models.InvoiceCostCentre]:
        """GET /v1/invoices/{invoice_id}/cost-centres"""
        return self.do(
            operations.list_invoice_cost_centres(invoice_id, as_of=as_of), at_least=at_least
        )

    def list_invoices(
        self,
        *,
        organization: str | None = None,
        account: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Invoice]:
        """GET /v1/invoices"""
        return self.do(
            operations.list_invoices(
                organization=organization,
                account=account,
                state=state,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_issuers(
        self,
        *,
        organization: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Issuer]:
        """GET /v1/issuers"""
        return self.do(
            operations.list_issuers(
                organization=organization, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_members(
        self,
        *,
        organization: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Member]:
        """GET /v1/members"""
        return self.do(
            operations.list_members(
                organization=organization, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_meters(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Meter]:
        """GET /v1/meters"""
        return self.do(
            operations.list_meters(cursor=cursor, limit=limit, as_of=as_of), at_least=at_least
        )

    def list_networks(
        self,
        *,
        organization: str | None = None,
        project: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Network]:
        """GET /v1/networks"""
        return self.do(
            operations.list_networks(
                organization=organization,
                project=project,
                state=state,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_nodes(
        self,
        *,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Node]:
        """GET /v1/nodes"""
        return self.do(
            operations.list_nodes(state=state, cursor=cursor, limit=limit, as_of=as_of),
            at_least=at_least,
        )

    def list_operations(
        self,
        *,
        organization: str | None = None,
        project: str | None = None,
        resource: str | None = None,
        kind: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Operation]:
        """GET /v1/operations"""
        return self.do(
            operations.list_operations(
                organization=organization,
                project=project,
                resource=resource,
                kind=kind,
                state=state,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_organizations(
        self,
        *,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Organization]:
        """GET /v1/organizations"""
        return self.do(
            operations.list_organizations(state=state, cursor=cursor, limit=limit, as_of=as_of),
            at_least=at_least,
        )

    def list_periods(
        self,
        *,
        account: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Period]:
        """GET /v1/periods"""
        return self.do(
            operations.list_periods(
                account=account, state=state, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_prices(
        self,
        *,
        account: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Price]:
        """GET /v1/prices"""
        return self.do(
            operations.list_prices(account=account, cursor=cursor, limit=limit, as_of=as_of),
            at_least=at_least,
        )

    def list_problems(self) -> models.Page[models.KnownProblem]:
        """GET /v1/problems"""
        return self.do(operations.list_problems())

    def list_projects(
        self,
        *,
        organization: str | None = None,
        department: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Project]:
        """GET /v1/projects"""
        return self.do(
            operations.list_projects(
                organization=organization,
                department=department,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_quarantined(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.QuarantinedReading]:
        """GET /v1/readings/quarantined"""
        return self.do(
            operations.list_quarantined(cursor=cursor, limit=limit, as_of=as_of), at_least=at_least
        )

    def list_quotas(
        self,
        *,
        organization: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Quota]:
        """GET /v1/quotas"""
        return self.do(
            operations.list_quotas(
                organization=organization, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_rates(
        self,
        seller_id: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.TaxRate]:
        """GET /v1/sellers/{seller_id}/rates"""
        return self.do(
            operations.list_rates(seller_id, cursor=cursor, limit=limit, as_of=as_of),
            at_least=at_least,
        )

    def list_reclaims(
        self,
        *,
        organization: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Reclaim]:
        """GET /v1/quotas/reclaims"""
        return self.do(
            operations.list_reclaims(
                organization=organization, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_reratings(
        self,
        account_id: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Repricing]:
        """GET /v1/accounts/{account_id}/reratings"""
        return self.do(
            operations.list_reratings(account_id, cursor=cursor, limit=limit, as_of=as_of),
            at_least=at_least,
        )

    def list_reservations(
        self,
        *,
        organization: str | None = None,
        project: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Reservation]:
        """GET /v1/reservations"""
        return self.do(
            operations.list_reservations(
                organization=organization,
                project=project,
                state=state,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_running_usage(
        self,
        *,
        organization: str | None = None,
        department: str | None = None,
        project: str | None = None,
        account: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.UsageRunning]:
        """GET /v1/usage/running"""
        return self.do(
            operations.list_running_usage(
                organization=organization,
                department=department,
                project=project,
                account=account,
                cursor=cursor,
                limit=limit,
            ),
            at_least=at_least,
        )

    def list_runtimes(
        self,
        *,
        organization: str | None = None,
        project: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Runtime]:
        """GET /v1/runtimes"""
        return self.do(
            operations.list_runtimes(
                organization=organization,
                project=project,
                state=state,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_schemas(
        self, *, cursor: str | None = None, limit: int | None = None
    ) -> models.Page[models.KnownSchema]:
        """GET /v1/schemas"""
        return self.do(operations.list_schemas(cursor=cursor, limit=limit))

    def list_sellers(
        self,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Seller]:
        """GET /v1/sellers"""
        return self.do(
            operations.list_sellers(cursor=cursor, limit=limit, as_of=as_of), at_least=at_least
        )

    def list_service_accounts(
        self,
        *,
        organization: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.ServiceAccount]:
        """GET /v1/service-accounts"""
        return self.do(
            operations.list_service_accounts(
                organization=organization, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_sessions(
        self,
        *,
        organization: str | None = None,
        principal: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Session]:
        """GET /v1/sessions"""
        return self.do(
            operations.list_sessions(
                organization=organization,
                principal=principal,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_shares(
        self,
        *,
        organization: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.HttpQuotasShare]:
        """GET /v1/quotas/shares"""
        return self.do(
            operations.list_shares(
                organization=organization, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_sources(
        self,
        *,
        organization: str | None = None,
        project: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Source]:
        """GET /v1/sources"""
        return self.do(
            operations.list_sources(
                organization=organization, project=project, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_storage_quotas(
        self,
        *,
        organization: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.StorageQuota]:
        """GET /v1/storage-quotas"""
        return self.do(
            operations.list_storage_quotas(
                organization=organization, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def list_suspense(
        self,
        *,
        waiting: bool | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Aside]:
        """GET /v1/suspense"""
        return self.do(
            operations.list_suspense(waiting=waiting, cursor=cursor, limit=limit, as_of=as_of),
            at_least=at_least,
        )

    def list_transfers(
        self,
        account_id: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Transfer]:
        """GET /v1/accounts/{account_id}/transfers"""
        return self.do(
            operations.list_transfers(account_id, cursor=cursor, limit=limit, as_of=as_of),
            at_least=at_least,
        )

    def list_usage(
        self,
        *,
        organization: str | None = None,
        department: str | None = None,
        project: str | None = None,
        account: str | None = None,
        start: str | None = None,
        end: str | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Usage]:
        """GET /v1/usage"""
        return self.do(
            operations.list_usage(
                organization=organization,
                department=department,
                project=project,
                account=account,
                start=start,
                end=end,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_volumes(
        self,
        *,
        organization: str | None = None,
        project: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Volume]:
        """GET /v1/volumes"""
        return self.do(
            operations.list_volumes(
                organization=organization,
                project=project,
                state=state,
                cursor=cursor,
                limit=limit,
                as_of=as_of,
            ),
            at_least=at_least,
        )

    def list_webhooks(
        self,
        *,
        organization: str | None = None,
        state: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Webhook]:
        """GET /v1/webhooks"""
        return self.do(
            operations.list_webhooks(
                organization=organization, state=state, cursor=cursor, limit=limit, as_of=as_of
            ),
            at_least=at_least,
        )

    def lose_volume(
        self, volume_id: str, *, key: str = "", if_match: str = ""
    ) -> models.VolumeChanged:
        """POST /v1/volumes/{volume_id}/lost"""
        return self.do(operations.lose_volume(volume_id), key=key, if_match=if_match)

    def make_commitment(
        self, account_id: str, body: models.CommitmentNew, *, key: str = "", if_match: str = ""
    ) -> models.Commitment:
        """POST /v1/accounts/{account_id}/commitments"""
        return self.do(operations.make_commitment(account_id, body), key=key, if_match=if_match)

    def make_reservation(
        self, body: models.ReservationNew, *, key: str = "", if_match: str = ""
    ) -> models.Reservation:
        """POST /v1/reservations"""
        return self.do(operations.make_reservation(body), key=key, if_match=if_match)

    def metrics(self, *, at_least: int | None = None) -> bytes:
        """GET /v1/metrics"""
        return self.do(operations.metrics(), at_least=at_least)

    def move_project(
        self, project_id: str, body: models.ProjectMove, *, key: str = "", if_match: str = ""
    ) -> models.ProjectMoved:
        """POST /v1/projects/{project_id}/move"""
        return self.do(operations.move_project(project_id, body), key=key, if_match=if_match)

    def node_discrepancies(
        self,
        node_id: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Discrepancy]:
        """GET /v1/nodes/{node_id}/discrepancies"""
        return self.do(
            operations.node_discrepancies(node_id, cursor=cursor, limit=limit, as_of=as_of),
            at_least=at_least,
        )

    def node_timeline(
        self,
        node_id: str,
        *,
        cursor: str | None = None,
        limit: int | None = None,
        leases: bool | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Page[models.Happened]:
        """GET /v1/nodes/{node_id}/timeline"""
        return self.do(
            operations.node_timeline(
                node_id, cursor=cursor, limit=limit, leases=leases, as_of=as_of
            ),
            at_least=at_least,
        )

    def note_incident(
        self, incident_id: str, body: models.IncidentNote, *, key: str = "", if_match: str = ""
    ) -> models.IncidentChanged:
        """POST /v1/incidents/{incident_id}/note"""
        return self.do(operations.note_incident(incident_id, body), key=key, if_match=if_match)

    def open_account(
        self, body: models.AccountNew, *, key: str = "", if_match: str = ""
    ) -> models.Account:
        """POST /v1/accounts"""
        return self.do(operations.open_account(body), key=key, if_match=if_match)

    def open_incident(
        self, body: models.IncidentNew, *, key: str = "", if_match: str = ""
    ) -> models.IncidentChanged:
        """POST /v1/incidents"""
        return self.do(operations.open_incident(body), key=key, if_match=if_match)

    def open_session(self, body: models.SessionNew) -> models.Session:
        """POST /v1/sessions"""
        return self.do(operations.open_session(body))

    def open_terminal(
        self,
        runtime_id: str,
        body: models.TerminalNew | None = None,
        *,
        key: str = "",
        if_match: str = "",
    ) -> models.TerminalOpened:
        """POST /v1/runtimes/{runtime_id}/terminals"""
        return self.do(operations.open_terminal(runtime_id, body), key=key, if_match=if_match)

    def order_credit_note(
        self, invoice_id: str, body: models.CreditNoteNew, *, key: str = "", if_match: str = ""
    ) -> models.CreditOrder:
        """POST /v1/invoices/{invoice_id}/credit-notes"""
        return self.do(operations.order_credit_note(invoice_id, body), key=key, if_match=if_match)

    def pause_webhook(
        self, webhook_id: str, *, key: str = "", if_match: str = ""
    ) -> models.WebhookChanged:
        """POST /v1/webhooks/{webhook_id}/pause"""
        return self.do(operations.pause_webhook(webhook_id), key=key, if_match=if_match)

    def place_block(
        self, body: models.BlockNew, *, key: str = "", if_match: str = ""
    ) -> models.Block:
        """POST /v1/blocks"""
        return self.do(operations.place_block(body), key=key, if_match=if_match)

    def preview_period(self, account_id: str, body: models.PreviewNew) -> models.Preview:
        """POST /v1/accounts/{account_id}/preview"""
        return self.do(operations.preview_period(account_id, body))

    def publish_book(
        self, name: str, body: models.BookNew, *, key: str = "", if_match: str = ""
    ) -> models.BookListed:
        """POST /v1/price-books/{name}"""
        return self.do(operations.publish_book(name, body), key=key, if_match=if_match)

    def publish_price(
        self, body: models.PriceNew, *, key: str = "", if_match: str = ""
    ) -> models.Price:
        """POST /v1/prices"""
        return self.do(operations.publish_price(body), key=key, if_match=if_match)

    def publish_tiered(
        self, body: models.TieredNew, *, key: str = "", if_match: str = ""
    ) -> models.Tiered:
        """POST /v1/prices/tiered"""
        return self.do(operations.publish_tiered(body), key=key, if_match=if_match)

    def put_aside(
        self, body: models.AsideNew, *, key: str = "", if_match: str = ""
    ) -> models.Resolution:
        """POST /v1/suspense"""
        return self.do(operations.put_aside(body), key=key, if_match=if_match)

    def quarantine_node(
        self, node_id: str, body: models.NodeDevices, *, key: str = "", if_match: str = ""
    ) -> models.NodeUpkept:
        """POST /v1/nodes/{node_id}/quarantine"""
        return self.do(operations.quarantine_node(node_id, body), key=key, if_match=if_match)

    def reactivate_organization(
        self, organization_id: str, body: models.Standing, *, key: str = "", if_match: str = ""
    ) -> models.Organization:
        """POST /v1/organizations/{organization_id}/reactivate"""
        return self.do(
            operations.reactivate_organization(organization_id, body), key=key, if_match=if_match
        )

    def ready(self) -> models.Readiness:
        """GET /v1/readiness"""
        return self.do(operations.ready())

    def record_payment(
        self, invoice_id: str, body: models.PaymentNew, *, key: str = "", if_match: str = ""
    ) -> models.Payment:
        """POST /v1/invoices/{invoice_id}/payments"""
        return self.do(operations.record_payment(invoice_id, body), key=key, if_match=if_match)

    def refund_credit(
        self, account_id: str, body: models.GiveBackNew, *, key: str = "", if_match: str = ""
    ) -> models.GaveBack:
        """POST /v1/accounts/{account_id}/refunds"""
        return self.do(operations.refund_credit(account_id, body), key=key, if_match=if_match)

    def refund_invoice(
        self, invoice_id: str, body: models.ReturnNew, *, key: str = "", if_match: str = ""
    ) -> models.Payment:
        """POST /v1/invoices/{invoice_id}/refunds"""
        return self.do(operations.refund_invoice(invoice_id, body), key=key, if_match=if_match)

    def refuse_break_glass(
        self, grant_id: str, body: models.BreakGlassEnd, *, key: str = "", if_match: str = ""
    ) -> models.BreakGlassDone:
        """POST /v1/break-glass/{grant_id}/refuse"""
        return self.do(operations.refuse_break_glass(grant_id, body), key=key, if_match=if_match)

    def register_image(
        self, body: models.ImageNew, *, key: str = "", if_match: str = ""
    ) -> models.Image:
        """POST /v1/images"""
        return self.do(operations.register_image(body), key=key, if_match=if_match)

    def register_meter(
        self, body: models.MeterNew, *, key: str = "", if_match: str = ""
    ) -> models.Meter:
        """POST /v1/meters"""
        return self.do(operations.register_meter(body), key=key, if_match=if_match)

    def register_seller(
        self, body: models.SellerNew, *, key: str = "", if_match: str = ""
    ) -> models.Seller:
        """POST /v1/sellers"""
        return self.do(operations.register_seller(body), key=key, if_match=if_match)

    def register_source(
        self, body: models.SourceNew, *, key: str = "", if_match: str = ""
    ) -> models.Source:
        """POST /v1/sources"""
        return self.do(operations.register_source(body), key=key, if_match=if_match)

    def register_webhook(
        self, body: models.WebhookNew, *, key: str = "", if_match: str = ""
    ) -> models.Webhook:
        """POST /v1/webhooks"""
        return self.do(operations.register_webhook(body), key=key, if_match=if_match)

    def reinvite_node(
        self, node_id: str, body: models.NodeReinvite, *, key: str = "", if_match: str = ""
    ) -> models.NodeInvited:
        """POST /v1/nodes/{node_id}/reinvite"""
        return self.do(operations.reinvite_node(node_id, body), key=key, if_match=if_match)

    def remove_group_member(
        self, group_id: str, body: models.GroupMember, *, key: str = "", if_match: str = ""
    ) -> models.Ended:
        """POST /v1/groups/{group_id}/members/remove"""
        return self.do(operations.remove_group_member(group_id, body), key=key, if_match=if_match)

    def remove_member(
        self, principal: str, body: models.AuthorityEnd, *, key: str = "", if_match: str = ""
    ) -> models.Ended:
        """POST /v1/members/{principal}/remove"""
        return self.do(operations.remove_member(principal, body), key=key, if_match=if_match)

    def remove_totp(
        self, body: models.FactorEnd, *, key: str = "", if_match: str = ""
    ) -> models.FactorEnded:
        """POST /v1/mfa/totp/remove"""
        return self.do(operations.remove_totp(body), key=key, if_match=if_match)

    def rename_cost_centre(
        self, cost_centre_id: str, body: models.CostCentreName, *, key: str = "", if_match: str = ""
    ) -> models.CostCentre:
        """POST /v1/cost-centres/{cost_centre_id}/rename"""
        return self.do(
            operations.rename_cost_centre(cost_centre_id, body), key=key, if_match=if_match
        )

    def rename_department(
        self, department_id: str, body: models.NewName, *, key: str = "", if_match: str = ""
    ) -> models.Renamed:
        """POST /v1/departments/{department_id}/rename"""
        return self.do(
            operations.rename_department(department_id, body), key=key, if_match=if_match
        )

    def rename_group(
        self, group_id: str, body: models.GroupName, *, key: str = "", if_match: str = ""
    ) -> models.Renamed:
        """POST /v1/groups/{group_id}/rename"""
        return self.do(operations.rename_group(group_id, body), key=key, if_match=if_match)

    def rename_organization(
        self, organization_id: str, body: models.NewName, *, key: str = "", if_match: str = ""
    ) -> models.Renamed:
        """POST /v1/organizations/{organization_id}/rename"""
        return self.do(
            operations.rename_organization(organization_id, body), key=key, if_match=if_match
        )

    def rename_project(
        self, project_id: str, body: models.NewName, *, key: str = "", if_match: str = ""
    ) -> models.Renamed:
        """POST /v1/projects/{project_id}/rename"""
        return self.do(operations.rename_project(project_id, body), key=key, if_match=if_match)

    def renew_certificate(self, body: models.RenewalRequest) -> models.RenewalReply:
        """POST /v1/nodes/certificate"""
        return self.do(operations.renew_certificate(body))

    def reopen_organization(
        self, organization_id: str, body: models.Standing, *, key: str = "", if_match: str = ""
    ) -> models.Organization:
        """POST /v1/organizations/{organization_id}/reopen"""
        return self.do(
            operations.reopen_organization(organization_id, body), key=key, if_match=if_match
        )

    def replace_recovery_codes(
        self, body: models.Code, *, key: str = "", if_match: str = ""
    ) -> models.RecoveryCodes:
        """POST /v1/mfa/recovery-codes"""
        return self.do(operations.replace_recovery_codes(body), key=key, if_match=if_match)

    def replay_webhook(
        self, webhook_id: str, body: models.WebhookReplay, *, key: str = "", if_match: str = ""
    ) -> models.WebhookChanged:
        """POST /v1/webhooks/{webhook_id}/replay"""
        return self.do(operations.replay_webhook(webhook_id, body), key=key, if_match=if_match)

    def request_break_glass(
        self, body: models.BreakGlassNew, *, key: str = "", if_match: str = ""
    ) -> models.BreakGlass:
        """POST /v1/break-glass"""
        return self.do(operations.request_break_glass(body), key=key, if_match=if_match)

    def require_sanitization(
        self, node_id: str, *, key: str = "", if_match: str = ""
    ) -> models.NodeUpkept:
        """POST /v1/nodes/{node_id}/require-sanitization"""
        return self.do(operations.require_sanitization(node_id), key=key, if_match=if_match)

    def require_sso(self, body: models.SsoNew, *, key: str = "", if_match: str = "") -> models.Sso:
        """POST /v1/sso"""
        return self.do(operations.require_sso(body), key=key, if_match=if_match)

    def rerate_account(
        self, account_id: str, body: models.RepricingNew, *, key: str = "", if_match: str = ""
    ) -> models.Repricing:
        """POST /v1/accounts/{account_id}/reratings"""
        return self.do(operations.rerate_account(account_id, body), key=key, if_match=if_match)

    def resolve_incident(
        self, incident_id: str, *, key: str = "", if_match: str = ""
    ) -> models.IncidentChanged:
        """POST /v1/incidents/{incident_id}/resolve"""
        return self.do(operations.resolve_incident(incident_id), key=key, if_match=if_match)

    def resolve_suspense(
        self, suspense_id: str, body: models.ResolveNew, *, key: str = "", if_match: str = ""
    ) -> models.Resolution:
        """POST /v1/suspense/{suspense_id}/resolve"""
        return self.do(operations.resolve_suspense(suspense_id, body), key=key, if_match=if_match)

    def restore_volume(
        self, volume_id: str, body: models.VolumeRestore, *, key: str = "", if_match: str = ""
    ) -> models.VolumeChanged:
        """POST /v1/volumes/{volume_id}/restore"""
        return self.do(operations.restore_volume(volume_id, body), key=key, if_match=if_match)

    def resume_account(
        self, account_id: str, body: models.ResumeNew, *, key: str = "", if_match: str = ""
    ) -> models.AccountStanding:
        """POST /v1/accounts/{account_id}/resume"""
        return self.do(operations.resume_account(account_id, body), key=key, if_match=if_match)

    def resume_webhook(
        self, webhook_id: str, *, key: str = "", if_match: str = ""
    ) -> models.WebhookChanged:
        """POST /v1/webhooks/{webhook_id}/resume"""
        return self.do(operations.resume_webhook(webhook_id), key=key, if_match=if_match)

    def retire_node(
        self, node_id: str, body: models.NodeDrain, *, key: str = "", if_match: str = ""
    ) -> models.NodeUpkept:
        """POST /v1/nodes/{node_id}/retire"""
        return self.do(operations.retire_node(node_id, body), key=key, if_match=if_match)

    def return_node(
        self, node_id: str, body: models.NodeReturn, *, key: str = "", if_match: str = ""
    ) -> models.NodeUpkept:
        """POST /v1/nodes/{node_id}/return"""
        return self.do(operations.return_node(node_id, body), key=key, if_match=if_match)

    def return_payment(
        self, invoice_id: str, body: models.ReturnNew, *, key: str = "", if_match: str = ""
    ) -> models.Payment:
        """POST /v1/invoices/{invoice_id}/returned-payments"""
        return self.do(operations.return_payment(invoice_id, body), key=key, if_match=if_match)

    def revoke_api_key(
        self, key_id: str, body: models.AuthorityEnd, *, key: str = "", if_match: str = ""
    ) -> models.Ended:
        """POST /v1/api-keys/{key_id}/revoke"""
        return self.do(operations.revoke_api_key(key_id, body), key=key, if_match=if_match)

    def revoke_binding(
        self, binding_id: str, body: models.AuthorityEnd, *, key: str = "", if_match: str = ""
    ) -> models.Ended:
        """POST /v1/role-bindings/{binding_id}/revoke"""
        return self.do(operations.revoke_binding(binding_id, body), key=key, if_match=if_match)

    def revoke_break_glass(
        self, grant_id: str, body: models.BreakGlassEnd, *, key: str = "", if_match: str = ""
    ) -> models.BreakGlassDone:
        """POST /v1/break-glass/{grant_id}/revoke"""
        return self.do(operations.revoke_break_glass(grant_id, body), key=key, if_match=if_match)

    def revoke_grant(
        self,
        grant_id: str,
        body: models.AccessRevoke | None = None,
        *,
        key: str = "",
        if_match: str = "",
    ) -> models.AccessRevoked:
        """POST /v1/access-grants/{grant_id}/revoke"""
        return self.do(operations.revoke_grant(grant_id, body), key=key, if_match=if_match)

    def revoke_node(
        self, node_id: str, body: models.NodeRevocation, *, key: str = "", if_match: str = ""
    ) -> models.NodeRevoked:
        """POST /v1/nodes/{node_id}/revoke"""
        return self.do(operations.revoke_node(node_id, body), key=key, if_match=if_match)

    def revoke_source(
        self, source_id: str, body: models.SourceRevocation, *, key: str = "", if_match: str = ""
    ) -> models.SourceRevoked:
        """POST /v1/sources/{source_id}/revoke"""
        return self.do(operations.revoke_source(source_id, body), key=key, if_match=if_match)

    def rotate_secret(
        self, webhook_id: str, *, key: str = "", if_match: str = ""
    ) -> models.WebhookSecret:
        """POST /v1/webhooks/{webhook_id}/rotate-secret"""
        return self.do(operations.rotate_secret(webhook_id), key=key, if_match=if_match)

    def sanitize_node(
        self, node_id: str, body: models.NodeDevices, *, key: str = "", if_match: str = ""
    ) -> models.NodeUpkept:
        """POST /v1/nodes/{node_id}/sanitize"""
        return self.do(operations.sanitize_node(node_id, body), key=key, if_match=if_match)

    def set_account_tax(
        self, account_id: str, body: models.AccountTaxNew, *, key: str = "", if_match: str = ""
    ) -> models.AccountTax:
        """POST /v1/accounts/{account_id}/tax"""
        return self.do(operations.set_account_tax(account_id, body), key=key, if_match=if_match)

    def set_budget(
        self, body: models.BudgetNew, *, key: str = "", if_match: str = ""
    ) -> models.Budget:
        """POST /v1/budgets"""
        return self.do(operations.set_budget(body), key=key, if_match=if_match)

    def set_credit(
        self, account_id: str, body: models.CreditTermsNew, *, key: str = "", if_match: str = ""
    ) -> models.CreditTerms:
        """POST /v1/accounts/{account_id}/credit"""
        return self.do(operations.set_credit(account_id, body), key=key, if_match=if_match)

    def set_factors(
        self, issuer_id: str, body: models.IssuerFactors, *, key: str = "", if_match: str = ""
    ) -> models.Issuer:
        """POST /v1/issuers/{issuer_id}/factors"""
        return self.do(operations.set_factors(issuer_id, body), key=key, if_match=if_match)

    def set_guardrail(
        self, body: models.GuardrailNew, *, key: str = "", if_match: str = ""
    ) -> models.GuardrailGiven:
        """POST /v1/guardrails"""
        return self.do(operations.set_guardrail(body), key=key, if_match=if_match)

    def set_network_policy(
        self, network_id: str, body: models.NetworkPolicy, *, key: str = "", if_match: str = ""
    ) -> models.Network:
        """POST /v1/networks/{network_id}/policy"""
        return self.do(operations.set_network_policy(network_id, body), key=key, if_match=if_match)

    def set_quota(
        self, body: models.QuotaNew, *, key: str = "", if_match: str = ""
    ) -> models.Quota:
        """POST /v1/quotas"""
        return self.do(operations.set_quota(body), key=key, if_match=if_match)

    def set_rate(
        self, seller_id: str, body: models.TaxRateNew, *, key: str = "", if_match: str = ""
    ) -> models.TaxRate:
        """POST /v1/sellers/{seller_id}/rates"""
        return self.do(operations.set_rate(seller_id, body), key=key, if_match=if_match)

    def set_region(
        self, node_id: str, body: models.NodeRegion, *, key: str = "", if_match: str = ""
    ) -> models.NodeUpkept:
        """POST /v1/nodes/{node_id}/region"""
        return self.do(operations.set_region(node_id, body), key=key, if_match=if_match)

    def set_share(
        self, body: models.ShareNew, *, key: str = "", if_match: str = ""
    ) -> models.HttpQuotasShare:
        """POST /v1/quotas/shares"""
        return self.do(operations.set_share(body), key=key, if_match=if_match)

    def set_storage_quota(
        self, body: models.StorageQuotaNew, *, key: str = "", if_match: str = ""
    ) -> models.StorageQuota:
        """POST /v1/storage-quotas"""
        return self.do(operations.set_storage_quota(body), key=key, if_match=if_match)

    def set_terms(
        self, account_id: str, body: models.TermsNew, *, key: str = "", if_match: str = ""
    ) -> models.Terms:
        """POST /v1/accounts/{account_id}/terms"""
        return self.do(operations.set_terms(account_id, body), key=key, if_match=if_match)

    def set_topology(
        self, node_id: str, body: models.NodeTopology, *, key: str = "", if_match: str = ""
    ) -> models.NodeUpkept:
        """POST /v1/nodes/{node_id}/topology"""
        return self.do(operations.set_topology(node_id, body), key=key, if_match=if_match)

    def show_account(
        self, account_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Account:
        """GET /v1/accounts/{account_id}"""
        return self.do(operations.show_account(account_id, as_of=as_of), at_least=at_least)

    def show_account_tax(
        self, account_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.AccountTax:
        """GET /v1/accounts/{account_id}/tax"""
        return self.do(operations.show_account_tax(account_id, as_of=as_of), at_least=at_least)

    def show_api_key(
        self,
        key_id: str,
        *,
        organization: str | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.ApiKey:
        """GET /v1/api-keys/{key_id}"""
        return self.do(
            operations.show_api_key(key_id, organization=organization, as_of=as_of),
            at_least=at_least,
        )

    def show_attribution(
        self, project_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Attribution:
        """GET /v1/projects/{project_id}/attribution"""
        return self.do(operations.show_attribution(project_id, as_of=as_of), at_least=at_least)

    def show_binding(
        self,
        binding_id: str,
        *,
        organization: str | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.RoleBinding:
        """GET /v1/role-bindings/{binding_id}"""
        return self.do(
            operations.show_binding(binding_id, organization=organization, as_of=as_of),
            at_least=at_least,
        )

    def show_book(
        self,
        name: str,
        *,
        edition: int | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Book:
        """GET /v1/price-books/{name}"""
        return self.do(operations.show_book(name, edition=edition, as_of=as_of), at_least=at_least)

    def show_break_glass(
        self, grant_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.BreakGlass:
        """GET /v1/break-glass/{grant_id}"""
        return self.do(operations.show_break_glass(grant_id, as_of=as_of), at_least=at_least)

    def show_budget(
        self, scope_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Budget:
        """GET /v1/budgets/{scope_id}"""
        return self.do(operations.show_budget(scope_id, as_of=as_of), at_least=at_least)

    def show_cost_centre(
        self, cost_centre_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.CostCentre:
        """GET /v1/cost-centres/{cost_centre_id}"""
        return self.do(operations.show_cost_centre(cost_centre_id, as_of=as_of), at_least=at_least)

    def show_counted(self, number: str, *, at_least: int | None = None) -> models.CountedCalls:
        """GET /v1/audit/calls/{number}"""
        return self.do(operations.show_counted(number), at_least=at_least)

    def show_credit(
        self, account_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.AccountCredit:
        """GET /v1/accounts/{account_id}/credit"""
        return self.do(operations.show_credit(account_id, as_of=as_of), at_least=at_least)

    def show_credit_note(
        self, credit_note_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.CreditNote:
        """GET /v1/credit-notes/{credit_note_id}"""
        return self.do(operations.show_credit_note(credit_note_id, as_of=as_of), at_least=at_least)

    def show_department(
        self, department_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Department:
        """GET /v1/departments/{department_id}"""
        return self.do(operations.show_department(department_id, as_of=as_of), at_least=at_least)

    def show_factor(self, *, at_least: int | None = None) -> models.SecondFactor:
        """GET /v1/mfa"""
        return self.do(operations.show_factor(), at_least=at_least)

    def show_grant(
        self, grant_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.AccessGrant:
        """GET /v1/access-grants/{grant_id}"""
        return self.do(operations.show_grant(grant_id, as_of=as_of), at_least=at_least)

    def show_group(
        self,
        group_id: str,
        *,
        organization: str | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Group:
        """GET /v1/groups/{group_id}"""
        return self.do(
            operations.show_group(group_id, organization=organization, as_of=as_of),
            at_least=at_least,
        )

    def show_guardrail(
        self,
        guardrail_id: str,
        *,
        organization: str | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.GuardrailGiven:
        """GET /v1/guardrails/{guardrail_id}"""
        return self.do(
            operations.show_guardrail(guardrail_id, organization=organization, as_of=as_of),
            at_least=at_least,
        )

    def show_identity(
        self, identity_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Identity:
        """GET /v1/identities/{identity_id}"""
        return self.do(operations.show_identity(identity_id, as_of=as_of), at_least=at_least)

    def show_image(
        self, image_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Image:
        """GET /v1/images/{image_id}"""
        return self.do(operations.show_image(image_id, as_of=as_of), at_least=at_least)

    def show_incident(
        self, incident_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.IncidentShown:
        """GET /v1/incidents/{incident_id}"""
        return self.do(operations.show_incident(incident_id, as_of=as_of), at_least=at_least)

    def show_invitation(
        self,
        invitation_id: str,
        *,
        organization: str | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Invitation:
        """GET /v1/invitations/{invitation_id}"""
        return self.do(
            operations.show_invitation(invitation_id, organization=organization, as_of=as_of),
            at_least=at_least,
        )

    def show_invoice(
        self, invoice_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Invoice:
        """GET /v1/invoices/{invoice_id}"""
        return self.do(operations.show_invoice(invoice_id, as_of=as_of), at_least=at_least)

    def show_issuer(
        self,
        issuer_id: str,
        *,
        organization: str | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Issuer:
        """GET /v1/issuers/{issuer_id}"""
        return self.do(
            operations.show_issuer(issuer_id, organization=organization, as_of=as_of),
            at_least=at_least,
        )

    def show_logs(
        self, runtime_id: str, *, most: int | None = None, at_least: int | None = None
    ) -> str:
        """GET /v1/runtimes/{runtime_id}/logs"""
        return self.do(operations.show_logs(runtime_id, most=most), at_least=at_least)

    def show_me(self, *, at_least: int | None = None) -> models.Me:
        """GET /v1/me"""
        return self.do(operations.show_me(), at_least=at_least)

    def show_member(
        self,
        principal: str,
        *,
        organization: str | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Member:
        """GET /v1/members/{principal}"""
        return self.do(
            operations.show_member(principal, organization=organization, as_of=as_of),
            at_least=at_least,
        )

    def show_meter(
        self, meter_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Meter:
        """GET /v1/meters/{meter_id}"""
        return self.do(operations.show_meter(meter_id, as_of=as_of), at_least=at_least)

    def show_network(
        self, network_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Network:
        """GET /v1/networks/{network_id}"""
        return self.do(operations.show_network(network_id, as_of=as_of), at_least=at_least)

    def show_node(
        self, node_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Node:
        """GET /v1/nodes/{node_id}"""
        return self.do(operations.show_node(node_id, as_of=as_of), at_least=at_least)

    def show_node_ca(self) -> bytes:
        """GET /v1/enrol/ca"""
        return self.do(operations.show_node_ca())

    def show_operation(
        self, operation_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Operation:
        """GET /v1/operations/{operation_id}"""
        return self.do(operations.show_operation(operation_id, as_of=as_of), at_least=at_least)

    def show_organization(
        self, organization_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Organization:
        """GET /v1/organizations/{organization_id}"""
        return self.do(
            operations.show_organization(organization_id, as_of=as_of), at_least=at_least
        )

    def show_page(
        self, invoice_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> bytes:
        """GET /v1/invoices/{invoice_id}/page"""
        return self.do(operations.show_page(invoice_id, as_of=as_of), at_least=at_least)

    def show_period(
        self, period_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Period:
        """GET /v1/periods/{period_id}"""
        return self.do(operations.show_period(period_id, as_of=as_of), at_least=at_least)

    def show_problem(self, code: str) -> bytes:
        """GET /v1/problems/{code}"""
        return self.do(operations.show_problem(code))

    def show_project(
        self, project_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Project:
        """GET /v1/projects/{project_id}"""
        return self.do(operations.show_project(project_id, as_of=as_of), at_least=at_least)

    def show_receipt(self, position: str, *, at_least: int | None = None) -> models.Receipt:
        """GET /v1/receipts/{position}"""
        return self.do(operations.show_receipt(position), at_least=at_least)

    def show_recording(self, session_id: str, *, at_least: int | None = None) -> bytes:
        """GET /v1/terminals/{session_id}/recording"""
        return self.do(operations.show_recording(session_id), at_least=at_least)

    def show_reservation(
        self, reservation_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Reservation:
        """GET /v1/reservations/{reservation_id}"""
        return self.do(operations.show_reservation(reservation_id, as_of=as_of), at_least=at_least)

    def show_runtime(
        self, runtime_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Runtime:
        """GET /v1/runtimes/{runtime_id}"""
        return self.do(operations.show_runtime(runtime_id, as_of=as_of), at_least=at_least)

    def show_schema(self, tag: str) -> bytes:
        """GET /v1/schemas/{tag}"""
        return self.do(operations.show_schema(tag))

    def show_seller(
        self, seller_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Seller:
        """GET /v1/sellers/{seller_id}"""
        return self.do(operations.show_seller(seller_id, as_of=as_of), at_least=at_least)

    def show_service_account(
        self,
        account_id: str,
        *,
        organization: str | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.ServiceAccount:
        """GET /v1/service-accounts/{account_id}"""
        return self.do(
            operations.show_service_account(account_id, organization=organization, as_of=as_of),
            at_least=at_least,
        )

    def show_session(
        self,
        session_id: str,
        *,
        organization: str | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Session:
        """GET /v1/sessions/{session_id}"""
        return self.do(
            operations.show_session(session_id, organization=organization, as_of=as_of),
            at_least=at_least,
        )

    def show_source(
        self, source_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Source:
        """GET /v1/sources/{source_id}"""
        return self.do(operations.show_source(source_id, as_of=as_of), at_least=at_least)

    def show_sso(
        self,
        *,
        organization: str | None = None,
        as_of: str | None = None,
        at_least: int | None = None,
    ) -> models.Sso:
        """GET /v1/sso"""
        return self.do(
            operations.show_sso(organization=organization, as_of=as_of), at_least=at_least
        )

    def show_suspense(
        self, suspense_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Aside:
        """GET /v1/suspense/{suspense_id}"""
        return self.do(operations.show_suspense(suspense_id, as_of=as_of), at_least=at_least)

    def show_terminal(
        self, session_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Terminal:
        """GET /v1/terminals/{session_id}"""
        return self.do(operations.show_terminal(session_id, as_of=as_of), at_least=at_least)

    def show_transfer(
        self, account_id: str, row: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Transfer:
        """GET /v1/accounts/{account_id}/transfers/{row}"""
        return self.do(operations.show_transfer(account_id, row, as_of=as_of), at_least=at_least)

    def show_trust(self, *, at_least: int | None = None) -> models.SshTrust:
        """GET /v1/ssh/ca"""
        return self.do(operations.show_trust(), at_least=at_least)

    def show_upkeep(
        self, node_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.NodeUpkeep:
        """GET /v1/nodes/{node_id}/upkeep"""
        return self.do(operations.show_upkeep(node_id, as_of=as_of), at_least=at_least)

    def show_volume(
        self, volume_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.VolumeShown:
        """GET /v1/volumes/{volume_id}"""
        return self.do(operations.show_volume(volume_id, as_of=as_of), at_least=at_least)

    def show_wallet(
        self, account_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Wallet:
        """GET /v1/accounts/{account_id}/wallet"""
        return self.do(operations.show_wallet(account_id, as_of=as_of), at_least=at_least)

    def show_webhook(
        self, webhook_id: str, *, as_of: str | None = None, at_least: int | None = None
    ) -> models.Webhook:
        """GET /v1/webhooks/{webhook_id}"""
        return self.do(operations.show_webhook(webhook_id, as_of=as_of), at_least=at_least)

    def snapshot_volume(
        self, volume_id: str, *, key: str = "", if_match: str = ""
    ) -> models.VolumeChanged:
        """POST /v1/volumes/{volume_id}/snapshot"""
        return self.do(operations.snapshot_volume(volume_id), key=key, if_match=if_match)

    def stop_runtime(
        self,
        runtime_id: str,
        body: models.RuntimeStop | None = None,
        *,
        key: str = "",
        if_match: str = "",
    ) -> models.Runtime:
        """POST /v1/runtimes/{runtime_id}/stop"""
        return self.do(operations.stop_runtime(runtime_id, body), key=key, if_match=if_match)

    def suspend_account(
        self, account_id: str, body: models.SuspendNew, *, key: str = "", if_match: str = ""
    ) -> models.AccountStanding:
        """POST /v1/accounts/{account_id}/suspend"""
        return self.do(operations.suspend_account(account_id, body), key=key, if_match=if_match)

    def suspend_organization(
        self, organization_id: str, body: models.Standing, *, key: str = "", if_match: str = ""
    ) -> models.Organization:
        """POST /v1/organizations/{organization_id}/suspend"""
        return self.do(
            operations.suspend_organization(organization_id, body), key=key, if_match=if_match
        )

    def take_readings(self, body: models.Batch) -> models.Taken:
        """POST /v1/readings"""
        return self.do(operations.take_readings(body))

    def tie_fact(
        self, incident_id: str, body: models.IncidentTie, *, key: str = "", if_match: str = ""
    ) -> models.IncidentChanged:
        """POST /v1/incidents/{incident_id}/tie"""
        return self.do(operations.tie_fact(incident_id, body), key=key, if_match=if_match)

    def trust_issuer(
        self, body: models.IssuerNew, *, key: str = "", if_match: str = ""
    ) -> models.Issuer:
        """POST /v1/issuers"""
        return self.do(operations.trust_issuer(body), key=key, if_match=if_match)

    def uncordon_node(
        self, node_id: str, *, key: str = "", if_match: str = ""
    ) -> models.NodeChanged:
        """POST /v1/nodes/{node_id}/uncordon"""
        return self.do(operations.uncordon_node(node_id), key=key, if_match=if_match)

    def undrain_node(
        self, node_id: str, body: models.NodeUndrain, *, key: str = "", if_match: str = ""
    ) -> models.NodeUpkept:
        """POST /v1/nodes/{node_id}/undrain"""
        return self.do(operations.undrain_node(node_id, body), key=key, if_match=if_match)

    def unlink_identity(
        self, identity_id: str, body: models.IdentityUnlink, *, key: str = "", if_match: str = ""
    ) -> models.Identity:
        """POST /v1/identities/{identity_id}/unlink"""
        return self.do(operations.unlink_identity(identity_id, body), key=key, if_match=if_match)

    def verify_factor(
        self, body: models.Code, *, key: str = "", if_match: str = ""
    ) -> models.SteppedUp:
        """POST /v1/mfa/verify"""
        return self.do(operations.verify_factor(body), key=key, if_match=if_match)

    def where_to_sign_in(
        self, *, domain: str | None = None, issuer: str | None = None
    ) -> models.SignIn:
        """GET /v1/sign-in"""
        return self.do(operations.where_to_sign_in(domain=domain, issuer=issuer))

    def withdraw_invitation(
        self, invitation_id: str, body: models.AuthorityEnd, *, key: str = "", if_match: str = ""
    ) -> models.Ended:
        """POST /v1/invitations/{invitation_id}/withdraw"""
        return self.do(
            operations.withdraw_invitation(invitation_id, body), key=key, if_match=if_match
        )
