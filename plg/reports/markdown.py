"""A summary in Markdown: for a job summary, a pull request comment or a chat."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from plg.escaping import visible
from plg.judge.rate_windows import rates
from plg.notices import notices
from plg.outcome import Outcome
from plg.reports import wording
from plg.reports.junit import InvalidScenario
from plg.reports.sampling import sparkline
from plg.units import format_duration

_SIGNS = {"✓": "✅", "✗": "❌", "?": "❔", "!": "⚠️"}
_SPECIAL = re.compile(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)")
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;", "#": "&#35;"})


_MOST_FAULTS = 20
_MOST_SHARDS = 32
_MOST_BYTES = 900_000
"""GitHub drops a job summary of more than a mebibyte as a whole."""


def markdown(runs: Sequence[Outcome | InvalidScenario]) -> str:
    """One section a run, those that came to no outcome first and those that passed last.

    A table of verdicts stands above several. Sections for which there is no room in a job summary are left out.
    """
    refused = [run for run in runs if isinstance(run, InvalidScenario)]
    outcomes = sorted((run for run in runs if isinstance(run, Outcome)), key=lambda run: run.exit_code == 0)
    sections = [*map(_refused, refused), *map(_section, outcomes)]
    rows = [
        *(f"| ❌ {_REFUSED} | {_text(run.name)} | {_text(_first(run))} |" for run in refused),
        *(
            f"| {_sign(run)} {wording.VERDICT_WORDS[run.verdict]} | {_text(run.name)} | {_text(run.reason)} |"
            for run in outcomes
        ),
    ]
    table = ["\n".join(["| Verdict | Scenario | Why |", "|---|---|---|", *rows, ""])] if len(runs) > 1 else []
    room = _MOST_BYTES - sum(len(text.encode()) for text in table)
    sizes = accumulate(len(section.encode("utf-8", "replace")) + 1 for section in sections)
    fitting = sum(size <= room for size in sizes)
    left = [f"_{len(sections) - fitting} more sections have no room here._\n"] if fitting < len(sections) else []
    return "\n".join([*table, *sections[:fitting], *left])


_REFUSED = "NOT RUN"


def _first(run: InvalidScenario) -> str:
    faults = run.error.diagnostics
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return (faults[0].message if faults else str(run.error)) + more


def _refused(run: InvalidScenario) -> str:
    """A scenario that came to no outcome: its faults, each with its place."""
    lines = []
    for fault in run.error.diagnostics[:_MOST_FAULTS]:
        place = f" ({fault.file}:{fault.span.line})" if fault.span else ""
        lines.append(f"- {_text(fault.message + place)}")
    more = len(run.error.diagnostics) - _MOST_FAULTS
    return "\n".join(
        [f"## ❌ {_text(run.name)}: {_REFUSED}", "", *lines, *([f"- and {more} more"] if more > 0 else []), ""]
    )


def _section(outcome: Outcome) -> str:
    parts = [
        *(f"> ⚠️ {_text(notice.text)}\n" for notice in notices(outcome)),
        f"## {_sign(outcome)} {_text(outcome.name)}: {wording.VERDICT_WORDS[outcome.verdict]}",
        "",
        _text(outcome.reason),
        "",
        *_curves(outcome),
        *_expectations(outcome),
        _figures(outcome),
        "",
        *_remarks(outcome),
    ]
    return "\n".join(parts)


def _curves(outcome: Outcome) -> list[str]:
    found = rates(outcome.recording)
    if not len(found.t):
        return []
    width = 60
    columns = (np.arange(width * 8) + 0.5) * found.t[-1] / (width * 8)
    window = np.searchsorted(found.t, columns, side="right") - 1
    top = float(max(found.target.max(), found.actual.max()))
    rows = (
        (name, values[window], values.max()) for name, values in (("target", found.target), ("actual", found.actual))
    )
    lines = [f"{n} {sparkline(y, width, top)} peak {wording.quantity(float(peak), 'jobs/s')}" for n, y, peak in rows]
    return ["```text", *lines, "```", ""]


def _expectations(outcome: Outcome) -> list[str]:
    if not outcome.expectations:
        return ["No expectations.", ""]
    rows = ["| | Expectation | Observed | Margin |", "|---|---|---:|---|"]
    for result, why in zip(outcome.expectations, wording.reasons(outcome.expectations), strict=True):
        note = ", ".join(filter(None, [wording.margin_text(result), wording.where(result)]))
        if result.verdict == "no_data":
            note = f"no data: {why}" if why else "no data"
        rows.append(
            f"| {_SIGNS[wording.mark(result)]} {wording.word(result)} | {_code(result.text)}"
            f" | {wording.quantity(result.observed, result.unit)} | {_text(note)} |"
        )
    unseen = wording.not_the_work(outcome)
    below = [f"<sub>{_text(unseen)}</sub>", ""] if unseen else []
    return [*rows, "", *below]


def _figures(outcome: Outcome) -> str:
    ledger = outcome.ledger
    deviation = wording.quantity(outcome.deviation, "fraction")
    p99 = wording.quantity(outcome.latency_s.get("p99"), "s")
    return (
        "| Planned | Sent | Acked | Shed | Late | Cancelled | Failed | Unknown | Deviation | p99 latency |\n"
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n"
        f"| {ledger.planned:,d} | {ledger.sent:,d} | {ledger.acked:,d} | {ledger.shed:,d} | {ledger.late:,d}"
        f" | {ledger.cancelled:,d} | {ledger.failed:,d} | {ledger.unknown:,d} | {deviation} | {p99} |"
    )


def _remarks(outcome: Outcome) -> list[str]:
    lines = [f"- {_text(wording.hit_sentence(hit))}" for hit in outcome.guardrail_hits[:10]]
    if len(outcome.guardrail_hits) > 10:
        lines.append(f"- and {len(outcome.guardrail_hits) - 10:,d} more guardrail hits")
    lines += [f"- {_text(wording.shard_sentence(outcome, shard))}" for shard in outcome.shards[:_MOST_SHARDS]]
    if len(outcome.shards) > _MOST_SHARDS:
        lines.append(f"- and {len(outcome.shards) - _MOST_SHARDS} more shards")
    lines += [f"- {_text(line)}" for line in wording.far_lines(outcome)]
    lines += [f"- {_text(remark)}" for remark in wording.remarks(outcome)]
    lines += [f"- {_code(text)} ({wording.plural(times, 'time')})" for text, times in outcome.errors]
    seed = "" if outcome.seed is None else f", seed {outcome.seed}"
    foot = (
        f"<sub>{format_duration(outcome.duration_s)} on {_text(wording.target_text(outcome))}{seed},"
        f" run {_text(outcome.run_id)}, plg {_text(outcome.plg_version)}</sub>"
    )
    return [*lines, *([""] if lines else []), foot, ""]


def _sign(outcome: Outcome) -> str:
    return {"pass": "✅", "fail": "❌", "invalid": "❔"}.get(outcome.verdict, "⛔")


def _text(text: str) -> str:
    """``text`` that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\g<0>", visible(" ".join(text.split()))).translate(_ENTITIES)


def _code(text: str) -> str:
    """``text`` as code in a table cell: one line, no bar, and a fence longer than any run of backticks inside."""
    plain = visible(" ".join(text.split())).replace("|", "\\|")
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    pad = " " if "`" in plain else ""
    return f"{fence}{pad}{plain}{pad}{fence}"
