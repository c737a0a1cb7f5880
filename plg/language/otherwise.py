"""What others call the things of the language, so that a word from another tool is answered with the one to write."""

from __future__ import annotations

import re

STATEMENTS = {
    "limits": "guardrails", "limit": "guardrails", "guards": "guardrails", "safety": "guardrails",
    "expectations": "expect", "assert": "expect", "assertions": "expect", "thresholds": "expect", "checks": "expect",
    "slo": "expect", "slos": "expect", "load": "traffic", "phases": "traffic", "stages": "traffic",
    "pattern": "traffic", "arrivals": "traffic", "jobs": "job", "task": "job", "message": "job", "url": "target",
    "redis": "target", "broker": "target", "vars": "param", "var": "param", "variables": "param", "params": "param",
    "let": "param", "consumers": "workers", "name": "scenario",
}  # fmt: skip
PHASES = {
    "constant": "steady", "flat": "steady", "hold": "steady", "fixed": "steady", "rate": "steady", "linear": "ramp",
    "rampup": "ramp", "ramp_up": "ramp", "ramp-up": "ramp", "sinus": "sine", "wave": "sine", "sinusoid": "sine",
    "spike": "burst", "bursts": "burst", "spikes": "burst", "steps": "staircase", "stairs": "staircase",
    "step": "staircase", "random": "chaos", "noise": "chaos", "wait": "pause", "sleep": "pause", "idle": "pause",
    "silence": "pause", "rest": "pause", "loop": "repeat", "parallel": "together", "overlay": "together",
    "curve": "points", "recording": "replay", "trace": "replay", "file": "replay",
}  # fmt: skip
CLAUSES = {
    "for": "over", "during": "over", "lasting": "over", "duration": "over", "within": "over", "to": "->", "until": "->",
    "period": "every", "amplitude": "+-", "cap": "max_rate", "limit": "max_rate", "start": "from", "times": "x",
}  # fmt: skip
OPERATORS = {
    "below": "<", "under": "<", "less": "<", "above": ">", "over": ">", "greater": ">", "equals": "==", "is": "==",
    "=<": "<=", "=>": ">=", "<>": "!=", "===": "==",
}  # fmt: skip
AGGREGATES = {
    "avg": "mean", "average": "mean", "median": "p50", "maximum": "max", "minimum": "min", "p100": "max", "p0": "min",
}  # fmt: skip
_UNITS = {
    "s": ("sec", "secs", "second", "seconds"), "m": ("min", "mins", "minute", "minutes"),
    "h": ("hr", "hrs", "hour", "hours"), "d": ("day", "days"), "ms": ("msec", "msecs", "millis", "milliseconds"),
    "us": ("usec", "micros", "microseconds"),
}  # fmt: skip
UNITS = {word: unit for unit, words in _UNITS.items() for word in words}
_RATES = re.compile(r"(?i)(?:r|q|t|m|j)?ps|hz")


def quantity(text: str) -> str:
    """How an amount with a unit of others is written: ``1min`` is ``1m``, ``10rps`` ``10/s``; "" where that is open."""
    found = re.fullmatch(r"([0-9][0-9_.]*)\s*(/?)\s*([A-Za-zµ]+)", text)
    if found is None:
        return ""
    number, slash, word = found.groups()
    if not slash and _RATES.fullmatch(word):
        return f"{number}/s"
    unit = UNITS.get(word.lower(), "")
    return f"{number}{slash}{unit}" if unit else ""


def count(text: str) -> str:
    """How ``5k`` or ``1.5M`` is written where a whole number is due; "" where it is none."""
    found = re.fullmatch(r"([0-9]+)([kKmM])", text)
    return f"{found[1]}_{'000' if found[2] in 'kK' else '000_000'}" if found else ""
