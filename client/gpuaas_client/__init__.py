"""The Python client of GPUaaS."""

from gpuaas_client.async_client import AsyncClient
from gpuaas_client.client import Client
from gpuaas_client.errors import (
    Conflict,
    Forbidden,
    GpuaasError,
    Impostor,
    Invalid,
    Misconfigured,
    NotFound,
    Refused,
    Unauthenticated,
    Unavailable,
    Unreachable,
)
from gpuaas_client.events import Event
from gpuaas_client.trial import Patience

__all__ = [
    "AsyncClient",
    "Client",
    "Conflict",
    "Event",
    "Forbidden",
    "GpuaasError",
    "Impostor",
    "Invalid",
    "Misconfigured",
    "NotFound",
    "Patience",
    "Refused",
    "Unauthenticated",
    "Unavailable",
    "Unreachable",
]
