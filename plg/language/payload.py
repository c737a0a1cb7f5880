"""Templates in payloads: ``${seq}``, ``${uuid}``, ``${rand(1,100)}``, ``${users.email}`` and the like.

A value is compiled once a run, into the pieces that one spelling makes of it. What rendering a job then costs is one
call for each template in it and one join: the text around the templates is written beforehand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from plg.dataclass import dataclass
from plg.diagnostics import Path, nearest
from plg.language.spelling import JSON, TEXT, Piece, Spelling, Text
from plg.language.tables import Table
from plg.queues.recipe import Slot, digest, unique_id

Value = Callable[[int, float, str], Any]
"""The value of a template for job ``seq``, at ``now`` (s since the epoch), in a phase."""
_NUMBERS = ((Slot("seq"),), (Slot("now_ms"),))
"""The slots whose value is a number, where they stand alone."""

NAMES = ("seq", "uuid", "now_ms", "phase", "job", "run")
FUNCTIONS = ("rand", "choice")

_HOLE = re.compile(r"\$\$\{|\$\{([^{}\"]*(?:\"(?:[^\"\\]|\\.)*\"[^{}\"]*)*)\}|\$\{")
_CALL = re.compile(r"([A-Za-z_]\w*)\s*\((.*)\)", re.DOTALL)
_COLUMN = re.compile(r"([^\W\d]\w*(?:-\w+)*)\.(.+)", re.DOTALL)
_MASK = (1 << 64) - 1


class TemplateError(ValueError):
    """A template that cannot be filled. ``start`` and ``end`` are its offsets in the string."""

    def __init__(self, code: str, message: str, help: str = "", start: int = 0, end: int = 0) -> None:
        super().__init__(message)
        self.code, self.help, self.start, self.end = code, help, start, end


def mixed(number: int) -> int:
    """64 well-mixed bits of ``number`` (the output step of SplitMix64): the same on every machine."""
    z = (number + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled value: constants, slots for numbers, and renderers of what is more than a slot."""

    pieces: tuple[Piece, ...]

    @property
    def layout(self) -> tuple[str | Slot, ...] | None:
        """The pieces, where all that changes are slots; else None."""
        found = tuple(piece for piece in self.pieces if isinstance(piece, str | Slot))
        return found if len(found) == len(self.pieces) else None


def compile_value(
    value: Any,
    spelling: Spelling,
    *,
    tables: Mapping[str, Table] | None = None,
    run: str = "",
    job: str = "job",
    seed: int = 0,
) -> Template:
    """``value`` (any JSON value, whose strings may hold templates), as ``spelling`` writes it.

    ``${rand}`` and ``${choice}`` depend on ``seed`` and ``seq`` alone, ``${uuid}`` on the run and ``seq``, each place
    in the value apart. Raises `TemplateError`.
    """
    if spelling is TEXT and not isinstance(value, str):
        spelling = JSON
    return Template(tuple(_joined(_Compiler(tables or {}, run, job, seed).spell(value, spelling))))


def faults_of(payload: Any, tables: Mapping[str, Table | None], path: Path = ()) -> list[tuple[Path, TemplateError]]:
    """Every template in ``payload`` that cannot be filled. A table given as None has unknown columns."""
    if isinstance(payload, dict):
        return [fault for key, child in payload.items() for fault in faults_of(child, tables, (*path, key))]
    if isinstance(payload, list):
        return [fault for index, child in enumerate(payload) for fault in faults_of(child, tables, (*path, index))]
    if not isinstance(payload, str):
        return []
    found: list[tuple[Path, TemplateError]] = []
    known = {name: table for name, table in tables.items() if table is not None}
    for match in _HOLE.finditer(payload):
        if match[0] == "$${":
            continue
        try:
            _Compiler(known, "", "", 0, loose=set(tables) - set(known)).hole(match)
        except TemplateError as error:
            error.start, error.end = match.span()
            found.append((path, error))
    return found


class _Compiler:
    """Turns strings into renderers. Places are numbered, so that two ``${uuid}`` in one payload differ."""

    def __init__(
        self, tables: Mapping[str, Table], run: str, job: str, seed: int, loose: set[str] | None = None
    ) -> None:
        self.tables, self.run, self.job, self.seed = tables, run, job, seed
        self.loose = loose or set()
        self.place = 0
        self.slots: dict[Value, tuple[str | Slot, ...]] = {}

    def spell(self, value: Any, spelling: Spelling) -> list[Piece]:
        """A value as constants, slots and renderers."""
        if isinstance(value, dict):
            return spelling.mapping((key, self.spell(child, spelling)) for key, child in value.items())
        if isinstance(value, list):
            return spelling.sequence(self.spell(child, spelling) for child in value)
        if not isinstance(value, str):
            return [spelling.whole(value)]
        pieces = self.split(value)
        before, after = spelling.quotes
        if len(pieces) == 1 and not isinstance(pieces[0], str):
            # A template alone in its string keeps the type of its value.
            slots = self.slots.get(pieces[0])
            if slots is None:
                return [_rendered(pieces[0], spelling.whole)]
            if slots in _NUMBERS:
                before, after = spelling.number
        found = [part for piece in pieces for part in self._inside(piece, spelling)]
        return [before, *found, after]

    def _inside(self, piece: str | Value, spelling: Spelling) -> list[Piece]:
        slots = (piece,) if isinstance(piece, str) else self.slots.get(piece)
        if slots is None:
            assert not isinstance(piece, str), "constants are slots of themselves"
            return [_rendered(piece, spelling.inside)]
        return [spelling.inside(slot) if isinstance(slot, str) else slot for slot in slots]

    # One string --------------------

    def split(self, text: str) -> list[str | Value]:
        """The constant pieces of a string and the values between them."""
        pieces: list[str | Value] = []
        position = 0
        for match in _HOLE.finditer(text):
            pieces.append(text[position : match.start()])
            pieces.append("${" if match[0] == "$${" else self.hole(match))
            position = match.end()
        pieces.append(text[position:])
        kept = [piece for piece in pieces if piece != ""]
        return kept or [""]

    def hole(self, match: re.Match[str]) -> Value:
        """What one ``${…}`` stands for."""
        if match[1] is None:
            raise TemplateError("unknown-template", "this `${` is never closed", "write $${ for a plain ${")
        inner = match[1].strip()
        self.place += 1
        call = _CALL.fullmatch(inner)
        if call:
            return self.function(call[1], call[2])
        if inner in NAMES:
            return self.name(inner)
        column = _COLUMN.fullmatch(inner)
        if column:
            return self.column(column[1], column[2].strip())
        known = [*NAMES, *(f"{name}()" for name in FUNCTIONS), *(f"{name}.COLUMN" for name in self.tables)]
        raise TemplateError("unknown-template", f"there is no template ${{{inner}}}", _suggest(inner, known, "${{{}}}"))

    def name(self, name: str) -> Value:
        if name == "seq":
            return self.slot(lambda seq, now, phase: seq, Slot("seq"))
        if name == "now_ms":
            return self.slot(lambda seq, now, phase: int(now * 1000), Slot("now_ms"))
        if name == "phase":
            return lambda seq, now, phase: phase
        if name == "uuid":
            return self.uuid()
        constant = self.job if name == "job" else self.run
        return self.slot(lambda seq, now, phase: constant, constant)

    def slot(self, value: Value, *pieces: str | Slot) -> Value:
        """``value``, remembered as something that needs no renderer."""
        self.slots[value] = pieces
        return value

    def uuid(self) -> Value:
        """Unique by construction: bits from the run, the job and the place, 48 bits of ``seq``; shaped as version 4."""
        prefix, number = unique_id(self.run, self.job, self.place)
        text = prefix.decode()
        return self.slot(lambda seq, now, phase: f"{text}{seq:012x}", text, number)

    def column(self, table: str, column: str) -> Value:
        if table in self.loose:
            return lambda seq, now, phase: ""
        if table not in self.tables:
            known = [*self.tables, *NAMES]
            message = f"there is no data table {table!r}"
            raise TemplateError("unknown-template", message, _suggest(table, known, "{}"))
        if column not in self.tables[table].columns:
            known = list(self.tables[table].columns)
            message = f"the table {table!r} has no column {column!r}"
            raise TemplateError("unknown-template", message, _suggest(column, known, "{}"))
        values = self.tables[table].column(column)
        number = len(values)
        return lambda seq, now, phase: values[seq % number]

    def function(self, name: str, inside: str) -> Value:
        if name not in FUNCTIONS:
            known = [f"{function}()" for function in FUNCTIONS]
            message = f"there is no template function {name}()"
            raise TemplateError("unknown-template", message, _suggest(name, known, "${{{}}}"))
        arguments = _arguments(name, inside)
        salt = digest(self.seed, self.job, name, self.place)
        return _rand(arguments, salt) if name == "rand" else _choice(arguments, salt)


def _suggest(word: str, known: Sequence[str], form: str) -> str:
    found = nearest(word, [name.removesuffix("()") for name in known])
    return f"did you mean {form.format(found)}?" if found else "known: " + ", ".join(form.format(k) for k in known)


def _arguments(name: str, inside: str) -> list[Any]:
    usage = "write ${rand(1,100)}" if name == "rand" else 'write ${choice("a","b")}'
    try:
        arguments: list[Any] = json.loads(f"[{inside}]")
    except (ValueError, RecursionError):
        raise TemplateError("bad-template", f"{name}({inside}) cannot be read", usage) from None
    if name == "rand":
        numbers = [a for a in arguments if isinstance(a, int | float) and not isinstance(a, bool) and abs(a) < 2**62]
        if len(numbers) != 2 or len(arguments) != 2 or not numbers[0] <= numbers[1]:
            raise TemplateError("bad-template", "rand takes two numbers, the smaller first", usage)
    elif not arguments:
        raise TemplateError("bad-template", "choice needs something to choose from", usage)
    return arguments


def _rand(arguments: Sequence[Any], salt: int) -> Value:
    """A whole number from low to high (both included), or a decimal one where either bound is decimal."""
    low, high = arguments
    if isinstance(low, int) and isinstance(high, int):
        width = high - low + 1
        return lambda seq, now, phase: low + (mixed(seq ^ salt) * width >> 64)
    width = high - low
    return lambda seq, now, phase: low + (mixed(seq ^ salt) >> 11) * 2.0**-53 * width


def _choice(arguments: Sequence[Any], salt: int) -> Value:
    number = len(arguments)
    return lambda seq, now, phase: arguments[mixed(seq ^ salt) * number >> 64]


# Pieces --------------------


def _rendered(value: Value, write: Callable[[Any], str]) -> Text:
    return lambda seq, now, phase: write(value(seq, now, phase))


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    """Neighbouring constants as one, empty ones left out."""
    joined: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    return joined
