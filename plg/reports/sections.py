"""The parts of a run's HTML report that are words, figures and tables."""

from __future__ import annotations

from collections.abc import Sequence

from plg.escaping import markup
from plg.judge import scaling
from plg.notices import notices
from plg.outcome import ExpectationResult, Ledger, Outcome, Percentiles, PhaseResult
from plg.reports import wording
from plg.reports.figure import Chart
from plg.reports.html_page import FULLY, ROOM, cell, empty, figure, pair, row_heading, section, short, table, within
from plg.reports.still import bar, patch
from plg.units import format_duration

_CLASSES = {"pass": "good", "fail": "bad", "stopped": "bad", "error": "bad", "invalid": "doubt", "interrupted": "doubt"}
_SIGNS = {"pass": "✓", "fail": "✗", "stopped": "■", "error": "✗", "invalid": "?", "interrupted": "‖"}
_KEYS = {"acked": "actual", "failed": "errors", "unknown": "p50", "shed": "shed", "late": "late", "cancelled": "max"}
"""Colours of the ledger's columns."""
_MOST_ROWS = 200


def badge(outcome: Outcome) -> str:
    """The verdict as a sign, a word and a colour."""
    css, sign = _CLASSES[outcome.verdict], _SIGNS[outcome.verdict]
    word = wording.VERDICT_WORDS[outcome.verdict]
    return f'<strong class="verdict {css}"><span aria-hidden="true">{sign}</span> {word}</strong>'


def header(outcome: Outcome) -> str:
    """Verdict, reason, key figures and the run card."""
    about = str(outcome.scenario.get("description") or "")
    tags = outcome.scenario.get("tags") or ()
    listed = "".join(f"<li>{short(str(tag), 60)}</li>" for tag in tags[:40])
    return (
        "".join(
            f'<p class="reason doubt" role="alert">{markup(sentence(notice.text))}</p>\n' for notice in notices(outcome)
        )
        + f'<p class="eyebrow">plg report · {markup(_moment(outcome.started_at))}</p>\n'
        f'<div class="title"><h1>{short(outcome.name, 200)}</h1>{badge(outcome)}</div>\n'
        f'<p class="reason">{short(sentence(outcome.reason), 1000)}</p>\n'
        + (f'<p class="about">{short(about, 2000)}</p>\n' if about else "")
        + (f'<ul class="tags" aria-label="Tags">{listed}</ul>\n' if listed else "")
        + _figures(outcome)
        + _card(outcome)
    )


def sentence(text: str) -> str:
    """The text with a capital letter and a full stop, as a sentence on its own reads."""
    first, _, _ = text.partition(" ")
    whole = text[:1].upper() + text[1:] if first.isalpha() else text
    return whole if not whole or whole[-1] in ".!?" else f"{whole}."


def _moment(iso: str) -> str:
    return f"{iso[:19].replace('T', ' ')} UTC" if iso else ""


def _figures(outcome: Outcome) -> str:
    ledger = outcome.ledger
    held = sum(result.verdict == "pass" for result in outcome.expectations if result.level == "expect")
    asked = sum(result.level == "expect" for result in outcome.expectations)
    acts = sum(hit.action in ("clip", "stop") for hit in outcome.guardrail_hits)
    p99 = outcome.latency_s.get("p99")
    rows = [
        ("Expectations", f"{held} of {asked}" if asked else "none", "hold" if asked else "nothing was asked"),
        ("Acked", wording.count(ledger.acked), f"of {wording.count(ledger.planned)} planned"),
        ("Deviation", wording.quantity(outcome.deviation, "fraction"), "acked against planned"),
        ("Latency p99", wording.quantity(p99, "s"), "the answer of Redis, not the work"),
        ("Errors", wording.count(ledger.failed + ledger.unknown), "failed or unknown"),
        ("Guardrail hits", wording.count(acts), "clips and stops"),
    ]
    cells = "".join(
        f"<div><dt>{markup(name)}</dt><dd>{markup(value)} <small>{markup(note)}</small></dd></div>"
        for name, value, note in rows
    )
    return f'<dl class="figures">{cells}</dl>\n'


def _card(outcome: Outcome) -> str:
    rows = [
        ("Target", wording.target_text(outcome)),
        ("Duration", format_duration(outcome.duration_s)),
        ("Seed", wording.NOTHING if outcome.seed is None else str(outcome.seed)),
        ("Exit code", str(outcome.exit_code)),
        ("Scenario file", outcome.scenario_file or wording.NOTHING),
        ("Scenario hash", outcome.scenario_hash[:16]),
        ("Run", outcome.run_id),
        ("plg", outcome.plg_version or wording.NOTHING),
    ]
    cells = "".join(f"<div><dt>{markup(name)}</dt><dd>{short(value)}</dd></div>" for name, value in rows)
    return f'<dl class="card">{cells}</dl>\n'


def expectations(outcome: Outcome) -> str:
    """Every expectation with what was observed and how far from its bound."""
    if not outcome.expectations:
        return section("Expectations", empty("The scenario states none, so nothing was judged."))
    headings = [("Result", ""), ("Expectation", ""), ("Observed", "num"), ("Margin", ""), ("First breach", "")]
    # Where not all of them have room, the broken ones come first.
    results = sorted(outcome.expectations, key=lambda result: result.verdict == "pass")
    few = len(results) <= _MOST_ROWS
    shown = outcome.expectations if few else results
    rows = [_expectation_row(result, why, few) for result, why in zip(shown, wording.reasons(shown), strict=True)]
    caption = "What was expected and what was observed." + ("" if few else " Those that do not hold come first.")
    full = f"{FULLY} and in junit.xml"
    return section("Expectations", table(caption, headings, rows, ROOM["expectations"], full))


def state_class(result: ExpectationResult) -> str:
    """The colour class of a result."""
    if result.verdict == "pass":
        return "good"
    return "bad" if result.verdict == "fail" and result.level == "expect" else "doubt"


def _expectation_row(result: ExpectationResult, detail: str, metered: bool) -> str:
    place = f"{result.file}:{result.line}" if result.file and result.line else result.file or ""
    notes = "".join(f'<div class="note">{short(note)}</div>' for note in (detail, place) if note)
    state = f'<span aria-hidden="true">{wording.mark(result)}</span> {wording.word(result)}'
    breached = "" if result.first_breach_s is None else format_duration(result.first_breach_s)
    phase = f'<div class="note">in {short(result.first_breach_phase, 100)}</div>' if result.first_breach_phase else ""
    return "".join(
        [
            cell(state, css=f"state wide {state_class(result)}"),
            cell(f'<code class="asked">{short(result.text)}</code>{notes}', css="wide"),
            cell(markup(wording.quantity(result.observed, result.unit)), "Observed", "num"),
            cell(markup(wording.margin_text(result)) + (_meter(result) if metered else ""), "Margin"),
            cell(breached + phase if breached else wording.NOTHING, "First breach"),
        ]
    )


def _meter(result: ExpectationResult) -> str:
    """The observed value as a bar against its bound, the bound at two thirds of the width."""
    if wording.margin(result) is None or result.observed is None or not result.bound or result.bound < 0:
        return ""
    share = max(0.0, min(1.0, result.observed / (1.5 * result.bound)))
    shape = 'width="72" height="12" viewBox="0 0 120 12" preserveAspectRatio="none" aria-hidden="true"'
    return (
        f'<br><svg class="meter" {shape}>'
        + bar("rule", 0, 120, 4, 4)
        + bar(state_class(result), 0, 120 * share, 4, 4)
        + bar("ink", 79, 2, 0, 12)
        + "</svg>"
    )


def ledger(outcome: Outcome) -> str:
    """Where every planned arrival ended, as two equations."""
    book = outcome.ledger
    first = [("sent", book.sent), ("shed", book.shed), ("late", book.late), ("cancelled", book.cancelled)]
    second = [("acked", book.acked), ("failed", book.failed), ("unknown", book.unknown)]
    wrong = book.imbalance()
    alarm = f'<p class="reason bad">The ledger does not add up: {wording.plural(wrong, "job")} unaccounted for.</p>'
    lead = "Every planned arrival ends in exactly one column."
    return section(
        "Ledger",
        alarm if wrong else "",
        _equation("planned", book.planned, first),
        _equation("sent", book.sent, second),
        _strip(book),
        _far(outcome),
        _remarks([f"{text[:900]} ({wording.plural(times, 'time')})" for text, times in outcome.errors], "errors"),
        lead=lead,
    )


def _far(outcome: Outcome) -> str:
    """What became of the jobs that Redis confirmed; nothing where nobody asked the workers."""
    far = outcome.far_side
    if far is None:
        return ""
    names = ("completed", "dead", "waiting", "in_flight", "delayed", "lost")
    parts = [(name.replace("_", " "), getattr(far, name)) for name in names]
    # Where not every job was read, they do not add up to what Redis confirmed.
    total = "acked" if far.lost is not None else "read"
    known = [(name, amount) for name, amount in parts if amount is not None]
    value = outcome.ledger.acked if far.lost is not None else sum(amount for _, amount in known)
    return _equation(total, value, known) + _remarks(wording.far_lines(outcome))


def _equation(total: str, value: int, parts: Sequence[tuple[str, int]]) -> str:
    cells = [f'<div class="sum"><dt>{total}</dt><dd>{value:,d}</dd></div>']
    for number, (name, amount) in enumerate(parts):
        css = "term" + (" first" if number == 0 else "") + ("" if amount else " zero")
        key = _KEYS.get(name)
        cells.append(f'<div class="{css}"><dt>{patch(key) if key else ""}{name}</dt><dd>{amount:,d}</dd></div>')
    return f'<dl class="ledger">{"".join(cells)}</dl>\n'


def _strip(book: Ledger) -> str:
    """The whole ledger as one bar."""
    amounts = {name: getattr(book, name) for name in _KEYS}
    parts = [(_KEYS[name], amount) for name, amount in amounts.items()]
    total = sum(amount for _, amount in parts)
    if not total:
        return ""
    bars, start = [], 0.0
    for role, amount in parts:
        width = 1000 * amount / total
        bars += [bar(role, start, width, 0, 10)] if amount else []
        start += width
    shape = 'viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true"'
    return f'<svg class="strip" width="100%" height="10" {shape}>{"".join(bars)}</svg>\n'


def _remarks(lines: Sequence[str], part: str = "remarks") -> str:
    items = within((f"<li>{short(line, 1000)}</li>" for line in lines), ROOM[part])
    more = f"<li>and {len(lines) - len(items):,d} more: {FULLY}</li>" if len(items) < len(lines) else ""
    return f'<ul class="remarks">{"".join(items)}{more}</ul>\n' if lines else ""


def warnings(outcome: Outcome) -> str:
    """What plg remarked before and during the run; empty when it had nothing to say."""
    remarks = wording.remarks(outcome)
    return section("Remarks", _remarks(remarks)) if remarks else ""


_PERCENTILES = ("p50", "p90", "p95", "p99", "p99.9", "max", "mean")


def times(outcome: Outcome) -> str:
    """Percentiles of lag, service time, latency and, with reference workers, of the wait in the queue."""
    rows: list[tuple[str, str, Percentiles]] = [
        ("Latency", "due → acked by Redis", outcome.latency_s),
        ("Service time", "sent → acked", outcome.service_time_s),
        ("Lag", "due → sent", outcome.lag_s),
    ]
    if outcome.workers:
        rows.append(("Wait in queue", "sent → taken by a worker", outcome.workers.wait_s))
    headings = [("Measure", ""), *((name, "num") for name in _PERCENTILES)]
    return table("Over the whole run.", headings, [_times_row(*row) for row in rows]) + _workers(outcome)


def _times_row(name: str, meaning: str, values: Percentiles) -> str:
    cells = [cell(markup(wording.quantity(values.get(p), "s")), p, "num") for p in _PERCENTILES]
    return row_heading(f'{name} <div class="note">{meaning}</div>') + "".join(cells)


def _workers(outcome: Outcome) -> str:
    crew = outcome.workers
    if crew is None:
        return ""
    busy = f"{wording.plural(crew.count, 'reference worker')}, {format_duration(crew.each_s)} a job"
    return f'<p class="lead">{busy}: {wording.plural(crew.processed, "job")} processed.</p>\n'


def phases(outcome: Outcome) -> str:
    """One row a phase."""
    if not outcome.phases:
        return section("Phases", empty("No phase was reached."))
    columns = ("Start", "Length", "Planned", "Sent", "Acked", "Deviation", "p50", "p95", "p99", "max")
    rows = [_phase_row(phase, columns) for phase in outcome.phases]
    headings = [("Phase", ""), *((name, "num") for name in columns)]
    caption = "Counts, deviation and latency of each phase, by due time."
    return section("Phases", table(caption, headings, rows, ROOM["phases"]))


def _phase_row(phase: PhaseResult, columns: Sequence[str]) -> str:
    values = [
        format_duration(phase.start_s), format_duration(phase.duration_s),
        wording.count(phase.planned), wording.count(phase.sent), wording.count(phase.acked),
        wording.quantity(phase.deviation, "fraction"),
        *(wording.quantity(phase.latency.get(p), "s") for p in ("p50", "p95", "p99", "max")),
    ]  # fmt: skip
    cells = [cell(markup(value), name, "num") for value, name in zip(values, columns, strict=True)]
    return row_heading(short(phase.name, 100)) + "".join(cells)


def shards(outcome: Outcome) -> str:
    """The generators of a merged run; nothing where there was one."""
    if not outcome.shards:
        return ""
    columns = ("Began after the first", "Clock ahead", "Planned", "Acked", "Deviation")
    headings = [("Shard", ""), ("Where", ""), *((name, "num") for name in columns), ("What became of it", "")]
    rows = []
    for shard in outcome.shards:
        values = [
            wording.quantity(shard.skew_s, "s"), wording.quantity(shard.clock_s, "s"),
            *(wording.NOTHING if jobs is None else wording.count(jobs) for jobs in (shard.planned, shard.acked)),
            wording.quantity(shard.deviation, "fraction"),
        ]  # fmt: skip
        rows.append(
            row_heading(str(shard.part))
            + cell(short(shard.where, 200) or wording.NOTHING, "Where", "wide")
            + "".join(cell(markup(value), name, "num") for value, name in zip(values, columns, strict=True))
            + cell(short(sentence(shard.reason), 300), "What became of it", "wide")
        )
    return section("Shards", table("The generators that made this run together.", headings, rows, ROOM["phases"]))


def workers(outcome: Outcome, charts: Sequence[Chart]) -> str:
    """What the workers did with the jobs."""
    lead = " ".join(sentence(line) for line in wording.work_lines(outcome))
    return section("Workers", figure(charts[0]), pair(charts[1:]), lead=lead)


def recovery(outcome: Outcome, charts: Sequence[Chart]) -> str:
    """How soon what was disturbed came back, and what an autoscaler did about it."""
    lead = "" if outcome.scale_up is None else sentence(scaling.told(outcome.scale_up))
    asked = any(result.recovery is not None for result in outcome.expectations)
    return section("Recovery" if asked else "Backlog and workers", pair(charts), lead=lead)


def hits(outcome: Outcome) -> str:
    """The table under the guardrail timeline."""
    if not outcome.guardrail_hits:
        return ""
    headings = [("Guardrail", ""), ("Action", ""), *((name, "num") for name in ("From", "To", "Seen", "Allowed"))]
    hits = outcome.guardrail_hits
    if len(hits) > _MOST_ROWS:
        hits = tuple(sorted(hits, key=lambda hit: hit.action != "stop"))
    told = any(wording.reaction(hit) for hit in hits)
    if told:
        headings.append(("Reaction", ""))
    rows = [
        row_heading(f"<code>{short(hit.guardrail, 60)}</code>")
        + cell(markup(hit.action), "Action")
        + cell(format_duration(hit.start_s), "From", "num")
        + cell(format_duration(hit.end_s), "To", "num")
        + cell(markup(wording.hit_quantity(hit, hit.requested)), "Seen", "num")
        + cell(markup(wording.hit_quantity(hit, hit.allowed)), "Allowed", "num")
        + (cell(markup(wording.reaction(hit) or wording.NOTHING), "Reaction", "wide") if told else "")
        for hit in hits
    ]
    return table("Every time a guardrail acted or warned.", headings, rows, ROOM["hits"])


def scenario(outcome: Outcome) -> str:
    """The effective scenario as YAML, folded."""
    from plg.language.write import write_yaml

    text = write_yaml(dict(outcome.scenario))
    shown = within((f"{markup(line, quote=False)}\n" for line in text.splitlines()), ROOM["scenario"])
    if len(shown) < text.count("\n"):
        shown.append("# … cut here: the whole scenario is in the saved outcome\n")
    lines = text.count("\n")
    return section(
        "Effective scenario",
        f"<details><summary>Show {wording.plural(lines, 'line')} of YAML</summary>"
        f'<pre tabindex="0"><code>{"".join(shown)}</code></pre></details>\n',
        lead=f"With parameters and overrides applied. SHA-256 {outcome.scenario_hash[:16]}.",
    )
