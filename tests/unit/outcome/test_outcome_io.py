"""Saved outcomes: nothing is lost on the way, and nothing broken is taken for one."""

from __future__ import annotations

import base64
import functools
import json
import math
import zlib
from collections.abc import Callable
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.judged import Event, Glance, expect, outcome_of, random_events, record, steady

from plg import outcome as outcomes
from plg.diagnostics import ScenarioError
from plg.guardrails.guard import Hit
from plg.judge import rejudge
from plg.judge.series import COLUMNS, FAR_COLUMNS
from plg.measures import GAUGES
from plg.outcome import Outcome, StopResult
from plg.outcome_io import from_json, pack, read_outcome, to_json, unpack
from plg.resources import read_text
from plg.runner.recording import COUNTERS, FAR_COUNTERS, FAR_HISTOGRAMS, TIMES, FarRecord, Histograms, Recording, Stall

ASKED = (
    expect("deviation", "<", 0.05), expect("deviation", "<", 0.05, window=0.5),
    expect("errors", "==", 0.0, level="warn"),
    expect("latency", "<", 0.02, "p90", during="crowd"), expect("latency", "<", 0.02, "p99.9"),
    expect("queue_depth", "<", 5.0), expect("drain_time", "<", 5.0),
)  # fmt: skip


class Consumers:
    count, each, processed, foreign = 2, 0.005, 123, 4

    def wait_s(self) -> dict[str, float | None]:
        return {"p50": 0.1, "p90": 0.2, "p95": 0.3, "p99": None, "p99.9": None, "max": 1 / 3, "mean": 0.1}


def samples() -> dict[str, Outcome]:
    """One outcome of each kind."""
    events = random_events(3, 300)
    glances = [Glance(t / 3, queue_depth=math.nan if t % 7 == 0 else t) for t in range(40)]
    hits = (
        Hit("max_rate", 3.0, 3.5, 450.0, 400.0, "clip"), Hit("max_cpu", 4.0, 4.0, 0.7, 0.8, "warn"),
        Hit("max_memory", 5.0, 6.0, 6e8, 5e8, "observe"),
    )  # fmt: skip
    stop = (Hit("max_cpu", 5.0, 5.0, 0.9, 0.8, "stop", 0.125), Hit("max_total_jobs", 5.0, 5.0, 9.0, 8.0, "stop", 0.0))
    left = [*steady(20, 0, 5), *(Event(e.due, "cancelled") for e in steady(20, 5))]
    everything = record(
        events,
        glances,
        hits=hits,
        drain_s=None,
        drain_waited_s=12.5,
        start_depth=0,
        end_depth=7,
        errors=(("OOM “…”", 3),),
    )
    stalls = (Stall(1.0, 3.5), Stall(4.0, 4.0, 2.0))
    held = record([replace(e, held=True) for e in steady(20)], stalls=stalls)
    return {
        "fail": outcome_of(everything, expectations=ASKED, workers=Consumers(), warnings=("mind this",)),
        "pass": outcome_of(record(steady(20), drain_s=0.25, drain_waited_s=0.25)),
        "empty": outcome_of(record([]), expectations=ASKED),
        "invalid": outcome_of(held),
        "stopped": outcome_of(
            record(left, stop="guardrail", stop_detail="max_cpu", ended_s=5.0, hits=stop), expectations=ASKED
        ),
        "interrupted": outcome_of(record(left, stop="signal", stop_detail="SIGTERM", ended_s=5.0), expectations=ASKED),
        "stopped by somebody": outcome_of(
            record(left, stop="user", stop_detail="too slow", stop_by="ann", ended_s=5.0), expectations=ASKED
        ),
        "never begun": outcome_of(
            record([Event(e.due, "cancelled") for e in steady(20)], stop="target", stop_detail="refused", ended_s=0.0),
            expectations=ASKED,
        ),
        "internal": outcome_of(replace(held, counters={**held.counters, "acked": held.counters["acked"] + 1})),
    }


def same(a: Any, b: Any) -> bool:
    """Equal in every field, arrays by value and type, NaN equal to itself."""
    if isinstance(a, np.ndarray):
        return bool(a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"))
    if is_dataclass(a) and not isinstance(a, type):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)


@pytest.mark.parametrize("name", samples())
def test_an_outcome_comes_back_as_it_was(name: str) -> None:
    outcome = samples()[name]
    text = to_json(outcome)
    back = from_json(text)
    assert same(outcome, back)
    assert to_json(back) == text


def test_an_outcome_saved_before_reactions_were_recorded_is_read() -> None:
    outcome = samples()["stopped"]
    document = json.loads(to_json(outcome))
    assert [hit.pop("reaction_s") for hit in document["guardrail_hits"]] == [0.125, 0.0]
    back = from_json(json.dumps(document))
    assert back.guardrail_hits == tuple(replace(hit, reaction_s=None) for hit in outcome.guardrail_hits)
    assert back.recording.hits == back.guardrail_hits


def test_an_outcome_saved_before_stalls_were_recorded_is_read() -> None:
    outcome = samples()["fail"]
    document = json.loads(to_json(outcome))
    assert document.pop("stalls") == []
    assert document["recording"]["counters"].pop("overdue")
    assert not any(result.pop("invalid") for result in document["expectations"])
    assert same(from_json(json.dumps(document)), outcome)


def test_an_outcome_saved_before_losses_were_recorded_is_read() -> None:
    outcome = samples()["pass"]
    document = json.loads(to_json(outcome))
    assert document["recording"].pop("lost") == ""
    assert same(from_json(json.dumps(document)), outcome)
    lost = outcome_of(replace(outcome.recording, lost="the server was restarted"))
    assert from_json(to_json(lost)).recording.lost == "the server was restarted"


@pytest.mark.parametrize("name", samples())
def test_a_saved_outcome_is_judged_as_the_run_was(name: str) -> None:
    outcome = outcome_of(samples()[name].recording, expectations=ASKED)
    again = rejudge(from_json(to_json(outcome)), ASKED)
    assert again.expectations == outcome.expectations
    assert (again.verdict, again.exit_code, again.reason) == (outcome.verdict, outcome.exit_code, outcome.reason)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 200), st.sampled_from([0.1, 0.5, 3.0]))
def test_any_recording_comes_back(seed: int, jobs: int, window: float) -> None:
    outcome = outcome_of(record(random_events(seed, jobs), window=window), expectations=ASKED)
    assert same(outcome, from_json(to_json(outcome)))


numbers = st.lists(st.integers(-(2**63), 2**63 - 1)) | st.lists(st.integers(-128, 127)) | st.lists(st.floats(width=64))


@given(numbers)
def test_a_column_comes_back(values: list[float]) -> None:
    kind = np.float64 if any(isinstance(v, float) for v in values) else np.int64
    column = np.array(values, dtype=kind)
    back = unpack(json.loads(json.dumps(pack(column))))
    assert np.array_equal(back.astype(kind), column, equal_nan=kind is np.float64)


def schema() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(read_text("schemas", "outcome.schema.json"))
    return document


@pytest.mark.parametrize("name", samples())
def test_what_is_saved_fits_the_schema(name: str) -> None:
    document = json.loads(to_json(samples()[name]))
    validator = jsonschema.Draft202012Validator(schema())
    assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)] == []


def test_the_schema_names_what_the_dataclasses_name() -> None:
    top = schema()["properties"]
    recording = top["recording"]["properties"]
    assert set(top) == {f.name for f in fields(Outcome)} | {"stop", "notices"}
    assert set(top["stop"]["oneOf"][1]["properties"]) == {f.name for f in fields(StopResult)}
    assert set(recording) == {f.name for f in fields(Recording)} - {"hits", "errors", "stalls"}
    pairs: list[tuple[dict[str, Any], type]] = [
        (top["target"], outcomes.TargetInfo), (top["ledger"], outcomes.Ledger),
        (top["phases"]["items"], outcomes.PhaseResult),
        (top["expectations"]["items"], outcomes.ExpectationResult), (top["guardrail_hits"]["items"], Hit),
        (top["stalls"]["items"], Stall),
        (top["workers"]["oneOf"][1], outcomes.WorkersResult), (top["far_side"]["oneOf"][1], outcomes.FarSide),
        (top["scale_up"]["oneOf"][1], outcomes.ScaleUp),
        (top["expectations"]["items"]["properties"]["recovery"]["oneOf"][1], outcomes.RecoveryResult),
        (recording["far"]["oneOf"][1], FarRecord), (schema()["$defs"]["histograms"], Histograms),
    ]  # fmt: skip
    for node, kind in pairs:
        assert set(node["properties"]) == {f.name for f in fields(kind)}
        # These came later: outcomes saved before do not have them.
        assert set(node["required"]) == set(node["properties"]) - {"reaction_s", "invalid", "foreign", "recovery"} - (
            {"workers"} if kind is Stall else set()
        )
    assert tuple(top["series"]["properties"]) == (*COLUMNS, *FAR_COLUMNS)
    assert set(schema()["$defs"]["percentiles"]["properties"]) == set(outcomes.PERCENTILES)
    for name, known in (
        ("counters", (*COUNTERS, *FAR_COUNTERS)), ("histograms", (*TIMES, *FAR_HISTOGRAMS)), ("samples", GAUGES),
    ):  # fmt: skip
        assert set(recording[name]["properties"]) == set(known)
    assert set(top["verdict"]["enum"]) == {"pass", "fail", "invalid", "stopped", "error", "interrupted"}


def undescribed(node: Any, path: str = "$") -> list[str]:
    """Properties of a schema that say nothing of themselves."""
    found = []
    if isinstance(node, dict):
        for name, child in node.get("properties", {}).items():
            if "description" not in child and "$ref" not in child:
                found.append(f"{path}.{name}")
        for key, child in node.items():
            found += undescribed(child, f"{path}.{key}")
    if isinstance(node, list):
        for i, child in enumerate(node):
            found += undescribed(child, f"{path}[{i}]")
    return found


def test_every_field_is_described() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert undescribed(schema()) == []


@functools.cache
def saved_text() -> str:
    return to_json(samples()["fail"])


def document() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(saved_text())
    return found


def changed(*path: str | int, to: Any = None, drop: bool = False) -> str:
    whole = document()
    node: Any = whole
    for step in path[:-1]:
        node = node[step]
    if drop:
        del node[path[-1]]
    else:
        node[path[-1]] = to
    return json.dumps(whole)


def bomb() -> dict[str, Any]:
    """A few hundred bytes that unfold to a gigabyte."""
    squeezed = zlib.compress(b"\0" * (1 << 24), 9)
    return {"type": "<i8", "length": 10, "data": base64.b64encode(squeezed).decode()}


def without_checksum() -> dict[str, Any]:
    """A column whose bytes are all there but not the end of the stream that vouches for them."""
    column = pack(np.array([0.0, 1.0, np.inf]))
    squeezed = base64.b64decode(column["data"])[:-4]
    return column | {"data": base64.b64encode(squeezed).decode()}


BROKEN: dict[str, tuple[Callable[[], str], str]] = {
    "nothing": (lambda: "", "not JSON"),
    "no JSON": (lambda: 'scenario "x" {}', "not JSON"),
    "cut off": (lambda: to_json(samples()["pass"])[:-100], "not JSON"),
    "NaN": (lambda: '{"version": NaN}', "not JSON"),
    "deep": (lambda: "[" * 100_000, "not JSON"),
    "another thing": (lambda: "[1, 2]", "not an outcome"),
    "another object": (lambda: '{"name": "sale"}', "not an outcome"),
    "next version": (lambda: changed("version", to=2), "version 2, this plg reads version 1"),
    "missing field": (lambda: changed("ledger", drop=True), "lacks 'ledger'"),
    "missing inner field": (lambda: changed("ledger", "acked", drop=True), "lacks 'acked' at ledger"),
    "unknown inner field": (lambda: changed("ledger", "lost", to=1), "damaged at ledger"),
    "unknown verdict": (lambda: changed("verdict", to="fine"), "damaged at verdict"),
    "no scenario": (lambda: changed("scenario", to=None), "damaged at scenario"),
    "null where an object stands": (lambda: changed("recording", to=None), "damaged at recording"),
    "null column": (lambda: changed("recording", "edges", to=None), "damaged"),
    "no base64": (lambda: changed("recording", "edges", "data", to="%%%"), "damaged"),
    "not deflated": (lambda: changed("recording", "edges", "data", to="AAAA"), "damaged"),
    "no checksum": (lambda: changed("recording", "edges", to=without_checksum()), "shorter or longer"),
    "wrong length": (lambda: changed("recording", "edges", "length", to=3), "shorter or longer"),
    "too long": (lambda: changed("recording", "edges", "length", to=1 << 40), "not known"),
    "bomb": (lambda: changed("recording", "target_rate", to=bomb()), "shorter or longer"),
    "unknown type": (lambda: changed("recording", "edges", "type", to="O"), "damaged at recording.edges.type"),
    "fractions for counts": (
        lambda: changed("recording", "counters", "acked", to=pack(np.zeros(3))),
        "holds fractions",
    ),
    "columns of different length": (
        lambda: changed("recording", "counters", "acked", to=pack(np.zeros(3, dtype=np.int64))),
        "differ in length",
    ),
    "samples of different length": (
        lambda: changed("recording", "samples", "cpu", to=pack(np.zeros(3))),
        "differ in length",
    ),
    "edges out of order": (
        lambda: changed("recording", "edges", to=pack(np.array([0.0, 2.0, 1.0, np.inf]))),
        "out of order",
    ),
    "no end": (lambda: changed("recording", "edges", to=pack(np.array([0.0, 2.0]))), "out of order"),
    "offsets that point elsewhere": (
        lambda: changed("recording", "histograms", "lag", "offsets", to=pack(np.array([0, 9999]))),
        "inconsistent",
    ),
    "buckets beyond the last": (lambda: far_bucket(), "inconsistent"),
    "missing counter": (
        lambda: changed("recording", "counters", "held", drop=True),
        "lacks 'held' at recording.counters",
    ),
    "no window": (lambda: changed("recording", "window", to=0), "damaged at recording.window"),
    "words for a number": (lambda: changed("recording", "window", to="1s"), "damaged at recording.window"),
    "spans of one": (lambda: changed("recording", "spans", to={"a": [[1]]}), "damaged at recording.spans.a[0]"),
    "a word in the series": (lambda: changed("series", "actual", 0, to="1"), "damaged at series.actual"),
    "a series too short": (lambda: changed("series", "actual", to=[1]), "differ in length"),
    "no number for a result": (
        lambda: changed("expectations", 0, "observed", to="1%"),
        "damaged at expectations[0].observed",
    ),
}


def far_bucket() -> str:
    column = samples()["fail"].recording.histograms["lag"].buckets.copy()
    column[0] = 1 << 40
    return changed("recording", "histograms", "lag", "buckets", to=pack(column))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_in_words(name: str) -> None:
    make, says = BROKEN[name]
    text = make()
    with pytest.raises(ScenarioError) as caught:
        from_json(text, "a.outcome.json")
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.file == "a.outcome.json"
    assert says in diagnostic.message
    assert diagnostic.help
    assert diagnostic.code == ("outcome-version" if name == "next version" else "broken-outcome")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_no_mutation_breaks_out(data: st.DataObject) -> None:
    """Any value of the document replaced by any other gives an outcome or a refusal, nothing else."""
    whole = document()
    node: Any = whole
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if not isinstance(node[key], (dict, list)) or data.draw(st.booleans()):
            break
        node = node[key]
    node[key] = data.draw(st.none() | st.integers() | st.text(max_size=5) | st.just([]) | st.just({}) | st.floats(0, 9))
    try:
        outcome = from_json(json.dumps(whole))
    except ScenarioError:
        return
    assert isinstance(outcome, Outcome)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    saved = tmp_path / "a.outcome.json"
    saved.write_text(to_json(samples()["pass"]), encoding="utf-8")
    assert same(read_outcome(saved), samples()["pass"])
    binary = tmp_path / "b.outcome.json"
    binary.write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "none.json", tmp_path, binary):
        with pytest.raises(ScenarioError):
            read_outcome(path)


def test_the_recording_is_kept_small() -> None:
    """More jobs leave no more behind than the same cells and buckets."""
    events = steady(500)
    small, large = (to_json(outcome_of(record(e))) for e in (events, events * 5))
    assert len(large) < 1.1 * len(small)


def test_interface_fields_are_there() -> None:
    saved = document()
    for name in (
        "version",
        "scenario",
        "run_id",
        "verdict",
        "exit_code",
        "started_at",
        "duration_s",
        "target",
        "deviation",
    ):
        assert name in saved
    assert set(saved["ledger"]) == {"planned", "sent", "shed", "late", "cancelled", "acked", "failed", "unknown"}
    assert {"p50", "p95", "p99", "max"} <= set(saved["phases"][0]["latency"])
    for name in ("lag_s", "service_time_s", "latency_s"):
        assert set(saved[name]) == {"p50", "p90", "p95", "p99", "p99.9", "max", "mean"}
    assert asdict(samples()["fail"].ledger) == saved["ledger"]


@pytest.mark.parametrize(
    ("name", "stop"),
    [
        ("pass", None),
        ("stopped", {"name": "guardrail", "by": "max_cpu", "detail": "max_cpu", "at_s": 5.0}),
        ("interrupted", {"name": "signal", "by": "SIGTERM", "detail": "SIGTERM", "at_s": 5.0}),
        ("stopped by somebody", {"name": "user", "by": "ann", "detail": "too slow", "at_s": 5.0}),
        ("never begun", {"name": "target", "by": "", "detail": "refused", "at_s": 0.0}),
    ],
)
def test_a_saved_outcome_says_what_stopped_the_run_and_who(name: str, stop: dict[str, Any] | None) -> None:
    assert json.loads(to_json(samples()[name]))["stop"] == stop
