"""What the schema cannot say of jobs: what the format of their queue expresses, and where they say when they began to
wait."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from plg.diagnostics import Fault, Path, nearest
from plg.language.check_amounts import check_amounts
from plg.language.document import each_job
from plg.language.kinds import fault_of, is_reference, show
from plg.language.source import Document
from plg.language.vocabulary import DEFAULT_QUEUE, JOB
from plg.queues.base import Format
from plg.queues.envelope import moment, place_of
from plg.queues.registry import UnknownFormat, format_of

_NOW = re.compile(r"(?<!\$)\$\{\s*now_ms\s*\}")


def check_jobs(document: Document) -> Iterator[Fault]:
    """Settings of jobs that exclude each other, and names that are not unique."""
    jobs = document.get("jobs")
    if "jobs" in document and "job_config" in document:
        yield Fault(
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
            yield Fault("duplicate-name", f"two jobs are named {name!r}", ("jobs", index, "name"))
        if isinstance(name, str):
            seen.add(name)
    for path, job in each_job(document):
        yield from check_amounts(job, JOB, path)
        if "queue" in job and "stream" in job:
            yield Fault(
                "duplicate-key",
                "a job goes to a queue or to a stream, not to both",
                (*path, "stream"),
                "write two jobs to fill both",
                at_key=True,
            )
        elif "max_len" in job and "stream" not in job:
            yield Fault(
                "unknown-key", "`max_len` trims a stream, and this job has none", (*path, "max_len"), at_key=True
            )


def check_formats(document: Document) -> Iterator[Fault]:
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
            yield Fault("unknown-kind", message, (*path, "queue", "kind"), help)
            continue
        yield from _settings(form, named, (*path, "queue"))
        if "push" in job and ("stream" in job or not isinstance(queue, str)):
            help = 'only a plain list has two ends: queue "jobs" push right'
            message = f"{form.name} jobs cannot express `push`"
            yield Fault("not-expressed", message, (*path, "push"), help, at_key=True)
        yield from _expressed(form, job, path)
        if form.taken is None and isinstance(document.get("workers"), dict):
            message = f"the reference workers cannot take {form.name} jobs: they know plain lists and streams"
            yield Fault("not-expressed", message, ("workers",), f"start workers of {form.name} itself")


def _settings(form: Format, queue: Mapping[str, Any], path: Path) -> Iterator[Fault]:
    for name in queue:
        if name not in ("kind", "name", *form.settings):
            near = nearest(str(name), form.settings)
            known = ", ".join(form.settings) or "none"
            help = f"did you mean `{near}`?" if near else f"settings of a {form.name} queue: {known}"
            yield Fault("unknown-key", f"{form.name} queues have no `{name}`", (*path, name), help, at_key=True)
    for name, wrong in form.faults(queue):
        yield Fault("not-one-of", f"`{name}` {wrong}", (*path, name))


_ALWAYS = ("name", "weight", "queue", "push", "stream", "max_len")
"""Settings of a job that are plg's own: every format has them."""


def _expressed(form: Format, job: Document, path: Path) -> Iterator[Fault]:
    for name in job:
        if name in _ALWAYS or name in form.expresses or name not in JOB:
            continue
        said = {"args": "args [...]", "kwargs": "kwargs { ... }"}
        called = " and ".join(words for name, words in said.items() if name in form.expresses)
        help = f"take it out; jobs of {form.name} know {', '.join(sorted(form.expresses - {'backoff'}))}"
        if name in ("payload", "args", "kwargs") and called:
            help = f"write what the worker is called with: {called}"
        elif name in ("args", "kwargs", "call") and "payload" in form.expresses:
            help = "it passes one object to its workers: payload { ... }"
        message = f"{form.name} jobs cannot express `{name}`"
        yield Fault("not-expressed", message, (*path, name), help, at_key=True)
    retry = job.get("retry")
    if isinstance(retry, dict) and "backoff" in retry and "backoff" not in form.expresses:
        message = f"{form.name} jobs cannot express `backoff`"
        yield Fault("not-expressed", message, (*path, "retry", "backoff"), "write retry 3", at_key=True)
    for name, wrong in form.job_faults(job):
        yield Fault("out-of-range", f"`{name}` {wrong}", (*path, name))
    if "call" in form.expresses and "call" not in job:
        help = 'name what its workers run, for example call "shop.tasks.charge"'
        yield Fault("missing-field", f"this {form.name} job has no `call`", path, help, missing="call")


def check_moments(document: Document) -> Iterator[Fault]:
    """Places in payloads that are said to hold the moment of enqueueing, and cannot."""
    for path, job in each_job(document):
        place = job.get("enqueued_at")
        if not isinstance(place, str) or fault_of("place", place) is not None:
            continue
        if job.get("encoding", "json") == "json":
            message = "only a raw job needs `enqueued_at`: the envelope of this one says when it was enqueued"
            yield Fault("no-moment", message, (*path, "enqueued_at"), "leave it out", at_key=True)
            continue
        fault = _moment_fault(job.get("payload", {}), place_of(place) or ())
        if fault is not None:
            yield fault.at((*path, "enqueued_at"))


def _moment_fault(payload: Any, place: tuple[str, ...]) -> Fault | None:
    """What is wrong with a place in a payload as the moment of enqueueing."""
    value, spelled = payload, "payload"
    for key in place:
        if isinstance(value, list):
            index = int(key) if key.isdecimal() else len(value)
            if index >= len(value):
                message = f"`{spelled}` has no entry {key}: it is a list of {len(value)}"
                return Fault("no-moment", message, help="its entries count from 0")
            value = value[index]
        elif isinstance(value, dict):
            if key not in value:
                known = list(map(str, value))
                suggestion = nearest(key, known)
                help = (
                    f"did you mean `{spelled}.{suggestion}`?" if suggestion else f"it has {', '.join(known) or 'none'}"
                )
                return Fault("no-moment", f"`{spelled}` has no `{key}`", help=help)
            value = value[key]
        else:
            return Fault(
                "no-moment", f"`{spelled}` is {show(value)} and has no `{key}`", help="name a key of an object"
            )
        spelled += f".{key}"
    # As it would read if it were sent now: only then is it a moment, and that of sending.
    stamp = moment(_NOW.sub("1800000000000", value), 1.8e9) if isinstance(value, str) and _NOW.search(value) else None
    if stamp is None or abs(stamp - 1.8e9) > 1:
        message = f"`{spelled}` is {show(value)}, which is not the moment of sending"
        return Fault("no-moment", message, help='write "${now_ms}" there')
    return None
