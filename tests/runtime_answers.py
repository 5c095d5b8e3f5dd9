"""A runtime as the API answers it."""

from typing import Any


def runtime(**changed: Any) -> dict[str, Any]:
    return {
        "id": "runtime-1", "organization": "o", "project": "project-00000000-0000-7000-8000-000000000001", "name": "n", "state": "usable",
        "since": None, "why": "", "next": "billed until it stops", "node": None, "model": "T4",
        "devices": [], "gpu_milli": 1000, "simulated": True, "config": None, "route": None,
        "network": None, "egress": None, "idle_since": None, "idle_stop_after_s": None,
        "spot": False, "region": None, "version": 1, **changed,
    }  # fmt: skip
