"""From faults of a document to diagnostics of its source: their place, and the words it is spelled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from plg.diagnostics import Diagnostic, Fault, Path, Span
from plg.language.source import Source
from plg.language.vocabulary import CLAUSES, GUARDRAILS, PHASES

_BLOCKS = {
    "pattern": ("traffic", "write traffic { steady 10/s over 30s }"),
    "guardrails": ("guardrails", "write guardrails { max_rate 100/s max_total_jobs 10_000 max_duration 5m }"),
}
"""Required fields of a document: the block of the DSL that fills each, and how to write it."""


_TEXTS = {"queue", "target", "description", "payload", "data", "tags", "file"}
"""Fields that hold texts, which are never bare words."""


class Placer:
    """Gives faults their place in one source. ``origins`` names the param that a value came from."""

    def __init__(self, source: Source, origins: Mapping[Path, str] | None = None) -> None:
        self.source = source
        self.origins = origins or {}
        self.is_plg = source.file.endswith(".plg")

    def diagnostic(self, fault: Fault) -> Diagnostic:
        """A fault of the document as a diagnostic."""
        message, help = self.spelled(fault) if self.is_plg else (fault.message, _as_data(fault.help))
        if self.is_plg and fault.name and not help.startswith("did you") and _TEXTS & {*fault.path}:
            help += f'; a text stands in double quotes: "{fault.name}"'
        origin = self.origins.get(fault.path)
        if origin is not None:
            message += f" (the value of the param {origin!r})"
        offsets = None if origin is not None else fault.offsets
        span = None if fault.outside else self.span(fault.path, offsets, fault.at_key)
        return Diagnostic(fault.code, message, self.source.file, span, help, fault.severity, fault.path)

    def span(self, path: Path, offsets: tuple[int, int] | None, at_key: bool) -> Span | None:
        if not self.source.text:
            return None
        if offsets is not None:
            return self.source.spans.within(path, *offsets)
        return self.source.spans.key(path) if at_key else self.source.spans.nearest(path)

    # The words of the DSL --------------------

    def spelled(self, fault: Fault) -> tuple[str, str]:
        """Message and help with the DSL's words for the fields of the document."""
        if fault.missing:
            return self.missing(fault)
        field = fault.path[-1] if fault.path else ""
        word = self.word(fault.path[:-1], str(field))
        if word == field:
            return fault.message, fault.help
        return fault.message.replace(f"`{field}`", f"`{word}`", 1), fault.help

    def missing(self, fault: Fault) -> tuple[str, str]:
        if not fault.path:
            block, help = _BLOCKS.get(fault.missing, (fault.missing, fault.help))
            return f"the scenario has no `{block}`", help
        word = self.word(fault.path, fault.missing)
        kind = self.phase_type(fault.path)
        if kind is not None:
            return f"this {kind} has no `{word}`", f"such as: {PHASES[kind].example}"
        return fault.message.replace(f"`{fault.missing}`", f"`{word}`"), fault.help.replace(f"{fault.missing}:", word)

    def word(self, owner: Path, field: str) -> str:
        """How the DSL spells a field of the node at ``owner``."""
        if owner == ("guardrails",):
            return next((word for word, (name, _) in GUARDRAILS.items() if name == field), field)
        kind = self.phase_type(owner)
        if kind is None:
            return field
        clauses = {name: CLAUSES[clause] for clause, name in PHASES[kind].clauses.items()}
        return clauses.get(field, kind if field == PHASES[kind].first else field)

    def phase_type(self, path: Path) -> str | None:
        """The type of the phase at ``path``; None where there is no phase."""
        node: Any = self.source.document
        if path[:1] != ("pattern",):
            return None
        try:
            for step in path:
                node = node[step]
        except (KeyError, IndexError, TypeError):
            return None
        kind = node.get("type") if isinstance(node, dict) else None
        return kind if isinstance(kind, str) and kind in PHASES else None


def _as_data(help: str) -> str:
    """A help as one writes it in YAML and JSON."""
    return re.sub(r"env (\w+) else …", r"{env: \1, default: …}", help)
