"""Canonical layout of DSL text. Comments, spellings and the order of things are kept; only blanks and line breaks move.

The tree becomes lines, each knowing the stretch of source it was made from; then every comment of the source goes to
the line it belongs to: behind it where it stood behind something, above it where it stood alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import field
from typing import Any

from plg.dataclass import dataclass
from plg.diagnostics import ScenarioError
from plg.language import expectation_text, strings
from plg.language.parse import parse_tree
from plg.language.tree_values import is_token, place

WIDTH = 100
"""Payloads and lists of points longer than this are written over several lines."""

_SCAN = re.compile(rf'(?P<comment>#[^\n]*)|(?P<text>{strings.STRING})|(?P<blank>\s+)|(?P<other>[^\s#"]+)')


@dataclass
class Line:
    """A line to be: its depth, its text, and the stretch of source that it stands for."""

    depth: int
    text: str
    start: int
    end: int
    above: list[str] = field(default_factory=list)
    behind: str = ""
    spaced: bool = False

    def __str__(self) -> str:
        indent = "  " * self.depth
        inner = "  " * (self.depth + (self.text.startswith(("}", "]")) and bool(self.above)))
        rows = [f"{inner if row else ''}{row}" for row in self.above]
        own = f"{indent}{self.text}" + (f"  {self.behind}" if self.behind else "")
        return "\n".join([*([""] if self.spaced else []), *rows, own])


def format_text(text: str, file: str = "<text>") -> str:
    """``text`` laid out anew. Raises `ScenarioError` with the syntax errors where it cannot be parsed.

    Formatting the result changes nothing, and the document is the same before and after.
    """
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    tree, faults, _ = parse_tree(plain, "file", file)
    if tree is None or faults:
        raise ScenarioError(faults, {file: plain})
    lines = list(_Layout(plain).file(tree))
    rest = _place_comments(plain, lines)
    return "\n".join([*map(str, lines), *rest]) + "\n"


# Comments --------------------


def _place_comments(text: str, lines: list[Line]) -> list[str]:
    """Hang every comment and kept blank line on its line; what follows the last line is returned."""
    rest: list[str] = []
    number, previous_end, alone = 0, -1, True
    gap = False
    for match in _SCAN.finditer(text):
        if match["blank"] is not None:
            alone = alone or "\n" in match[0]
            gap = gap or match[0].count("\n") > 1
            continue
        while number < len(lines) - 1 and lines[number].end <= match.start():
            number += 1
        if match["comment"] is None:
            _keep_gap(lines, number, match.start(), gap)
            previous_end, alone, gap = match.end(), False, False
            continue
        _hang(lines, rest, match[0].rstrip(), match.start(), previous_end, alone, gap)
        gap, alone = False, True
    return rest


def _keep_gap(lines: list[Line], number: int, position: int, gap: bool) -> None:
    """A blank line in front of something that opens a line is kept, except at the edges of a block."""
    line = lines[number]
    first = position == line.start and not line.above
    if gap and first and number and not lines[number - 1].text.endswith("{") and not line.text.startswith("}"):
        line.spaced = True
    if gap and line.above and position == line.start and not line.text.startswith("}"):
        line.above.append("")


def _hang(
    lines: list[Line], rest: list[str], comment: str, position: int, previous_end: int, alone: bool, gap: bool
) -> None:
    if not alone and previous_end >= 0:
        owner = next(line for line in reversed(lines) if line.start < previous_end)
        if not owner.behind:
            owner.behind = comment
        else:
            owner.above.append(comment)
        return
    following = next((line for line in lines if line.start >= position), None)
    if following is None:
        last = lines[-1]
        if position < last.end:
            last.above.append(comment)
        else:
            rest += ["", comment] if gap else [comment]
        return
    opens = following is lines[0] or lines[lines.index(following) - 1].text.endswith("{")
    if gap and following.above:
        following.above.append("")
    elif gap and not opens:
        following.spaced = True
    following.above.append(comment)


# Lines --------------------


class _Layout:
    """Turns the tree into lines."""

    def __init__(self, text: str) -> None:
        self.text = text

    def closing(self, node: Any, depth: int, text: str = "}") -> Line:
        """The line of the brace that ends ``node``."""
        end = place(node)[1]
        return Line(depth, text, end - 1, end)

    def file(self, tree: Any) -> Iterator[Line]:
        title, *statements = tree.children
        yield Line(0, f"scenario {title} {{", place(tree)[0], self.after_brace(place(title)[1]))
        for statement in statements:
            yield from getattr(self, f"_{statement.data}", self._plain)(statement)
        yield self.closing(tree, 0)

    def after_brace(self, position: int) -> int:
        """The offset behind the next opening brace."""
        for match in _SCAN.finditer(self.text, position):
            if match["other"] is not None and "{" in match[0]:
                return match.start() + match[0].index("{") + 1
        return position

    def _plain(self, node: Any) -> Iterator[Line]:
        """A statement on one line."""
        yield Line(1, _statement(node), *place(node))

    def _job(self, node: Any) -> Iterator[Line]:
        title, *settings = node.children
        header = [setting for setting in settings if setting.data == "setting"]
        body = [setting for setting in settings if setting.data != "setting"]
        words = [f"job {title}", *(" ".join(map(_word, s.children)) for s in header)]
        last = place(header[-1] if header else title)[1]
        start = place(node)[0]
        if not body:
            yield Line(1, " ".join(words) + " {}", *place(node))
            return
        yield Line(1, " ".join(words) + " {", start, self.after_brace(last))
        for setting in body:
            yield from self.setting(setting)
        yield self.closing(node, 1)

    def setting(self, node: Any) -> Iterator[Line]:
        key, *before, value = node.children
        start, end = place(node)
        key = " ".join([str(key), *map(_word, before)])
        flat = f"{key} {_flat(value)}"
        if is_token(value) or not value.children or (len(flat) + 4 <= WIDTH and not self.has_comment(start, end)):
            yield Line(2, flat, start, end)
            return
        yield from self.tall(value, 2, f"{key} ", start, "")

    def has_comment(self, start: int, end: int) -> bool:
        return any(match["comment"] for match in _SCAN.finditer(self.text, start, end))

    def tall(self, value: Any, depth: int, before: str, start: int, after: str) -> Iterator[Line]:
        """An object or list over several lines."""
        if (
            is_token(value)
            or not value.children
            or (len(before) + len(_flat(value)) + 2 * depth <= WIDTH and not (self.has_comment(*place(value))))
        ):
            yield Line(depth, before + _flat(value) + after, start, place(value)[1])
            return
        if value.data == "fields":
            yield Line(depth, before + _flat(value) + after, start, place(value)[1])
            return
        left, right = ("{", "}") if value.data == "object" else ("[", "]")
        yield Line(depth, before + left, start, place(value)[0] + 1)
        for index, child in enumerate(value.children):
            comma = "," if index < len(value.children) - 1 else ""
            if value.data == "object":
                key, inner = child.children
                yield from self.tall(inner, depth + 1, f"{key}: ", place(child)[0], comma)
            else:
                yield from self.tall(child, depth + 1, "", place(child)[0], comma)
        yield self.closing(value, depth, right + after)

    def _guardrails(self, node: Any) -> Iterator[Line]:
        yield from self.block("guardrails", node, [(_limit(limit), limit) for limit in node.children])

    def _expect(self, node: Any) -> Iterator[Line]:
        yield from self.block("expect", node, [(expectation_text.canonical(line)[0], line) for line in node.children])

    def block(self, head: str, node: Any, rows: list[tuple[str, Any]]) -> Iterator[Line]:
        start, end = place(node)
        if not rows and not self.has_comment(start, end):
            yield Line(1, f"{head} {{}}", start, end)
            return
        yield Line(1, f"{head} {{", start, self.after_brace(start))
        for text, row in rows:
            yield Line(2, text, *place(row))
        yield self.closing(node, 1)

    # Traffic --------------------

    def _traffic(self, node: Any) -> Iterator[Line]:
        *options, sequence = node.children
        words = ["traffic"]
        for option in options:
            words += [*(["seed"] if option.data == "first_seed" else []), _word(option.children[0])]
        yield Line(1, " ".join(words) + " {", place(node)[0], self.after_brace(place(node)[0]))
        yield from self.phases(sequence, 2, "then")
        yield self.closing(node, 1)

    def phases(self, node: Any, depth: int, joint: str) -> Iterator[Line]:
        end = place(node)[0]
        for index, phase in enumerate(node.children):
            before = f"{joint} " if index else ""
            start = self.joint_start(end, place(phase)[0]) if index else place(phase)[0]
            yield from self.phase(phase, depth, before, start)
            end = place(phase)[1]

    def joint_start(self, end: int, start: int) -> int:
        """The offset of the ``then`` or ``and`` between two phases."""
        for match in _SCAN.finditer(self.text, end, start):
            if match["other"] is not None:
                return match.start()
        return start

    def phase(self, node: Any, depth: int, before: str, start: int) -> Iterator[Line]:
        children = list(node.children)
        if children[0].data == "label":
            before += f"{children.pop(0).children[0]}: "
        shape, *clauses = children
        after = "".join(f" {_clause(clause)}" for clause in clauses)
        end = place(node)[1]
        if shape.data == "simple":
            kind, value = shape.children
            yield Line(depth, f"{before}{kind} {_word(value)}{after}", start, end)
        elif shape.data == "points":
            yield from self.points(shape, depth, before, start, after, end)
        else:
            yield from self.nested(shape, depth, before, start, after, end)

    def nested(self, shape: Any, depth: int, before: str, start: int, after: str, end: int) -> Iterator[Line]:
        head = {"repeat": f"repeat {_word(shape.children[0])} " if shape.data == "repeat" else "", "group": ""}
        inner = shape.children[-1]
        opened = place(shape.children[0])[1] if shape.data == "repeat" else place(shape)[0]
        yield Line(depth, before + head.get(shape.data, "together ") + "{", start, self.after_brace(opened))
        yield from self.phases(inner, depth + 1, "and" if shape.data == "together" else "then")
        yield Line(depth, "}" + after, place(shape)[1] - 1, end)

    def points(self, shape: Any, depth: int, before: str, start: int, after: str, end: int) -> Iterator[Line]:
        mode = [str(child) for child in shape.children if is_token(child)]
        rows = [child for child in shape.children if not is_token(child)]
        head = before + " ".join(["points", *mode]) + " {"
        flat = f"{head} {', '.join(map(_point, rows))} }}{after}"
        if len(flat) + 2 * depth <= WIDTH and not self.has_comment(start, place(shape)[1]):
            yield Line(depth, flat, start, end)
            return
        yield Line(depth, head, start, self.after_brace(place(shape)[0]))
        for row in rows:
            yield Line(depth + 1, _point(row) + ("," if row is not rows[-1] else ""), *place(row))
        yield Line(depth, "}" + after, place(shape)[1] - 1, end)


# Words --------------------


def _word(token: Any) -> str:
    """A value as it was spelled, without blanks inside a quantity."""
    return strings.compact(token) if token.type == "QUANTITY" else str(token)


def _flat(value: Any) -> str:
    """A payload on one line."""
    if is_token(value):
        return _word(value)
    if value.data == "array":
        return f"[{', '.join(map(_flat, value.children))}]"
    if value.data == "fields":
        return "{ " + " ".join(map(_word, value.children)) + " }"
    pairs = [f"{pair.children[0]}: {_flat(pair.children[1])}" for pair in value.children]
    return "{ " + ", ".join(pairs) + " }" if pairs else "{}"


def _limit(node: Any) -> str:
    key, value, *over = node.children
    return f"{key} {_word(value)}" + (f" over {_word(over[0])}" if over else "")


def _point(node: Any) -> str:
    return f"{_word(node.children[0])} {_word(node.children[1])}"


_CLAUSES = {"to": "->", "swing": "+-", "top": "..", "times": "x", "cap": "max_rate"}


def _clause(node: Any) -> str:
    if node.data == "word":
        return " ".join(map(_word, node.children))
    value = _word(node.children[0])
    return f"in {value} steps" if node.data == "steps" else f"{_CLAUSES.get(node.data, node.data)} {value}"


def _statement(node: Any) -> str:
    """A statement that stands on one line."""
    children = [_env(child) if not is_token(child) else _word(child) for child in node.children]
    if node.data == "tags":
        return "tags " + ", ".join(children)
    if node.data == "param":
        return f"param {children[0]} = {children[1]}"
    if node.data == "workers":
        return f"workers {children[0]} each {children[1]}" + "".join(f" only {word}" for word in children[2:])
    return " ".join([str(node.data), *children])


def _env(node: Any) -> str:
    if node.data == "kept":
        return f"{_env(node.children[0])} keep"
    name, *default = node.children
    return f"env {name}" + (f" else {_word(default[0])}" if default else "")
