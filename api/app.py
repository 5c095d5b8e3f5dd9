"""The Litestar application: routes, guard, problems; its services are opened with its lifespan."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

from litestar import Litestar
from litestar.openapi import OpenAPIConfig

from api import (
    access,
    accounts,
    apps,
    capacity,
    credit_notes,
    departments,
    devices,
    enrol,
    events,
    exports,
    identities,
    images,
    incidents,
    invoice_proofs,
    invoices,
    lending,
    meters,
    metrics,
    networks,
    nodes,
    organizations,
    papers,
    periods,
    placement,
    prices,
    projects,
    proofs,
    quotas,
    readiness,
    readings,
    runtime_logs,
    runtimes,
    sellers,
    sources,
    upkeep,
    usage,
    volumes,
    wallets,
)
from api.auth import authenticated
from api.body import FrontRequest
from api.config import Settings
from api.parameters import plain
from api.problems import HANDLERS
from api.services import Services, opened
from api.ssh import granting, hosts
from api.terminal import routes
from contracts.http import BODY_LIMIT

ROUTES: Final[tuple[Any, ...]] = (
    organizations.create_organization,
    organizations.list_organizations,
    organizations.suspend_organization,
    organizations.reactivate_organization,
    organizations.close_organization,
    organizations.reopen_organization,
    organizations.list_effects,
    departments.create_department,
    departments.list_departments,
    projects.create_project,
    projects.list_projects,
    accounts.open_account,
    accounts.list_accounts,
    accounts.show_account,
    accounts.list_transfers,
    sellers.register_seller,
    sellers.list_sellers,
    sellers.set_rate,
    sellers.list_rates,
    sellers.set_account_tax,
    sellers.show_account_tax,
    wallets.set_terms,
    wallets.grant_credit,
    wallets.show_wallet,
    runtimes.launch_runtime,
    runtimes.stop_runtime,
    runtimes.list_runtimes,
    runtimes.show_runtime,
    runtime_logs.show_logs,
    volumes.create_volume,
    volumes.grow_volume,
    volumes.snapshot_volume,
    volumes.restore_volume,
    volumes.delete_volume,
    volumes.lose_volume,
    volumes.list_volumes,
    volumes.show_volume,
    images.register_image,
    images.list_images,
    routes.open_terminal,
    routes.show_terminal,
    routes.issue_ticket,
    routes.close_terminal,
    routes.show_recording,
    routes.terminal_socket,
    networks.create_network,
    networks.set_network_policy,
    networks.delete_network,
    networks.list_networks,
    networks.show_network,
    capacity.capacity_now,
    nodes.invite_node,
    nodes.list_nodes,
    nodes.show_node,
    devices.list_devices,
    nodes.cordon_node,
    nodes.uncordon_node,
    upkeep.drain_node,
    upkeep.undrain_node,
    upkeep.quarantine_node,
    upkeep.sanitize_node,
    upkeep.require_sanitization,
    upkeep.return_node,
    upkeep.retire_node,
    upkeep.set_topology,
    upkeep.show_upkeep,
    upkeep.node_timeline,
    upkeep.node_discrepancies,
    incidents.open_incident,
    incidents.tie_fact,
    incidents.note_incident,
    incidents.resolve_incident,
    incidents.list_incidents,
    incidents.show_incident,
    placement.place_block,
    placement.explain_placement,
    placement.make_reservation,
    placement.end_reservation,
    placement.list_reservations,
    enrol.enrol_node,
    enrol.renew_certificate,
    enrol.show_node_ca,
    identities.revoke_node,
    identities.reinvite_node,
    meters.register_meter,
    meters.list_meters,
    sources.register_source,
    sources.revoke_source,
    sources.list_sources,
    sources.show_source,
    readings.take_readings,
    readings.list_quarantined,
    prices.publish_price,
    prices.list_prices,
    quotas.set_quota,
    quotas.list_quotas,
    quotas.set_storage_quota,
    quotas.list_storage_quotas,
    lending.set_share,
    lending.list_shares,
    lending.claim_lent,
    lending.end_claim,
    lending.list_claims,
    lending.list_reclaims,
    usage.list_usage,
    periods.list_periods,
    periods.close_period,
    invoices.list_invoices,
    invoices.show_invoice,
    invoices.invoice_file,
    invoices.show_page,
    credit_notes.order_credit_note,
    credit_notes.list_credit_notes,
    credit_notes.show_credit_note,
    credit_notes.credit_note_file,
    papers.invoice_ubl,
    papers.invoice_cii,
    papers.credit_note_ubl,
    papers.credit_note_cii,
    papers.invoice_as_pdf,
    papers.credit_note_page,
    papers.credit_note_as_pdf,
    access.issue_token,
    granting.issue_certificate,
    apps.issue_pass,
    granting.revoke_grant,
    granting.list_grants,
    granting.show_trust,
    hosts.certify_host,
    proofs.checkpoint,
    proofs.show_receipt,
    proofs.bundle,
    exports.export_books,
    invoice_proofs.invoice_proof,
    invoice_proofs.line_proof,
    events.events,
    metrics.metrics,
    readiness.health,
    readiness.ready,
)

type Open = Callable[[], AbstractAsyncContextManager[Services]]


def create_app(
    settings: Settings, *, open_services: Open | None = None, more: tuple[Any, ...] = ()
) -> Litestar:
    """The application, not yet connected: its lifespan opens and closes the services.

    `more` adds routes of a bench or a test behind the same guard and problems.
    """

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with (open_services or (lambda: opened(settings)))() as services:
            app.state.services = services
            app.state.verifier = services.verifier
            yield

    return Litestar(
        route_handlers=[*ROUTES, *more],
        request_class=FrontRequest,
        guards=[authenticated, plain],
        exception_handlers=HANDLERS,
        lifespan=[lifespan],
        request_max_body_size=BODY_LIMIT + 1,
        openapi_config=OpenAPIConfig(
            title="gpuaas", version="1", create_examples=False, render_plugins=[], path="/v1/schema"
        ),
        logging_config=None,
    )
