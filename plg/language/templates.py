"""Templates in payloads: ``${seq}``, ``${uuid}``, ``${rand(1,100)}``, ``${users.email}`` and the like.

A payload is compiled once a run. What rendering a job then costs is one call for each template in it and one join:
the text around the templates is made JSON beforehand.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from plg.diagnostics import Path, nearest
from plg.language.tables import Table

Value = Callable[[int, float, str], Any]
"""The value of a template for job ``seq``, at ``now`` (s since the epoch), in a phase."""
Text = Callable[[int, float, str], str]

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


def _digest(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:8], "big")


@dataclass(frozen=True, slots=True)
class Slot:
    """A template that can be written into many payloads at once: ``seq`` and ``now_ms`` as decimal digits,
    ``seq_hex`` as twelve hexadecimal ones."""

    kind: Literal["seq", "seq_hex", "now_ms"]


Layout = tuple[str | Slot, ...]
"""A payload's text as constants and slots in turn."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A compiled payload. ``dynamic`` is False where every job carries the same.

    ``json_layout`` and ``text_layout`` say the same as ``json`` and ``text``, as constants and slots; None where a
    template in the payload is more than a slot.
    """

    value: Value
    json: Text
    text: Text
    dynamic: bool
    json_layout: Layout | None = None
    text_layout: Layout | None = None


def compile_payload(
    payload: Any,
    *,
    tables: Mapping[str, Table] | None = None,
    run: str = "",
    job: str = "job",
    seed: int = 0,
) -> Payload:
    """``payload`` (any JSON value) as renderers taking ``(seq, now, phase)``.

    ``value`` gives the plain value, ``json`` its JSON text, and ``text`` what the raw encoding sends: a string as it
    is, anything else as JSON. ``${rand}`` and ``${choice}`` depend on ``seed`` and ``seq`` alone, ``${uuid}`` on the
    run and ``seq``, each place in the payload apart. Raises `TemplateError`.
    """
    compiler = _Compiler(tables or {}, run, job, seed)
    value = compiler.value(payload)
    parts = compiler.parts(payload)
    rendered = _joined(parts)
    dynamic = any(not isinstance(part, str) for part in parts)
    text = rendered
    if isinstance(payload, str):
        text = lambda seq, now, phase: _plain(value(seq, now, phase))  # noqa: E731  # a renderer like the others
    layout = compiler.layout(payload, raw=False)
    raw = compiler.layout(payload, raw=True) if isinstance(payload, str) else layout
    return Payload(value, rendered, text, dynamic, layout, raw)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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

    # A payload as a value, and as pieces of JSON --------------------

    def value(self, payload: Any) -> Value:
        self.place = 0
        return self._value(payload)

    def _value(self, payload: Any) -> Value:
        if isinstance(payload, dict):
            pairs = [(key, self._value(child)) for key, child in payload.items()]
            return lambda seq, now, phase: {key: child(seq, now, phase) for key, child in pairs}
        if isinstance(payload, list):
            items = [self._value(child) for child in payload]
            return lambda seq, now, phase: [child(seq, now, phase) for child in items]
        if not isinstance(payload, str):
            return lambda seq, now, phase: payload
        pieces = self.split(payload)
        if len(pieces) == 1 and not isinstance(pieces[0], str):
            return pieces[0]
        return _joined([piece if isinstance(piece, str) else _as_text(piece) for piece in pieces])

    def parts(self, payload: Any) -> list[str | Text]:
        """The JSON text of a payload: constant pieces, and renderers of what changes between them."""
        self.place = 0
        parts: list[str | Text] = []
        self._parts(payload, parts)
        return _merged(parts)

    def _parts(self, payload: Any, parts: list[str | Text]) -> None:
        if isinstance(payload, dict):
            parts.append("{")
            for index, (key, child) in enumerate(payload.items()):
                parts.append(("," if index else "") + json.dumps(key, ensure_ascii=False) + ":")
                self._parts(child, parts)
            parts.append("}")
        elif isinstance(payload, list):
            parts.append("[")
            for index, child in enumerate(payload):
                parts.append("," if index else "")
                self._parts(child, parts)
            parts.append("]")
        elif isinstance(payload, str):
            self._string(payload, parts)
        else:
            parts.append(json.dumps(payload))

    def _string(self, payload: str, parts: list[str | Text]) -> None:
        pieces = self.split(payload)
        if len(pieces) == 1 and not isinstance(pieces[0], str):
            parts.append(_as_json(pieces[0]))
            return
        parts.append('"')
        for piece in pieces:
            if isinstance(piece, str):
                parts.append(json.dumps(piece, ensure_ascii=False)[1:-1])
            else:
                parts.append(_inside_string(piece))
        parts.append('"')

    # A payload as constants and slots --------------------

    def layout(self, payload: Any, *, raw: bool) -> Layout | None:
        """The text of a payload where all that changes are slots. ``raw`` leaves out the quotes of a lone string."""
        self.place = 0
        pieces: list[str | Slot] = []
        return tuple(_joined_constants(pieces)) if self._layout(payload, pieces, raw) else None

    def _layout(self, payload: Any, pieces: list[str | Slot], raw: bool = False) -> bool:
        if isinstance(payload, dict):
            pieces.append("{")
            for index, (key, child) in enumerate(payload.items()):
                pieces.append(("," if index else "") + json.dumps(key, ensure_ascii=False) + ":")
                if not self._layout(child, pieces):
                    return False
            pieces.append("}")
        elif isinstance(payload, list):
            pieces.append("[")
            for index, child in enumerate(payload):
                pieces.append("," if index else "")
                if not self._layout(child, pieces):
                    return False
            pieces.append("]")
        elif isinstance(payload, str):
            return self._string_layout(payload, pieces, raw)
        else:
            pieces.append(json.dumps(payload))
        return True

    def _string_layout(self, payload: str, pieces: list[str | Slot], raw: bool) -> bool:
        found: list[str | Slot] = []
        for piece in self.split(payload):
            slots = (piece,) if isinstance(piece, str) else self.slots.get(piece)
            if slots is None:
                return False
            found += slots
        # A number alone in its string keeps its type, so it stands without quotes.
        bare = raw or found in ([Slot("seq")], [Slot("now_ms")])
        pieces.append("" if bare else '"')
        for slot in found:
            escape = isinstance(slot, str) and not raw
            pieces.append(json.dumps(slot, ensure_ascii=False)[1:-1] if escape else slot)
        pieces.append("" if bare else '"')
        return True

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
        """``value``, remembered as something that `layout` can spell."""
        self.slots[value] = pieces
        return value

    def uuid(self) -> Value:
        """Unique by construction: bits from the run, the job and the place, 48 bits of ``seq``; shaped as version 4."""
        bits = _digest("uuid", self.run, self.job, self.place)
        head = f"{bits >> 32 & 0xFFFFFFFF:08x}-{bits >> 16 & 0xFFFF:04x}-4{bits >> 4 & 0xFFF:03x}"
        prefix = f"{head}-{0x8000 | (bits & 0xF) << 8 | _digest(head) & 0xFF:04x}-"
        return self.slot(lambda seq, now, phase: f"{prefix}{seq:012x}", prefix, Slot("seq_hex"))

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
        salt = _digest(self.seed, self.job, name, self.place)
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


def _as_text(value: Value) -> Text:
    return lambda seq, now, phase: _plain(value(seq, now, phase))


def _as_json(value: Value) -> Text:
    def render(seq: int, now: float, phase: str) -> str:
        found = value(seq, now, phase)
        return str(found) if type(found) is int else json.dumps(found, ensure_ascii=False)

    return render


def _inside_string(value: Value) -> Text:
    def render(seq: int, now: float, phase: str) -> str:
        found = value(seq, now, phase)
        return str(found) if type(found) is int else json.dumps(_plain(found), ensure_ascii=False)[1:-1]

    return render


def _joined_constants(pieces: Sequence[str | Slot]) -> list[str | Slot]:
    joined: list[str | Slot] = []
    for piece in pieces:
        if isinstance(piece, str) and joined and isinstance(joined[-1], str):
            joined[-1] += piece
        elif piece != "":
            joined.append(piece)
    return joined


def _merged(parts: Sequence[str | Text]) -> list[str | Text]:
    """Neighbouring constants joined into one."""
    merged: list[str | Text] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        else:
            merged.append(part)
    return merged


def _joined(parts: Sequence[str | Text]) -> Text:
    """A renderer of all parts in a row; the usual small numbers of templates without a loop."""
    parts = _merged(parts)
    holes = [part for part in parts if not isinstance(part, str)]
    if not holes:
        constant = "".join(part for part in parts if isinstance(part, str))
        return lambda seq, now, phase: constant
    if len(holes) == 1:
        index = parts.index(holes[0])
        before = "".join(part for part in parts[:index] if isinstance(part, str))
        after = "".join(part for part in parts[index + 1 :] if isinstance(part, str))
        hole = holes[0]
        return lambda seq, now, phase: before + hole(seq, now, phase) + after

    def render(seq: int, now: float, phase: str) -> str:
        return "".join([part if isinstance(part, str) else part(seq, now, phase) for part in parts])

    return render
