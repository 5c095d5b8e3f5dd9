"""What a runtime said, as its node has it: asked for over NATS, signed both ways, kept nowhere."""

import asyncio
import contextlib
import secrets
from typing import Any, Final

import nats.errors
import psycopg
from litestar import Response, get
from litestar.params import FromPath, FromQuery

from api.body import FrontRequest
from api.changing import target
from api.services import Services, services_of
from contracts import logs
from contracts.signing import FleetError
from domain import runtime
from domain.errors import DomainError

_PATIENCE_S: Final = 5.0
_DEFAULT: Final = 8_192
# Who is barred has no key here: nothing it says counts.
_KEY: Final = """
SELECT i.key FROM views.node_identity i WHERE i.node = %(node)s AND i.to_position IS NULL
  AND NOT EXISTS (SELECT FROM views.node_standing s
    WHERE s.node = i.node AND s.to_position IS NULL AND s.barred <> '')
"""


@get("/v1/runtimes/{runtime_id:str}/logs", media_type="text/plain")
async def show_logs(
    request: FrontRequest,
    runtime_id: FromPath[str],
    most: FromQuery[int | None] = None,
) -> Response[bytes]:
    """The last `most` bytes (1 to 32768) of its first process's output, oldest first.

    For its own organization only. A node keeps them until a day after the runtime's end.
    """
    services = services_of(request)
    size = _DEFAULT if most is None else most
    if not 1 <= size <= logs.MOST:
        raise DomainError("request.invalid", f"`most` is 1 to {logs.MOST}", {"pointer": "/most"})
    found = await target(services, request.user, runtime_id, "runtime")
    placed = next((one for one in found.facts if isinstance(one, runtime.Allocated)), None)
    if placed is None:
        raise DomainError("logs.unavailable", "it was never placed on a node")
    ask = logs.Ask("gpuaas-logs-ask/1", placed.node, placed.allocation, size, secrets.token_hex(16))
    data = await _asked(services, ask)
    # Tenants' programs wrote it: no browser may take it for a page.
    headers = {"X-Content-Type-Options": "nosniff"}
    return Response(data, media_type="text/plain", headers=headers)


async def _asked(services: Services, ask: logs.Ask) -> bytes:
    """Raises: DomainError logs.unavailable when the node does not answer in time."""
    key = await services.reads.ask(_key_of, ask.node)
    heard = await services.nats.subscribe(logs.subject(ask.node, "said"))
    try:
        async with asyncio.timeout(_PATIENCE_S):
            message = logs.ask_message(services.command_key, ask)
            await services.nats.publish(logs.subject(ask.node, "ask"), message)
            async for said in heard.messages:
                # Answers to others' questions pass here too.
                with contextlib.suppress(FleetError):
                    return logs.open_said(said.data, key, ask)
    except (TimeoutError, OSError, nats.errors.Error) as error:
        raise DomainError("logs.unavailable", "its node does not answer") from error
    finally:
        with contextlib.suppress(nats.errors.Error, OSError):
            await heard.unsubscribe()
    raise DomainError("logs.unavailable", "its node does not answer")


def _key_of(conn: psycopg.Connection[Any], node: str) -> str:
    row = conn.execute(_KEY, {"node": node}).fetchone()
    if row is None:
        raise DomainError("logs.unavailable", "its node has no valid identity")
    return str(row[0])
