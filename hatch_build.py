"""Refuses a non-editable wheel, with the way out in the message."""

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class EditableOnly(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        del build_data
        if version != "editable":
            raise RuntimeError(
                "gpuaas is installed from a checkout only: `make install` or "
                "`uv pip install -e .`; auditors install `evidence/verifier` (gpuaas-verify)"
            )
