"""Which rule of the policies decides about a run, and why: by the very functions that a run is decided by."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from plg.dataclass import dataclass
from plg.guardrails.policy import HARD, Ceilings, Policy, PolicyFile, Rule, place_of
from plg.guardrails.terms import Asked, Terms, refusal
from plg.targets.hosts import ANY, matches
from plg.units import format_duration, format_rate


@dataclass(frozen=True, slots=True)
class Step:
    """One rule: whether it applies, and why; what it ``refuses`` ("" for nothing), and what it ``sets`` otherwise."""

    rule: str
    applies: bool
    why: str
    refuses: str = ""
    sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """All rules in their order. The first that refuses decides; of ceilings the lowest value does."""

    asked: Asked
    steps: tuple[Step, ...]
    max_rate: float
    decides: str

    @property
    def allowed(self) -> bool:
        return not any(step.refuses for step in self.steps)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        asked = {name: value for name, value in asdict(self.asked).items() if value is not None}
        rate = self.max_rate if math.isfinite(self.max_rate) else None
        return {
            "allowed": self.allowed, "decided_by": self.decides, "max_rate": rate, "asked": asked,
            "rules": [{**asdict(step), "sets": list(step.sets)} for step in self.steps],
        }  # fmt: skip


def explain(policy: Policy | None, asked: Asked) -> Decision:
    """Every rule of the policies, and what it means for this run. Raises `PolicyRefusal` where no rule can be asked:
    the host cannot be told, or ``--env`` names no environment."""
    steps = [Step("the bounds that plg itself has", True, "they hold always", sets=_sets(HARD, Terms()))]
    rates = [(HARD.max_rate or math.inf, steps[0].rule)]
    for file in policy.files if policy is not None else ():
        for rule, step in _of_file(file, asked):
            steps.append(step)
            if step.applies and rule.max_rate is not None:
                rates.append((rule.max_rate, step.rule))
    lowest, whose = min(rates)
    refusing = next((step.rule for step in steps if step.refuses), "")
    above = asked.rate is not None and asked.rate > lowest
    decides = refusing or (whose if above else "no rule refuses it")
    return Decision(asked, tuple(steps), lowest, decides)


def _of_file(file: PolicyFile, asked: Asked) -> Iterator[tuple[Ceilings, Step]]:
    """The rules of a file, each with its ceilings."""
    whole = Terms(max_tests=file.max_tests, budget=file.budget)
    if sets := _sets(file.everywhere, whole):
        yield file.everywhere, Step(file.file, True, "it holds for all targets and users", sets=sets)
    applying = list(file.applying(asked))
    kinds: tuple[tuple[str, Sequence[Rule]], ...] = (("environment", file.environments), ("user rule", file.users))
    for kind, rules in kinds:
        for rule in rules:
            name = f"{kind} {rule.name} of {file.file}"
            applies = (kind, rule) in applying
            why = _why_host(file, rule, asked, applies) if kind == "environment" else _why_user(rule, asked, applies)
            if not applies:
                yield rule.ceilings, Step(name, False, why)
                continue
            refuses = "it allows no load" if not rule.allow else refusal(rule.terms, asked, admin=file.is_admin(asked))
            yield rule.ceilings, Step(name, True, why, refuses or "", _sets(rule.ceilings, rule.terms))


def _why_host(file: PolicyFile, rule: Rule, asked: Asked, applies: bool) -> str:
    names, door = place_of(file, asked.target)
    host = names[0]
    if applies and rule.name == asked.named:
        return "it is named by --env"
    found = [pattern for pattern in rule.patterns if pattern != ANY and matches(names, pattern)]
    if not found and ANY not in rule.patterns:
        return f"{host} is none of its hosts"
    if rule.ports and door.port is not None and door.port not in rule.ports:
        return f"port {door.port} is none of its ports"
    if rule.databases and door.database is not None and door.database not in rule.databases:
        return f"database {door.database} is none of its databases"
    if found:
        return f"{host} is {found[0]}" if found[0] != host else f"{host} is one of its hosts"
    return "no other environment of the file names the host" if applies else f"another environment names {host}"


def _why_user(rule: Rule, asked: Asked, applies: bool) -> str:
    whom = asked.account + (f" with the role {asked.role}" if asked.role else "")
    if applies:
        return f"{whom} is one of those that it is for"
    return f"it is not for {whom}" if ANY not in rule.patterns else f"another rule names {whom}, or the role is not its"


def _sets(ceilings: Ceilings, terms: Terms) -> tuple[str, ...]:
    """What a rule holds runs to, a few words each."""
    found = []
    for name, value in asdict(ceilings).items():
        if value is not None:
            found.append(f"{name} at most {_shown(name, value)}")
    if math.isfinite(terms.admin_only):
        found.append(f"above {format_rate(terms.admin_only)} admins alone")
    if terms.require_allow:
        found.append("the server must carry plg:allow")
    if math.isfinite(terms.max_tests):
        found.append(f"at most {terms.max_tests:,.0f} tests at a time")
    if math.isfinite(terms.budget):
        found.append(f"{format_rate(terms.budget)} for all tests together")
    if terms.latch:
        lasting = "until plg target resume" if math.isinf(terms.latch) else f"for {format_duration(terms.latch)}"
        found.append(f"an emergency stop stops all tests there {lasting}")
    if terms.queues:
        found.append(f"the queues {', '.join(terms.queues)} alone")
    if terms.forbidden_queues:
        found.append(f"never the queues {', '.join(terms.forbidden_queues)}")
    if terms.hours:
        found.append(f"{', '.join(each.text for each in terms.hours)} {terms.time_zone} alone")
    return tuple(found)


def _shown(name: str, value: Any) -> str:
    if name in ("max_rate", "max_duration"):
        return format_rate(value) if name == "max_rate" else format_duration(value)
    if isinstance(value, dict):
        return " ".join(f"{part} {each:g}" for part, each in value.items())
    return f"{value:,g}" if isinstance(value, float) else f"{value:,}"
