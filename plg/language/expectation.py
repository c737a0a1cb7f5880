"""Expectations: what a text means, and whether it makes sense in a scenario."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from typing import Any, Literal, cast

from plg.diagnostics import Fault, nearest
from plg.language import otherwise, strings
from plg.language.expectation_text import WITHIN, expectation_tree, means_deadline
from plg.measures import AGGREGATES, MEASURES, OF_THE_RUN, RECKONED_FROM, Measure, is_aggregate
from plg.scenario import Expectation, Recovery, Subject
from plg.units import (
    DURATION_UNITS,
    SIZE_UNITS,
    UnitError,
    parse_duration,
    parse_percent,
    parse_rate,
    parse_size,
    plain_digits,
)


def read_expectation(
    text: str, phases: Collection[str], *, file: str | None = None, line: int | None = None
) -> tuple[Expectation | None, list[Fault]]:
    """What ``text`` means in a scenario with these ``phases``, or everything that is wrong with it.

    Params must have been replaced. The bound is in the measure's base unit (seconds, jobs, fraction, bytes).
    """
    tree, faults = expectation_tree(text)
    if tree is None or faults:
        return None, list(faults)
    reader = _Reader(text, phases)
    result = reader.expectation(tree, file, line)
    return (None if reader.faults else result), reader.faults


class _Reader:
    def __init__(self, text: str, phases: Collection[str]) -> None:
        self.text, self.phases = text, phases
        self.faults: list[Fault] = []

    def fault(self, code: str, message: str, node: Any, help: str = "") -> None:
        place = (node.start_pos, node.end_pos) if isinstance(node, str) else (node.meta.start_pos, node.meta.end_pos)  # type: ignore[attr-defined]  # a token is a string with a place
        self.faults.append(Fault(code, message, help=help, offsets=place))

    def expectation(self, tree: Any, file: str | None, line: int | None) -> Expectation | None:
        level: Literal["expect", "warn"] = "expect"
        tails: dict[str, Any] = {}
        parts: dict[str, Any] = {}
        for child in tree.children:
            if isinstance(child, str):
                if child.type == "WARN":  # type: ignore[attr-defined]  # a token
                    level = "warn"
                else:
                    parts["operator"] = child
            elif child.data in ("subject", "bound"):
                parts[child.data] = child
            else:
                self.tail(child, tails)
        operator = parts["operator"]
        if operator == "=":
            self.fault("unknown-operator", "`=` does not compare", operator, "did you mean `==`?")
        subject: Subject | None = Subject("queue_depth")
        measure: Measure | None = MEASURES["queue_depth"]
        bound: float | None = 0.0
        relative, factor = None, 1.0
        if "subject" in parts:
            subject, measure = self.subject(parts["subject"], tails.get("during"))
            bound, relative, factor = self.bound(parts["bound"], measure, subject)
        window, quota = self.window(tails.get("window"), measure)
        recovery = self.recovery(operator, tails, measure)
        self.stops(measure, tails.get("stop"))
        if subject is None or measure is None:
            return None
        op = "<=" if operator.type in ("RETURNS", "DRAINED") else str(operator)
        compared = cast(Literal["<", "<=", ">", ">=", "==", "!="], op)
        stop = "stop" in tails
        return Expectation(
            self.text, subject, compared, bound, relative, factor, window, quota, level, stop, file, line, recovery
        )

    def recovery(self, operator: Any, tails: Mapping[str, Any], measure: Measure | None) -> Recovery | None:
        """What has to come true in time, where the line says in which."""
        kind: Literal["drained", "reaches", "returns"] = "reaches"
        if operator.type in ("RETURNS", "DRAINED"):
            kind = "returns" if operator.type == "RETURNS" else "drained"
        node = tails.get("within")
        if node is None:
            if kind != "reaches":
                word = "drained" if kind == "drained" else "returns to"
                self.fault("needs-deadline", f"`{word}` needs the time for it", operator, _DEADLINE)
            return None
        self.fits_deadline(kind, tails, measure, operator)
        amount, name = node.children
        within = self.measured(amount, parse_duration, "a duration such as 90s")
        if within is not None and not 0 < within <= MOST_WITHIN:
            self.fault("out-of-range", "the time must be longer than 0 and at most 24h", amount)
        phase = self.phase_called(name)
        since: Literal["start", "end"] = "end" if WITHIN[node.data] == "after" else "start"
        return None if within is None else Recovery(kind, within, phase, since)

    def fits_deadline(self, kind: str, tails: Mapping[str, Any], measure: Measure | None, operator: Any) -> None:
        """What a line with a deadline cannot say besides."""
        counted = kind == "reaches" and measure is not None and measure.kind not in ("time", "gauge")
        if measure is not None and (counted or measure.name in OF_THE_RUN):
            self.fault(
                "unexpected-deadline", f"{measure.name} is one figure of its span, and has no moment",
                tails["within"], "leave `within …` out; times and gauges take it, such as queue_depth or p95(latency)",
            )  # fmt: skip
        if "during" in tails:
            help = "leave `during …` out: `within … after PHASE` and `within … of PHASE` say when"
            self.fault("unexpected-phase", "the line says twice when it is judged", tails["during"], help)
        window = tails.get("window")
        if window is not None and (kind == "drained" or window.data != "every_window"):
            help = "leave `in …` out" if kind == "drained" else "write `in every 2s`: that long it has to hold"
            self.fault("unexpected-window", "a line with a deadline does not count windows", window, help)
        if "stop" in tails:
            help = "leave `or stop` out: the line is known when its time is over"
            self.fault("unexpected-stop", "a line with a deadline does not end a run", tails["stop"], help)

    def stops(self, measure: Measure | None, node: Any) -> None:
        """What is reckoned from all samples of a span is known when it is over."""
        if node is not None and measure is not None and measure.name in RECKONED_FROM:
            help = "leave `or stop` out; queue_depth and workers take it"
            self.fault("unexpected-stop", f"{measure.name} is known when its span is over", node, help)

    def tail(self, node: Any, tails: dict[str, Any]) -> None:
        kind = "window" if node.data.endswith(("window", "windows")) else str(node.data)
        kind = "within" if kind in WITHIN else kind
        if kind in tails:
            self.fault("duplicate-key", f"`{'in' if kind == 'window' else kind}` is given twice", node)
        tails[kind] = node

    def subject(self, node: Any, later: Any = None) -> tuple[Subject | None, Measure | None]:
        """``p99(latency) during stampede``; ``later`` is a ``during`` that follows the bound."""
        head, *own = node.children
        if own and later is not None:
            self.fault("duplicate-key", "`during` is given twice", later)
        during = self.phase(own[0] if own else later)
        if isinstance(head, str):
            measure = self.measure(head)
            self.own_span(measure, own[0] if own else later)
            if measure is not None and measure.kind == "time":
                takes = ", ".join(AGGREGATES)
                help = f"write p99({head}); the aggregates are {takes}, or any other percentile"
                self.fault("needs-aggregate", f"{head} is many values: say which one is meant", head, help)
            return (Subject(str(head), None, during), measure) if measure else (None, None)
        aggregate, name = head.children
        measure = self.measure(name)
        self.aggregate(aggregate, measure)
        return (Subject(str(name), str(aggregate), during), measure) if measure else (None, None)

    def measure(self, token: Any) -> Measure | None:
        if token in MEASURES:
            return MEASURES[token]
        suggestion = nearest(token, MEASURES)
        help = f"did you mean {suggestion}?" if suggestion else "known: " + ", ".join(MEASURES)
        if is_aggregate(plain_digits(token)):
            help = f"write {plain_digits(token)}(latency)"
        self.fault("unknown-measure", f"there is no measure {str(token)!r}", token, help)
        return None

    def own_span(self, measure: Measure | None, node: Any) -> None:
        """drain_time begins at the last send of the run, and no phase has a last send of its own that drains."""
        if measure is not None and measure.name == "residue" and node is not None:
            words = "residue is one value of the whole run: it is what is left at the end"
            self.fault("unexpected-phase", words, node, "leave `during …` out")
        elif measure is not None and measure.name == "drain_time" and node is not None:
            self.fault(
                "unexpected-phase",
                "drain_time is one value of the whole run: it counts from the last send, in whichever phase that is",
                node,
                "leave `during …` out; queue_age during PHASE tells how long the jobs of a phase waited",
            )

    def aggregate(self, token: Any, measure: Measure | None) -> None:
        takes = ", ".join(AGGREGATES)
        if not is_aggregate(token):
            plain = plain_digits(token)
            said = plain if plain != token and is_aggregate(plain) else otherwise.AGGREGATES.get(token.lower())
            suggestion = said or nearest(token, AGGREGATES)
            help = (f"did you mean {suggestion}? " if suggestion else "") + f"the aggregates are {takes}"
            self.fault("unknown-aggregate", f"there is no aggregate {str(token)!r}", token, help)
        elif measure is not None and measure.kind not in ("time", "gauge"):
            self.fault(
                "unexpected-aggregate",
                f"{measure.name} is one value and takes no aggregate",
                token,
                f"write {measure.name} alone",
            )

    def phase(self, node: Any) -> str | None:
        if node is None:
            return None
        return self.phase_called(node.children[0])

    def phase_called(self, token: Any) -> str:
        name = strings.unquote(token) if token.type == "STRING" else str(token)
        if name not in self.phases:
            suggestion = nearest(name, self.phases)
            known = ", ".join(itertools.islice(self.phases, 10))
            help = f"did you mean {suggestion}?" if suggestion else f"the phases are {known}"
            self.fault("unknown-phase", f"there is no phase {name!r}", token, help)
        return name

    # The bound --------------------

    def bound(
        self, node: Any, measure: Measure | None, subject: Subject | None
    ) -> tuple[float | None, Subject | None, float]:
        first = node.children[0]
        if isinstance(first, str):
            if first.type == "REF":  # type: ignore[attr-defined]  # a token
                self.fault("unknown-param", f"there is no param {first[1:]!r}", first)
                return None, None, 1.0
            return (self.amount(first, measure) if measure else None), None, 1.0
        factor = 1.0
        if first.data == "factor":
            factor = self.factor(first.children[0])
        other = node.children[-1]
        if first.data == "subject" and isinstance(first.children[0], str) and first.children[0] not in MEASURES:
            word = first.children[0]
            suggestion = nearest(word, MEASURES)
            help = f"did you mean {suggestion}?" if suggestion else "write a number with its unit"
            self.fault("unknown-param", f"{str(word)!r} is neither a param nor a measure", word, help)
            return None, None, factor
        relative, theirs = self.subject(other)
        if theirs is not None and theirs.name in OF_THE_RUN and relative is not None and relative.during is None:
            help = "write a time" if theirs.unit == "s" else "write a number"
            self.fault("compares-itself", f"{theirs.name} is one value of the run and bounds nothing", other, help)
        elif relative is not None and relative.during is None:
            self.fault(
                "needs-phase",
                "a measure as a bound needs its phase",
                other,
                "write for example 1.2 * p95(latency) during doors",
            )
        if measure is not None and theirs is not None and measure.unit != theirs.unit:
            self.fault("wrong-unit", f"{measure.name} and {theirs.name} are not the same kind of quantity", other)
        if relative is not None and relative == subject and relative.during and relative.measure not in OF_THE_RUN:
            self.fault("compares-itself", "both sides are the same measure", other, "name another phase")
        return None, relative, factor

    def factor(self, token: Any) -> float:
        text = strings.compact(token)
        if token.type == "QUANTITY" and strings.PLAIN_NUMBER.fullmatch(text):
            try:
                value = float(strings.number(text))
            except ValueError:
                value = -1.0
            if value > 0:
                return value
            self.fault("out-of-range", "the factor must be more than 0", token)
            return 1.0
        if token.type == "QUANTITY":
            self.fault("wrong-unit", "the factor is a number without a unit", token)
        else:
            self.fault("unknown-param", f"there is no param {str(token).lstrip('$')!r}", token)
        return 1.0

    def amount(self, token: Any, measure: Measure) -> float | None:
        """The bound in the base unit of ``measure``."""
        text = strings.compact(token)
        if text.startswith("-") and measure.name != "backlog_slope":
            self.fault("out-of-range", f"{measure.name} is never negative", token)
            return None
        try:
            return -_amount(text[1:], measure) if text.startswith("-") else _amount(text, measure)
        except UnitError as error:
            if not error.known:
                self.fault("out-of-range", str(error), token)
                return None
            wanted, example = _WANTED[measure.unit]
            known = ", ".join(error.known)
            if error.unit is not None:
                self.fault("unknown-unit", f"unknown unit {error.unit!r}", token, f"known units: {known}")
            elif strings.PLAIN_NUMBER.fullmatch(text):
                self.fault(
                    "missing-unit",
                    f"{text} has no unit; {measure.name} is {wanted}",
                    token,
                    f"write it such as {example}",
                )
            else:
                share = measure.name == "errors" and text.endswith("%")
                help = "error_rate is their percentage" if share else f"write it such as {example}"
                self.fault("wrong-unit", f"{measure.name} is {wanted}, not {text}", token, help)
        except ValueError:
            self.fault("out-of-range", f"{text[:30]} is too large", token)
        return None

    def window(self, node: Any, measure: Measure | None) -> tuple[float | None, float]:
        if node is None:
            return None, 1.0
        if means_deadline(node):
            amount, phase = (strings.compact(child) for child in node.children)
            help = f"write `within {amount} of {phase}`, or `within {amount} after {phase}` for the time from its end"
            self.fault("unexpected-window", "`in … of` counts windows by a percentage", node, help)
            return None, 1.0
        if measure is not None and measure.name in OF_THE_RUN:
            self.fault("unexpected-window", f"{measure.name} is one value for the whole run", node, "leave `in …` out")
        width = self.measured(node.children[-1], parse_duration, "a duration such as 1s")
        if width is not None and not 0 < width <= 366 * 86400:
            self.fault("out-of-range", "a window must be longer than 0 and at most 366 days", node.children[-1])
        quota: float | None = 1.0
        if node.data == "share_of_windows":
            quota = self.measured(node.children[0], parse_percent, "a percentage such as 99%")
            if quota is not None and not 0 < quota <= 1:
                self.fault(
                    "out-of-range", "the share of windows must be more than 0% and at most 100%", node.children[0]
                )
        return width, 1.0 if quota is None else quota

    def measured(self, token: Any, parse: Any, wanted: str) -> float | None:
        if token.type in ("NAME", "REF"):
            self.fault("unknown-param", f"there is no param {str(token).lstrip('$')!r}", token)
            return None
        text = strings.compact(token)
        try:
            return float(parse(text))
        except UnitError as error:
            code = "missing-unit" if strings.PLAIN_NUMBER.fullmatch(text) else "wrong-unit"
            code = "unknown-unit" if error.unit is not None else code
            if error.known:
                self.fault(code, f"expected {wanted}, not {text}", token, "known units: " + ", ".join(error.known))
            else:
                self.fault("out-of-range", str(error), token)
        except ValueError:
            self.fault("out-of-range", f"{text[:30]} is too large", token)
        return None


MOST_WITHIN = 86_400.0
"""The longest deadline (s)."""
_DEADLINE = "write for example `within 90s after PHASE` (from its end) or `within 45s of PHASE` (from its start)"
_WANTED: Mapping[str, tuple[str, str]] = {
    "s": ("a time", "250ms"),
    "jobs": ("a number of jobs", "100"),
    "jobs/s": ("a rate", "100/s"),
    "fraction": ("a percentage", "5%"),
    "bytes": ("a size", "512MB"),
}


def _amount(text: str, measure: Measure) -> float:
    if measure.unit == "s":
        if text == "0":
            return 0.0
        return _known(parse_duration, text, DURATION_UNITS)
    if measure.unit == "fraction":
        return 0.0 if text == "0" else parse_percent(text)
    if measure.unit == "jobs/s":
        return 0.0 if text == "0" else parse_rate(text)
    if measure.unit == "bytes":
        return 0.0 if text == "0" else _known(parse_size, text, SIZE_UNITS)
    if not strings.PLAIN_NUMBER.fullmatch(text):
        raise UnitError(f"{text!r} is not a number", ("a plain number",))
    return float(strings.number(text))


def _known(parse: Any, text: str, units: Mapping[str, Any]) -> float:
    """Parse a quantity; one that carries another quantity's unit (``5%`` for a time) is not an unknown unit."""
    try:
        return float(parse(text))
    except UnitError as error:
        foreign = error.unit in DURATION_UNITS or error.unit in SIZE_UNITS
        known = tuple(units) if error.known else ()  # without any, it is the number that is wrong
        raise UnitError(str(error), known, None if foreign else error.unit) from None
