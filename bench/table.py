"""The results as a Markdown page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_COLUMNS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "most": (
        ("jobs/s", "jobs_s", "{:,.0f}"), ("client CPU, µs a job", "cpu_us_job", "{:.3f}"),
        ("server CPU, µs a job", "server_us_job", "{:.2f}"), ("server busy", "server_share", "{:.0%}"),
    ),
    "hold": (
        ("error p50, ms", "error_p50_ms", "{:.2f}"), ("p99", "error_p99_ms", "{:.2f}"),
        ("max", "error_max_ms", "{:.1f}"), ("deviation", "deviation", "{:+.2%}"),
        ("worst 100 ms", "window_deviation", "{:.2%}"), ("CPU", "cpu_share", "{:.1%}"),
        ("own p99 lag, ms", "lag_p99_ms", "{:.2f}"),
    ),
    "million": (
        ("deviation", "deviation", "{:+.3%}"), ("worst 100 ms", "window_deviation", "{:.2%}"),
        ("windows off by more than 1%", "windows_off", "{:.1%}"), ("CPU", "cpu_share", "{:.1%}"),
    ),
    "memory": (
        ("jobs", "jobs", "{:,.0f}"), ("fifth minute, MB", "settled_mb", "{:.1f}"), ("most, MB", "most_mb", "{:.1f}"),
        ("gained after, MB", "growth_mb", "{:.1f}"), ("computed in, s", "compute_s", "{:.1f}"),
    ),
    "check": (("whole process, s", "wall_s", "{:.2f}"), ("CPU, s", "cpu_s", "{:.2f}")),
    "startup": (("whole process, s", "wall_s", "{:.3f}"), ("CPU, s", "cpu_s", "{:.3f}")),
}  # fmt: skip
_SAME = {"ramp": "hold"}


def table(results: Mapping[str, Any]) -> str:
    """The page: how it was measured, a table a contest, the goals, and who took no part."""
    machine = results["machine"]
    lines = [
        "# plg beside the tools one would use instead",
        "",
        f"{results['started_at']}, {machine['system']}, {machine['cpus']} CPUs ({machine['cpu']}), "
        f"Python {machine['python']}, {machine['server']}. "
        f"Medians of {results['rounds']} interleaved rounds"
        + ("; SHORT ones, for trying only." if results["quick"] else "."),
        f"Load average {machine['load_before']} before and {machine['load_after']} after. "
        "How each is kept fair: [README.md](README.md).",
    ]
    for name, contest in results["contests"].items():
        lines += ["", f"## {contest['title']}", "", *_contest(name, contest)]
    lines += ["", "## Goals", "", *_goals(results["goals"])]
    if results["skipped"]:
        lines += ["", "## Not measured", ""]
        lines += [f"- {tool}: {reason}" for tool, reason in results["skipped"].items()]
    lines += ["", "## Versions", "", *(f"- {tool}: {version}" for tool, version in results["versions"].items())]
    return "\n".join(lines) + "\n"


def _contest(name: str, contest: Mapping[str, Any]) -> list[str]:
    kind = _SAME.get(name, name.split("-")[0])
    columns = _COLUMNS[kind]
    lines = ["| | " + " | ".join(title for title, _, _ in columns) + " |", "|---|" + "---:|" * len(columns)]
    for entry, figures in contest["entries"].items():
        cells = [form.format(figures[figure]["median"]) if figure in figures else "" for _, figure, form in columns]
        lines.append(f"| {entry} | " + " | ".join(cells) + " |")
    lines += [f"\n{entry} failed: {reason}" for entry, reason in contest["failed"].items()]
    return lines


def _goals(goals: list[Mapping[str, Any]]) -> list[str]:
    lines = ["| goal | bound | observed | |", "|---|---:|---:|---|"]
    for goal in goals:
        bound = f"≥ {goal['at_least']:g}" if goal["at_least"] is not None else f"≤ {goal['at_most']:g}"
        observed = "not measured" if goal["observed"] is None else f"{goal['observed']:.4g}"
        lines.append(f"| {goal['text']} | {bound} | {observed} | {'met' if goal['met'] else '**missed**'} |")
    return lines
