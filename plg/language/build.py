"""From a valid document without params to a `Scenario`."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from plg.language.document import each_job, phase_names
from plg.language.expectation import read_expectation
from plg.language.files import Files
from plg.language.kinds import MAX_DURATION, duration
from plg.language.limits import read_guardrails
from plg.language.source import Document
from plg.language.vocabulary import DEFAULT_QUEUE, JOB, RETRY
from plg.patterns.base import Pattern
from plg.queues.base import Job, Queue, Retry
from plg.scenario import Arrivals, Expectation, Scenario, Workers
from plg.units import format_duration

MAX_TOTAL = 10**12
"""The most jobs that a scenario may plan."""


class TooMuch(ValueError):
    """Traffic that no machine and no patience will ever see the end of."""


def build_scenario(
    document: Document,
    *,
    files: Files,
    target: str,
    file: str | None = None,
    line_of: Callable[[int], int | None] = lambda index: None,
) -> Scenario:
    """The scenario that a valid document describes; ``line_of`` gives the source line of an expectation.

    Where it would be sent is not known yet where ``target`` is empty.

    Raises `PatternError` for a curve that cannot be made, and `TooMuch`.
    """
    given = _given(document, "description", "connections", "pacing", "max_lag", "watch", "tags")
    names = phase_names(document["pattern"])
    return Scenario(
        name=document["name"],
        pattern=_pattern(document["pattern"], files),
        jobs=jobs_in(document),
        guardrails=read_guardrails(document["guardrails"]),
        target=target or "embedded",
        placed=bool(target),
        arrivals=_arrivals(document.get("arrivals", {})),
        expect=tuple(_expectation(text, names, file, line_of(i)) for i, text in enumerate(document.get("expect", ()))),
        workers=_workers(document.get("workers")),
        data={name: files.table(path) for name, path in document.get("data", {}).items()},
        file=file,
        document=document,
        **_converted(given, {"connections": int, "max_lag": duration, "watch": duration, "tags": tuple}),
    )


def _given(owner: Document, *names: str) -> dict[str, Any]:
    """The fields that are there; the others keep the defaults of the dataclass."""
    return {name: owner[name] for name in names if name in owner}


def _converted(values: dict[str, Any], readers: dict[str, Callable[[Any], Any]]) -> dict[str, Any]:
    return {name: readers[name](value) if name in readers else value for name, value in values.items()}


def _pattern(phase: Document, files: Files) -> Pattern:
    from plg.patterns.registry import read  # NumPy is loaded only where a scenario is really built

    pattern = read(phase, files.recordings, ("pattern",))
    if pattern.duration > MAX_DURATION:
        raise TooMuch(f"the traffic lasts {format_duration(pattern.duration)}; at most 366 days can be planned")
    if pattern.total > MAX_TOTAL:
        raise TooMuch(f"the traffic comes to {pattern.total:.3g} jobs; at most {MAX_TOTAL:,} can be planned")
    return pattern


def jobs_in(document: Document) -> tuple[Job, ...]:
    """The kinds of job; a scenario that says nothing of jobs has one with an empty payload."""
    return tuple(_job(job) for _, job in each_job(document)) or (_job({}),)


def _job(job: Document) -> Job:
    given = {"name": "job", **_given(job, *JOB)}
    given["queue"] = _queue(given)
    readers: dict[str, Callable[[Any], Any]] = {
        "timeout": duration,
        "weight": float,
        "priority": int,
        "retry": _retry,
        "delay": duration,
    }
    return Job(**_converted(given, readers))


def _retry(retry: Any) -> Retry:
    if not isinstance(retry, dict):
        return Retry(int(retry))
    return Retry(int(retry["max"]), duration(retry.get("backoff", RETRY["backoff"].default)))


def _queue(given: dict[str, Any]) -> Queue:
    """The queue of a job; ``push``, ``stream`` and ``max_len`` are taken out of what was ``given``."""
    stream, longest, push = (given.pop(name, None) for name in ("stream", "max_len", "push"))
    if stream is not None:
        return Queue("stream", stream, {} if longest is None else {"max_len": int(longest)})
    named = given.get("queue", DEFAULT_QUEUE)
    if isinstance(named, str):
        return Queue("list", named, {} if push in (None, "left") else {"push": push})
    settings = {name: value for name, value in named.items() if name not in ("kind", "name")}
    return Queue(named["kind"], named["name"], settings)


def _arrivals(arrivals: Document) -> Arrivals:
    return Arrivals(**_converted(_given(arrivals, "process", "seed"), {"seed": int}))


def _workers(workers: Document | None) -> Workers | None:
    if workers is None:
        return None
    return Workers(int(workers["count"]), duration(workers["each"]), workers.get("only"))


def _expectation(text: str, names: Collection[str], file: str | None, line: int | None) -> Expectation:
    result, faults = read_expectation(text, names, file=file, line=line)
    if result is None:
        raise ValueError(f"{text!r} was not checked before: {[fault.message for fault in faults]}")
    return result
