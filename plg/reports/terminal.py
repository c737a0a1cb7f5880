"""What a person reads in a terminal or a CI log: functions to text, with colour and ASCII as flags."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from plg.escaping import coloured, one_line
from plg.notices import notices
from plg.outcome import ExpectationResult, Ledger, Outcome
from plg.reports import wording
from plg.reports.ascii_plot import Floats, draw, glyphs
from plg.reports.text_width import columns, cut, pad
from plg.units import format_duration, format_rate

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "cyan": 36, "dim": 2, "bold": 1}
_MARK_COLOURS = {"✓": "green", "✗": "red", "?": "yellow", "!": "yellow"}
_MOST_SHARDS = 16
_VERDICT_COLOURS = {"pass": "green", "invalid": "yellow", "interrupted": "yellow"}
_ASCII = str.maketrans({"✓": "+", "✗": "x", "—": "-", "·": "|", "█": "#", "░": ".", "µ": "u", "│": "|"})


def paint(text: str, colour: str, on: bool) -> str:
    """``text`` in an ANSI colour when ``on``. Colours: red, green, yellow, blue, cyan, dim, bold."""
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if on and text else text


def plain(text: str, ascii_only: bool) -> str:
    """``text`` as a terminal may show it: control characters made visible, and pure ASCII where asked for."""
    safe = coloured(text)
    return safe.translate(_ASCII).encode("ascii", "replace").decode() if ascii_only else safe


def summary(outcome: Outcome, *, colour: bool = False, ascii_only: bool = False, last: bool = True) -> str:
    """The result of one run: verdict, expectations, guardrails, ledger, and ``last`` the exit code and why."""
    lines = [
        *(paint(f"warning: {printable(notice.text)}", "yellow", colour) for notice in notices(outcome)),
        _heading(outcome, colour),
        *(
            _nothing_sent(outcome)
            or [
                *expectation_lines(outcome.expectations, colour=colour, ascii_only=ascii_only),
                *(f"    {paint(text, 'dim', colour)}" for text in [wording.not_the_work(outcome)] if text),
            ]
        ),
        *_guardrail_lines(outcome, colour),
        *(f"  {paint('note', 'yellow', colour)} {printable(text)}" for text in wording.remarks(outcome)),
        *(f"  {paint('error', 'red', colour)} {printable(t)} ({wording.plural(n, 'time')})" for t, n in outcome.errors),
        *(f"  {printable(wording.shard_sentence(outcome, shard))}" for shard in outcome.shards[:_MOST_SHARDS]),
        *(f"  and {len(outcome.shards) - _MOST_SHARDS} more shards" for _ in outcome.shards[_MOST_SHARDS:][:1]),
        f"  ledger: {wording.ledger_sentence(outcome.ledger)}",
        *(f"  {printable(text)}" for text in wording.far_lines(outcome)),
        *([last_line(outcome.exit_code, outcome.reason, colour=colour)] if last else []),
    ]
    return plain("\n".join(lines), ascii_only) + "\n"


def _nothing_sent(outcome: Outcome) -> list[str]:
    """One line for all expectations of a run that sent nothing: what matters is why it did not."""
    details = {result.detail if result.verdict == "no_data" else None for result in outcome.expectations}
    if outcome.ledger.sent or None in details or len(details) != 1:
        return []
    many = wording.plural(len(outcome.expectations), "expectation")
    return [f"  ? {many} without data: {printable(str(details.pop()))}"]


def last_line(exit_code: int, reason: str, *, colour: bool = False) -> str:
    """``exit 3: 2 of 6 expectations failed``."""
    return paint(f"exit {exit_code}", "green" if exit_code == 0 else "red", colour) + f": {printable(reason)}"


def _heading(outcome: Outcome, colour: bool) -> str:
    verdict = paint(wording.VERDICT_WORDS[outcome.verdict], _VERDICT_COLOURS.get(outcome.verdict, "red"), colour)
    seed = "" if outcome.seed is None else f", seed {outcome.seed}"
    deviation = "" if outcome.deviation is None else f", deviation {wording.quantity(outcome.deviation, 'fraction')}"
    where = printable(wording.target_text(outcome))
    name = paint(printable(outcome.name), "bold", colour)
    return f"{name} {verdict} in {format_duration(outcome.duration_s)} on {where}{seed}{deviation}"


def expectation_lines(
    results: Sequence[ExpectationResult], *, colour: bool = False, ascii_only: bool = False
) -> list[str]:
    """One line a result: its mark, text, observed value and margin, in aligned columns."""
    # What stands in columns is reckoned as it will be read.
    texts = [plain(printable(result.text), ascii_only) for result in results]
    observed = [plain(wording.quantity(result.observed, result.unit), ascii_only) for result in results]
    wide, narrow = min(60, max(map(columns, texts), default=0)), max(map(len, observed), default=0)
    lines = []
    for result, text, value, why in zip(results, texts, observed, wording.reasons(results), strict=True):
        sign = wording.mark(result)
        note = ", ".join(filter(None, [wording.margin_text(result), wording.where(result)]))
        if result.recovery is not None:
            note = printable(result.detail)
        if result.verdict == "no_data":
            note = printable(f"no data: {why}" if why else "no data")
        elif result.verdict == "fail" and result.detail and result.recovery is None:
            note = ", ".join(filter(None, [note, printable(result.detail)]))
        line = f"  {paint(sign, _MARK_COLOURS[sign], colour)} {pad(text, wide)}  {value:>{narrow}}"
        lines.append(f"{line}  {paint(note, 'dim', colour)}" if note else line)
    return lines


def _guardrail_lines(outcome: Outcome, colour: bool, most: int = 5) -> list[str]:
    colours = {"stop": "red", "clip": "yellow", "warn": "dim"}
    label = "guardrail: "
    lines = [
        f"  {paint(label + wording.hit_sentence(hit), colours.get(hit.action, 'yellow'), colour)}"
        for hit in sorted(outcome.guardrail_hits, key=lambda hit: hit.action != "stop")[:most]
    ]
    more = len(outcome.guardrail_hits) - most
    return [*lines, f"  and {wording.plural(more, 'more guardrail hit')}"] if more > 0 else lines


class Curve(Protocol):
    """What `draw_plan` needs of a plan. Times in seconds from the start, rates in jobs/s."""

    def target_rate(self, t: Floats) -> Floats: ...

    def allowed_rate(self, t: Floats) -> Floats: ...

    def to_document(self) -> Mapping[str, Any]: ...


def draw_plan(plan: Curve, *, width: int = 80, rows: int = 8, colour: bool = False, ascii_only: bool = False) -> str:
    """The plan as a curve with its phases, the rate limit, and below it clips and warnings; at most ``width`` columns.

    Every column shows the highest of some 32 rates within it. A plan of one rate is a single row.
    """
    document = plan.to_document()
    duration = float(document["duration_s"])
    count = max(20, width) * 32
    t: Floats = (np.arange(count, dtype=np.float64) + 0.5) * (duration / count)
    target, allowed = plan.target_rate(t), plan.allowed_rate(t)
    clipped = target > allowed * (1 + 1e-9)
    # Where nothing is allowed any more the run has ended, or its rest is shed: no limit on the rate.
    over = clipped & (allowed <= 0)
    limit = float(allowed[clipped & ~over].max()) if (clipped & ~over).any() else None
    # What was looked at may lie just beside the peak; the scale ends at the peak that the heading names.
    near = target >= 0.99 * float(document["peak_rate"])
    target = np.where(near & (target == target.max()), document["peak_rate"], target)
    phases = [(printable(str(p["name"])), float(p["start_s"])) for p in document["phases"]]
    steady = not clipped.any() and bool(np.ptp(target) <= 1e-9 * target.max())
    drawing = draw(
        target,
        limit,
        phases,
        duration,
        width=width,
        rows=1 if steady else rows,
        pen=glyphs(ascii_only, colour),
        over=over,
    )
    lines = [
        _plan_heading(document, colour, steady),
        *(drawing[:1] if steady and len(phases) < 2 else drawing),
        *_delays(document, width, colour),
        *_watched_for(document, width, colour),
        *(f"  {paint('clip', 'yellow', colour)} {_clip(clip)}" for clip in document["clips"][:5]),
        *(f"  and {wording.plural(len(document['clips']) - 5, 'more clip')}" for _ in document["clips"][5:6]),
        *(line for warning in document["warnings"] for line in remark("warning", _warning(warning), width, colour)),
    ]
    return plain("\n".join(lines), ascii_only) + "\n"


def remark(label: str, text: str, width: int, colour: bool = False) -> list[str]:
    """A remark under a plan, in as many lines as it takes within ``width`` columns."""
    lines = textwrap.wrap(
        f"{label} {text}", max(20, width - 2), subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    lines[0] = paint(label, "yellow", colour) + lines[0].removeprefix(label)
    return [f"  {line}" for line in lines]


def _plan_heading(document: Mapping[str, Any], colour: bool, steady: bool) -> str:
    name = paint(printable(str(document["scenario"])), "bold", colour)
    planned, sent = int(document["planned"]), int(document["sent_estimate"])
    fewer = "" if sent == planned else f", {sent:,d} of them to be sent"
    length = format_duration(float(document["duration_s"]))
    rate = f"{'steady' if steady else 'peak'} {format_rate(document['peak_rate'])}"
    return f"{name}: {wording.plural(planned, 'job')} in {length}, {rate}{fewer}"


def _delays(document: Mapping[str, Any], width: int, colour: bool) -> list[str]:
    """From when on delayed jobs are measured, where there are any."""
    found = document.get("delays") or []
    names = ", ".join(f"{printable(str(row['job']))} {format_duration(float(row['delay_s']))}" for row in found[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    if not found:
        return []
    told = (
        f"{names}{more} after sending: that is when these jobs are due, and what queue_wait, end_to_end and queue_age "
    )
    return remark("delay", f"{told}count from; latency is the answer of Redis to the sending", width, colour)


def _watched_for(document: Mapping[str, Any], width: int, colour: bool) -> list[str]:
    """Until when the queue is watched after the traffic for a line with a deadline, where there is one."""
    awaited = document.get("watched_for")
    if awaited is None:
        return []
    until, line = format_duration(round(float(awaited["until_s"]), 1)), printable(str(awaited["line"]))
    return remark(
        "watch", f"until {until} at the most, for `{line}`; it ends as soon as that is decided", width, colour
    )


def _clip(clip: Mapping[str, Any]) -> str:
    span = f"from {format_duration(clip['start_s'])} to {format_duration(clip['end_s'])}"
    return f"{clip['guardrail']} sheds {wording.plural(int(clip['shed']), 'job')} {span}"


def _warning(warning: Mapping[str, Any]) -> str:
    line = f" (line {warning['line']})" if warning.get("line") else ""
    return f"{printable(str(warning['message']))}{line}"


def live_line(
    t: float,
    duration: float,
    *,
    target: float,
    actual: float,
    ledger: Ledger,
    depth: int | None = None,
    lag_p99: float | None = None,
    phase: str | None = None,
    width: int = 100,
    colour: bool = False,
    ascii_only: bool = False,
) -> str:
    """One line about a run in progress, at most ``width`` columns, for a terminal that redraws it.

    Times in seconds, rates in jobs/s. Facts that do not fit are left out from the end.
    """
    done = min(1.0, t / duration) if duration > 0 else 1.0
    filled = round(done * 12)
    clock = f"{_clock(t)}/{_clock(duration)}"
    facts = [f"{clock} {'█' * filled}{'░' * (12 - filled)}", *_facts(target, actual, ledger, depth, lag_p99, phase)]
    line = facts[0]
    for fact in facts[1:]:
        if columns(line) + columns(fact) + 3 > width:
            break
        line += f" · {fact}"
    line = cut(plain(line, ascii_only), width)
    troubled = ledger.failed + ledger.unknown + ledger.late > 0
    return paint(line, "yellow", colour) if troubled else line


def progress_line(
    t: float,
    duration: float,
    *,
    target: float,
    actual: float,
    ledger: Ledger,
    depth: int | None = None,
    lag_p99: float | None = None,
    phase: str | None = None,
    ascii_only: bool = False,
) -> str:
    """One line about a run in progress for a log: nothing is redrawn, nothing is left out."""
    facts = _facts(target, actual, ledger, depth, lag_p99, phase)
    return plain(f"{_clock(t)}/{_clock(duration)} " + ", ".join(facts), ascii_only)


def _facts(
    target: float, actual: float, ledger: Ledger, depth: int | None, lag_p99: float | None, phase: str | None
) -> list[str]:
    dropped = [("failed", ledger.failed), ("unknown", ledger.unknown), ("shed", ledger.shed), ("late", ledger.late)]
    facts = [
        *([printable(phase)] if phase else []),
        f"target {format_rate(target)}",
        f"actual {format_rate(actual)}",
        f"sent {ledger.sent:,d}",
        *(f"{name} {value:,d}" for name, value in dropped if value),
    ]
    if depth is not None:
        facts.append(f"depth {depth:,d}")
    if lag_p99 is not None:
        facts.append(f"lag p99 {format_duration(lag_p99)}")
    return facts


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def printable(text: str) -> str:
    """Text from a scenario or a server on one line, unable to move the cursor or change colours."""
    return one_line(text)
