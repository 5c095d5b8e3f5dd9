"""The Cedar schema of the actions: `python -m contracts.authorization.schema` writes it."""

from typing import Final

from contracts.authorization.registry import (
    ACTIONS,
    ADMINISTRATIVE,
    ADMINISTRATIVE_ACTIONS,
    AREAS,
    DESK,
    EMBEDDED,
    FOUNDING,
    HERE,
    ROLES,
)

FILE: Final = HERE.joinpath("schema.cedarschema")
_ANYWHERE: Final = "[Platform, Organization, Department, Project, Runtime, Volume, Network]"
_GROUPS: Final = {
    ADMINISTRATIVE: ADMINISTRATIVE_ACTIONS,
    "desk": DESK,
    "founding": FOUNDING,
    "embedded": EMBEDDED,
}
_HEAD: Final = """\
// Made from actions.txt by `python -m contracts.authorization.schema`; a test compares it.
namespace GPUaaS {
  entity Platform;
  entity Organization in [Platform];
  entity Department in [Organization];
  entity Project in [Department, Organization];
  entity Runtime in [Project];
  entity Volume in [Project];
  entity Network in [Project];
  entity Group;
  entity User in [Group];
  entity Service in [Group];

  type Call = {
    now_us: Long,
    mfa: Bool,
    mfa_demanded: Bool,
    elsewhere: Bool,
    stale: Bool,
    platform: Bool,
    source?: ipaddr,
    scopes?: Set<Action>,
    owned: Bool,
    requester?: User,
  };

"""


def text() -> str:
    """The schema's exact text: groups of actions (a role's, an area's, the administrative, what
    staff does at its desk, all), then every action.
    """
    lines = [f'  action "{name}";' for name in ("*", *_GROUPS)]
    lines += [f'  action "role:{role}";' for role in ROLES]
    lines += [f'  action "{area}.*" in ["*"];' for area in AREAS]
    for one in ACTIONS.values():
        parents = ", ".join(f'"{name}"' for name in parents_of(one.name))
        scopes = "Platform" if one.level == "platform" else _ANYWHERE
        lines.append(
            f'  action "{one.name}" in [{parents}] appliesTo '
            f"{{ principal: [User, Service], resource: {scopes}, context: Call }};"
        )
    return _HEAD + "\n".join(lines) + "\n}\n"


def parents_of(action: str) -> tuple[str, ...]:
    """The groups that an action is in: its area, its roles, and those that are lists."""
    one = ACTIONS[action]
    more = [name for name, of in _GROUPS.items() if action in of]
    return (f"{one.area}.*", *(f"role:{role}" for role in one.roles), *more)


if __name__ == "__main__":
    FILE.write_text(text())
