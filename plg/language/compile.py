"""From Lark's tree straight to the plain document, and to the place of every node of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from plg.diagnostics import Diagnostic, Path
from plg.language import expectation_text
from plg.language.source import Document, Spans
from plg.language.tree_traffic import Traffic
from plg.language.tree_values import Node, is_token, place
from plg.language.vocabulary import CONTENTS, ERROR_RATE, GUARDRAILS, JOB, RETRY


class Compiled(NamedTuple):
    """The document that a tree spells, the faults of its spelling alone, and ``phase NAME`` for each that it lacks."""

    document: Document
    faults: list[Diagnostic]
    lost: frozenset[str]


def compile_tree(tree: Node, spans: Spans, file: str) -> Compiled:
    """The document of ``tree``, ``spans`` filled."""
    compiler = _Compiler(spans, file)
    document = compiler.file(tree)
    return Compiled(document, compiler.faults, frozenset(compiler.lost))


class _Compiler(Traffic):
    """Reads the statements of a scenario: one method each, named after the rule of the grammar."""

    def file(self, tree: Node) -> Document:
        document: Document = {}
        self.mark((), tree)
        title, *statements = tree.children
        self.put(document, (), "name", self.title(title), title)
        for statement in statements:
            read: Callable[[Document, Any], None] | None = getattr(self, f"_{statement.data}", None)
            if read is not None:
                read(document, statement)
        return document

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
        """A value, or ``env NAME else value``, or (of a param) either with ``keep``."""
        if is_token(node):
            return self.value(node, kind)
        if node.data == "kept":
            return {**self.scalar_or_env(node.children[0], kind), "keep": True}
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
        count, each, *only = node.children
        workers: Document = {}
        self.put(document, (), "workers", workers, node)
        self.put(workers, ("workers",), "count", self.value(count, "count"), count)
        self.put(workers, ("workers",), "each", self.value(each, "time"), each)
        for token in only:
            self.put(workers, ("workers",), "only", self.value(token, "ownServer"), token)

    def _connections(self, document: Document, node: Node) -> None:
        token = node.children[0]
        self.put(document, (), "connections", self.value(token, "connectionCount"), token)

    def _pacing(self, document: Document, node: Node) -> None:
        token = node.children[0]
        self.put(document, (), "pacing", self.value(token, "pacing"), token)

    def _max_lag(self, document: Document, node: Node) -> None:
        token = node.children[0]
        self.put(document, (), "max_lag", self.value(token, "time"), token)

    def _watch(self, document: Document, node: Node) -> None:
        token = node.children[0]
        self.put(document, (), "watch", self.value(token, "time"), token)

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
            key, value, *more = setting.children
            name = str(key)
            if name not in JOB or name == "name":
                self.unknown(f"a job has no setting `{name}`", name, [n for n in JOB if n != "name"], key)
            elif more:
                self.put(job, path, name, self.named_queue((*path, name), key, value, *more), setting, key)
            elif not is_token(value) and value.data == "fields":
                self.put(job, path, name, self.fields((*path, name), value), value, key)
            elif is_token(value) and name not in CONTENTS:
                self.put(job, path, name, self.value(value, JOB[name].kind), value, key)
            else:
                self.put(job, path, name, self.json(value, (*path, name)), value, key)

    def named_queue(self, path: Path, key: Any, kind: Any, title: Any, settings: Any = None) -> Any:
        """``queue rq "default" { serializer: "json" }``."""
        if key != "queue" or kind.type != "NAME":
            self.fault("wrong-type", f"`{key}` takes one value", place(title))
            return self.value(kind, JOB[str(key)].kind)
        queue: Document = {}
        self.put(queue, path, "kind", str(kind), kind)
        self.put(queue, path, "name", self.string(title), title)
        for name, value in (self.json(settings, path) if settings is not None else {}).items():
            queue.setdefault(name, value)
        return queue

    def fields(self, path: Path, node: Any) -> Document:
        """``{ max 3 backoff 1s }``: the fields of a retry."""
        found: Document = {}
        for name, value in zip(node.children[::2], node.children[1::2], strict=True):
            self.put(
                found, path, str(name), self.value(value, RETRY[name].kind if name in RETRY else "json"), value, name
            )
        return found

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
            text, pieces = expectation_text.canonical(child)
            document["expect"].append(text)
            self.mark(path, child)
            self.spans.pieces[path] = pieces
