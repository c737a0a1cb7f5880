"""What a rule of a policy asks of a run beside its ceilings: queues, hours, a role for high rates, and what holds for
all runs of a target together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase

from plg.dataclass import dataclass
from plg.guardrails.hours import Hours, outside, shown
from plg.units import format_duration, format_rate

ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of a rule. Rates in jobs/s.

    Only ``queues`` may be loaded (any where there are none), never ``forbidden_queues``; only within ``hours`` of
    ``time_zone``; above ``admin_only`` only by an admin. With ``require_allow`` the server must carry an allowance.
    ``max_tests`` run at a time (of a user rule: of one account), with ``budget`` together. A guardrail that stops a run
    stops all others there for ``latch`` seconds (infinite: until plg target resume; 0: it does not).
    """

    queues: tuple[str, ...] = ()
    forbidden_queues: tuple[str, ...] = ()
    hours: tuple[Hours, ...] = ()
    time_zone: str = "UTC"
    admin_only: float = math.inf
    require_allow: bool = False
    max_tests: float = math.inf
    budget: float = math.inf
    latch: float = 0.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A run as the rules see it; None where something is not known yet, or not asked.

    ``rate`` is the highest that it may send with (jobs/s), ``start`` in seconds since the epoch, ``lasting`` in
    seconds. ``named`` is the environment of ``--env``.
    """

    target: str
    account: str
    role: str = ""
    named: str | None = None
    queues: tuple[str, ...] | None = None
    rate: float | None = None
    start: float | None = None
    lasting: float = 0.0


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where messages go. ``secret_env`` is the variable with the secret: ``whsec_`` and 24 to 64 bytes in base64."""

    url: str
    secret_env: str


def refusal(terms: Terms, asked: Asked, *, admin: bool) -> str | None:
    """Why a run is not within the terms; None where it is. ``admin``: whether who asks is one."""
    return _queues(terms, asked.queues or ()) or _hours(terms, asked) or _rate(terms, asked, admin)


def _queues(terms: Terms, queues: Sequence[str]) -> str | None:
    for name in queues:
        if any(fnmatchcase(name, pattern) for pattern in terms.forbidden_queues):
            return f"it forbids the queue {name!r}"
        if terms.queues and not any(fnmatchcase(name, pattern) for pattern in terms.queues):
            return f"it allows the queues {', '.join(terms.queues)} alone, not {name!r}"
    return None


def _hours(terms: Terms, asked: Asked) -> str | None:
    if not terms.hours or asked.start is None:
        return None
    first = outside(terms.hours, terms.time_zone, asked.start, asked.lasting)
    if first is None:
        return None
    allowed = ", ".join(each.text for each in terms.hours)
    when = shown(first, terms.time_zone)
    if first <= asked.start:
        return f"it allows load at {allowed} alone, and it is {when}"
    return f"it allows load at {allowed} alone: a run of {format_duration(asked.lasting)} would go on at {when}"


def _rate(terms: Terms, asked: Asked, admin: bool) -> str | None:
    if admin or asked.rate is None or asked.rate <= terms.admin_only * (1 + 1e-9):
        return None
    return f"it lets admins alone send more than {format_rate(terms.admin_only)}, and this is {format_rate(asked.rate)}"
