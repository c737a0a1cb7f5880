"""Kinds of value a field can hold, and what is wrong with a value that is not of its kind.

A *kind* is a definition of the scenario schema. `fault_of` agrees with the schema on every value (a test compares
them) and says in plain words what the schema can only refuse.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from plg.diagnostics import Fault, nearest
from plg.language import otherwise
from plg.language.strings import HUGE, number
from plg.redaction import conceal
from plg.units import (
    DURATION_UNITS,
    UnitError,
    parse_duration,
    parse_percent,
    parse_rate,
    parse_size,
    plain_digits,
)

MAX_RATE = 1e9
"""Jobs per second that no machine reaches: more is a slip of the pen."""
MIN_DURATION = 1e-9
"""Shorter is a slip of the pen too, and a run holds more of it than can be counted."""
MAX_DURATION = 366 * 86400.0
MAX_INTEGER = 2**53 - 1
"""The largest integer that JSON carries everywhere."""
MAX_COUNT = 10**12


def is_reference(value: Any) -> bool:
    """Whether ``value`` is ``{param: NAME}``, a reference that stands for a scalar."""
    return isinstance(value, dict) and set(value) == {"param"} and isinstance(value["param"], str)


def is_number(value: Any) -> bool:
    """Whether ``value`` is a number (and not a boolean), finite and small enough to be a float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= HUGE


def show(value: Any) -> str:
    """A value in an error message: short and recognisable."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, int) and abs(value) > HUGE:
        return "a number of hundreds of digits"
    text = conceal(value) if isinstance(value, str) else repr(value)
    text = text if len(text) <= 40 else text[:37] + "..."
    return f"{text!r}" if isinstance(value, str) and not re.fullmatch(r"[\w./%+-]+", text) else text


def rate(value: Any) -> float:
    """Jobs per second of a valid rate field."""
    return parse_rate(value) if isinstance(value, str) else float(value)


def duration(value: Any) -> float:
    """Seconds of a valid duration field."""
    return parse_duration(value) if isinstance(value, str) else float(value)


def fraction(value: Any) -> float:
    """The fraction of a valid percent field: ``"80%"`` and 80 are both 0.8."""
    return parse_percent(value) if isinstance(value, str) else float(value) / 100


def _unit_fault(error: UnitError, text: str, wanted: str) -> Fault:
    if not error.known:
        return Fault("out-of-range", str(error))
    known = ", ".join(error.known)
    if meant := otherwise.quantity(text):
        return Fault(
            "unknown-unit", f"does not know the unit {error.unit!r}" if error.unit else wanted, help=f"write {meant}"
        )
    if error.unit is None:
        return Fault("wrong-type", wanted, help=f"known units: {known}")
    suggestion = nearest(error.unit, [unit.strip("/") for unit in error.known])
    help = f"known units: {known}" + (f"; did you mean {suggestion}?" if suggestion else "")
    return Fault("unknown-unit", f"does not know the unit {error.unit!r}", help=help)


def _quantity(
    value: Any, parse: Callable[[str], float], wanted: str, low: float, high: float, limits: str, *, above: bool = False
) -> Fault | None:
    """A number or a string with a unit, within ``low`` and ``high`` in the base unit (``above``: low excluded)."""
    if isinstance(value, str):
        if value.lstrip().startswith("-"):
            return Fault("out-of-range", f"must not be negative, and is {show(value)}")
        try:
            amount = parse(value)
        except UnitError as error:
            return _unit_fault(error, value, f"must be {wanted}, not {show(value)}")
        except ValueError:
            return Fault("out-of-range", f"is too large: {show(value)}", help=limits)
    elif is_number(value):
        amount = float(value)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return Fault("out-of-range", f"must be finite, not {show(value)}")
    else:
        return Fault("wrong-type", f"must be {wanted}, not {show(value)}")
    if amount < low:
        return Fault("out-of-range", f"must not be negative, and is {show(value)}")
    if above and amount == low:
        return Fault("out-of-range", f"must be more than 0, and is {show(value)}")
    if amount > high:
        return Fault("out-of-range", f"is too large: {show(value)}", help=limits)
    return None


def _integer(value: Any, low: int, high: int) -> Fault | None:
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or value != value
        or value in (math.inf, -math.inf)
    ):
        meant = otherwise.count(value) if isinstance(value, str) else ""
        return Fault("wrong-type", f"must be a whole number, not {show(value)}", help=f"write {meant}" if meant else "")
    if value != int(value):
        return Fault("wrong-type", f"must be a whole number, not {show(value)}")
    if not low <= value <= high:
        return Fault("out-of-range", f"must be from {low:,} to {high:,}, and is {show(value)}")
    return None


def _number(value: Any, low: float, high: float, *, above: bool = False) -> Fault | None:
    if not is_number(value):
        return Fault("wrong-type", f"must be a number, not {show(value)}")
    if value < low or (above and value == low) or value > high:
        bottom = "more than" if above else "at least"
        return Fault("out-of-range", f"must be {bottom} {low:,g} and at most {high:,.0f}, and is {show(value)}")
    return None


def _rate(value: Any, *, above: bool = False) -> Fault | None:
    wanted = "a rate such as 10/s"
    return _quantity(value, parse_rate, wanted, 0, MAX_RATE, "a rate is at most 1e9 a second", above=above)


def _duration(value: Any, *, above: bool = True) -> Fault | None:
    wanted = "a duration such as 250ms or 1m30s"
    limits = "a duration is at most 366 days"
    fault = _quantity(value, parse_duration, wanted, 0, MAX_DURATION, limits, above=above)
    if fault is None and above and duration(value) < MIN_DURATION:
        return Fault("out-of-range", f"is too short: {show(value)}", help="a duration is at least 1 ns, 0.001us")
    return fault


def _percent(value: Any, high: float = 100.0) -> Fault | None:
    wanted = "a percentage such as 80%"
    limits = f"a percentage here is at most {high:g}%"
    return _quantity(value, lambda text: parse_percent(text) * 100, wanted, 0, high, limits, above=True)


def _text(value: Any, low: int, high: int) -> Fault | None:
    if not isinstance(value, str):
        return Fault("wrong-type", f"must be a string, not {show(value)}")
    if len(value) < low:
        return Fault("out-of-range", "must not be empty")
    if len(value) > high:
        return Fault("out-of-range", f"is longer than {high} characters")
    if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", value):
        return Fault("out-of-range", "holds a control character")
    return None


def _name(value: Any) -> Fault | None:
    fault = _text(value, 1, 100)
    if fault is None and not re.fullmatch(r"[^\s\"\\](?:[^\"\\\x00-\x1f\x7f]*[^\s\"\\])?", value):
        return Fault("bad-name", f"{show(value)} is no name: no quotes, backslashes, line breaks or blanks around it")
    return fault


def _place(value: Any) -> Fault | None:
    fault = _text(value, 1, 1000)
    if fault is None and not re.fullmatch(r"payload(\.[^.\x00-\x1f\x7f]+)*", value):
        return Fault(
            "wrong-type", f"must be a path into the payload, not {show(value)}", help="write it such as payload.created"
        )
    return fault


def _queue(value: Any) -> Fault | None:
    """A key, or a framework's queue: its kind, its name, and settings that are single values."""
    if not isinstance(value, dict):
        return _text(value, 1, 1000)
    for name, check in (("kind", _kind), ("name", lambda found: _text(found, 1, 1000))):
        if name not in value:
            return Fault("missing-field", f"has no `{name}`", help="write it as {kind: rq, name: default}")
        fault = None if is_reference(value[name]) else check(value[name])
        if fault is not None:
            return Fault(fault.code, f"has a `{name}` that {fault.message}", help=fault.help)
    for name, setting in value.items():
        if not isinstance(setting, str | int | float) and not is_reference(setting):
            return Fault("wrong-type", f"has a `{name}` that must be a single value, not {show(setting)}")
    return None


def _kind(value: Any) -> Fault | None:
    fault = _text(value, 1, 100)
    if fault is None and not re.fullmatch(r"[a-z][a-z0-9_]*", value):
        help = "kinds are words such as rq, celery, bullmq, list or stream; `plg queues` lists them all"
        return Fault("bad-name", f"is no kind of queue: {show(value)}", help=help)
    return fault


def _retry(value: Any) -> Fault | None:
    """A number of times, or that and the time between them."""
    if not isinstance(value, dict):
        return _integer(value, 0, MAX_COUNT)
    if "max" not in value:
        return Fault("missing-field", "has no `max`", help="write it as {max: 3, backoff: 1s}")
    checks: dict[Any, Callable[[Any], Fault | None]] = {
        "max": lambda found: _integer(found, 0, MAX_COUNT),
        "backoff": lambda found: _duration(found, above=False),
    }
    for name, found in value.items():
        if name not in checks:
            return Fault("unknown-key", f"takes no `{name}`", help="it has `max` and `backoff`")
        fault = None if is_reference(found) else checks[name](found)
        if fault is not None:
            return Fault(fault.code, f"has a `{name}` that {fault.message}", help=fault.help)
    return None


def _megabytes(value: Any) -> Fault | None:
    """A number of 10^6 bytes. The DSL writes a size with its unit; a string is left here only where it is wrong."""
    if not isinstance(value, str):
        return _number(value, 0, 10**9, above=True)
    try:
        parse_size(value)
    except UnitError as error:
        if error.unit is not None and error.unit not in DURATION_UNITS:
            return _unit_fault(error, value, "")
    except ValueError:
        pass
    return Fault(
        "wrong-type", f"must be a size, not {show(value)}", help="512MB in the DSL, the number 512 in YAML and JSON"
    )


def _choice(*words: str) -> Callable[[Any], Fault | None]:
    def check(value: Any) -> Fault | None:
        if isinstance(value, str) and value in words:
            return None
        known = ", ".join(words)
        suggestion = nearest(value, words) if isinstance(value, str) else None
        help = f"did you mean {suggestion}?" if suggestion else ""
        return Fault("not-one-of", f"must be one of {known}, not {show(value)}", help=help)

    return check


RAMP_TYPES = ("linear", "exponential", "logarithmic")
INTERPOLATIONS = ("linear", "step")
PROCESSES = ("uniform", "poisson")
PACINGS = ("economical", "precise")
ENCODINGS = ("json", "raw")

KINDS: dict[str, Callable[[Any], Fault | None]] = {
    "rate": _rate,
    "positiveRate": lambda value: _rate(value, above=True),
    "duration": _duration,
    "time": lambda value: _duration(value, above=False),
    "percent": _percent,
    "cpuPercent": lambda value: _percent(value, 100_000.0),
    "count": lambda value: _integer(value, 1, MAX_COUNT),
    "natural": lambda value: _integer(value, 0, MAX_COUNT),
    "repeats": lambda value: _integer(value, 1, 10**6),
    "stepCount": lambda value: _integer(value, 1, 10**5),
    "workerCount": lambda value: _integer(value, 1, 1000),
    "connectionCount": lambda value: _integer(value, 1, 64),
    "seed": lambda value: _integer(value, 0, MAX_INTEGER),
    "priority": lambda value: _integer(value, -(10**6), 10**6),
    "weight": lambda value: _number(value, 0, 10**6, above=True),
    "factor": lambda value: _number(value, 0, 10**9, above=True),
    "angle": lambda value: _number(value, -(10**6), 10**6),
    "megabytes": _megabytes,
    "switch": lambda value: (
        None if isinstance(value, bool) else Fault("wrong-type", f"must be true or false, not {show(value)}")
    ),
    "text": lambda value: _text(value, 0, 10_000),
    "key": lambda value: _text(value, 1, 1000),
    "file": lambda value: _text(value, 1, 1000),
    "url": lambda value: _text(value, 1, 2000),
    "place": _place,
    "queue": _queue,
    "retry": _retry,
    "call": lambda value: _text(value, 1, 500),
    "name": _name,
    "rampType": _choice(*RAMP_TYPES),
    "interpolation": _choice(*INTERPOLATIONS),
    "process": _choice(*PROCESSES),
    "pacing": _choice(*PACINGS),
    "ownServer": _choice("embedded"),
    "encoding": _choice(*ENCODINGS),
    "end": _choice("left", "right"),
}


_FIGURES = frozenset(KINDS) - {
    *("switch", "text", "key", "file", "url", "place", "queue", "call", "name"),
    *("rampType", "interpolation", "process", "pacing", "ownServer", "encoding", "end"),
}
"""The kinds that are told by figures."""


def fault_of(kind: str, value: Any) -> Fault | None:
    """What is wrong with ``value`` as a ``kind``, or None. A reference to a param suits every kind."""
    if is_reference(value):
        return None
    fault = KINDS[kind](value)
    if fault is not None and kind in _FIGURES and isinstance(value, str) and (written := plain_digits(value)) != value:
        message = f"must be written with the digits 0 to 9, not {show(value)}"
        return Fault(fault.code, message, help=f"write {written.strip()}")
    return fault


def size_in_mb(text: str) -> int | float:
    """A size in units of 10^6 bytes, an int where it is whole."""
    parse_size(text)
    # Megabytes are taken as they are written: a way through bytes would round.
    amount = number(text[:-2]) if text.endswith("MB") else parse_size(text) / 1e6
    return int(amount) if amount == int(amount) else amount
