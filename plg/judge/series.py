"""The columns over time that reports draw: one row a plain window of the recording."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from plg.judge.aggregate import Rows, add_up, tally
from plg.measures import GAUGES
from plg.runner.recording import FarRecord, Floats, Ints, Recording, tile

MAX_ROWS = 4000
"""Rows of the plan's own time; a finer grid is drawn in wider steps."""
MAX_AFTER = 400
"""Rows after the plan's end, while the queue drains."""
COLUMNS = (
    "t_s", "target", "allowed", "actual", "sent", "planned",
    *(gauge.column for gauge in GAUGES.values()),
    "errors", "shed", "late", "lag_p99_s", "latency_p50_s", "latency_p90_s", "latency_p99_s", "latency_max_s",
    "service_p50_s", "service_p99_s",
)  # fmt: skip
FAR_COLUMNS = (
    "started", "completed", "queue_wait_p50_s", "queue_wait_p95_s", "queue_wait_p99_s", "run_time_p50_s",
    "run_time_p95_s", "run_time_p99_s",
)  # fmt: skip
"""Those of a run of which it was read what the workers did: jobs started and ended in the row, and by due time how long
they waited and ran."""
_COUNTS = ("sent", "planned", "errors", "shed", "late")
_QUANTILES = {
    "lag_p99_s": ("lag", 0.99), "latency_p50_s": ("latency", 0.5), "latency_p90_s": ("latency", 0.9),
    "latency_p99_s": ("latency", 0.99), "service_p50_s": ("service_time", 0.5), "service_p99_s": ("service_time", 0.99),
}  # fmt: skip


def series(recording: Recording) -> dict[str, list[float | None]]:
    """One list a column, all of one length; None where nothing was measured.

    ``t_s`` is the start of the row. Rates (target, allowed, actual) are jobs/s, gauges the largest sample of the row,
    percentiles by due time. A stopped run has rows up to its stop, and what was due later is left out. After the plan's
    end there are rows, with a target of 0, while answers came in or the queue was watched; answers after the last row
    are added to it.
    """
    starts, lengths, planned_rows = grid(recording)
    cells = rows_of_cells(recording, starts)
    count = len(starts)

    def total(name: str) -> Floats:
        return tally(cells, recording.counters[name], count)

    columns: dict[str, Floats] = {"t_s": starts, "actual": total("acked") / lengths}
    columns |= {name: total(name) for name in ("sent", "shed", "late")}
    columns["planned"] = tally(cells, _due(recording), count)
    columns["errors"] = total("failed") + total("unknown")
    columns |= {
        name: _mean_rate(recording, rate, cells, count, planned_rows)
        for name, rate in (("target", recording.target_rate), ("allowed", recording.allowed_rate))
    }
    columns |= {g.column: _peaks(recording, g.name, starts) * g.factor for g in GAUGES.values()}
    rows = {measure: add_up(recording, measure, cells, count) for measure in recording.histograms}
    columns |= {name: rows[measure].quantile(q) for name, (measure, q) in _QUANTILES.items()}
    columns["latency_max_s"] = _maxima(rows["latency"])
    found = {name: _listed(columns[name], whole=name in _COUNTS) for name in COLUMNS}
    return found if recording.far is None else found | _far(recording.far, starts, rows)


def _far(far: FarRecord, starts: Floats, rows: Mapping[str, Rows]) -> dict[str, list[float | None]]:
    """The columns of the workers; counts are None where nobody told of any job."""
    columns: dict[str, Floats] = {}
    for name, counts in (("started", far.started), ("completed", far.completed)):
        steps: Floats = np.arange(len(counts), dtype=np.float64) * far.step + far.step / 2
        column = (
            tally(_rows_of(steps, starts), np.array(counts), len(starts)) if counts else np.full(len(starts), np.nan)
        )
        columns[name] = column
    for name in FAR_COLUMNS[2:]:
        measure, _, quantile = name.removesuffix("_s").rpartition("_p")
        there = measure in rows and measure not in far.untold
        columns[name] = rows[measure].quantile(int(quantile) / 100) if there else np.full(len(starts), np.nan)
    return {name: _listed(columns[name], whole=name in ("started", "completed")) for name in FAR_COLUMNS}


def _listed(column: Floats, whole: bool) -> list[float | None]:
    """Plain numbers: counts whole, others to nine decimals, a nanosecond."""
    return [None if np.isnan(x) else int(x) if whole else x for x in np.round(column, 9).tolist()]


def grid(recording: Recording) -> tuple[Floats, Floats, int]:
    """Starts and lengths (s) of the rows, and how many of them belong to the plan."""
    until = until_of(recording)
    steps = max(1, int(np.ceil(recording.duration / recording.window - 1e-9)))
    width = recording.window * -(-steps // MAX_ROWS)
    starts, ends = tile(width, 0.0, max(until, width / 2))
    planned = len(starts)
    # A run that was stopped in its watch has sent all of its plan.
    cut = recording.stop and recording.ended_s < recording.duration
    after = np.arange(0 if cut else _rows_after(recording, width))
    lengths = np.concatenate([ends - starts, np.full(len(after), width)])
    return np.concatenate([starts, recording.duration + after * width]), lengths, planned


def _due(recording: Recording) -> Ints:
    """Arrivals due in each cell; in a stopped run without those that were due after the stop."""
    planned = recording.counters["planned"]
    if not recording.stop:
        return planned
    after = recording.edges[1:] > until_of(recording)
    return np.where(after, planned - recording.counters["cancelled"], planned)


def until_of(recording: Recording) -> float:
    """End of the plan's own rows: of the plan, or where a stop cut it short."""
    return min(recording.duration, recording.ended_s) if recording.stop else recording.duration


def _rows_after(recording: Recording, width: float) -> int:
    """How many rows the time after the plan's end takes."""
    late = any(int(column[-1]) for name, column in recording.counters.items() if name not in ("planned", "held"))
    watched = float(recording.sample_times.max(initial=0.0)) - recording.duration
    return min(MAX_AFTER, max(int(late), int(np.ceil(watched / width - 1e-9)) if watched > 0 else 0))


def rows_of_cells(recording: Recording, starts: Floats) -> Ints:
    """The row of each cell, by a moment just after the cell's start; what comes after the last row belongs to it."""
    edges = recording.edges
    return _rows_of(edges[:-1] + np.minimum(np.diff(edges), 1e-6) / 2, starts)


def _rows_of(times: Floats, starts: Floats) -> Ints:
    return np.asarray(np.searchsorted(starts, times, side="right") - 1, dtype=np.int64)


def _mean_rate(recording: Recording, rate: Floats, cells: Ints, count: int, planned_rows: int) -> Floats:
    """Mean of a rate over the part of each row that lies in the plan; 0 after it."""
    lengths = np.diff(np.minimum(recording.edges, until_of(recording)))
    weights = tally(cells, lengths, count)
    amount = tally(cells, lengths * np.where(lengths > 0, rate, 0.0), count)
    out = np.asarray(np.divide(amount, weights, out=np.zeros(count), where=weights > 0))
    out[planned_rows:] = 0.0
    return out


def _peaks(recording: Recording, gauge: str, starts: Floats) -> Floats:
    out = np.full(len(starts), -np.inf)
    values = recording.samples.get(gauge)
    if values is not None and len(values):
        taken = ~np.isnan(values) & (recording.sample_times >= 0)
        np.maximum.at(out, _rows_of(recording.sample_times[taken], starts), values[taken])
    return np.where(np.isinf(out), np.nan, out)


def _maxima(rows: Rows) -> Floats:
    return np.where(rows.totals > 0, rows.maxima, np.nan)
