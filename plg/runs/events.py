"""What a run tells while it goes on, as plain data: the same for a terminal, a server and a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, TypeAlias

from plg.dataclass import dataclass
from plg.diagnostics import ScenarioError
from plg.outcome import ExpectationResult, Outcome
from plg.prepare import Prepared
from plg.runs.order import digest, faults_to
from plg.stop import Stop

Row: TypeAlias = Mapping[str, Any]
"""A glance at a running run, by the fields of `plg.runner.observer.Progress`; None where something is not known."""


@dataclass(frozen=True, slots=True)
class Ready:
    """All is prepared, and the run waits for `Handle.begin`. ``plan`` is what ``plg plan --json`` prints.

    ``digest`` tells the plan from another, ``notes`` are remarks on it, ``limits`` the guardrails that will hold.
    """

    kind: ClassVar[str] = "ready"
    name: str
    run_id: str
    digest: str
    plan: Mapping[str, Any]
    notes: tuple[str, ...]
    limits: Mapping[str, Any]

    @staticmethod
    def of(prepared: Prepared) -> Ready:
        limits = {name: value for name, value in asdict(prepared.limits).items() if value is not None}
        plan = prepared.plan.to_document()
        return Ready(prepared.scenario.name, prepared.run_id, digest(prepared), plan, prepared.notes, limits)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A server is waited for; ``words`` say which and how long."""

    kind: ClassVar[str] = "waiting"
    words: str


@dataclass(frozen=True, slots=True)
class Windows:
    """How the run went since the last of these: one row a stretch, in order of time."""

    kind: ClassVar[str] = "windows"
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """A guardrail began to act (or, as ``warn`` or ``observe``, to be remarked) at ``at_s`` of the run."""

    kind: ClassVar[str] = "hit"
    guardrail: str
    action: str
    at_s: float
    requested: float
    allowed: float


@dataclass(frozen=True, slots=True)
class Judged:
    """An expectation was judged: for good while the run went on, or at its end."""

    kind: ClassVar[str] = "judged"
    text: str
    level: str
    verdict: str
    observed: float | None
    bound: float | None
    unit: str
    op: str = ""

    @staticmethod
    def of(result: ExpectationResult) -> Judged:
        return Judged(result.text, result.level, result.verdict, result.observed, result.bound, result.unit, result.op)


@dataclass(frozen=True, slots=True)
class Stopping:
    """The run ends before its plan does: a `plg.stop.Stop`."""

    kind: ClassVar[str] = "stopping"
    name: str
    detail: str
    by: str

    @staticmethod
    def of(stop: Stop) -> Stopping:
        return Stopping(stop.name, stop.detail, stop.by)


@dataclass(frozen=True, slots=True)
class Finished:
    """The run is over and judged; `Handle.outcome` has all of it. Nothing comes after this."""

    kind: ClassVar[str] = "finished"
    verdict: str
    exit_code: int
    reason: str

    @staticmethod
    def of(outcome: Outcome) -> Finished:
        return Finished(outcome.verdict, outcome.exit_code, outcome.reason)


@dataclass(frozen=True, slots=True)
class Refused:
    """The run came to no outcome, for these faults (see `plg.runs.order.faults_from`). Nothing comes after this."""

    kind: ClassVar[str] = "refused"
    exit_code: int
    faults: Mapping[str, Any]

    @staticmethod
    def of(error: ScenarioError, exit_code: int) -> Refused:
        return Refused(exit_code, faults_to(error))


Event: TypeAlias = Ready | Waiting | Windows | Hit | Judged | Stopping | Finished | Refused
_KINDS: Mapping[str, type[Event]] = {
    each.kind: each for each in (Ready, Waiting, Windows, Hit, Judged, Stopping, Finished, Refused)
}


def event_to(event: Event) -> dict[str, Any]:
    """The event as a JSON object, with its kind as ``event``."""
    return {"event": event.kind, **asdict(event)}


def event_from(found: Mapping[str, Any]) -> Event | None:
    """The event that `event_to` wrote; None for one of a kind that this plg does not know."""
    kind = _KINDS.get(str(found.get("event")))
    if kind is None:
        return None
    lists = {name: tuple(value) for name, value in found.items() if isinstance(value, list)}
    return kind(**{name: value for name, value in {**found, **lists}.items() if name != "event"})
