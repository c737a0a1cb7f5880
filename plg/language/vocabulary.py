"""Which fields there are, of which kind, and how the DSL spells them.

The schema says the same of documents; a test holds the two, and the dataclasses, together.
"""

from __future__ import annotations

import math
from dataclasses import field
from typing import Any

from plg.dataclass import dataclass

REQUIRED: Any = object()
"""Stands for "there is no default" in the tables."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the document: its kind, its default and what it is for."""

    kind: str
    default: Any
    meaning: str


@dataclass(frozen=True, slots=True)
class PhaseType:
    """A type of phase: the field its first value fills, its clauses in canonical order, and its fields."""

    first: str | None
    clauses: dict[str, str]
    fields: dict[str, Field] = field(default_factory=dict)
    example: str = ""


CLAUSES = {
    "to": "->",
    "swing": "+-",
    "top": "..",
    "over": "over",
    "every": "every",
    "for": "for",
    "steps": "in … steps",
    "from": "from",
    "seed": "seed",
    "times": "x",
    "speed": "speed",
    "cap": "max_rate",
}
"""The clauses of a phase: rule of the grammar to spelling."""

_LENGTH = Field("duration", REQUIRED, "how long the phase lasts (`over`)")
_CAP = Field("positiveRate", None, "a cap of the phase's own (`max_rate`)")

PHASES: dict[str, PhaseType] = {
    "steady": PhaseType(
        "base_rate",
        {"over": "duration", "cap": "max_rate"},
        {"base_rate": Field("rate", REQUIRED, "the rate"), "duration": _LENGTH, "max_rate": _CAP},
        "steady 50/s over 10s",
    ),
    "ramp": PhaseType(
        "start_rate",
        {"to": "end_rate", "over": "duration", "cap": "max_rate"},
        {
            "start_rate": Field("rate", REQUIRED, "the rate at the start"),
            "end_rate": Field("rate", REQUIRED, "the rate at the end (`->`)"),
            "duration": _LENGTH,
            "ramp_type": Field("rampType", "linear", "the shape of the way"),
            "max_rate": _CAP,
        },
        "ramp 10/s -> 200/s over 4s",
    ),
    "sine": PhaseType(
        "base_rate",
        {"swing": "amplitude", "every": "period", "over": "duration", "from": "phase", "cap": "max_rate"},
        {
            "base_rate": Field("rate", REQUIRED, "the rate it swings around"),
            "amplitude": Field("rate", REQUIRED, "how far it swings (`+-`)"),
            "period": Field("duration", REQUIRED, "the length of one swing (`every`)"),
            "duration": _LENGTH,
            "phase": Field("angle", 0, "where in the swing it begins, in radians (`from`)"),
            "max_rate": _CAP,
        },
        "sine 200/s +- 80/s every 2s over 6s",
    ),
    "burst": PhaseType(
        "base_rate",
        {"to": "burst_rate", "for": "burst_duration", "every": "burst_interval", "over": "duration", "cap": "max_rate"},
        {
            "base_rate": Field("rate", REQUIRED, "the rate between bursts"),
            "burst_rate": Field("rate", REQUIRED, "the rate in a burst (`->`)"),
            "burst_duration": Field("duration", REQUIRED, "the length of a burst (`for`)"),
            "burst_interval": Field("duration", REQUIRED, "from one burst to the next (`every`)"),
            "duration": _LENGTH,
            "max_rate": _CAP,
        },
        "burst 50/s -> 400/s for 500ms every 2s over 6s",
    ),
    "staircase": PhaseType(
        "start_rate",
        {"to": "end_rate", "steps": "steps", "over": "duration", "cap": "max_rate"},
        {
            "start_rate": Field("rate", REQUIRED, "the rate of the first step"),
            "end_rate": Field("rate", REQUIRED, "the rate of the last step (`->`)"),
            "steps": Field("stepCount", REQUIRED, "how many steps (`in N steps`)"),
            "duration": _LENGTH,
            "max_rate": _CAP,
        },
        "staircase 50/s -> 250/s in 5 steps over 25s",
    ),
    "chaos": PhaseType(
        "base_rate",
        {"top": "max_rate", "every": "period", "over": "duration", "seed": "seed"},
        {
            "base_rate": Field("rate", REQUIRED, "the lowest rate drawn"),
            "max_rate": Field("rate", REQUIRED, "the highest rate drawn (`..`)"),
            "period": Field("duration", REQUIRED, "how long each draw holds (`every`)"),
            "duration": _LENGTH,
            "seed": Field("seed", 0, "which curve is drawn (`seed`)"),
        },
        "chaos 20/s .. 300/s every 500ms over 10s seed 7",
    ),
    "points": PhaseType(
        None,
        {"cap": "max_rate"},
        {
            "points": Field("points", REQUIRED, "the points of the curve"),
            "interpolation": Field("interpolation", "linear", "what happens between two points"),
            "max_rate": _CAP,
        },
        "points linear { 0s 10/s, 5s 80/s }",
    ),
    "replay": PhaseType(
        "file",
        {"times": "scale", "speed": "speed", "cap": "max_rate"},
        {
            "file": Field("file", REQUIRED, "the recorded curve, beside the scenario"),
            "scale": Field("factor", 1, "what every rate is multiplied by (`x`)"),
            "speed": Field("factor", 1, "how many times faster it is replayed (`speed`)"),
            "max_rate": _CAP,
        },
        'replay "traffic.csv" x 1.5',
    ),
    "custom": PhaseType(
        None,
        {"cap": "max_rate"},
        {
            "phases": Field("phases", REQUIRED, "the phases, one after another"),
            "repeat": Field("repeats", 1, "how many times the sequence runs"),
            "max_rate": _CAP,
        },
        "repeat 3 { … then … }",
    ),
    "overlay": PhaseType(
        None,
        {"cap": "max_rate"},
        {"layers": Field("phases", REQUIRED, "the phases that run at the same time"), "max_rate": _CAP},
        "together { … and … }",
    ),
}
CHOICES = {"rampType", "interpolation", "process", "encoding", "pacing", "ownServer", "place", "end"}
"""The kinds whose values are words. A bare name where one is due is that word and never a param."""
NESTED = {"custom": "phases", "overlay": "layers"}
"""The phase types made of other phases, and the field that holds them."""

POSITIONS = {"mean-up": 0, "peak": math.pi / 2, "mean-down": math.pi, "trough": 3 * math.pi / 2}
"""Where a sine may begin, in radians."""

GUARDRAILS: dict[str, tuple[str, Field]] = {
    "max_rate": ("max_rate", Field("positiveRate", REQUIRED, "the most jobs a second that leave")),
    "max_total_jobs": ("max_total_jobs", Field("count", REQUIRED, "the most jobs a run sends")),
    "max_duration": ("max_duration", Field("duration", REQUIRED, "the longest a run sends")),
    "max_memory": ("max_memory_mb", Field("megabytes", None, "the most memory plg takes, in units of 10^6 bytes")),
    "max_cpu": ("max_cpu_percent", Field("cpuPercent", None, "the most of one core plg takes, in percent")),
    "max_queue_depth": ("max_queue_depth", Field("natural", None, "the most jobs that wait")),
    "max_queue_age": ("max_queue_age", Field("duration", None, "the longest a job waits")),
    "max_error_rate": ("max_error_rate", Field("errorRate", None, "the most errors, over a while")),
    "rate_limit_window": ("rate_limit_window", Field("duration", "1s", "the window that max_rate is counted in")),
    "warn_at": ("warn_at", Field("percent", "80%", "the share of a limit at which a warning is given")),
    "emergency_stop": ("emergency_stop", Field("switch", True, "whether a limit that is reached stops the run")),
}
"""The guardrails: spelling in the DSL to field of the document."""

ERROR_RATE = {
    "percent": Field("percent", REQUIRED, "the most errors, in percent of the jobs answered"),
    "over": Field("duration", "10s", "the time they are counted over"),
}

JOB: dict[str, Field] = {
    "name": Field("name", REQUIRED, "the name of this kind of job"),
    "weight": Field("weight", 1, "its share of the jobs, against the other kinds"),
    "queue": Field("queue", None, "the list it is pushed to, or the queue of a framework"),
    "push": Field("end", "left", "the end of a list that it is pushed to: left, or right for workers that BLPOP"),
    "stream": Field("key", None, "the stream it is added to, instead of a list"),
    "max_len": Field("count", None, "the length the stream is trimmed to"),
    "encoding": Field("encoding", "json", "json: in an envelope; raw: the payload alone"),
    "priority": Field("priority", 0, "the priority written into the job"),
    "timeout": Field("duration", None, "the timeout written into the job"),
    "delay": Field("duration", None, "how long after it is sent the job is due"),
    "retry": Field("retry", 0, "how often it is tried again"),
    "enqueued_at": Field("place", None, "where a raw payload holds its moment of enqueueing"),
    "call": Field("call", None, "the task, function, actor or class that a worker runs"),
    "args": Field("args", [], "its arguments; their strings may hold templates"),
    "kwargs": Field("kwargs", {}, "its keyword arguments; their strings may hold templates"),
    "payload": Field("payload", {}, "what the job carries; its strings may hold templates"),
}
CONTENTS = ("payload", "args", "kwargs")
"""The settings of a job that hold JSON values with templates in them."""
RETRY = {
    "max": Field("natural", REQUIRED, "how often a job that failed is tried again"),
    "backoff": Field("time", "0s", "how long after each failure"),
}
WORKERS = {
    "count": Field("workerCount", REQUIRED, "how many workers"),
    "each": Field("time", REQUIRED, "how long each is busy with a job"),
    "only": Field("ownServer", None, "the servers that they take jobs from: embedded, those that plg started"),
}
POINT = {
    "at": Field("time", REQUIRED, "when, from the start of the phase"),
    "rate": Field("rate", REQUIRED, "the rate then"),
}
SINGLE = {
    "max_lag": Field("time", "1s", "the longest an arrival may be overdue before it is dropped"),
    "watch": Field("time", None, "how long the queue is watched after the last send"),
}
"""Amounts that stand in the document itself."""
ARRIVALS = {
    "process": Field("process", "uniform", "evenly spaced, or at random"),
    "seed": Field("seed", None, "the seed of random arrivals"),
}
DEFAULT_QUEUE = "plg:jobs"
"""The list that jobs with neither queue nor stream go to."""

SCENARIO_FIELDS = (
    "name",
    "description",
    "tags",
    "params",
    "target",
    "data",
    "jobs",
    "job_config",
    "workers",
    "connections",
    "pacing",
    "max_lag",
    "watch",
    "arrivals",
    "pattern",
    "guardrails",
    "expect",
)
"""The fields of a document, in the order in which they are written."""
