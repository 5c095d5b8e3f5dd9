"""What the auditor's books say of a history."""

import pytest
from msgspec import Struct

from gpuaas_verify.books import Books
from gpuaas_verify.errors import Invalid
from tests.property.books_history import History

type Said = tuple[str, str, Struct]


def judge(facts: list[Said], orgs: dict[str, str]) -> None:
    """Raises: what the auditor refuses."""
    with Books(None) as auditor:
        History(list(facts), orgs=orgs).feed(auditor)
        for table in ("rated_interval", "transfer"):
            list(auditor.expected_rows(table))
        auditor.finish()


def refused(facts: list[Said], orgs: dict[str, str]) -> tuple[str, str | None]:
    """The code and the field of the auditor's refusal; there is one."""
    with pytest.raises(Invalid) as caught:
        judge(facts, orgs)
    return caught.value.code, caught.value.field
