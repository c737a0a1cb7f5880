"""Diagnostics for people, for programs and for GitHub: one function a format."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence

from plg.diagnostics import Diagnostic
from plg.escaping import command_data, command_property, json_text
from plg.redaction import hidden_stretches

_COLOURS = {"error": "31", "warning": "33", "gutter": "34", "help": "36"}
Paint = Callable[[str, str], str]
"""A text and what it is (a key of `_COLOURS`) to the text as it is shown."""
_TAB = 4
_WIDEST = 160
MOST = 50
"""The most diagnostics that are shown in full."""
_LONGEST = 400
"""The most characters of a sentence: a word that it quotes may be as long as the file."""


def render_text(found: Sequence[Diagnostic], sources: Mapping[str, str] | None = None, *, colour: bool = False) -> str:
    """Diagnostics with their source line and the span underlined, blank lines between. ``sources``: file to text.

    Errors come before warnings where there are more than `MOST`; of what is left out, the number is said.
    """
    # Of an empty file, and of one that is no text, there is no line to show.
    lines = {file: text.split("\n") for file, text in (sources or {}).items() if text.strip()}
    paint = _paint if colour else _plain
    shown = list(found)
    if len(found) > MOST:
        shown = sorted(found, key=lambda diagnostic: diagnostic.severity != "error")[:MOST]
    blocks = [_one(diagnostic, lines.get(diagnostic.file), paint) for diagnostic in shown]
    return "\n\n".join([*blocks, *([f"and {len(found) - MOST:,} more"] if len(found) > MOST else [])])


def _paint(text: str, what: str) -> str:
    return f"\x1b[1;{_COLOURS[what]}m{text}\x1b[0m"


def _plain(text: str, what: str) -> str:
    return text


def _one(diagnostic: Diagnostic, lines: Sequence[str] | None, colour: Paint) -> str:
    head = colour(f"{diagnostic.severity}[{diagnostic.code}]", diagnostic.severity) + f": {_clean(diagnostic.message)}"
    span = diagnostic.span
    if span is None:
        out = [head, f"  {colour('-->', 'gutter')} {_clean(diagnostic.file)}"]
        return "\n".join([*out, *_help(diagnostic, "  ", colour)])
    width = len(str(span.line))
    margin = " " * width
    out = [head, f"{margin}{colour('-->', 'gutter')} {_clean(diagnostic.file)}:{span.line}:{span.column}"]
    if lines is not None and span.line <= len(lines):
        source = lines[span.line - 1]
        text, start, end = _layout(*_without_passwords(source, span.column - 1, _end(diagnostic, source)))
        bar = colour("|", "gutter")
        out.append(f"{margin} {bar}")
        out.append(f"{colour(str(span.line), 'gutter')} {bar} {text}".rstrip())
        out.append(f"{margin} {bar} {' ' * start}{colour('^' * max(1, end - start), diagnostic.severity)}")
    return "\n".join([*out, *_help(diagnostic, margin + " ", colour)])


def _help(diagnostic: Diagnostic, margin: str, colour: Paint) -> list[str]:
    if not diagnostic.help:
        return []
    return [f"{margin}{colour('=', 'gutter')} {colour('help', 'help')}: {_clean(diagnostic.help)}"]


def _end(diagnostic: Diagnostic, source: str) -> int:
    """Where the underlining ends: a span over several lines is underlined to the end of its first."""
    span = diagnostic.span
    if span is None or span.end_line > span.line:
        return len(source.rstrip())
    return span.end_column - 1


def _without_passwords(source: str, start: int, end: int) -> tuple[str, int, int]:
    """The line and the stretch of it that is underlined, with passwords out: what is printed lands in logs."""
    for first, last, stand_in in reversed(hidden_stretches(source)):
        source = source[:first] + stand_in + source[last:]
        grown = len(stand_in) - (last - first)
        start, end = (at if at <= first else max(first, at + grown) for at in (start, end))
    return source, start, end


def _layout(source: str, start: int, end: int) -> tuple[str, int, int]:
    """The line as it is shown and the columns on screen of the stretch: tabs widened, wide characters counted twice,
    control characters made visible, and a very long line cut to the part that matters."""
    shift = 0
    if len(source) > _WIDEST:
        shift = max(0, min(start - _WIDEST // 4, len(source) - _WIDEST))
        source = source[shift : shift + _WIDEST]
    shown: list[str] = []
    columns = [0]
    for character in source:
        if character == "\t":
            piece, width = " " * _TAB, _TAB
        elif not character.isprintable() and not unicodedata.combining(character):
            piece, width = "\N{REPLACEMENT CHARACTER}", 1
        else:
            piece, width = character, _columns(character)
        shown.append(piece)
        columns.append(columns[-1] + width)
    last = len(columns) - 1
    return "".join(shown), columns[min(start - shift, last)], columns[max(0, min(end - shift, last))]


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _clean(text: str) -> str:
    """Text from a file cannot move the cursor or colour the terminal, nor fill it."""
    text = _short(text)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text.replace("\n", " "))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST * 3 // 4]}…{text[-_LONGEST // 5 :]}"


def render_json(found: Sequence[Diagnostic]) -> str:
    """A JSON list, one object a diagnostic; ``path`` is where the node stands in the document."""
    rows = [
        {
            "code": d.code,
            "severity": d.severity,
            "message": _short(d.message),
            "help": _short(d.help),
            "file": d.file,
            "line": d.span.line if d.span else None,
            "column": d.span.column if d.span else None,
            "end_line": d.span.end_line if d.span else None,
            "end_column": d.span.end_column if d.span else None,
            "path": list(d.path),
        }
        for d in found
    ]
    return json_text(json.dumps(rows, indent=2, ensure_ascii=False))


def render_github(found: Sequence[Diagnostic]) -> str:
    """Workflow commands, one line a diagnostic, which GitHub shows beside the source line."""
    return "\n".join(_github(diagnostic) for diagnostic in found)


def _github(diagnostic: Diagnostic) -> str:
    fields = [f"file={command_property(diagnostic.file)}"]
    span = diagnostic.span
    if span is not None:
        fields += [f"line={span.line}", f"endLine={span.end_line}"]
        if span.line == span.end_line:
            fields += [f"col={span.column}", f"endColumn={span.end_column}"]
    fields.append(f"title={command_property(f'plg: {diagnostic.code}')}")
    text = _short(diagnostic.message) + (f"\nhelp: {_short(diagnostic.help)}" if diagnostic.help else "")
    return f"::{diagnostic.severity} {','.join(fields)}::{command_data(text)}"
