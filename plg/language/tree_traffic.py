"""The traffic in Lark's tree: phases and the clauses they take."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from plg.diagnostics import Path, nearest
from plg.language import otherwise, strings
from plg.language.source import Document
from plg.language.tree_values import Node, Values, is_token, place
from plg.language.vocabulary import CLAUSES, PHASES, POSITIONS, PhaseType
from plg.units import DURATION_UNITS


class _Part(NamedTuple):
    """What stands in for a node of the tree where one was cut in two."""

    data: str
    children: list[Any]
    empty: bool = False

    @property
    def meta(self) -> _Part:
        return self

    @property
    def start_pos(self) -> int:
        return place(self.children[0])[0]

    @property
    def end_pos(self) -> int:
        return place(self.children[-1])[1]


class Traffic(Values):
    """Reads the ``traffic`` statement."""

    def _traffic(self, document: Document, node: Node) -> None:
        *options, sequence = node.children
        arrivals: Document = {}
        for option in options:
            field = "process" if option.data == "process" else "seed"
            self.put(arrivals, ("arrivals",), field, self.value(option.children[0], field), option.children[0])
        if "pattern" in document:
            self.fault("duplicate-key", "`traffic` is given twice", place(node), "join them with `then`")
            self.lost.add("traffic")
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
        parts = self.parts(node)
        if len(parts) == 1:
            return self.phase(parts[0], path)
        phases = self.phases(node, (*path, "phases"))
        self.mark(path, node)
        return {"type": "custom", "phases": phases} if phases else None

    def phases(self, node: Any, path: Path) -> list[Document]:
        phases: list[Document] = []
        for part in self.parts(node):
            phase = self.phase(part, (*path, len(phases)))
            if phase is not None:
                phases.append(phase)
        self.mark(path, node)
        return phases

    def parts(self, node: Any) -> list[Any]:
        """The phases of a sequence. Where `then` is missing, the word that begins the next one is told."""
        parts: list[Any] = []
        for phase in node.children:
            part = _Part(phase.data, [])
            for child in phase.children:
                word = child.children[0] if getattr(child, "data", "") == "word" else None
                if word is not None and (str(word) in PHASES or word == "pause") and len(child.children) == 2:
                    self.fault(
                        "syntax", f"`{word}` begins a new phase", place(word), "write `then` (or `and`) before it"
                    )
                    parts.append(part)
                    part = _Part(phase.data, [_Part("simple", child.children)])
                else:
                    part.children.append(child)
            parts.append(part)
        return parts

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
            self.unknown(f"there is no phase `{word}`", word, known, key, otherwise.PHASES)
            self.lost.add(f"phase {phase.get('name', '')}")
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
            self.foreign_clause(CLAUSES[clause.data], clause, token, phase, kind, path)
        elif clause.data == "from":
            self.put(phase, path, name, self.angle(token), token)
        elif name in phase:
            self.fault("duplicate-key", f"`{CLAUSES[clause.data]}` is given twice", place(clause))
        else:
            self.put(phase, path, name, self.value(token, kind.fields[name].kind), token)

    def foreign_clause(self, word: str, clause: Any, token: Any, phase: Document, kind: PhaseType, path: Path) -> None:
        """A clause that this phase does not take; it is read as the one that is meant, where that is plain."""
        known = {CLAUSES[clause]: name for clause, name in kind.clauses.items()}
        meant = otherwise.CLAUSES.get(word, "")
        if meant not in known and word not in CLAUSES.values():
            meant = nearest(word, known) or ""
        name = known.get(meant, "")
        help = f"did you mean `{meant}`?" if name else f"such as: {kind.example}"
        self.fault("unknown-key", f"{phase['type']} takes no `{word}`", place(clause), help)
        if name and name not in phase and is_token(token):
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
        if self.unit_apart(str(word)):
            return
        kind = PHASES[phase["type"]]
        if rest and rest[0] is not None:
            self.foreign_clause(str(word), clause, rest[0], phase, kind, path)
            return
        suggestion = nearest(str(word), [CLAUSES[name] for name in kind.clauses])
        help = f"did you mean `{suggestion}`?" if suggestion else f"such as: {kind.example}"
        self.fault("unknown-key", f"{phase['type']} takes no `{word}`", place(word), help)

    def unit_apart(self, word: str) -> bool:
        """Whether a word is the unit of the number before it (`5 s`, `5 sec`), which is told how to be written."""
        unit = word if word in DURATION_UNITS else otherwise.UNITS.get(word.lower())
        if unit is None or not self.faults or self.faults[-1].code != "missing-unit":
            return False
        written = self.faults[-1].help.rstrip("abcdefghijklmnopqrstuvwxyz")
        self.faults[-1] = replace(self.faults[-1], help=written + unit)
        return True

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
