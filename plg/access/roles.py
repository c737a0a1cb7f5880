"""Roles and what each may do: a Casbin model of four roles, each with all that the one before it may.

Permissions are asked of Casbin once a process, for all roles, and kept as sets: a question costs a look into one.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from functools import cache

from plg.access.errors import Forbidden, not_installed
from plg.dataclass import dataclass

ROLES = ("viewer", "operator", "author", "admin")
"""The least first."""

READ_TESTS, READ_PROFILES, READ_STREAMS = "tests.read", "profiles.read", "streams.read"
START_TESTS, STOP_TESTS, RUN_PROFILES = "tests.start", "tests.stop", "profiles.run"
WRITE_PROFILES = "profiles.write"
TOKENS, POLICY, AUDIT, HIGH_RATES, RESET = "tokens", "policy", "audit", "rates.high", "emergency.reset"
GRANTS: Mapping[str, tuple[str, ...]] = {
    "viewer": (READ_TESTS, READ_PROFILES, READ_STREAMS),
    "operator": (START_TESTS, STOP_TESTS, RUN_PROFILES),
    "author": (WRITE_PROFILES,),
    "admin": (TOKENS, POLICY, AUDIT, HIGH_RATES, RESET),
}
"""What each role may beyond the one before it."""
PERMISSIONS = tuple(permission for granted in GRANTS.values() for permission in granted)

_MODEL = """
[request_definition]
r = role, permission
[policy_definition]
p = role, permission
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.role, p.role) && r.permission == p.permission
"""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who is known: ``name`` as in the audit log and the policy, and the ``token`` (its id) that said so."""

    name: str
    role: str
    token: str = ""


def allowed(account: Account | None, permission: str) -> bool:
    """Whether an account has a permission; None, which is nobody, has none. A permission that is not known nobody
    has."""
    return account is not None and permission in _granted().get(account.role, frozenset())


def require(account: Account | None, permission: str) -> None:
    """Raise `Forbidden` where `allowed` says no."""
    if not allowed(account, permission):
        role = "nobody" if account is None else f"a {account.role}"
        needed = next((name for name in ROLES if permission in _granted()[name]), "nobody")
        raise Forbidden(f"{role} may not do this ({permission})", f"the role {needed} may")


@cache
def _granted() -> Mapping[str, frozenset[str]]:
    try:
        import casbin  # type: ignore[import-untyped]  # it has no types
    except ImportError:
        raise not_installed("casbin") from None
    model = casbin.Model()
    model.load_model_from_text(_MODEL)
    enforcer = casbin.Enforcer(model)
    for role, permissions in GRANTS.items():
        for permission in permissions:
            enforcer.add_policy(role, permission)
    for lower, higher in itertools.pairwise(ROLES):
        enforcer.add_grouping_policy(higher, lower)
    return {role: frozenset(each for each in PERMISSIONS if enforcer.enforce(role, each)) for role in ROLES}
