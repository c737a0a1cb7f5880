"""From Lark's tree straight to the plain document, and to the place of every node of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from plg.diagnostics import Diagnostic, Path, nearest
from plg.language import expectation, strings
from plg.language.source import Document, Range, Spans
from plg.language.vocabulary import CHOICES, CLAUSES, ERROR_RATE, GUARDRAILS, JOB, PHASES, POSITIONS, PhaseType
from plg.units import UnitError

Node = Any
"""A node of Lark's tree: a `lark.Tree`, or a `lark.Token` (which is a `str`). Lark is not loaded here."""
Token = Any

_WORDS = {"true": True, "false": False, "on": True, "off": False, "null": None}
_STRINGS = {"text", "key", "file", "url", "name"}
_EXAMPLES = {
    "rate": "/s",
    "positiveRate": "/s",
    "duration": "s",
    "time": "s",
    "percent": "%",
    "cpuPercent": "%",
    "megabytes": "MB",
}


def compile_tree(tree: Node, spans: Spans, file: str) -> tuple[Document, list[Diagnostic]]:
    """The document that ``tree`` spells. ``spans`` is filled; the diagnostics are those of the spelling alone."""
    return _Compiler(spans, file).file(tree)


class _Compiler:
    def __init__(self, spans: Spans, file: str) -> None:
        self.spans, self.file_name = spans, file
        self.faults: list[Diagnostic] = []

    # Bookkeeping --------------------

    def fault(self, code: str, message: str, where: Range, help: str = "") -> None:
        self.faults.append(Diagnostic(code, message, self.file_name, self.spans.lines.span(where), help))

    def mark(self, path: Path, node: Any, key: Any = None) -> None:
        self.spans.places[path] = place(node)
        if key is not None:
            self.spans.key_places[path] = place(key)

    def put(self, owner: Document, path: Path, name: str, value: Any, node: Any, key: Any = None) -> None:
        """Set a field, once."""
        if name in owner:
            self.fault("duplicate-key", f"`{name}` is given twice", place(key if key is not None else node))
            return
        owner[name] = value
        self.mark((*path, name), node, key)

    # Values --------------------

    def value(self, token: Token, kind: str) -> Any:
        """A value where a ``kind`` is due: a number, a string, a word, or a reference to a param."""
        if token.type == "STRING":
            return self.string(token)
        if token.type == "REF":
            return {"param": str(token[1:])}
        if token.type == "NAME":
            return self.word(token, kind)
        text = strings.compact(token)
        if strings.PLAIN_NUMBER.fullmatch(text):
            if kind in _EXAMPLES:
                unit = _EXAMPLES[kind]
                self.fault("missing-unit", f"{text} has no unit", place(token), f"write {text}{unit}")
            return self.number(token, text)
        if kind in _STRINGS:
            self.fault("wrong-type", f"{text} is not a string", place(token), f'write "{text}"')
        return self.with_unit(text, kind)

    def string(self, token: Token) -> str:
        try:
            return strings.unquote(token)
        except strings.BadEscape as error:
            start = place(token)[0] + 1 + error.offset
            help = 'the escapes are \\n \\t \\r \\b \\f \\" \\\\ \\/ and \\uXXXX'
            self.fault("bad-escape", str(error), (start, start + 2), help)
            return ""

    def number(self, token: Token, text: str) -> int | float:
        try:
            return strings.number(text)
        except ValueError:
            self.fault("out-of-range", f"{text[:20]}… is too large a number", place(token))
            return 1

    @staticmethod
    def word(token: Token, kind: str) -> Any:
        if kind in CHOICES:
            return str(token)
        if kind in ("switch", "json") and token in _WORDS:
            return _WORDS[token]
        return {"param": str(token)}

    @staticmethod
    def with_unit(text: str, kind: str) -> Any:
        """The document's form of a quantity; one with the wrong unit stays as it is, for the validation to name."""
        try:
            if kind in ("rate", "positiveRate") and text.endswith("/s"):
                amount = strings.number(text[:-2])
                return int(amount) if isinstance(amount, float) and amount == int(amount) else amount
            if kind == "cpuPercent" and text.endswith("%"):
                return strings.number(text[:-1])
            if kind == "megabytes":
                from plg.language.quantities import size_in_mb

                return size_in_mb(text)
        except (UnitError, ValueError):
            pass
        return text

    def json(self, node: Any, path: Path) -> Any:
        """A value of a payload."""
        self.mark(path, node)
        if is_token(node):
            if node.type == "STRING" and "\\" not in node:
                self.spans.verbatim.add(path)
            value = self.value(node, "json")
            if isinstance(value, str) and node.type == "QUANTITY":
                self.fault("wrong-type", f"{value} is not a plain number", place(node), f'write "{value}"')
            return value
        if node.data == "array":
            return [self.json(child, (*path, index)) for index, child in enumerate(node.children)]
        result: Document = {}
        for pair in node.children:
            key = self.string(pair.children[0]) if pair.children[0].type == "STRING" else str(pair.children[0])
            if key in result:
                self.fault("duplicate-key", f"`{key}` is given twice", place(pair.children[0]))
                continue
            result[key] = self.json(pair.children[1], (*path, key))
            self.spans.key_places[(*path, key)] = place(pair.children[0])
        return result

    # Statements --------------------

    def file(self, tree: Node) -> tuple[Document, list[Diagnostic]]:
        document: Document = {}
        self.mark((), tree)
        title, *statements = tree.children
        self.put(document, (), "name", self.title(title), title)
        for statement in statements:
            read: Callable[[Document, Any], None] | None = getattr(self, f"_{statement.data}", None)
            if read is not None:
                read(document, statement)
        return document, self.faults

    def title(self, token: Any) -> str:
        return self.string(token) if token.type == "STRING" else str(token)

    def _description(self, document: Document, node: Node) -> None:
        token = node.children[0]
        self.put(document, (), "description", self.value(token, "text"), token)

    def _tags(self, document: Document, node: Node) -> None:
        self.put(document, (), "tags", [], node)
        for token in node.children:
            path: Path = ("tags", len(document["tags"]))
            document["tags"].append(str(token) if token.type == "NAME" else self.value(token, "text"))
            self.mark(path, token)

    def _param(self, document: Document, node: Node) -> None:
        name, value = node.children
        params = document.setdefault("params", {})
        self.spans.places.setdefault(("params",), place(node))
        if name in params:
            self.fault("duplicate-key", f"the param `{name}` is declared twice", place(name))
            return
        self.put(params, ("params",), str(name), self.scalar_or_env(value, "json"), value, name)

    def scalar_or_env(self, node: Any, kind: str) -> Any:
        """A value, or ``env NAME else value``."""
        if is_token(node):
            return self.value(node, kind)
        result: Document = {"env": str(node.children[0])}
        if len(node.children) > 1:
            result["default"] = (
                self.target_word(node.children[1]) if kind == "url" else self.value(node.children[1], kind)
            )
        return result

    def target_word(self, token: Any) -> Any:
        if token.type == "NAME" and token in ("embedded", "fake"):
            return str(token)
        return self.value(token, "url")

    def _target(self, document: Document, node: Node) -> None:
        child: Any = node.children[0]
        value = self.target_word(child) if is_token(child) else {"url": self.scalar_or_env(child, "url")}
        self.put(document, (), "target", value, child)

    def _data(self, document: Document, node: Node) -> None:
        name, token = node.children
        tables = document.setdefault("data", {})
        self.spans.places.setdefault(("data",), place(node))
        self.put(tables, ("data",), str(name), self.value(token, "file"), token, name)

    def _workers(self, document: Document, node: Node) -> None:
        count, each = node.children
        workers: Document = {}
        self.put(document, (), "workers", workers, node)
        self.put(workers, ("workers",), "count", self.value(count, "count"), count)
        self.put(workers, ("workers",), "each", self.value(each, "time"), each)

    def _connections(self, document: Document, node: Node) -> None:
        token = node.children[0]
        self.put(document, (), "connections", self.value(token, "connectionCount"), token)

    def _max_lag(self, document: Document, node: Node) -> None:
        token = node.children[0]
        self.put(document, (), "max_lag", self.value(token, "time"), token)

    def _job(self, document: Document, node: Node) -> None:
        title, *settings = node.children
        jobs = document.setdefault("jobs", [])
        self.spans.places.setdefault(("jobs",), place(node))
        path: Path = ("jobs", len(jobs))
        job: Document = {}
        jobs.append(job)
        self.mark(path, node)
        self.put(job, path, "name", self.title(title), title)
        for setting in settings:
            if setting.data == "broken":
                continue
            key, value = setting.children
            name = str(key)
            if name not in JOB or name == "name":
                self.unknown(f"a job has no setting `{name}`", name, [n for n in JOB if n != "name"], key)
            elif is_token(value) and name != "payload":
                self.put(job, path, name, self.value(value, JOB[name].kind), value, key)
            else:
                self.put(job, path, name, self.json(value, (*path, name)), value, key)

    def unknown(self, message: str, word: str, known: Any, where: Any) -> None:
        suggestion = nearest(word, known)
        help = f"did you mean `{suggestion}`?" if suggestion else "known: " + ", ".join(known)
        self.fault("unknown-key", message, place(where), help)

    def _guardrails(self, document: Document, node: Node) -> None:
        limits: Document = {}
        self.put(document, (), "guardrails", limits, node)
        for limit in node.children:
            if limit.data == "broken":
                continue
            key, value, *over = limit.children
            if key not in GUARDRAILS:
                names = {field: name for name, (field, _) in GUARDRAILS.items()}
                if key in names:
                    self.fault("unknown-key", f"here `{key}` is written `{names[key]}`", place(key))
                else:
                    self.unknown(f"there is no guardrail `{key}`", str(key), GUARDRAILS, key)
                continue
            name, description = GUARDRAILS[key]
            if description.kind == "errorRate":
                self.error_rate(limits, name, value, over, key)
                continue
            if over:
                self.fault("unknown-key", f"`{key}` takes no `over`", place(over[0]))
            self.put(limits, ("guardrails",), name, self.value(value, description.kind), value, key)

    def error_rate(self, limits: Document, name: str, value: Any, over: list[Any], key: Any) -> None:
        path: Path = ("guardrails", name)
        percent = self.value(value, "percent")
        rate: Document = {}
        self.put(limits, ("guardrails",), name, rate, value, key)
        self.put(
            rate, path, "percent", self.with_unit(percent, "cpuPercent") if isinstance(percent, str) else percent, value
        )
        if over:
            self.put(rate, path, "over", self.value(over[0], ERROR_RATE["over"].kind), over[0])

    def _expect(self, document: Document, node: Node) -> None:
        if "expect" not in document:
            document["expect"] = []
            self.mark(("expect",), node)
        for child in node.children:
            if child.data == "broken":
                continue
            path: Path = ("expect", len(document["expect"]))
            text, pieces = expectation.canonical(child)
            document["expect"].append(text)
            self.mark(path, child)
            self.spans.pieces[path] = pieces

    # Traffic --------------------

    def _traffic(self, document: Document, node: Node) -> None:
        *options, sequence = node.children
        arrivals: Document = {}
        for option in options:
            field = "process" if option.data == "process" else "seed"
            self.put(arrivals, ("arrivals",), field, self.value(option.children[0], field), option.children[0])
        if "pattern" in document:
            self.fault("duplicate-key", "`traffic` is given twice", place(node))
            return
        if arrivals:
            document["arrivals"] = arrivals
            self.mark(("arrivals",), options[0])
        pattern = self.sequence(sequence, ("pattern",))
        if pattern is not None:
            document["pattern"] = pattern
            self.spans.places.setdefault(("pattern",), place(sequence))

    def sequence(self, node: Any, path: Path) -> Document | None:
        """Phases one after another; a single one stands for itself. None where none could be read."""
        if len(node.children) == 1:
            return self.phase(node.children[0], path)
        phases = self.phases(node, (*path, "phases"))
        self.mark(path, node)
        return {"type": "custom", "phases": phases} if phases else None

    def phases(self, node: Any, path: Path) -> list[Document]:
        phases: list[Document] = []
        for child in node.children:
            phase = self.phase(child, (*path, len(phases)))
            if phase is not None:
                phases.append(phase)
        self.mark(path, node)
        return phases

    def phase(self, node: Any, path: Path) -> Document | None:
        children = node.children
        if node.data == "broken" or not children:
            return None
        phase: Document = {}
        position = 0
        if children[0].data == "label":
            token = children[0].children[0]
            self.put(phase, path, "name", self.title(token), token)
            position = 1
        shape = children[position]
        inner = self.shape(shape, phase, path)
        if inner is None:
            return None
        self.spans.places[path] = place(node)
        kind = PHASES.get(inner["type"])
        for clause in children[position + 1 :]:
            if kind is not None:
                self.clause(clause, inner, kind, path)
        return inner

    def shape(self, shape: Any, phase: Document, path: Path) -> Document | None:
        """The body of a phase; ``phase`` holds its name when it has one."""
        if shape.data == "simple":
            return self.simple(shape, phase, path)
        if shape.data == "points":
            return self.points(shape, phase, path)
        if shape.data == "repeat":
            count, sequence = shape.children
            phase["type"] = "custom"
            phase["phases"] = self.phases(sequence, (*path, "phases"))
            self.put(phase, path, "repeat", self.value(count, "repeats"), count)
            return phase if phase["phases"] else None
        field = "layers" if shape.data == "together" else "phases"
        phase["type"] = "overlay" if shape.data == "together" else "custom"
        phase[field] = self.phases(shape.children[0], (*path, field))
        return phase if phase[field] else None

    def simple(self, shape: Any, phase: Document, path: Path) -> Document | None:
        key, value = shape.children
        word = str(key)
        if word == "pause":
            phase.update(type="steady", base_rate=0)
            self.mark((*path, "type"), key)
            self.mark((*path, "base_rate"), key)
            self.put(phase, path, "duration", self.value(value, "duration"), value)
            return phase
        kind = PHASES.get(word)
        if kind is None or kind.first is None:
            known = [*(name for name, kind in PHASES.items() if kind.first), "pause", "points", "repeat", "together"]
            self.unknown(f"there is no phase `{word}`", word, known, key)
            return None
        phase["type"] = word
        self.mark((*path, "type"), key)
        self.put(phase, path, kind.first, self.value(value, kind.fields[kind.first].kind), value)
        return phase

    def points(self, shape: Any, phase: Document, path: Path) -> Document:
        phase["type"] = "points"
        rows: list[Document] = []
        for child in shape.children:
            if is_token(child):
                self.put(phase, path, "interpolation", self.value(child, "interpolation"), child)
                continue
            at, rate = child.children
            row_path: Path = (*path, "points", len(rows))
            row: Document = {}
            self.put(row, row_path, "at", self.value(at, "time"), at)
            self.put(row, row_path, "rate", self.value(rate, "rate"), rate)
            self.mark(row_path, child)
            rows.append(row)
        phase["points"] = rows
        self.mark((*path, "points"), shape)
        return phase

    def clause(self, clause: Any, phase: Document, kind: PhaseType, path: Path) -> None:
        token = clause.children[0]
        if clause.data == "word":
            self.bare_word(clause, phase, path)
            return
        name = kind.clauses.get(clause.data)
        if name is None:
            spelled = CLAUSES[clause.data]
            self.fault(
                "unknown-key", f"{phase['type']} takes no `{spelled}`", place(clause), f"such as: {kind.example}"
            )
        elif clause.data == "from":
            self.put(phase, path, name, self.angle(token), token)
        elif name in phase:
            self.fault("duplicate-key", f"`{CLAUSES[clause.data]}` is given twice", place(clause))
        else:
            self.put(phase, path, name, self.value(token, kind.fields[name].kind), token)

    def bare_word(self, clause: Any, phase: Document, path: Path) -> None:
        """A word that is no clause of its own: the shape of a ramp, or a slip."""
        word, *rest = clause.children
        if phase["type"] == "ramp" and not rest:
            self.put(phase, path, "ramp_type", self.value(word, "rampType"), word)
            return
        if str(word) in PHASES or word == "pause":
            self.fault("syntax", f"`{word}` begins a new phase", place(word), "write `then` (or `and`) before it")
            return
        kind = PHASES[phase["type"]]
        known = [CLAUSES[name] for name in kind.clauses]
        suggestion = nearest(str(word), known)
        help = f"did you mean `{suggestion}`?" if suggestion else f"such as: {kind.example}"
        self.fault("unknown-key", f"{phase['type']} takes no `{word}`", place(word), help)

    def angle(self, token: Any) -> Any:
        """Where a sine begins, in radians."""
        if token.type == "NAME" and token in POSITIONS:
            return POSITIONS[token]
        if token.type == "QUANTITY" and token.endswith("rad"):
            return self.number(token, strings.compact(token[:-3]))
        if token.type == "QUANTITY":
            self.fault(
                "unknown-unit",
                f"{token} is not where a sine begins",
                place(token),
                f"write one of {', '.join(POSITIONS)}, or an angle such as 1.2rad",
            )
            return 0
        return self.value(token, "angle")


def is_token(node: Any) -> bool:
    """Whether ``node`` is a token (a leaf) of the tree."""
    return isinstance(node, str)


def place(node: Any) -> Range:
    """Where a node or token of the tree stands."""
    if is_token(node):
        return node.start_pos, node.end_pos
    meta = node.meta
    return (meta.start_pos, meta.end_pos) if not meta.empty else (0, 0)
