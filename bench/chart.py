"""The results as one picture: horizontal bars on a logarithmic scale, one panel a question."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

_WIDTH, _LABEL, _ROW, _HEAD, _NUMBER = 860, 230, 22, 46, 100
_PANELS = (
    ("most", "jobs_s", "Jobs a second, one connection (longer is better)", "{:,.0f}"),
    ("most", "cpu_us_job", "Client CPU a job, µs (shorter is better)", "{:.3g}"),
    ("hold-1000", "error_p99_ms", "1,000/s held: p99 error at the server, ms (shorter is better)", "{:.2f}"),
    ("hold-10000", "error_p99_ms", "10,000/s held: p99 error at the server, ms (shorter is better)", "{:.2f}"),
    ("hold-10000", "cpu_share", "10,000/s held: share of one CPU (shorter is better)", "{:.1%}"),
    ("ramp", "error_p99_ms", "Ramp to 1,000/s: p99 error at the server, ms (shorter is better)", "{:.2f}"),
)


def chart(results: Mapping[str, Any]) -> str:
    """An SVG document; panels without figures are left out."""
    found = []
    for contest, figure, title, form in _PANELS:
        entries = results["contests"].get(contest, {}).get("entries", {})
        bars = {entry: abs(told[figure]["median"]) for entry, told in entries.items() if figure in told}
        found.append((bars, title, form))
    return panels(found)


def panels(found: Iterable[tuple[Mapping[str, float], str, str]]) -> str:
    """An SVG document of panels: the bars of each, its title and the format of its numbers."""
    parts: list[str] = []
    top = 10
    for bars, title, form in found:
        if bars:
            parts.append(_panel(bars, title, form, top))
            top += _HEAD + _ROW * len(bars) + 14
    style = (
        "text{font:13px system-ui,sans-serif;fill:#1f2933}.t{font-weight:600;font-size:14px}"
        ".o{fill:#0b6e99}.r{fill:#9aa5b1}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top}" width="{_WIDTH}" height="{top}">'
        f'<style>{style}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _panel(bars: Mapping[str, float], title: str, form: str, top: int) -> str:
    positive = [value for value in bars.values() if value > 0]
    # A decade below the least, so that the shortest bar can still be seen and compared.
    floor = math.floor(math.log10(min(positive))) - 0.5 if positive else 0.0
    span = max(math.log10(max(positive)) - floor, 0.5) if positive else 1.0
    room = _WIDTH - _LABEL - _NUMBER - 20
    lines = [f'<text class="t" x="12" y="{top + 24}">{escape(title)}; logarithmic</text>']
    for row, (entry, value) in enumerate(bars.items()):
        y = top + _HEAD + row * _ROW
        length = max((math.log10(value) - floor) / span * room, 1.0) if value > 0 else 1.0
        kind = "o" if entry.startswith("plg") else "r"
        lines.append(
            f'<text x="{_LABEL - 8}" y="{y + 5}" text-anchor="end">{escape(entry)}</text>'
            f'<rect class="{kind}" x="{_LABEL}" y="{y - 8}" width="{length:.1f}" height="16" rx="2"/>'
            f'<text x="{_LABEL + length + 6:.1f}" y="{y + 5}">{escape(form.format(value))}</text>'
        )
    return "".join(lines)
