"""YAML and JSON to the plain document, with the place of every node.

Built on the event stream, without recursion. Scalars are typed by the core rules of YAML 1.2 (``on`` and ``yes`` are
strings, ``010`` is ten), plus integers with underscores. Duplicate keys, unknown tags, merge keys, several documents
and aliases that grow without bound are refused.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any, NamedTuple

from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, Path
from plg.language.source import MAX_DEPTH, Range, Spans
from plg.language.strings import MAX_DIGITS, number

MAX_NODES = 1_000_000
"""The most nodes a document may have once its aliases are expanded."""

MAX_CUTS = 20
"""After so many fields that cannot be parsed, the rest of a file is not looked at."""
_MORE = f"; there are more: after {MAX_CUTS} fields that cannot be read the rest of the file is not looked at"

_OUTERMOST = re.compile(r"^([\w-]+|\"[^\"\n]*\"|'[^'\n]*')[ \t]*(?::|$)", re.MULTILINE)
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_INTEGER = re.compile(r"[-+]?(?:[0-9]+|[0-9]{1,3}(?:_[0-9]{3})+)")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_SPECIAL = {
    ".inf": math.inf, ".Inf": math.inf, ".INF": math.inf,
    "+.inf": math.inf, "-.inf": -math.inf, "-.Inf": -math.inf, "-.INF": -math.inf,
    ".nan": math.nan, ".NaN": math.nan, ".NAN": math.nan,
}  # fmt: skip
_NULLS = {"", "~", "null", "Null", "NULL"}
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_TAG = "tag:yaml.org,2002:"

_WORDING = (
    ("mapping values are not allowed", "a `:` is not expected here", "quote the text, or check the indentation"),
    ("did not find expected key", "the indentation does not fit, or a key is missing here", ""),
    ("did not find expected '-' indicator", "the indentation does not fit the list", ""),
    ("did not find expected ',' or ']'", "expected `,` or `]`", "close the list opened with `[`"),
    ("did not find expected ',' or '}'", "expected `,` or `}`", "close the mapping opened with `{`"),
    ("found character that cannot start any token", "this character cannot begin a value", "quote the text"),
    ("unexpected end of stream", "this string is never closed", "close the quotation mark"),
    ("could not find expected ':'", "expected `:` after a key", ""),
    ("unknown escape", "this is no escape", 'in "…" a backslash is written \\\\'),
    ("undefined alias", "this alias has no anchor", ""),
    ("tab", "a tab cannot indent", "indent with blanks"),
    ("control characters are not allowed", "a control character is not allowed", ""),
    ("block sequence entries are not allowed", "a list entry is not expected here", "check the indentation"),
    ("block mapping entries are not allowed", "a mapping is not expected here", "check the indentation"),
    ("undefined tag handle", "this tag is not known", ""),
)


_BEGUN = ("expected ':'", "',' or ']'", "',' or '}'", "unexpected end of stream")


class YamlFault(Exception):
    """The text cannot be read any further. ``offset`` is where, if what stands around it can be left out."""

    def __init__(self, diagnostic: Diagnostic, offset: int | None = None) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic, self.offset = diagnostic, offset


@dataclass
class _Frame:
    """A list or mapping that is being filled."""

    container: Any
    path: Path
    start: int
    anchor: str | None
    size: int = 1
    key: str | None = None
    key_range: Range = (0, 0)
    waiting: bool = False


class Read(NamedTuple):
    """The document in a text (None where nothing could be read), the faults, and the fields that are not whole."""

    document: Any
    faults: list[Diagnostic]
    lost: frozenset[str] = frozenset()


def read_yaml(text: str, file: str, spans: Spans, what: str = "scenario") -> Read:
    """The document in ``text``, which should hold a scenario or ``what`` else; ``spans`` is filled.

    A field of the document that cannot be parsed is told and left out, and the rest is read without it.
    """
    faults: list[Diagnostic] = []
    lost: set[str] = set()
    while True:
        reader = _Reader(text, file, spans, what)
        document, broken = reader.read()
        if broken is None:
            break
        field = _field_at(text, reader.broken_at)
        if len(faults) < MAX_CUTS:
            faults.append(broken)
        else:
            faults[-1] = replace(faults[-1], message=faults[-1].message + _MORE)
            field = None
        if field is None:
            document = None
            break
        lost.add(field[0])
        text = text[: field[1]] + re.sub(r"[^\n]", " ", text[field[1] : field[2]]) + text[field[2] :]
        spans.clear()
    return Read(document, [*faults, *reader.faults], frozenset(lost))


def _field_at(text: str, offset: int | None) -> tuple[str, int, int] | None:
    """The field of the outermost mapping around ``offset``, and where its lines begin and end."""
    if offset is None:
        return None
    starts = list(_OUTERMOST.finditer(text))
    inside = [match for match in starts if match.start() <= offset]
    if not inside or len(starts) < 2:
        return None
    after = [match.start() for match in starts if match.start() > inside[-1].start()]
    return inside[-1][1], inside[-1].start(), after[0] if after else len(text)


class _Reader:
    def __init__(self, text: str, file: str, spans: Spans, what: str) -> None:
        self.text, self.file, self.spans, self.what = text, file, spans, what
        self.faults: list[Diagnostic] = []
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = 0
        self.root: Any = None
        self.broken_at: int | None = None

    def fault(self, code: str, message: str, where: Range, help: str = "") -> Diagnostic:
        return Diagnostic(code, message, self.file, self.spans.lines.span(where), help)

    def read(self) -> tuple[Any, Diagnostic | None]:
        """The document, or the fault at which the text cannot be read any further."""
        import yaml

        unprintable = _UNPRINTABLE.search(self.text)
        if unprintable is not None:
            return None, self.fault("syntax", "a control character is not allowed", unprintable.span())
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        documents = 0
        try:
            for event in yaml.parse(self.text, Loader=loader):
                if isinstance(event, yaml.DocumentStartEvent):
                    documents += 1
                    if documents > 1:
                        message, help = "a second document begins here", f"write one {self.what} a file"
                        return None, self.fault("syntax", message, span_of(event), help)
                self.event(event, yaml)
        except YamlFault as error:
            self.broken_at = error.offset
            return None, error.diagnostic
        except yaml.YAMLError as error:
            return None, self.syntax(error)
        except (ValueError, RecursionError):
            return None, self.fault("syntax", "this is not valid YAML", (0, 0))
        if self.root is None:
            return None, self.fault("empty-file", f"there is no {self.what} in this file", (0, 0))
        return self.root, None

    def syntax(self, error: Any) -> Diagnostic:
        """The parser's complaint in our words, at the place that is to blame."""
        mark, opened = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
        said = f"{getattr(error, 'problem', '')} {getattr(error, 'context', '')}"
        if mark is None:
            return self.fault("syntax", "this is not valid YAML", (0, 0))
        # What was begun in an earlier line and never ended is noticed only where something else stands.
        begun = any(word in said for word in _BEGUN)
        where = opened.index if begun and opened is not None and opened.line < mark.line else mark.index
        self.broken_at = where
        if self.text[where : where + 1] == "\t":
            said = "tab"
        if self.text[max(0, where - 1) : where + 1] == "${":
            help = 'quote the text: "${…}"'
            return self.fault(
                "syntax", "`${` begins a mapping where the text is not quoted", (where - 1, where + 1), help
            )
        for part, message, help in _WORDING:
            if part in said:
                earlier = where != mark.index
                end = where + 1
                if earlier and "`:`" in message:
                    end = where + len(self.text[where:].partition("\n")[0].rstrip())
                late = f" before line {mark.line + 1}" if earlier and "`,`" in message else ""
                return self.fault("syntax", message + late, (where, end), help)
        return self.fault("syntax", "this is not valid YAML", (where, where + 1))

    # Events --------------------

    def event(self, event: Any, yaml: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self.scalar(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self.open({} if isinstance(event, yaml.MappingStartEvent) else [], event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.close(event)
        elif isinstance(event, yaml.AliasEvent):
            self.alias(event)

    def scalar(self, event: Any) -> None:
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.container, dict) and not frame.waiting:
            self.take_key(frame, event)
            return
        self.add(self.typed(event), span_of(event), event.anchor, 1, verbatim=self.is_verbatim(event))

    def is_verbatim(self, event: Any) -> bool:
        """Whether offsets in the value are offsets in the source."""
        start, end = span_of(event)
        return bool(self.text[start:end].strip("'\"") == event.value)

    def take_key(self, frame: _Frame, event: Any) -> None:
        key, where = event.value, span_of(event)
        if key == "<<" and event.implicit[0]:
            message = "merge keys are not supported"
            raise YamlFault(self.fault("syntax", message, where, "write the fields out"), where[0])
        if key in frame.container:
            self.faults.append(self.fault("duplicate-key", f"`{key}` is given twice", where))
        frame.key, frame.key_range, frame.waiting = key, where, True

    def open(self, container: Any, event: Any) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise YamlFault(self.fault("too-deep", f"values nest more than {MAX_DEPTH} deep", span_of(event)))
        self.check_tag(event, "map" if isinstance(container, dict) else "seq")
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.container, dict) and not frame.waiting:
            raise YamlFault(self.fault("syntax", "a key must be plain text", span_of(event)), span_of(event)[0])
        self.stack.append(_Frame(container, self.next_path(), event.start_mark.index, event.anchor))

    def close(self, event: Any) -> None:
        frame = self.stack.pop()
        end = event.end_mark.index
        if isinstance(event.end_mark.column, int):
            end = frame.start + len(self.text[frame.start : end].rstrip())
        self.add(frame.container, (frame.start, end), frame.anchor, frame.size, path=frame.path)

    def alias(self, event: Any) -> None:
        where = span_of(event)
        if event.anchor not in self.anchors:
            raise YamlFault(self.fault("syntax", "this alias has no anchor before it", where), where[0])
        frame = self.stack[-1] if self.stack else None
        if frame is not None and isinstance(frame.container, dict) and not frame.waiting:
            raise YamlFault(self.fault("syntax", "a key must be plain text", where), where[0])
        value, size = self.anchors[event.anchor]
        if self.nodes + size > MAX_NODES:
            raise YamlFault(self.fault("too-large", f"aliases expand to more than {MAX_NODES:,} values", where))
        if self.depth_of(value) + len(self.stack) > MAX_DEPTH:
            raise YamlFault(self.fault("too-deep", f"values nest more than {MAX_DEPTH} deep", where))
        self.add(copy_of(value), where, None, size)

    @staticmethod
    def depth_of(value: Any) -> int:
        depth, level = 0, [value]
        while level:
            depth += 1
            level = [
                child
                for node in level
                if isinstance(node, dict | list)
                for child in (node.values() if isinstance(node, dict) else node)
            ]
        return depth

    def next_path(self) -> Path:
        if not self.stack:
            return ()
        frame = self.stack[-1]
        return (*frame.path, frame.key if isinstance(frame.container, dict) else len(frame.container))  # type: ignore[arg-type]  # a mapping that opens a value has a key

    def add(
        self,
        value: Any,
        where: Range,
        anchor: str | None,
        size: int,
        *,
        path: Path | None = None,
        verbatim: bool = False,
    ) -> None:
        """Put a finished value where it belongs."""
        self.nodes += 1 if path is not None else size
        if self.nodes > MAX_NODES:
            raise YamlFault(self.fault("too-large", f"the document has more than {MAX_NODES:,} values", where))
        path = self.next_path() if path is None else path
        self.spans.places[path] = where
        if verbatim:
            self.spans.verbatim.add(path)
        if anchor is not None:
            self.anchors[anchor] = (value, size)
        if not self.stack:
            self.root = value
            return
        frame = self.stack[-1]
        frame.size += size
        if isinstance(frame.container, dict):
            frame.container.setdefault(frame.key, value)
            self.spans.key_places[path] = frame.key_range
            frame.waiting = False
        else:
            frame.container.append(value)

    # Scalars --------------------

    def check_tag(self, event: Any, expected: str) -> None:
        if event.tag not in (None, "!", _TAG + expected):
            raise self.unknown_tag(event)

    def unknown_tag(self, event: Any) -> YamlFault:
        tag = event.tag.replace(_TAG, "!!")
        help = "values are what JSON has: texts, numbers, true, false, null, lists and mappings"
        fault = self.fault("syntax", f"the tag {tag} is not supported", span_of(event), help)
        return YamlFault(fault, span_of(event)[0])

    def typed(self, event: Any) -> Any:
        value, tag = event.value, event.tag
        if tag is None and event.implicit[0]:
            return self.plain(value, span_of(event))
        if tag in (None, "!", _TAG + "str"):
            return value
        if tag in (_TAG + "int", _TAG + "float", _TAG + "bool", _TAG + "null"):
            return self.plain(value, span_of(event))
        raise self.unknown_tag(event)

    def plain(self, value: str, where: Range) -> Any:
        """A plain scalar by the core rules."""
        if value in _NULLS:
            return None
        if value in _BOOLS:
            return _BOOLS[value]
        first = value[0]
        if not (first.isdigit() or first in "+-."):
            return value
        try:
            if _INTEGER.fullmatch(value) or _FLOAT.fullmatch(value):
                return number(value)
            if _OCTAL.fullmatch(value):
                return int(value[2 : MAX_DIGITS + 2], 8)
            if _HEX.fullmatch(value):
                return int(value[2 : MAX_DIGITS + 2], 16)
        except ValueError:
            self.faults.append(self.fault("out-of-range", f"{value[:20]}… is too large a number", where))
            return 1
        return _SPECIAL.get(value, value)


def span_of(event: Any) -> Range:
    """The stretch of text an event covers."""
    return event.start_mark.index, event.end_mark.index


def copy_of(value: Any) -> Any:
    """A copy of plain data, so that an alias shares nothing with its anchor. Depth is bounded by the reader."""
    if isinstance(value, dict):
        return {key: copy_of(child) for key, child in value.items()}
    return [copy_of(child) for child in value] if isinstance(value, list) else value
