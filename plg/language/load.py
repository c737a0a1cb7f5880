"""The door: a scenario file or document in, a `Scenario` or every fault out."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import field, replace
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, Fault, ScenarioError
from plg.file_kinds import FOLDER, JUNIT, OUTCOME, PAGE, PICTURE, XML, kind_of
from plg.language import params, semantics, validate
from plg.language.check_target import target_fault
from plg.language.consequences import statement_of, without_consequences
from plg.language.expectation_text import canonical_text
from plg.language.files import Files
from plg.language.locate import Placer
from plg.language.source import Document, Source, Spans, decode, read_bytes
from plg.language.veiling import Veil
from plg.redaction import redact, remember
from plg.scenario import Scenario
from plg.target_url import missing, normalized

SUFFIXES = (".plg", ".yaml", ".yml", ".json")


@dataclass(frozen=True)
class Loaded:
    """A scenario ready to plan, and where it came from.

    ``document`` is the effective one: params and overrides applied, no password in it, and ``***`` for what the
    environment gave. ``params`` are the values used, with such ``secrets``; ``withheld`` are the variables whose values
    were left out when the document was saved.
    """

    scenario: Scenario
    document: Document
    source: Source
    warnings: tuple[Diagnostic, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    withheld: tuple[str, ...] = ()

    @property
    def spans(self) -> Spans:
        """Where the nodes of the document stand in the source."""
        return self.source.spans


class Linted(NamedTuple):
    """What `lint` found, in source order, and the text it looked at (empty where the file cannot be read)."""

    diagnostics: list[Diagnostic]
    text: str


def read_source(path: FilePath | str) -> Source:
    """Read a ``.plg``, ``.yaml``, ``.yml`` or ``.json`` file. Raises `ScenarioError` where there is no text to show.

    Faults of the text do not raise: they are in ``faults``, beside the document that could be saved.
    """
    path = FilePath(path)
    _refuse_other(path)
    if path.suffix.lower() not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        fault = Diagnostic("unknown-format", f"{path} is not a scenario file", str(path), None, f"known: {known}")
        raise ScenarioError([fault])
    return read_text(decode(read_bytes(path), str(path)), str(path), path.suffix.lower(), path.parent)


def _refuse_other(path: FilePath) -> None:
    """Raise `ScenarioError` for what is plainly no scenario, with what to write instead."""
    kind, spelled = kind_of(path), shlex.quote(str(path))
    helps = {
        OUTCOME: f"plg judge {spelled} judges it again, plg report {spelled} shows it",
        FOLDER: f"name its files, for example {path}/*.plg",
        JUNIT: "a scenario is a .plg, .yaml or .json file",
        PAGE: "a scenario is a .plg, .yaml or .json file",
        XML: "a scenario is a .plg, .yaml or .json file",
        PICTURE: "a scenario is a .plg, .yaml or .json file",
    }
    if kind in helps:
        message = f"{path} is {kind}, not a scenario"
        fault = Diagnostic("not-a-scenario", message, str(path), help=helps[kind])
        raise ScenarioError([replace(fault, code="unreadable-file") if kind == FOLDER else fault])


def read_text(text: str, file: str, suffix: str = ".plg", folder: FilePath | None = None) -> Source:
    """The source in ``text``, spelled as ``suffix`` says; without a ``folder`` it may use no files."""
    spans = Spans(text)
    lost: frozenset[str] = frozenset()
    if suffix == ".plg":
        document, faults, lost = _read_plg(text, file, spans)
    elif suffix == ".json":
        from plg.language.json_source import read_json

        document, faults, lost = read_json(text, file, spans)
    else:
        from plg.language.yaml_source import read_yaml

        document, faults, lost = read_yaml(text, file, spans)
    if suffix != ".plg":
        lost = frozenset(map(statement_of, lost))
    if document is not None and not isinstance(document, dict):
        message = "a scenario is a mapping of fields, such as name, pattern and guardrails"
        faults = [*faults, Diagnostic("wrong-type", message, file, spans.nearest(()))]
        document = None
    return Source(document or {}, spans, text, file, folder, tuple(faults), lost)


def _read_plg(text: str, file: str, spans: Spans) -> tuple[Any, list[Diagnostic], frozenset[str]]:
    from plg.language.compile import compile_tree
    from plg.language.parse import parse_tree

    tree, faults, lost = parse_tree(text, "file", file)
    if tree is None:
        return None, faults, lost
    document, more, unread = compile_tree(tree, spans, file)
    return document, [*faults, *more], lost | unread


def load(
    path: FilePath | str,
    *,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    target: str | None = None,
    sends: bool = True,
) -> Loaded:
    """Read, resolve, validate and build. Raises `ScenarioError` with every fault of the file.

    ``overrides`` are params set from outside, ``target`` takes the place of the scenario's own, ``environ`` (the
    process's by default) is where ``env`` looks. Who ``sends`` nothing needs no target: one that the environment does
    not name is no fault then.
    """
    return load_source(read_source(path), overrides=overrides, environ=environ, target=target, sends=sends)


def load_source(
    source: Source,
    *,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    target: str | None = None,
    sends: bool = True,
) -> Loaded:
    """As `load`, for a source that has been read."""
    return _load(
        source, overrides or {}, os.environ if environ is None else environ, target, source.folder, source.file, sends
    )


def load_document(
    document: Document,
    *,
    overrides: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    target: str | None = None,
    folder: FilePath | None = None,
    name: str = "<document>",
) -> Loaded:
    """The same for a document that came from elsewhere: a request, a profile, a saved outcome.

    ``folder`` is where its files are; without one, it may not use any.
    """
    source = Source(document, Spans(""), "", name, folder or FilePath())
    return _load(source, overrides or {}, os.environ if environ is None else environ, target, folder, None, True)


def lint(path: FilePath | str) -> Linted:
    """All faults and remarks, in source order. Never raises for a bad file."""
    try:
        source = read_source(path)
    except ScenarioError as error:
        return Linted(list(error.diagnostics), "")
    return lint_source(source)


def lint_source(source: Source) -> Linted:
    """As `lint`, for a source that has been read."""
    checked = _check(source, {}, os.environ, None, source.folder, False)
    faults = checked.faults
    if not any(fault.severity == "error" for fault in faults):
        try:
            _build(source, checked, source.file)
        except ScenarioError as error:
            faults = [*faults, *error.diagnostics]
    return Linted(_in_order(faults), source.text)


@dataclass
class _Checked:
    """A document on its way: resolved, checked, with its target known."""

    document: Document
    faults: list[Diagnostic]
    target: str
    params: Mapping[str, Any]
    shown: Document = field(default_factory=dict)
    veil: Veil = field(default_factory=lambda: Veil(params.Resolved({})))
    withheld: tuple[str, ...] = ()
    files: Files = field(default_factory=lambda: Files(None))


def _load(
    source: Source,
    overrides: Mapping[str, str],
    environ: Mapping[str, str],
    target: str | None,
    folder: FilePath | None,
    file: str | None,
    sends: bool,
) -> Loaded:
    checked = _check(source, overrides, environ, target, folder, sends)
    errors = [fault for fault in checked.faults if fault.severity == "error"]
    if errors:
        raise ScenarioError(_in_order(checked.faults), {source.file: source.text} if source.text else {})
    scenario = _build(source, checked, file)
    return Loaded(
        scenario, checked.shown, source, tuple(_in_order(checked.faults)), checked.params,
        checked.veil.texts, checked.withheld,
    )  # fmt: skip


def _check(
    source: Source,
    overrides: Mapping[str, str],
    environ: Mapping[str, str],
    target: str | None,
    folder: FilePath | None,
    sends: bool,
) -> _Checked:
    """Params replaced, schema and meaning checked; all faults collected."""
    faults = list(source.faults)
    if source.faults and not source.document:
        return _Checked({}, faults, "", {})
    place = Placer(source)
    too_deep = _depth_fault(source.document)
    if too_deep is not None:
        return _Checked({}, [*faults, place.diagnostic(too_deep)], "", {})
    resolved = params.resolve(source.document, overrides, environ)
    veil = Veil(resolved)
    remember(veil.texts)  # at once: nothing from here on may say them, not even where it breaks
    document = resolved.document
    place = Placer(source, resolved.origins)
    found = [place.diagnostic(fault) for fault in resolved.faults]
    blamed = {fault.path for fault in resolved.faults if fault.severity == "error"}
    structural = validate.check_document(document) + validate.check_params(source.document)
    found += [place.diagnostic(fault) for fault in structural if fault.path not in blamed]
    blamed |= {fault.path for fault in structural}
    address, target_faults = _address(document, environ, target, sends)
    files = Files(folder)
    meaning = semantics.check_meaning(document, files)
    found += [place.diagnostic(fault) for fault in (*meaning, *target_faults) if fault.path not in blamed]
    found = without_consequences(found, source.faults, source.lost)
    found = [veil.fault(fault) for fault in found]
    withheld = tuple(dict.fromkeys(resolved.withheld.values()))
    finished = _finished(document, target)
    shown = finished if resolved.shown is document else _finished(resolved.shown, target)
    return _Checked(finished, [*faults, *found], address, resolved.values, shown, veil, withheld, files)


def _finished(document: Document, target: str | None) -> Document:
    """The document in canonical order and spelling, without the password of its target."""
    document = validate.field_order(document)
    if isinstance(document.get("expect"), list):
        document["expect"] = [canonical_text(t) if isinstance(t, str) else t for t in document["expect"]]
    return _without_password(document, target)


def _depth_fault(document: Any) -> Fault | None:
    from plg.language.source import MAX_DEPTH

    level = [document]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return None
        level = [
            child
            for node in level
            if isinstance(node, dict | list)
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
    return Fault("too-deep", f"values nest more than {MAX_DEPTH} deep", ())


def _address(
    document: Document, environ: Mapping[str, str], override: str | None, needed: bool
) -> tuple[str, list[Fault]]:
    """The target's address, with ``env`` looked up, and what is wrong with it. ``needed``: jobs will be sent there."""
    given: Any = document.get("target", "embedded") if override is None else override
    if isinstance(given, dict) and "url" in given:
        given = given["url"]
    variable = given.get("env") if isinstance(given, dict) else None
    written = override is None and variable is None  # what the file says is checked with the rest of it
    if isinstance(variable, str):
        how = missing(variable, environ)
        found = environ[variable] if how is None else given.get("default")
        if found is None and not needed:
            return "", []  # nothing is sent: where it would go does not matter
        if found is None:
            message = f"the target is the environment variable {variable}, which is {how}"
            help = f"set it to the URL of the Redis (export {variable}=redis://HOST:6379/0), or give --target URL"
            help += "; for a look at the scenario: --target embedded"
            return "", [Fault("unset-variable", message, ("target",), help)]
        given, written = found, how is not None
    if not isinstance(given, str):
        return "", []
    given = normalized(given)
    fault = target_fault(given)
    if fault is None or written:
        return given, []
    origin = f"from the environment variable {variable}" if variable else "given with --target"
    message = f"{fault.message} ({origin})"
    return given, [replace(fault, message=message, path=("target",), outside=variable is None)]


def _without_password(document: Document, override: str | None) -> Document:
    """The effective document is written to files and reports: it never holds a password."""
    if override is not None:
        return {**document, "target": redact(normalized(override))}
    if "target" not in document:
        return document
    return {**document, "target": _redacted(document["target"])}


def _redacted(target: Any) -> Any:
    if isinstance(target, dict):
        return {name: value if name == "env" else _redacted(value) for name, value in target.items()}
    return redact(normalized(target)) if isinstance(target, str) else target


def _build(source: Source, checked: _Checked, file: str | None) -> Scenario:
    from plg.language.build import TooMuch, build_scenario
    from plg.patterns.base import PatternError, TooManyPieces

    def line_of(index: int) -> int | None:
        span = source.spans.nearest(("expect", index))
        return span.line if span is not None and source.text else None

    try:
        scenario = build_scenario(
            checked.document, files=checked.files, target=checked.target, file=file, line_of=line_of
        )
        scenario = replace(scenario, document=checked.shown)
    except TooMuch as error:
        fault = Fault("too-large", str(error), ("pattern",))
    except PatternError as error:
        # What only the whole of a curve can be wrong in.
        code = "too-large" if isinstance(error, TooManyPieces) else "bad-pattern"
        fault = Fault(code, str(error), tuple(error.path) or ("pattern",))
    else:
        return scenario
    sources = {source.file: source.text} if source.text else {}
    raise ScenarioError([checked.veil.fault(Placer(source).diagnostic(fault))], sources)


def _in_order(faults: list[Diagnostic]) -> list[Diagnostic]:
    """Source order; faults without a place first. The same fault is shown once."""
    once = list(dict.fromkeys(faults))
    return sorted(once, key=lambda f: (f.span.line, f.span.column) if f.span else (0, 0))
