"""Where an administrative act is wished for."""

import pytest

from api.authorization.principal import Principal
from api.authorization.wishing import organization_of
from domain.errors import DomainError


@pytest.mark.parametrize("named", ["organization-", "organization-a b", 'organization-"', "x", ""])
def test_an_operator_names_an_organization_by_its_id(named: str) -> None:
    """Anything else is unknown, before a policy is asked about it."""
    operator = Principal("user-1", "platform-operator", "-")
    with pytest.raises(DomainError) as found:
        organization_of(operator, named)
    assert found.value.code == "resource.unknown"
    real = "organization-00000000-0000-7000-8000-000000000000"
    assert organization_of(operator, real) == real
