"""Ceilings that no scenario and no flag can raise: policy files, matched by the target's host and the account."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import field, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path

from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, ScenarioError, Span
from plg.guardrails.terms import ADMIN, Asked, Terms, Webhook, refusal
from plg.language.limits import with_limits
from plg.scenario import ErrorRateLimit, Guardrails, Scenario
from plg.targets.gate import Gate, Zone
from plg.targets.hosts import ANY, Door, door_of, holding, names_of
from plg.targets.interlock import NOTHING, Demand
from plg.units import format_duration, format_percent, format_rate, format_size

DEFAULT_WINDOW = 1.0
"""A ceiling on the rate is counted over windows of at most this many seconds unless it says otherwise."""

_FORMATS = {
    "max_rate": format_rate,
    "max_duration": format_duration,
    "max_queue_age": format_duration,
    "max_memory": format_size,
    "max_cpu": format_percent,
    "rate_limit_window": format_duration,
}


class PolicyRefusal(ScenarioError):
    """The policy forbids load on this target or by this user, or cannot tell what they are."""


@dataclass(frozen=True, slots=True)
class Ceilings:
    """The highest value each guardrail may have, in the units of `plg.scenario.Guardrails`; None where it is free."""

    max_rate: float | None = None
    max_total_jobs: int | None = None
    max_duration: float | None = None
    max_memory: float | None = None
    max_cpu: float | None = None
    max_queue_depth: int | None = None
    max_queue_age: float | None = None
    max_error_rate: ErrorRateLimit | None = None
    rate_limit_window: float | None = None


HARD = Ceilings(max_rate=10_000_000.0, max_total_jobs=100_000_000_000, max_duration=366 * 86_400.0)
"""What no policy, no role and no flag can raise: above it a scenario is a slip of the pen."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Ceilings for some hosts or some accounts; ``allow`` off forbids any run. ``span`` is its place in the file.

    An environment may be one of some ``ports`` and ``databases`` alone, a rule for users one of some ``roles``.
    """

    name: str
    patterns: tuple[str, ...]
    ceilings: Ceilings = Ceilings()
    allow: bool = True
    span: Span | None = None
    ports: tuple[int, ...] = ()
    databases: tuple[int, ...] = ()
    roles: tuple[str, ...] = ()
    terms: Terms = Terms()


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """One policy file: rules by host, rules by account, and ceilings that hold everywhere.

    ``admins`` are the accounts that count as such under this file, ``max_tests`` and ``budget`` (jobs/s) hold for all
    tests that run at a time, ``webhook`` is told of emergency stops.
    """

    file: str
    environments: tuple[Rule, ...] = ()
    users: tuple[Rule, ...] = ()
    everywhere: Ceilings = Ceilings()
    admins: tuple[str, ...] = ()
    max_tests: float = math.inf
    budget: float = math.inf
    webhook: Webhook | None = None
    text: str = field(default="", repr=False)

    def applying(self, asked: Asked) -> Iterator[tuple[str, Rule]]:
        """The rules that hold, with the kind of each. Raises `PolicyRefusal` where the host cannot be told.

        An environment whose host is ``*`` is the catch-all: it holds for hosts that no other environment of this file
        names. So does a user rule for ``*``, for accounts that no other one names.
        """
        hosts, door = place_of(self, asked.target)
        here = holding(self.environments, hosts, door)
        for rule in self.environments:
            if rule in here or rule.name == asked.named:
                yield "environment", rule
        yield from (("user rule", rule) for rule in self._of_users(asked))

    def _of_users(self, asked: Asked) -> list[Rule]:
        role = ADMIN if self.is_admin(asked) else asked.role
        mine = [rule for rule in self.users if not rule.roles or role in rule.roles]
        named = [r for r in mine if any(p != ANY and fnmatchcase(asked.account, p) for p in r.patterns)]
        return [r for r in mine if not r.patterns or r in named or (not named and ANY in r.patterns)]

    def is_admin(self, asked: Asked) -> bool:
        """Whether who asks is an admin under this file: no other file can say so."""
        return asked.role == ADMIN or any(fnmatchcase(asked.account, pattern) for pattern in self.admins)

    def whom(self, kind: str, asked: Asked) -> str:
        """Whom a rule is about: ``on HOST`` or ``by ACCOUNT``."""
        return f"on {place_of(self, asked.target)[0][0]}" if kind == "environment" else f"by {asked.account}"

    def refusal(self, message: str, span: Span | None, help: str = "") -> PolicyRefusal:
        """A refusal that points into this file."""
        return PolicyRefusal([Diagnostic("policy-refused", message, self.file, span, help)], {self.file: self.text})


@dataclass(frozen=True, slots=True)
class Policy:
    """All policy files that hold for a run. Each lowers what the others left: none can raise another's ceilings."""

    files: tuple[PolicyFile, ...]

    def apply(
        self, scenario: Scenario, named: str | None = None, *, account: str | None = None, role: str = ""
    ) -> tuple[Scenario, tuple[str, ...]]:
        """The scenario with its guardrails lowered to every ceiling that applies, and a remark for each one lowered.

        The environment ``named`` applies beside those that match the target's host: naming one can only lower.
        ``account`` is the user's (default: the one this process runs as). Raises `PolicyRefusal`.
        """
        self._known(named)
        account = account_name() if account is None else account
        queues = tuple(dict.fromkeys(job.queue.name for job in scenario.jobs))
        asked = Asked(scenario.target, account, role, named, queues)
        remarks = self._side_by_side()
        limits = scenario.guardrails
        for file in self.files:
            limits = _lowered(limits, file.everywhere, file.file, remarks)
            for kind, rule in file.applying(asked):
                _heed(file, kind, rule, asked)
                limits = _lowered(limits, rule.ceilings, f"{kind} {rule.name} of {file.file}", remarks)
        if limits == scenario.guardrails:
            return scenario, tuple(remarks)
        document = with_limits(scenario.document, scenario.guardrails, limits)
        return replace(scenario, guardrails=limits, document=document), tuple(remarks)

    def admit(self, asked: Asked) -> Demand:
        """What a run needs of its server, by the rules that `apply` goes by; hours and rates are held against them.

        Raises `PolicyRefusal`.
        """
        demand = NOTHING
        for file in self.files:
            demand = demand.within(file.budget, file.max_tests, math.inf, file.file)
            for kind, rule in file.applying(asked):
                _heed(file, kind, rule, asked)
                source, terms = f"{kind} {rule.name} of {file.file}", rule.terms
                if terms.require_allow and not demand.required:
                    demand = replace(demand, required=source)
                own = terms.max_tests if kind != "environment" else math.inf
                everybody = terms.max_tests if kind == "environment" else math.inf
                demand = demand.within(terms.budget, everybody, own, source)
                if terms.latch > demand.latch:
                    demand = replace(demand, latch=terms.latch)
        return demand

    @property
    def webhooks(self) -> tuple[Webhook, ...]:
        """Who is told of emergency stops, each once."""
        return tuple(dict.fromkeys(file.webhook for file in self.files if file.webhook is not None))

    def gate(self, limits: Guardrails, asked: Asked | None = None) -> Gate:
        """What judges each host that a run with these ``limits`` connects to; ``asked`` is what it was admitted by."""
        return Gate.of(
            [_zone(rule, file.file, limits, asked=rule in applied) for rule in file.environments]
            for file in self.files
            for applied in [[rule for _, rule in file.applying(asked)] if asked is not None else []]
        )

    def _side_by_side(self) -> list[str]:
        """A remark on each folder with several policies, where one may be thought to be the only one."""
        folders: dict[Path, list[str]] = {}
        for file in self.files:
            path = Path(file.file)
            if path.stem == "plg-policy":
                folders.setdefault(path.parent, []).append(path.name)
        return [
            f"{', '.join(names[:-1])} and {names[-1]} in {folder} {'both' if len(names) == 2 else 'all'} hold"
            for folder, names in folders.items()
            if len(names) > 1
        ]

    def _known(self, named: str | None) -> None:
        names = [rule.name for file in self.files for rule in file.environments]
        if named is not None and named not in names:
            message = f"no policy file has an environment {named!r}"
            shown = ", ".join(file.file for file in self.files)
            known = f"the environments are {', '.join(names)}" if names else "there are no environments"
            raise PolicyRefusal([Diagnostic("unknown-environment", message, shown or "<policy>", help=known)])


def _heed(file: PolicyFile, kind: str, rule: Rule, asked: Asked) -> None:
    """Raises `PolicyRefusal` where a rule that applies does not allow the run."""
    if not rule.allow:
        raise file.refusal(f"the policy allows no load {file.whom(kind, asked)} ({kind} {rule.name})", rule.span)
    why = refusal(rule.terms, asked, admin=file.is_admin(asked))
    if why:
        raise file.refusal(
            f"the policy refuses this run {file.whom(kind, asked)}: {why} ({kind} {rule.name})", rule.span
        )


def under_hard_ceilings(scenario: Scenario) -> tuple[Scenario, tuple[str, ...]]:
    """The scenario with its guardrails lowered to what plg itself allows, and a remark for each one lowered."""
    limits, remarks = scenario.guardrails, list[str]()
    for name, ceiling in (
        ("max_rate", HARD.max_rate),
        ("max_total_jobs", HARD.max_total_jobs),
        ("max_duration", HARD.max_duration),
    ):
        present = getattr(limits, name)
        if ceiling is not None and present > ceiling:
            show = _FORMATS.get(name, _count)
            remarks.append(f"{name} lowered from {show(present)} to {show(ceiling)}, the most that plg allows")
            limits = replace(limits, **{name: ceiling})  # type: ignore[arg-type]  # the names are those of both
    if limits == scenario.guardrails:
        return scenario, ()
    document = with_limits(scenario.document, scenario.guardrails, limits)
    return replace(scenario, guardrails=limits, document=document), tuple(remarks)


def _zone(rule: Rule, file: str, limits: Guardrails, *, asked: bool) -> Zone:
    remarks: list[str] = []
    _lowered(limits, rule.ceilings, f"environment {rule.name} of {file}", remarks)
    lowered = remarks[0] if remarks else ""
    unasked = rule.terms != Terms() and not asked
    return Zone(rule.name, file, rule.patterns, rule.allow, lowered, rule.ports, rule.databases, unasked)


def account_name() -> str:
    """The account this process runs as: by its user id, since LOGNAME and USER say whatever their owner likes.

    ``#1234`` where the id has no name.
    """
    import os
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"#{os.getuid()}"


def place_of(file: PolicyFile, target: str) -> tuple[tuple[str, ...], Door]:
    """The names of a target's host, and its port and database. Raises `PolicyRefusal` where they cannot be told."""
    from plg.targets.base import TargetError

    try:
        return names_of(target), door_of(target)
    except TargetError as error:
        # Where nobody can say which host is meant, no ceiling can be found for it.
        raise file.refusal(f"the policy cannot tell the host: {error}", None) from None


def _lowered(limits: Guardrails, ceilings: Ceilings, source: str, remarks: list[str]) -> Guardrails:
    """``limits`` under ``ceilings``, with what would let a run slip past them closed as well."""
    changes: dict[str, object] = {}
    for name, ceiling in _numbers(ceilings).items():
        present = getattr(limits, name)
        if present is None or present > ceiling:
            show = _FORMATS.get(name, _count)
            was = "unset" if present is None else show(present)
            remarks.append(f"{name} lowered from {was} to {show(ceiling)} by {source}")
            changes[name] = ceiling
    errors = _stricter(limits.max_error_rate, ceilings.max_error_rate)
    if errors != limits.max_error_rate and errors is not None:
        was = "unset" if limits.max_error_rate is None else _shown(limits.max_error_rate)
        remarks.append(f"max_error_rate lowered from {was} to {_shown(errors)} by {source}")
        changes["max_error_rate"] = errors
    if ceilings != Ceilings() and not limits.emergency_stop:
        # Without it a ceiling would be reported and passed.
        remarks.append(f"emergency_stop turned on by {source}")
        changes["emergency_stop"] = True
    return replace(limits, **changes)  # type: ignore[arg-type]  # names and types are those of both dataclasses


def _numbers(ceilings: Ceilings) -> Mapping[str, float]:
    found: dict[str, float] = {
        f.name: getattr(ceilings, f.name)
        for f in fields(Ceilings)
        if f.name != "max_error_rate" and getattr(ceilings, f.name) is not None
    }
    if "max_rate" in found:
        # 100/s counted over an hour would let 360,000 jobs leave in one burst.
        found.setdefault("rate_limit_window", DEFAULT_WINDOW)
    return found


def _stricter(present: ErrorRateLimit | None, ceiling: ErrorRateLimit | None) -> ErrorRateLimit | None:
    if present is None or ceiling is None:
        return present or ceiling
    # A long window forgives what a short one stops.
    return ErrorRateLimit(min(present.fraction, ceiling.fraction), min(present.over, ceiling.over))


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _shown(limit: ErrorRateLimit) -> str:
    return f"{format_percent(limit.fraction)} over {format_duration(limit.over)}"
