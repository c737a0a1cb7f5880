"""The terminal as plg uses it: colour only where it is wanted, a live line only where it can be redrawn."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import TextIO

from plg.diagnostics import Diagnostic


class Console:
    """Standard output for results, standard error for faults. Honours NO_COLOR and FORCE_COLOR."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out, self._err = out, err
        self.live = out.isatty() and os.environ.get("TERM") != "dumb"
        self.colour = _wants_colour(out)
        encoding = (out.encoding or "ascii").lower().replace("-", "")
        self.ascii = not encoding.startswith("utf")
        self._line = ""

    @property
    def width(self) -> int:
        """Columns to fill: the terminal's own, else 100."""
        return min(shutil.get_terminal_size((100, 24)).columns, 140)

    def print(self, text: str = "") -> None:
        """A line or several of result."""
        self.clear()
        self._out.write(self._safe(text) + "\n")
        self._out.flush()

    def raw(self, text: str) -> None:
        """Text as it is, for output that another program reads."""
        self._out.write(text)
        self._out.flush()

    def redraw(self, text: str) -> None:
        """Replace the live line; only on a terminal."""
        self._line = text
        self._out.write("\r\x1b[2K" + self._safe(text))
        self._out.flush()

    def clear(self) -> None:
        """Take the live line away."""
        if self._line:
            self._out.write("\r\x1b[2K")
            self._line = ""

    def error(self, text: str) -> None:
        self.clear()
        self._err.write(f"plg: {self._safe(text)}\n")
        self._err.flush()

    def diagnostics(self, found: Sequence[Diagnostic], sources: Mapping[str, str]) -> None:
        """Faults, to standard error."""
        from plg.diagnostics_render import render_text

        self.clear()
        self._err.write(self._safe(render_text(found, sources, colour=_wants_colour(self._err))) + "\n")
        self._err.flush()

    def _safe(self, text: str) -> str:
        encoding = self._out.encoding or "ascii"
        return text.encode(encoding, "replace").decode(encoding)


def _wants_colour(stream: TextIO) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"
