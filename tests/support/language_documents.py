"""Documents as Hypothesis makes them, and the golden cases on disk."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

CASES = Path(__file__).parent.parent / "cases"

UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
"""Settings for tests whose examples are whole documents."""

WORDS = [
    "peak",
    "over",
    "then",
    "seed",
    "x",
    "in",
    "sine",
    "scenario",
    "a-b",
    "été",
    "job",
    "from",
    "points",
    "or",
    "max_rate",
]
names = st.one_of(
    st.sampled_from([*WORDS, "black friday", "phase-1", "1st", "a:b", "#1", "{", "…"]),
    st.text("abcxyz_- #{}.", min_size=1, max_size=8).filter(lambda s: s == s.strip()),
)
param_names = st.sampled_from([*WORDS[:6], *WORDS[6:], "n", "limit"])


def scalars(kind: st.SearchStrategy[Any], params: list[str]) -> st.SearchStrategy[Any]:
    """A value, or sometimes a reference to a param."""
    if not params:
        return kind
    return st.one_of(kind, kind, kind, st.sampled_from(params).map(lambda name: {"param": name}))


TARGETS = ["embedded", "fake", "redis://h:1/2", {"url": {"env": "PLG_TEST_UNSET_VARIABLE", "default": "fake"}}]
positive = st.one_of(
    st.integers(1, 10**6),
    st.floats(1e-9, 1e8, allow_nan=False),
    st.sampled_from(["10/s", "90/m", "3600/h", "0.5/s", "1_000/s", "1.5e3/m"]),
)
rates = st.one_of(positive, st.just(0))
durations = st.one_of(
    st.integers(1, 10**5),
    st.floats(1e-6, 1e6, allow_nan=False),
    st.sampled_from(["250ms", "10s", "1m30s", "1.5h", "2d", "1_000ms"]),
)
angles = st.one_of(st.just(0), st.sampled_from([math.pi / 2, math.pi, 3 * math.pi / 2]), st.floats(-100, 100))
TRICKY = ["true", "null", "~", "on", "No", "y", "1e3", "0x1f", "0o7", "010", "1_000", "12:30", ".inf", "-.5", "+1", "=",
          "<<", "2026-01-01", "- a", "a: b", "a #b", "#", "@x", "%a", "`", "*a", "&a", "!t", "|", ">", "'", "?", "[",
          "{}", "a,b", " a", "a ", "", "---", "...", "\t", "a\nb", "\u2028", "\ufeff", "é"]  # fmt: skip
"""Strings that some reader of YAML would take for something else."""
json_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**18), 10**18),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
        st.sampled_from(TRICKY),
        st.sampled_from(
            ["${seq}", "A-${uuid}", '${choice("a", "b")} ${rand(1,100)}', "$${x}", "$", '${now_ms} " \\', "a#b"]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=6).filter(lambda key: key != "param"), inner, max_size=3),
    ),
    max_leaves=6,
).filter(lambda value: "${" not in str(value) or not _unfillable(value))


def _unfillable(value: Any) -> bool:
    from plg.language.payload import faults_of

    return bool(faults_of(value, {}))


def phases(params: list[str], depth: int = 2) -> st.SearchStrategy[dict[str, Any]]:
    """Any phase but a replay, which needs a file."""

    def fields(kind: str, required: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries(
            {"type": st.just(kind), **{name: scalars(value, params) for name, value in required.items()}},
            optional={name: scalars(value, params) for name, value in optional.items()},
        )

    leaves = [
        fields("steady", {"base_rate": rates, "duration": durations}, max_rate=positive),
        fields(
            "ramp",
            {"start_rate": positive, "end_rate": positive, "duration": durations},
            ramp_type=st.sampled_from(["linear", "exponential", "logarithmic"]),
            max_rate=positive,
        ),
        fields(
            "sine", {"base_rate": rates, "amplitude": rates, "period": durations, "duration": durations},
            phase=angles, max_rate=positive,
        ),
        fields(
            "burst",
            {
                "base_rate": rates, "burst_rate": rates, "burst_duration": st.just("1s"),
                "burst_interval": st.just(2), "duration": durations,
            },
        ),
        fields(
            "staircase",
            {"start_rate": rates, "end_rate": rates, "steps": st.integers(1, 50), "duration": durations},
        ),
        fields(
            "chaos",
            {"base_rate": st.just(1), "max_rate": st.just("5/s"), "period": st.just(1), "duration": st.integers(1, 90)},
            seed=st.integers(0, 2**53 - 1),
        ),
        st.builds(
            lambda times, values, more: {
                "type": "points",
                "points": [{"at": at, "rate": rate} for at, rate in zip([0, *sorted(times)], values, strict=False)],
                **more,
            },
            st.sets(st.integers(1, 1000), min_size=1, max_size=4),
            st.lists(rates, min_size=5, max_size=5),
            st.fixed_dictionaries({}, optional={"interpolation": st.sampled_from(["linear", "step"])}),
        ),
    ]  # fmt: skip
    leaf = st.one_of(leaves)
    if depth == 0:
        return leaf
    inner = phases(params, depth - 1)
    nested = st.one_of(
        st.builds(
            lambda children, more: {"type": "custom", "phases": children, **more},
            st.lists(inner, min_size=1, max_size=3),
            st.fixed_dictionaries({}, optional={"repeat": st.integers(1, 1000), "max_rate": positive}),
        ),
        st.builds(
            lambda children, more: {"type": "overlay", "layers": children, **more},
            st.lists(inner, min_size=1, max_size=3),
            st.fixed_dictionaries({}, optional={"max_rate": positive}),
        ),
    )
    return st.one_of(leaf, leaf, nested)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A document that is valid up to what only arithmetic can tell (such as a params' unit in the wrong place)."""
    document: dict[str, Any] = {"name": draw(st.sampled_from(["x", "flash-sale", "été 2", "param", "1"]))}
    if draw(st.booleans()):
        document["description"] = draw(st.text(max_size=20).filter(_printable))
    if draw(st.booleans()):
        document["tags"] = draw(st.lists(st.sampled_from(["sale", "on", "12:30", "two words", "5", ""]), max_size=3))
    pattern = draw(phases([]))
    label = iter(draw(st.lists(names, unique=True, min_size=8, max_size=8)))
    _name(pattern, label, draw)
    document["pattern"] = pattern
    if draw(st.booleans()):
        document["arrivals"] = draw(
            st.fixed_dictionaries(
                {}, optional={"process": st.sampled_from(["uniform", "poisson"]), "seed": st.integers(0, 99)}
            )
        )
    job = st.fixed_dictionaries(
        {},
        optional={
            "weight": st.one_of(st.integers(1, 100), st.floats(1e-6, 1e6)),
            "queue": st.sampled_from(["orders", "a:b", "q q"]),
            "encoding": st.sampled_from(["json", "raw"]),
            "priority": st.integers(-100, 100),
            "timeout": durations,
            "retry": st.integers(0, 9),
            "payload": json_values,
        },
    )
    jobs = draw(st.lists(job, max_size=3))
    job_names = draw(st.lists(names, unique=True, min_size=3, max_size=3))
    if jobs:
        document["jobs"] = [{"name": name, **job} for name, job in zip(job_names, jobs, strict=False)]
    document["guardrails"] = draw(
        st.fixed_dictionaries(
            {"max_rate": positive, "max_total_jobs": st.integers(1, 10**12), "max_duration": durations},
            optional={
                "max_memory_mb": st.one_of(st.integers(1, 10**6), st.floats(1e-3, 1e6)),
                "max_cpu_percent": st.one_of(st.integers(1, 800), st.floats(0.1, 800), st.just("80%")),
                "max_queue_depth": st.integers(0, 10**9),
                "max_queue_age": durations,
                "max_error_rate": st.fixed_dictionaries(
                    {"percent": st.one_of(st.integers(1, 100), st.just("5%"))}, optional={"over": durations}
                ),
                "warn_at": st.one_of(st.integers(1, 100), st.just("75%")),
                "emergency_stop": st.booleans(),
            },
        )
    )
    if draw(st.booleans()):
        document["expect"] = draw(st.lists(expectations(), max_size=4))
    if draw(st.booleans()):
        document["max_lag"] = draw(durations.filter(lambda value: not isinstance(value, float) or value >= 0.002))
    if draw(st.booleans()):
        document["watch"] = draw(durations)
    if draw(st.booleans()):
        document["connections"] = draw(st.integers(1, 64))
    if draw(st.booleans()):
        document["pacing"] = draw(st.sampled_from(["economical", "precise"]))
    if draw(st.booleans()):
        document["workers"] = {"count": draw(st.integers(1, 9)), "each": draw(durations)}
        document["workers"] |= {"only": "embedded"} if draw(st.booleans()) else {}
    if draw(st.booleans()):
        document["target"] = draw(st.sampled_from(TARGETS))
    return document


def expectations() -> st.SearchStrategy[str]:
    """Expectations in any spacing the language allows, on the whole run."""
    subjects = st.sampled_from(
        [("p99(latency)", "250ms"), ("deviation", "5%"), ("errors", "1_000"), ("throughput", "5/s"), ("memory", "1GiB"),
         ("max ( queue_age )", "1m30s"), ("p99.9(lag)", "0"), ("cpu", "80%"), ("queue_depth", "5")]
    )  # fmt: skip
    return st.builds(
        lambda warn, subject, op, window, stop: f"{warn}{subject[0]}{op}{subject[1]} {window} {stop}".strip(),
        st.sampled_from(["", "warn  "]),
        subjects,
        st.sampled_from(["<", " <= ", ">", ">=", "  ==", "!= "]),
        st.sampled_from(["", "in every 1s", "in  99% of 500ms"]),
        st.sampled_from(["", "or  stop"]),
    )


def _printable(text: str) -> bool:
    from plg.language.kinds import fault_of

    return fault_of("text", text) is None


def _name(phase: dict[str, Any], labels: Any, draw: st.DrawFn) -> None:
    """Give some phases a name of their own, in place."""
    if draw(st.booleans()):
        name = next(labels, None)
        if name is not None:
            phase["name"] = name
    for child in [*phase.get("phases", ()), *phase.get("layers", ())]:
        _name(child, labels, draw)


def golden(path: Path, text: str) -> str:
    """The expected text, which is first written where that is asked for."""
    if os.environ.get("PLG_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")
