"""Ceilings that no scenario and no flag can raise: one file, matched by the target's host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from plg.scenario import Guardrails, Scenario
from plg.units import format_duration, format_percent, format_rate, format_size

_FORMATS = {
    "max_rate": format_rate,
    "max_duration": format_duration,
    "max_queue_age": format_duration,
    "max_memory": format_size,
    "max_cpu": format_percent,
}
CEILINGS = ("max_rate", "max_total_jobs", "max_duration", "max_memory", "max_cpu", "max_queue_depth", "max_queue_age")


@dataclass(frozen=True, slots=True)
class Environment:
    """Ceilings for the hosts that match one of the patterns (``*`` matches anything); ``allow`` off forbids any run."""

    name: str
    hosts: tuple[str, ...]
    ceilings: Mapping[str, float]
    allow: bool = True


class PolicyRefusal(Exception):
    """The policy forbids load on this target, or the environment named is not in it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The environments of one policy file."""

    file: str
    environments: Sequence[Environment]

    def apply(self, scenario: Scenario, named: str | None = None) -> tuple[Scenario, tuple[str, ...]]:
        """The scenario with its guardrails lowered to every ceiling that applies, and a remark for each one lowered.

        All environments that match the target's host apply, and the one ``named`` besides: naming an environment can
        only lower. Raises `PolicyRefusal`.
        """
        host = host_of(scenario.target)
        applying = [e for e in self.environments if e.name == named or any(fnmatchcase(host, h) for h in e.hosts)]
        if named is not None and all(e.name != named for e in self.environments):
            known = ", ".join(e.name for e in self.environments) or "none"
            raise PolicyRefusal(f"the policy {self.file} has no environment {named!r}; it has {known}")
        remarks: list[str] = []
        limits = scenario.guardrails
        for environment in applying:
            if not environment.allow:
                raise PolicyRefusal(f"the policy {self.file} allows no load on {host} (environment {environment.name})")
            limits = _lowered(limits, environment, self.file, remarks)
        return replace(scenario, guardrails=limits), tuple(remarks)


def host_of(target: str) -> str:
    """The host a target names: ``embedded`` and ``fake`` are themselves, a unix socket is ``localhost``."""
    from urllib.parse import urlsplit

    if "://" not in target:
        return target
    parts = urlsplit(target)
    return "localhost" if parts.scheme == "unix" else (parts.hostname or "localhost")


def _lowered(limits: Guardrails, environment: Environment, file: str, remarks: list[str]) -> Guardrails:
    for name, ceiling in environment.ceilings.items():
        present = getattr(limits, name)
        if present is None or present > ceiling:
            show = _FORMATS.get(name, lambda value: f"{value:,.0f}")
            was = "unset" if present is None else show(present)
            remarks.append(f"{name} lowered from {was} to {show(ceiling)} by environment {environment.name} of {file}")
            value = int(ceiling) if name in ("max_total_jobs", "max_queue_depth") else ceiling
            limits = replace(limits, **{name: value})
    return limits
