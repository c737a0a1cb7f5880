"""Ceilings that no scenario and no flag can raise: policy files, matched by the target's host and the account."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field, fields, replace
from fnmatch import fnmatchcase
from pathlib import Path

from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, ScenarioError, Span
from plg.language.limits import with_limits
from plg.scenario import ErrorRateLimit, Guardrails, Scenario
from plg.targets.gate import Gate, Zone
from plg.targets.hosts import ANY, ANY_DOOR, Door, door_of, holding, names_of
from plg.targets.interlock import Demand
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


@dataclass(frozen=True, slots=True)
class Rule:
    """Ceilings for some hosts or some accounts; ``allow`` off forbids any run. ``span`` is its place in the file.

    An environment may be one of some ``ports`` and ``databases`` alone. With ``require_allow`` its servers must carry
    an allowance of their own (`plg.targets.interlock`).
    """

    name: str
    patterns: tuple[str, ...]
    ceilings: Ceilings = Ceilings()
    allow: bool = True
    span: Span | None = None
    ports: tuple[int, ...] = ()
    databases: tuple[int, ...] = ()
    require_allow: bool = False


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """One policy file: rules by host, rules by account, and ceilings that hold everywhere."""

    file: str
    environments: tuple[Rule, ...] = ()
    users: tuple[Rule, ...] = ()
    everywhere: Ceilings = Ceilings()
    text: str = field(default="", repr=False)

    def applying(
        self, hosts: tuple[str, ...], account: str, named: str | None, door: Door = ANY_DOOR
    ) -> Iterator[tuple[str, Rule]]:
        """The rules that hold, with the kind of each.

        An environment whose host is ``*`` is the catch-all: it holds for hosts that no other environment of this file
        names. So does a user rule for ``*``, for accounts that no other one names.
        """
        here = holding(self.environments, hosts, door)
        for rule in self.environments:
            if rule in here or rule.name == named:
                yield "environment", rule
        mine = [r for r in self.users if any(p != ANY and fnmatchcase(account, p) for p in r.patterns)]
        for rule in mine or [r for r in self.users if ANY in r.patterns]:
            yield "user rule", rule

    def refusal(self, message: str, span: Span | None, help: str = "") -> PolicyRefusal:
        """A refusal that points into this file."""
        return PolicyRefusal([Diagnostic("policy-refused", message, self.file, span, help)], {self.file: self.text})


@dataclass(frozen=True, slots=True)
class Policy:
    """All policy files that hold for a run. Each lowers what the others left: none can raise another's ceilings."""

    files: tuple[PolicyFile, ...]

    def apply(
        self, scenario: Scenario, named: str | None = None, *, account: str | None = None
    ) -> tuple[Scenario, tuple[str, ...]]:
        """The scenario with its guardrails lowered to every ceiling that applies, and a remark for each one lowered.

        The environment ``named`` applies beside those that match the target's host: naming one can only lower.
        ``account`` is the user's (default: the one this process runs as). Raises `PolicyRefusal`.
        """
        self._known(named)
        account = account_name() if account is None else account
        remarks = self._side_by_side()
        limits = scenario.guardrails
        for file in self.files:
            hosts, door = _place(file, scenario.target)
            limits = _lowered(limits, file.everywhere, file.file, remarks)
            for kind, rule in file.applying(hosts, account, named, door):
                whom = f"on {hosts[0]}" if kind == "environment" else f"by {account}"
                if not rule.allow:
                    raise file.refusal(f"the policy allows no load {whom} ({kind} {rule.name})", rule.span)
                limits = _lowered(limits, rule.ceilings, f"{kind} {rule.name} of {file.file}", remarks)
        if limits == scenario.guardrails:
            return scenario, tuple(remarks)
        document = with_limits(scenario.document, scenario.guardrails, limits)
        return replace(scenario, guardrails=limits, document=document), tuple(remarks)

    def demand(self, target: str, named: str | None = None, *, account: str | None = None) -> Demand:
        """What a server has to be asked for before a run, by the rules that `apply` goes by."""
        account = account_name() if account is None else account
        required = ""
        for file in self.files:
            hosts, door = _place(file, target)
            for kind, rule in file.applying(hosts, account, named, door):
                if rule.require_allow and not required:
                    required = f"{kind} {rule.name} of {file.file}"
        return Demand(required)

    def gate(self, limits: Guardrails) -> Gate:
        """What judges each host that a run with these ``limits`` connects to."""
        return Gate.of([_zone(rule, file.file, limits) for rule in file.environments] for file in self.files)

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


def _zone(rule: Rule, file: str, limits: Guardrails) -> Zone:
    remarks: list[str] = []
    _lowered(limits, rule.ceilings, f"environment {rule.name} of {file}", remarks)
    lowered = remarks[0] if remarks else ""
    return Zone(rule.name, file, rule.patterns, rule.allow, lowered, rule.ports, rule.databases)


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


def _place(file: PolicyFile, target: str) -> tuple[tuple[str, ...], Door]:
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
