"""Draws a report in a process of its own: an outcome's JSON on standard input, the report on standard output.

Drawing loads Plotly and holds whole charts. Done here, it neither counts against the memory of a generator that has
more scenarios to run, nor can take a run's other artifacts with it when it fails.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Literal

Format = Literal["html", "png"]
_UNAVAILABLE = 3


class RenderError(Exception):
    """A report could not be drawn; the message says why in a sentence."""


def render(outcome_json: str, form: Format) -> bytes:
    """The report of a saved outcome. Raises `RenderError`."""
    done = subprocess.run(
        [sys.executable, "-m", "plg.reports.render", form],
        input=outcome_json.encode(),
        capture_output=True,
        check=False,
    )
    if done.returncode == 0:
        return done.stdout
    words = done.stderr.decode("utf-8", "replace").strip().splitlines()
    raise RenderError(words[-1] if words else f"the drawing process ended with {done.returncode}")


def _main(form: str) -> int:
    from plg.outcome_io import from_json

    outcome = from_json(sys.stdin.buffer.read().decode())
    if form == "html":
        from plg.reports.html import html

        sys.stdout.buffer.write(html([outcome]).encode())
        return 0
    from plg.reports.png import ReportUnavailable, png

    try:
        sys.stdout.buffer.write(png(outcome))
    except ReportUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return _UNAVAILABLE
    return 0


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1]))
