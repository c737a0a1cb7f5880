"""An outcome as JSON and back, without loss.

Everything people and programs look at is plain JSON. The recording, needed only to judge a saved run again, is kept
compact: each column is its smallest fitting little-endian integer (or double) type, deflated, in base64, so NaN and
infinity need no spelling.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import shlex
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from plg.diagnostics import Diagnostic, ScenarioError
from plg.file_kinds import BINARY, FOLDER, JUNIT, NOTHING, PAGE, PICTURE, SCENARIO, XML, kind_of
from plg.guardrails.guard import Hit
from plg.histogram import BUCKETS
from plg.measures import GAUGES
from plg.notices import notices
from plg.outcome import (
    VERSION,
    ExpectationResult,
    FarSide,
    Ledger,
    Outcome,
    PhaseResult,
    QueueResult,
    RecoveryResult,
    ScaleUp,
    ShardInfo,
    ShardResult,
    TargetInfo,
    WorkersResult,
)
from plg.resources import read_text
from plg.runner.recording import COUNTERS, FarRecord, Histograms, Recording, Stall

_MAX_ENTRIES = 1 << 27
"""A column longer than this is refused: no run of bounded memory makes one."""
_LARGEST = 1e300
"""A number beyond this is damage, and would overflow where it is reckoned with."""
_MOST_WINDOWS = 100_000
"""More plain windows than this no plan has."""
_LARGEST_ENTRY = 1e15
"""The same for an entry of a series, as the schema has it for all other figures."""
_INTEGERS = ("<i1", "<i2", "<i4", "<i8")
_PLAIN = (
    "scenario", "scenario_file", "scenario_hash", "run_id", "seed", "verdict", "exit_code", "reason", "started_at",
    "duration_s", "plan", "deviation", "lag_s", "service_time_s", "latency_s", "series", "plg_version",
    "queue_wait_s", "run_time_s", "end_to_end_s", "workers_seen", "residue",
)  # fmt: skip
"""Fields of an outcome that are plain data already."""
_MARKS = (
    "window", "duration", "ended_s", "start_depth", "end_depth", "end_age_s", "last_send_s", "drain_s",
    "drain_waited_s", "stop", "stop_detail", "stop_s", "stop_by", "incomplete", "sample_step", "start_untaken",
    "end_untaken", "delayed_s", "lost", "taken", "residue", "residue_said",
)  # fmt: skip
"""Fields of a recording that are plain data already."""
_SINCE: Mapping[str, Any] = {
    "sample_step": None, "end_age_s": None, "last_send_s": None, "stop_s": None, "stop_by": "", "start_untaken": None,
    "end_untaken": None, "delayed_s": 0.0, "lost": "", "taken": None, "residue": None, "residue_said": "",
}  # fmt: skip
"""Those that an earlier plg did not save."""
_NO_TEXT = re.compile("[\ud800-\udfff]")


def to_json(outcome: Outcome) -> str:
    """The outcome as JSON text, by ``schemas/outcome.schema.json``."""
    first = [asdict(notice) for notice in notices(outcome)]
    document: dict[str, Any] = {"version": outcome.version, "notices": first, "queue": asdict(outcome.queue)}
    document |= {name: getattr(outcome, name) for name in _PLAIN}
    document |= {
        "target": asdict(outcome.target),
        "ledger": asdict(outcome.ledger),
        "phases": [asdict(phase) for phase in outcome.phases],
        "expectations": [asdict(result) for result in outcome.expectations],
        "guardrail_hits": [asdict(hit) for hit in outcome.guardrail_hits],
        "stalls": [asdict(stall) for stall in outcome.stalls],
        "warnings": list(outcome.warnings),
        "errors": [{"text": text, "count": count} for text, count in outcome.errors],
        "scale_up": None if outcome.scale_up is None else asdict(outcome.scale_up),
        "far_side": None if outcome.far_side is None else asdict(outcome.far_side),
        "workers": None if outcome.workers is None else asdict(outcome.workers),
        "shard": None if outcome.shard is None else asdict(outcome.shard),
        "shards": [asdict(each) for each in outcome.shards],
        "stop": None if outcome.stop is None else asdict(outcome.stop),
        "recording": _recording_to(outcome.recording),
    }
    # A file may have a name that is not text: it must not keep a run from being saved.
    return _NO_TEXT.sub("\ufffd", json.dumps(document, ensure_ascii=False, allow_nan=False)) + "\n"


def read_outcome(path: Path) -> Outcome:
    """The outcome saved in a file. Raises `ScenarioError` where it cannot be read."""
    _refuse_other(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        where = Diagnostic("unreadable-file", f"there is no file {path}", str(path), help="plg check leaves outcomes")
        raise ScenarioError([where]) from None
    except OSError as fault:
        raise _broken(
            str(path), f"{path} cannot be read: {fault.strerror or 'unknown reason'}", "unreadable-file"
        ) from None
    except UnicodeDecodeError:
        raise _broken(str(path), "this is not text") from None
    return from_json(text, str(path))


def _refuse_other(path: Path) -> None:
    """Raise `ScenarioError` for what is plainly no outcome, with what to write instead."""
    kind, spelled = kind_of(path), shlex.quote(str(path))
    beside = f"the outcomes lie beside it: {path.parent / '*.outcome.json'}"
    helps = {
        SCENARIO: f"plg check {spelled} runs it, and leaves its outcome in plg-report/NAME.outcome.json",
        FOLDER: f"name the outcomes in it: {path}/*.outcome.json",
        JUNIT: beside,
        PAGE: beside,
        PICTURE: beside,
        XML: "plg check leaves outcomes: plg-report/NAME.outcome.json",
        BINARY: "plg check leaves outcomes: plg-report/NAME.outcome.json",
        NOTHING: "plg check leaves outcomes: plg-report/NAME.outcome.json",
    }
    if kind in helps:
        message = f"{path} is {kind}, not a saved outcome"
        raise ScenarioError([Diagnostic("not-an-outcome", message, str(path), help=helps[kind])])


def from_json(text: str, file: str = "<outcome>", *, trusted: bool = False) -> Outcome:
    """The outcome that `to_json` wrote. Raises `ScenarioError` for another version or a broken file.

    A ``trusted`` text comes straight from `to_json`, by no way on which it could have been changed: it is not held
    against the schema again.
    """
    try:
        document = json.loads(text, parse_constant=_no_constant, parse_float=_number(float), parse_int=_number(int))
    except _Damage as fault:
        raise _broken(file, f"this is not JSON: {fault}") from None
    except (ValueError, RecursionError) as fault:
        line = getattr(fault, "lineno", None)
        where = (
            f"this is not JSON, from line {line}, column {getattr(fault, 'colno', 1)} on"
            if line
            else "this is not JSON"
        )
        raise _broken(file, where) from None
    if not isinstance(document, dict) or "version" not in document or "recording" not in document:
        raise _broken(file, "this is not an outcome saved by plg check")
    if document["version"] != VERSION:
        found = document["version"]
        raise _broken(file, f"this outcome has version {found!r}, this plg reads version {VERSION}", "outcome-version")
    if not trusted:
        document = _checked(document, file)
    try:
        return _outcome_from(document)
    except (
        KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, zlib.error, binascii.Error,
    ) as fault:  # fmt: skip
        # The words of Python and its libraries help nobody.
        why = f": {fault}" if isinstance(fault, _Damage) else ""
        raise _broken(file, f"the outcome is damaged{why}") from None


class _Damage(ValueError):
    """Something in an outcome that cannot be, in words for people."""


def _broken(file: str, message: str, code: str = "broken-outcome") -> ScenarioError:
    return ScenarioError([Diagnostic(code, message, file, help="run plg check again to write a new one")])


def _no_constant(name: str) -> Any:
    raise _Damage(f"{name} is not a number that JSON knows")


def _number(kind: Callable[[str], float]) -> Callable[[str], Any]:
    def read(text: str) -> float:
        value = kind(text)
        if abs(value) > _LARGEST:
            raise _Damage(f"the number {text[:12]}… is larger than any measured")
        return value

    return read


def _checked(document: Mapping[str, Any], file: str) -> Mapping[str, Any]:
    """The document as the schema has it: counts whole. Raises `ScenarioError` for the first fault."""
    from jsonschema import Draft202012Validator

    series = document.get("series")
    # The columns are long and alike: the schema sees them empty, a loop their entries.
    form = {**document, "series": {name: [] for name in series} if isinstance(series, dict) else series}
    schema = json.loads(read_text("schemas", "outcome.schema.json"))
    fault = next(Draft202012Validator(schema).iter_errors(form), None)
    if fault is not None:
        place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in fault.absolute_path)
        wanted = fault.validator_value if fault.validator == "required" else []
        lacks = next((f"lacks {name!r}" for name in wanted if name not in fault.instance), "is damaged")
        raise _broken(file, f"the outcome {lacks}{f' at {place[1:]}' if place else ''}")
    lengths = set()
    for name, column in document["series"].items():
        if not isinstance(column, list) or not all(
            x is None or (type(x) in (int, float) and abs(x) <= _LARGEST_ENTRY) for x in column
        ):
            raise _broken(file, f"the outcome is damaged at series.{name}")
        lengths.add(len(column))
    moments = document["series"]["t_s"]
    if None in moments or moments != sorted(moments):
        raise _broken(file, "the outcome is damaged at series.t_s")
    if len(lengths) != 1:
        raise _broken(file, "the outcome is damaged: its series differ in length")
    whole: Mapping[str, Any] = _whole(form, schema, schema)
    return {**whole, "series": document["series"]}


def _whole(node: Any, rule: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """``node`` as plg would have written it: 20 for 20.0 where the schema asks for a whole number, and only real text.

    Programs that rewrite JSON make 20.0 of 20.
    """
    if "$ref" in rule:
        rule = schema["$defs"][rule["$ref"].rpartition("/")[2]]
    rule = rule["oneOf"][-1] if "oneOf" in rule else rule
    if isinstance(node, str):
        return _NO_TEXT.sub("\ufffd", node)
    if isinstance(node, float):
        asked = rule.get("type", "number")
        return int(node) if "integer" in asked and "number" not in asked else node
    if isinstance(node, dict):
        known, others = rule.get("properties", {}), rule.get("additionalProperties") or {}
        pairs = ((_NO_TEXT.sub("\ufffd", name), child) for name, child in node.items())
        return {name: _whole(child, known.get(name, others), schema) for name, child in pairs}
    if isinstance(node, list):
        return [_whole(child, rule.get("items") or {}, schema) for child in node]
    return node


def _outcome_from(document: Mapping[str, Any]) -> Outcome:
    recording = _recording_from(document["recording"], document)
    plain = {name: document[name] for name in _PLAIN if name in document}  # an earlier plg did not save all of them
    workers, shard = document["workers"], document["shard"]
    return Outcome(
        **plain,
        target=TargetInfo(**document["target"]),
        ledger=Ledger(**document["ledger"]),
        phases=tuple(PhaseResult(**phase) for phase in document["phases"]),
        expectations=tuple(map(_expectation_from, document["expectations"])),
        guardrail_hits=recording.hits,
        warnings=tuple(document["warnings"]),
        recording=recording,
        queue=QueueResult(**document.get("queue", {})),  # an earlier plg did not save it
        scale_up=None if document.get("scale_up") is None else ScaleUp(**document["scale_up"]),
        far_side=None if document.get("far_side") is None else FarSide.of_saved(document["far_side"]),
        workers=None if workers is None else WorkersResult(**workers),
        shard=None if shard is None else _shard_from(shard),
        shards=tuple(ShardResult(**each) for each in document.get("shards", ())),
        errors=recording.errors,
        stalls=recording.stalls,
    )


def _expectation_from(saved: Mapping[str, Any]) -> ExpectationResult:
    recovery = saved.get("recovery")  # an earlier plg knew no deadlines
    return ExpectationResult(**{**saved, "recovery": None if recovery is None else RecoveryResult(**recovery)})


def _shard_from(saved: Mapping[str, Any]) -> ShardInfo:
    parts = tuple(saved["parts"])
    if len(set(parts)) != len(parts) or not all(1 <= part <= saved["of"] for part in parts):
        raise _Damage(f"parts {list(parts)} of {saved['of']} cannot be")
    begun = saved.get("begun_s")
    return ShardInfo(saved["group"], saved["of"], parts, saved["limits"], tuple(saved["lines"]), begun)


def _recording_to(recording: Recording) -> dict[str, Any]:
    marks: dict[str, Any] = {name: getattr(recording, name) for name in _MARKS}
    return marks | {
        "spans": {name: [list(piece) for piece in pieces] for name, pieces in recording.spans.items()},
        "edges": pack(recording.edges),
        "counters": {name: pack(column) for name, column in recording.counters.items()},
        "histograms": {name: _histograms_to(h) for name, h in recording.histograms.items()},
        "sample_times": pack(recording.sample_times),
        "samples": {name: pack(column) for name, column in recording.samples.items()},
        "target_rate": pack(recording.target_rate),
        "allowed_rate": pack(recording.allowed_rate),
        "far": None if recording.far is None else asdict(recording.far),
    }


def _samples_from(saved: Mapping[str, Any]) -> dict[str, npt.NDArray[np.float64]]:
    """An earlier plg did not take all of them."""
    moments = _floats(saved["sample_times"])
    return {name: np.full(len(moments), np.nan) for name in GAUGES} | {
        name: _floats(column) for name, column in saved["samples"].items()
    }


def _histograms_to(h: Histograms) -> dict[str, Any]:
    return {column.name: pack(getattr(h, column.name)) for column in fields(Histograms)}


def _recording_from(saved: Mapping[str, Any], document: Mapping[str, Any]) -> Recording:
    marks = {**_SINCE, **saved}
    edges = _floats(saved["edges"])
    # An earlier plg did not count all of them.
    counters = {name: np.zeros(len(edges) - 1, dtype=np.int64) for name in COUNTERS}
    recording = Recording(
        edges=edges,
        spans={name: tuple((float(a), float(b)) for a, b in pieces) for name, pieces in saved["spans"].items()},
        counters=counters | {name: _ints(column) for name, column in saved["counters"].items()},
        histograms={name: _histograms_from(columns) for name, columns in saved["histograms"].items()},
        sample_times=_floats(saved["sample_times"]),
        samples=_samples_from(saved),
        target_rate=_floats(saved["target_rate"]),
        allowed_rate=_floats(saved["allowed_rate"]),
        hits=tuple(Hit(**hit) for hit in document["guardrail_hits"]),
        stalls=tuple(Stall(**stall) for stall in document.get("stalls", ())),
        errors=tuple((str(error["text"]), int(error["count"])) for error in document["errors"]),
        far=FarRecord.of_saved(saved.get("far")),
        **{name: marks[name] for name in _MARKS},
    )
    _check(recording)
    return recording


def _histograms_from(columns: Mapping[str, Any]) -> Histograms:
    return Histograms(
        _ints(columns["offsets"]), _ints(columns["buckets"]), _ints(columns["counts"]),
        _floats(columns["sums"]), _floats(columns["minima"]), _floats(columns["maxima"]),
    )  # fmt: skip


def _check(recording: Recording) -> None:
    """Refuse columns that do not belong together; the judge relies on their lengths."""
    cells = recording.cells
    ordered = cells > 0 and bool(np.all(recording.edges[1:] > recording.edges[:-1])) and recording.edges[0] == 0
    if not ordered or not np.isposinf(recording.edges[-1]):
        raise _Damage("the edges of the recording are out of order")
    if recording.duration / recording.window > _MOST_WINDOWS:
        raise _Damage("the windows of the recording are too many")
    columns = [*recording.counters.values(), recording.target_rate, recording.allowed_rate]
    for h in recording.histograms.values():
        columns += [h.offsets[1:], h.sums, h.minima, h.maxima]
        rows = len(h.buckets)
        fits = len(h.counts) == rows and h.offsets[0] == 0 and h.offsets[-1] == rows and np.all(np.diff(h.offsets) >= 0)
        if not fits or np.any(h.counts < 1) or np.any(h.buckets < 0) or np.any(h.buckets >= BUCKETS):
            raise _Damage("a histogram of the recording is inconsistent")
    samples = {len(column) for column in recording.samples.values()} | {len(recording.sample_times)}
    if {len(column) for column in columns} != {cells} or len(samples) != 1:
        raise _Damage("columns of the recording differ in length")
    if any(np.any(column < 0) for column in recording.counters.values()):
        raise _Damage("a counter of the recording is negative")


def pack(column: npt.NDArray[Any]) -> dict[str, Any]:
    """A column as its type, length and deflated bytes in base64."""
    kind = "<f8"
    if np.issubdtype(column.dtype, np.integer):
        low, high = (int(column.min()), int(column.max())) if len(column) else (0, 0)
        kind = next(t for t in _INTEGERS if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    packed = zlib.compress(np.ascontiguousarray(column).astype(kind).tobytes(), 6)
    return {"type": kind, "length": len(column), "data": base64.b64encode(packed).decode("ascii")}


def unpack(saved: Mapping[str, Any]) -> npt.NDArray[Any]:
    """The column that `pack` wrote; raises ValueError for one that does not hold what it says."""
    kind, length = saved["type"], saved["length"]
    if kind not in (*_INTEGERS, "<f8") or not isinstance(length, int) or not 0 <= length <= _MAX_ENTRIES:
        raise _Damage(f"a column of {length!r} entries of type {kind!r} is not known")
    size = np.dtype(kind).itemsize * length
    inflate = zlib.decompressobj()
    # Bounded, so that a small file cannot unfold to fill the memory.
    data = inflate.decompress(base64.b64decode(saved["data"], validate=True), size + 1)
    if len(data) != size or not inflate.eof:
        raise _Damage("a column is shorter or longer than it says")
    return np.frombuffer(data, dtype=kind)


def _ints(saved: Mapping[str, Any]) -> npt.NDArray[np.int64]:
    column = unpack(saved)
    if not np.issubdtype(column.dtype, np.integer):
        raise _Damage("a column of counts holds fractions")
    return column.astype(np.int64)


def _floats(saved: Mapping[str, Any]) -> npt.NDArray[np.float64]:
    return cast("npt.NDArray[np.float64]", unpack(saved).astype(np.float64))
