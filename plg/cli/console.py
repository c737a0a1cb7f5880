"""The terminal as plg uses it: colour only where it is wanted, a live line only where it can be redrawn."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TextIO

from plg.diagnostics import Diagnostic
from plg.escaping import visible
from plg.redaction import hide_known


class Console:
    """Standard output for results, standard error for faults. Honours NO_COLOR and FORCE_COLOR."""

    def __init__(self, out: TextIO | None, err: TextIO | None) -> None:
        # A process started with a closed descriptor has None there.
        self._out: Stream = out or _Nowhere()
        self._err: Stream = err or _Nowhere()
        self._outlives = False
        self.live = self._out.isatty() and os.environ.get("TERM") != "dumb"
        self.colour = _wants_colour(self._out)
        encoding = (self._out.encoding or "ascii").lower().replace("-", "")
        self.ascii = not encoding.startswith("utf")
        self._line = ""

    @property
    def width(self) -> int:
        """Columns to fill: the terminal's own, else 100."""
        return min(shutil.get_terminal_size((100, 24)).columns, 140)

    def outlive_reader(self) -> None:
        """From now on, output that nobody takes any more (a closed pipe, a full disk) is no reason to end.

        For commands whose exit code is a verdict: it does not depend on somebody who reads along.
        """
        self._outlives = True

    def print(self, text: str = "") -> None:
        """A line or several of result."""
        self.clear()
        self._put(self._safe(text) + "\n")

    def raw(self, text: str) -> None:
        """Text as it is, for output that another program reads: in UTF-8 whatever the locale, as all files of plg."""
        self._put(text, utf8=True)

    def redraw(self, text: str) -> None:
        """Replace the live line, or the several that ``text`` has; only on a terminal."""
        before, self._line = self._erasing(), text
        self._put(before + self._safe(text))

    def clear(self) -> None:
        """Take the live line away."""
        if self._line:
            erasing, self._line = self._erasing(), ""
            self._put(erasing)

    def _erasing(self) -> str:
        return "\r\x1b[2K" + "\x1b[1A\x1b[2K" * self._line.count("\n")

    def error(self, text: str) -> None:
        self.clear()
        self._complain(f"plg: {self._safe(visible(hide_known(text)))}\n")

    def diagnostics(self, found: Sequence[Diagnostic], sources: Mapping[str, str]) -> None:
        """Faults, to standard error."""
        from plg.diagnostics_render import render_text

        self.clear()
        self._complain(self._safe(render_text(found, sources, colour=_wants_colour(self._err))) + "\n")

    def _put(self, text: str, *, utf8: bool = False) -> None:
        beneath = getattr(self._out, "buffer", None) if utf8 else None
        try:
            if beneath is None:
                self._out.write(text)
            else:
                self._out.flush()
                beneath.write(text.encode("utf-8", "replace"))
            self._out.flush()
        except OSError as error:
            if not self._outlives:
                raise
            if not isinstance(error, BrokenPipeError):
                self._complain(f"plg: standard output: {(error.strerror or str(error)).lower()}\n")
            self._out = _instead_of(self._out)
            self.live = False

    def _complain(self, text: str) -> None:
        # A fault that cannot be told is still in the exit code.
        try:
            self._err.write(text)
            self._err.flush()
        except OSError:
            self._err = _instead_of(self._err)

    def _safe(self, text: str) -> str:
        encoding = self._out.encoding or "ascii"
        return text.encode(encoding, "replace").decode(encoding)


class _Nowhere(io.TextIOBase):
    """Takes any text and keeps none."""

    encoding = "utf-8"

    def write(self, text: str, /) -> int:
        return len(text)


Stream = TextIO | _Nowhere


def _instead_of(stream: Stream) -> Stream:
    """Nowhere, in place of a stream that fails: what it still holds must not fail again when the program ends."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
    return _Nowhere()


def _wants_colour(stream: Stream) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"
