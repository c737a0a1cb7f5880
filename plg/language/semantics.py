"""What the schema cannot say: names that are unique, numbers that fit each other, files that exist, expectations that
make sense. Works on a document whose params have been replaced; what the schema refused is passed over."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path as FilePath
from typing import Any

from plg.diagnostics import Path, Words, nearest
from plg.language import expectation, templates
from plg.language.quantities import duration, fault_of, is_reference, rate, show
from plg.language.source import Document
from plg.language.tables import DataError, Table, read_table
from plg.language.validate import DocumentFault
from plg.language.vocabulary import (
    CONTENTS,
    DEFAULT_QUEUE,
    ERROR_RATE,
    GUARDRAILS,
    JOB,
    NESTED,
    PHASES,
    POINT,
    SINGLE,
    WORKERS,
    Field,
)
from plg.pacing import DEFAULT_PACING, PACINGS
from plg.queues.base import Format
from plg.queues.envelope import moment, place_of
from plg.queues.registry import UnknownFormat, format_of
from plg.recordings import RecordingError, read_recording
from plg.redaction import redact
from plg.target_url import SCHEMES, normalized, url_fault
from plg.units import format_duration

_NOW = re.compile(r"(?<!\$)\$\{\s*now_ms\s*\}")
_IN_TEXT = ("rate", "positiveRate", "duration", "time", "percent", "cpuPercent")
"""Kinds of value that may be written as text with a unit."""


def check_meaning(document: Document, folder: FilePath | None) -> list[DocumentFault]:
    """Every fault of meaning. ``folder`` is where files are looked for; None where the document came without one."""
    faults: list[DocumentFault] = []
    faults += _phases(document.get("pattern"))
    faults += _jobs(document)
    faults += _formats(document)
    faults += _moments(document)
    faults += _guardrails(document.get("guardrails"))
    faults += _rest(document)
    faults += _target(document.get("target"))
    faults += _data(document, folder)
    faults += _replays(document.get("pattern"), folder)
    faults += _expectations(document)
    return faults


def walk(pattern: Any) -> Iterator[tuple[Path, Document]]:
    """Every phase of a pattern with its path, outer ones first, in the order of the text."""
    stack: list[tuple[Path, Any]] = [(("pattern",), pattern)]
    while stack:
        path, phase = stack.pop()
        if not isinstance(phase, dict):
            continue
        yield path, phase
        nested = NESTED.get(phase.get("type", "")) if isinstance(phase.get("type"), str) else None
        children = phase.get(nested) if nested else None
        if isinstance(children, list):
            stack += [((*path, str(nested), index), child) for index, child in reversed(list(enumerate(children)))]


def phase_names(pattern: Any) -> Words:
    """The names by which ``during`` may speak of phases: their own, and ``phase-1`` … for the outermost without one."""
    names = {phase["name"]: None for _, phase in walk(pattern) if isinstance(phase.get("name"), str)}
    outer = pattern.get("phases") if isinstance(pattern, dict) and pattern.get("type") == "custom" else [pattern]
    nameless = sum(isinstance(p, dict) and "name" not in p for p in outer) if isinstance(outer, list) else 0
    free = (f"phase-{number}" for number in itertools.count(1) if f"phase-{number}" not in names)
    return Words([*names, *itertools.islice(free, nameless)])


# Traffic --------------------


def _phases(pattern: Any) -> Iterator[DocumentFault]:
    seen: dict[str, Path] = {}
    for path, phase in walk(pattern):
        name = phase.get("name")
        if isinstance(name, str):
            if name in seen:
                yield DocumentFault("duplicate-name", f"two phases are named {name!r}", (*path, "name"))
            seen.setdefault(name, path)
        kind = PHASES.get(phase["type"]) if isinstance(phase.get("type"), str) else None
        if kind is None:
            continue
        amiss = list(_amounts(phase, kind.fields, path))
        yield from amiss
        values = _values(phase, kind.fields) if not amiss else None
        if values is not None:
            yield from _fitting(phase["type"], values, path)


def _amounts(node: Document, fields: Mapping[str, Field], path: Path) -> Iterator[DocumentFault]:
    """Quantities written as text that are of their kind but too small or too large: the schema cannot read them."""
    for name, field in fields.items():
        value = node.get(name)
        if isinstance(value, str) and field.kind in _IN_TEXT:
            fault = fault_of(field.kind, value)
            if fault is not None and fault.code == "out-of-range":
                yield DocumentFault(fault.code, f"`{name}` {fault.message}", (*path, name), fault.help)


def _values(phase: Document, fields: Mapping[str, Field]) -> dict[str, Any] | None:
    """The fields of a phase as numbers; None where one of them is not of its kind."""
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in phase or field.kind in ("phases", "points", "file"):
            continue
        value = phase[name]
        if is_reference(value) or fault_of(field.kind, value) is not None:
            return None
        if field.kind in ("rate", "positiveRate"):
            value = rate(value)
        elif field.kind == "duration":
            value = duration(value)
        values[name] = value
    return values


def _fitting(kind: str, values: Mapping[str, Any], path: Path) -> Iterator[DocumentFault]:
    """Fields of one phase that do not fit each other."""
    if kind == "ramp" and values.get("ramp_type") == "exponential":
        for name in ("start_rate", "end_rate"):
            if values.get(name) == 0:
                yield DocumentFault(
                    "out-of-range",
                    "an exponential ramp cannot start or end at 0",
                    (*path, name),
                    "use a small rate such as 0.1/s, or a linear ramp",
                )
    if kind == "burst" and values.get("burst_duration", 0) > values.get("burst_interval", math.inf):
        yield DocumentFault(
            "out-of-range",
            "a burst lasts longer than the time between two bursts",
            (*path, "burst_duration"),
            "`for` is at most `every`",
        )
    if kind == "chaos" and values.get("max_rate", math.inf) < values.get("base_rate", 0):
        yield DocumentFault(
            "out-of-range", "the upper rate is below the lower one", (*path, "max_rate"), "write the lower rate first"
        )


def _points(phase: Document, path: Path) -> Iterator[DocumentFault]:
    rows = phase.get("points")
    before = -1.0
    for index, row in enumerate(rows if isinstance(rows, list) else []):
        if isinstance(row, dict):
            yield from _amounts(row, POINT, (*path, "points", index))
        at = row.get("at") if isinstance(row, dict) else None
        if at is None or is_reference(at) or fault_of("time", at) is not None:
            return
        seconds = duration(at)
        if index == 0 and seconds != 0:
            yield DocumentFault("out-of-range", "the first point must be at 0s", (*path, "points", 0, "at"))
        elif seconds <= before:
            yield DocumentFault(
                "out-of-range",
                f"a point at {show(at)} does not come after the one before it",
                (*path, "points", index, "at"),
                "each point is later than the one before",
            )
        before = seconds


# Jobs --------------------


def _jobs(document: Document) -> Iterator[DocumentFault]:
    jobs = document.get("jobs")
    if "jobs" in document and "job_config" in document:
        yield DocumentFault(
            "duplicate-key",
            "`jobs` and `job_config` cannot both be given",
            ("job_config",),
            "job_config is for one kind of job, jobs for several",
            at_key=True,
        )
    seen: set[str] = set()
    for index, job in enumerate(jobs if isinstance(jobs, list) else []):
        name = job.get("name") if isinstance(job, dict) else None
        if isinstance(name, str) and name in seen:
            yield DocumentFault("duplicate-name", f"two jobs are named {name!r}", ("jobs", index, "name"))
        if isinstance(name, str):
            seen.add(name)
    for path, job in each_job(document):
        yield from _amounts(job, JOB, path)
        if "queue" in job and "stream" in job:
            yield DocumentFault(
                "duplicate-key",
                "a job goes to a queue or to a stream, not to both",
                (*path, "stream"),
                "write two jobs to fill both",
                at_key=True,
            )
        elif "max_len" in job and "stream" not in job:
            yield DocumentFault(
                "unknown-key", "`max_len` trims a stream, and this job has none", (*path, "max_len"), at_key=True
            )


def _formats(document: Document) -> Iterator[DocumentFault]:
    """What the format of a job's queue does not know, cannot express, or needs and does not get."""
    for path, job in each_job(document):
        queue = job.get("queue", DEFAULT_QUEUE)
        if fault_of("queue", queue) is not None or is_reference(queue):
            continue
        named = {"kind": "stream"} if "stream" in job else queue if isinstance(queue, dict) else {"kind": "list"}
        if is_reference(named["kind"]):
            continue
        try:
            form = format_of(named["kind"])
        except UnknownFormat as unknown:
            near = nearest(unknown.name, unknown.known)
            help = f"did you mean {near}?" if near else f"known: {', '.join(unknown.known)}"
            message = f"there is no kind of queue {show(unknown.name)}"
            yield DocumentFault("unknown-kind", message, (*path, "queue", "kind"), help)
            continue
        yield from _settings(form, named, (*path, "queue"))
        yield from _expressed(form, job, path)
        if form.taken is None and isinstance(document.get("workers"), dict):
            message = f"the reference workers cannot take {form.name} jobs: they know plain lists and streams"
            yield DocumentFault("not-expressed", message, ("workers",), f"start workers of {form.name} itself")


def _settings(form: Format, queue: Mapping[str, Any], path: Path) -> Iterator[DocumentFault]:
    for name in queue:
        if name not in ("kind", "name", *form.settings):
            near = nearest(str(name), form.settings)
            known = ", ".join(form.settings) or "none"
            help = f"did you mean `{near}`?" if near else f"settings of a {form.name} queue: {known}"
            yield DocumentFault("unknown-key", f"{form.name} queues have no `{name}`", (*path, name), help, at_key=True)
    for name, wrong in form.faults(queue):
        yield DocumentFault("not-one-of", f"`{name}` {wrong}", (*path, name))


_ALWAYS = ("name", "weight", "queue", "stream", "max_len")
"""Settings of a job that are plg's own: every format has them."""


def _expressed(form: Format, job: Document, path: Path) -> Iterator[DocumentFault]:
    for name in job:
        if name in _ALWAYS or name in form.expresses or name not in JOB:
            continue
        help = f"take it out; a {form.name} job knows {', '.join(sorted(form.expresses))}"
        if name == "payload" and "args" in form.expresses:
            help = "write what the worker is called with: args [...] and kwargs { ... }"
        elif name in ("args", "kwargs", "call") and "payload" in form.expresses:
            help = "it passes one object to its workers: payload { ... }"
        message = f"{form.name} jobs cannot express `{name}`"
        yield DocumentFault("not-expressed", message, (*path, name), help, at_key=True)
    retry = job.get("retry")
    if isinstance(retry, dict) and "backoff" in retry and "backoff" not in form.expresses:
        message = f"{form.name} jobs cannot express `backoff`"
        yield DocumentFault("not-expressed", message, (*path, "retry", "backoff"), "write retry 3", at_key=True)
    if "call" in form.expresses and "call" not in job:
        help = 'name what its workers run, for example call "shop.tasks.charge"'
        yield DocumentFault("missing-field", f"this {form.name} job has no `call`", path, help, missing="call")


def each_job(document: Document) -> Iterator[tuple[Path, Document]]:
    """The jobs of a document, whichever way they are given."""
    if isinstance(document.get("job_config"), dict):
        yield ("job_config",), document["job_config"]
    jobs = document.get("jobs")
    for index, job in enumerate(jobs if isinstance(jobs, list) else []):
        if isinstance(job, dict):
            yield ("jobs", index), job


def _moments(document: Document) -> Iterator[DocumentFault]:
    """Places in payloads that are said to hold the moment of enqueueing, and cannot."""
    for path, job in each_job(document):
        place = job.get("enqueued_at")
        if not isinstance(place, str) or fault_of("place", place) is not None:
            continue
        if job.get("encoding", "json") == "json":
            message = "only a raw job needs `enqueued_at`: the envelope of this one says when it was enqueued"
            yield DocumentFault("no-moment", message, (*path, "enqueued_at"), "leave it out", at_key=True)
            continue
        fault = _moment_fault(job.get("payload", {}), place_of(place) or ())
        if fault is not None:
            yield DocumentFault("no-moment", fault[0], (*path, "enqueued_at"), fault[1])


def _moment_fault(payload: Any, place: tuple[str, ...]) -> tuple[str, str] | None:
    """What is wrong with a place in a payload as the moment of enqueueing: a sentence and a help."""
    value, spelled = payload, "payload"
    for key in place:
        if isinstance(value, list):
            index = int(key) if key.isdecimal() else len(value)
            if index >= len(value):
                return f"`{spelled}` has no entry {key}: it is a list of {len(value)}", "its entries count from 0"
            value = value[index]
        elif isinstance(value, dict):
            if key not in value:
                known = list(map(str, value))
                suggestion = nearest(key, known)
                help = (
                    f"did you mean `{spelled}.{suggestion}`?" if suggestion else f"it has {', '.join(known) or 'none'}"
                )
                return f"`{spelled}` has no `{key}`", help
            value = value[key]
        else:
            return f"`{spelled}` is {show(value)} and has no `{key}`", "name a key of an object"
        spelled += f".{key}"
    # As it would read if it were sent now: only then is it a moment, and that of sending.
    stamp = moment(_NOW.sub("1800000000000", value), 1.8e9) if isinstance(value, str) and _NOW.search(value) else None
    if stamp is None or abs(stamp - 1.8e9) > 1:
        return f"`{spelled}` is {show(value)}, which is not the moment of sending", 'write "${now_ms}" there'
    return None


# Guardrails, target --------------------


def _guardrails(limits: Any) -> Iterator[DocumentFault]:
    if not isinstance(limits, dict):
        return
    yield from _amounts(limits, dict(GUARDRAILS.values()), ("guardrails",))
    errors = limits.get("max_error_rate")
    if isinstance(errors, dict):
        yield from _amounts(errors, ERROR_RATE, ("guardrails", "max_error_rate"))
    window, longest = limits.get("rate_limit_window"), limits.get("max_duration")
    if any(fault_of("duration", value) is not None or is_reference(value) for value in (window, longest)):
        return
    if duration(window) > duration(longest):
        yield DocumentFault(
            "out-of-range", "the window of max_rate is longer than max_duration", ("guardrails", "rate_limit_window")
        )


def _rest(document: Document) -> Iterator[DocumentFault]:
    """Amounts that stand beside traffic, jobs and guardrails."""
    yield from _amounts(document, SINGLE, ())
    yield from _patience(document.get("max_lag"), document.get("pacing", DEFAULT_PACING))
    workers = document.get("workers")
    if isinstance(workers, dict):
        yield from _amounts(workers, WORKERS, ("workers",))


def _patience(max_lag: Any, pacing: Any) -> Iterator[DocumentFault]:
    """plg sends together what is due within a tick: with hardly more patience than that it would drop its own jobs."""
    known = PACINGS.get(pacing) if isinstance(pacing, str) else None
    if max_lag is None or known is None or is_reference(max_lag) or fault_of("time", max_lag) is not None:
        return
    if duration(max_lag) < (least := 2 * known.tick):
        message = f"`max_lag` must be at least {format_duration(least)}, twice a tick of pacing {pacing}, and is "
        finer = min(2 * other.tick for other in PACINGS.values())
        help_ = f"`pacing precise` takes {finer * 1000:g}ms" if finer < least else ""
        yield DocumentFault("out-of-range", message + show(max_lag), ("max_lag",), help_)


def _target(target: Any) -> Iterator[DocumentFault]:
    path: Path = ("target",)
    if isinstance(target, dict) and "url" in target:
        target, path = target["url"], (*path, "url")
    if isinstance(target, dict):
        target, path = target.get("default"), (*path, "default")
    if isinstance(target, str):
        fault = target_fault(normalized(target))
        if fault is not None:
            yield DocumentFault(fault[0], fault[1], path, fault[2])


def target_fault(target: str) -> tuple[str, str, str] | None:
    """Code, sentence and help where ``target`` names no place that jobs can go to."""
    help = "write redis://HOST:PORT/DB, rediss://… (TLS), unix:///PATH, embedded or fake"
    if target in ("embedded", "fake"):
        return None
    if not target:
        return "bad-target", "the target is empty", f"is the variable or secret set that it comes from? {help}"
    scheme, separator, rest = target.partition("://")
    if not separator:
        suggestion = nearest(target, ("embedded", "fake"))
        return (
            "bad-target",
            f"{show(redact(target))} is no target",
            f"did you mean {suggestion}?" if suggestion else help,
        )
    if scheme not in SCHEMES:
        suggestion = nearest(scheme, SCHEMES)
        return (
            "bad-target",
            f"plg cannot send to {scheme}://",
            f"did you mean {suggestion}://?" if suggestion else help,
        )
    if not rest.strip("/"):
        return "bad-target", f"{redact(target)} names no host", help
    fault = url_fault(target)
    return None if fault is None else ("bad-target", f"{redact(target)} is not a usable target: {fault}", help)


# Files --------------------


def file_fault(name: Any, folder: FilePath) -> tuple[str, str, str] | None:
    """Code, sentence and help where ``name`` is no file inside ``folder``."""
    if not isinstance(name, str):
        return None
    if fault_of("file", name) is not None:
        return "missing-file", f"no file can be named {show(name)}", ""
    parts = FilePath(name).parts
    if FilePath(name).is_absolute() or ".." in parts or "\\" in name or name.startswith("~"):
        return (
            "file-outside",
            f"{show(name)} leads out of the scenario's folder",
            "keep the file beside the scenario and give its path from there",
        )
    try:
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            return ("file-outside", f"{show(name)} leads out of the scenario's folder", "it is a link to elsewhere")
        if not path.is_file():
            return "missing-file", f"there is no file {show(name)}", f"it is looked for in {folder}"
    except (OSError, ValueError, RuntimeError):
        return "missing-file", f"{show(name)} cannot be opened", ""
    return None


def _data(document: Document, folder: FilePath | None) -> Iterator[DocumentFault]:
    """Data files, and the templates that draw from them."""
    # ${param.NAME} is filled in with the params; where one is left, its param has been blamed.
    tables: dict[str, Table | None] = {"param": None}
    data = document.get("data")
    for name, file in (data if isinstance(data, dict) else {}).items():
        path: Path = ("data", name)
        tables[name] = None
        if not isinstance(file, str):
            continue
        if folder is None:
            yield DocumentFault("missing-file", "a document that did not come from a file cannot use data files", path)
            continue
        if name in ("param", *templates.NAMES):
            yield DocumentFault("bad-name", f"{name!r} means something else in a template", path, at_key=True)
        fault = file_fault(file, folder)
        if fault is not None:
            yield DocumentFault(fault[0], fault[1], path, fault[2])
            continue
        try:
            tables[name] = read_table(folder / file)
        except DataError as error:
            yield DocumentFault("bad-data", str(error), path)
    for job_path, job in each_job(document):
        held = [fault for name in CONTENTS for fault in templates.faults_of(job.get(name), tables, (*job_path, name))]
        for where, bad in held:
            yield DocumentFault(bad.code, str(bad), where, bad.help, offsets=(bad.start, bad.end))


def _replays(pattern: Any, folder: FilePath | None) -> Iterator[DocumentFault]:
    for path, phase in walk(pattern):
        if phase.get("type") == "points":
            yield from _points(phase, path)
        if phase.get("type") != "replay" or not isinstance(phase.get("file"), str):
            continue
        if folder is None:
            message = "a document that did not come from a file cannot replay one"
            yield DocumentFault("missing-file", message, (*path, "file"))
            continue
        fault = file_fault(phase["file"], folder) or _recording_fault(phase["file"], folder)
        if fault is not None:
            yield DocumentFault(fault[0], fault[1], (*path, "file"), fault[2])


def _recording_fault(name: str, folder: FilePath) -> tuple[str, str, str] | None:
    """What is wrong with a recorded curve."""
    try:
        read_recording(folder / name)
    except RecordingError as error:
        return "bad-data", f"{name}: {error}", ""
    return None


# Expectations --------------------


def _expectations(document: Document) -> Iterator[DocumentFault]:
    names = phase_names(document.get("pattern"))
    lines = document.get("expect")
    for index, text in enumerate(lines if isinstance(lines, list) else []):
        if not isinstance(text, str) or not text:
            continue
        _, faults = expectation.read_expectation(text, names)
        for fault in faults:
            yield DocumentFault(
                fault.code, fault.message, ("expect", index), fault.help, offsets=(fault.start, fault.end)
            )
