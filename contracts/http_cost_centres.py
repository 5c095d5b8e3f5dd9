"""Cost centres, what projects are attributed to, and what each is charged; as http.py."""

from contracts.http import CostCentreId, DepartmentId, Given, Instant, Money, Name, Taken


class CostCentreNew(Taken, frozen=True):
    """Of the department's organization."""

    department: DepartmentId
    name: Name


class CostCentreName(Taken, frozen=True):
    """What it was charged before is shown under the name, too."""

    name: Name


class CostCentre(Given, frozen=True):
    """`department`: whose it is in billing; who may see it, is decided at the organization. Of a
    `closed` one nothing is charged any more. `version` grows with each project that comes or goes,
    too. Who renames or closes it is not told what that leaves as it is: null.
    """

    id: str
    organization: str
    department: str | None
    name: str | None
    state: str
    created_at: Instant | None
    version: int


class ProjectAttribute(Taken, frozen=True):
    """Null takes the project's cost centre away."""

    cost_centre: CostCentreId | None


class Attribution(Given, frozen=True):
    """What the project uses from `since` on is charged to the cost centre; null: to none, ever yet
    where `since` is null, too: at version 0.
    """

    project: str
    organization: str
    cost_centre: str | None
    since: Instant | None
    version: int


class CostCentreCharge(Given, frozen=True):
    """What a project was charged for while it was attributed to the cost centre; null: to none.
    Project `-`: what the account pays by itself.
    """

    cost_centre: str | None
    account: str
    project: str
    amount: Money


class InvoiceCostCentre(Given, frozen=True):
    """What of an invoice's exact total is of a project while it was attributed to the cost centre;
    null: to none. Project `-`: what the account pays by itself.
    """

    cost_centre: str | None
    project: str
    amount: Money
