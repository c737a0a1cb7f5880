"""Params: their values after overrides and the environment, and their place in the document."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from typing import Any

from plg.dataclass import dataclass
from plg.diagnostics import Fault, Path, Words, nearest
from plg.language import expectation_text, strings
from plg.language.kinds import is_reference
from plg.language.source import Document
from plg.language.vocabulary import CONTENTS
from plg.measures import MEASURES
from plg.redaction import HIDDEN
from plg.units import DURATION_UNITS, RATE_UNITS, SIZE_UNITS

_NUMBER = re.compile(r"[-+]?[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_TEMPLATE = re.compile(r"(?<!\$)\$\{\s*param\.([^\s}]+)\s*\}")
_UNIT = "|".join(map(re.escape, sorted({*DURATION_UNITS, *SIZE_UNITS, *RATE_UNITS, "µs", "deg", "rad"}, key=len)[::-1]))
_QUANTITY = re.compile(rf"-?([0-9][0-9_]*(\.[0-9]+)?([eE][+-]?[0-9]+)?\s*/?({_UNIT}|%)\s*)+")
_FIGURES = {"pattern", "guardrails", "expect", "workers", "connections", "max_lag", "watch", "arrivals"}
"""Fields of a scenario that are told by figures, but for names in them."""
_FIGURES_OF_JOBS = {"weight", "max_len", "priority", "timeout", "delay", "retry"}
_FACTOR = re.compile(r"([\w.$%/-]+)\s*\*\s*\Z")
_TOLD = 20
"""The most params that are listed where one is not known."""
RESERVED = {"env", "embedded", "fake", "true", "false", "null", "on", "off"}
"""Words that mean something else wherever a param may stand."""


@dataclass
class Resolved:
    """A document without params: ``origins`` names the param that each replaced value came from.

    ``shown`` is the document as it may be kept: with ``***`` for what came from the environment. ``secrets`` are the
    variables of such params by the params' names, ``variables`` also those of params whose variable is not set,
    ``withheld`` those whose value is left out of ``shown``. ``tainted`` names the secret param that a place has its
    value, or a part of it, from.
    """

    document: Document
    shown: Document = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    withheld: dict[str, str] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    tainted: dict[Path, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)


class _Declared(dict[str, Any]):
    """The params of a document, with their names as `Words`."""

    @cached_property
    def names(self) -> Words:
        return Words(name for name in self if isinstance(name, str))


def typed_override(text: str, declared: Any) -> Any:
    """The value of ``--set NAME=text``: a number or boolean where it looks like one and the param is not a word."""
    if isinstance(declared, str) and not strings.QUANTITY.fullmatch(declared):
        return text
    if _NUMBER.fullmatch(text):
        try:
            return strings.number(text)
        except ValueError:
            return text
    return {"true": True, "false": False}.get(text, text)


def resolve(document: Document, overrides: Mapping[str, str], environ: Mapping[str, str]) -> Resolved:
    """``document`` with every reference to a param replaced by its value. The given document is left as it is."""
    given = document.get("params")
    declared = _Declared(given if isinstance(given, dict) else {})
    result = Resolved({})
    for name in overrides:
        if name not in declared:
            suggestion = nearest(name, declared.names)
            help = f"did you mean {suggestion}?" if suggestion else _known(declared)
            result.faults.append(Fault("unknown-param", f"there is no param {name!r} to set", help=help, outside=True))
    for name in declared:
        _check_name(name, result)
        if name in overrides:
            result.values[name] = typed_override(overrides[name], declared[name])
    values = _Values(declared, result, environ, overrides)
    for name in declared:
        values.of(name)
    used: set[str] = set(values.used)
    body = {key: value for key, value in document.items() if key != "params"}
    result.document = _Substitution(result, used, declared).of(body)
    result.shown = _shown(body, result, declared)
    used |= set(result.withheld)
    # One that is probably meant by a misspelled reference is not called unused.
    spared = used | {nearest(fault.name, declared.names) for fault in result.faults if fault.name}
    for name in declared:
        if name not in spared and name not in RESERVED and name not in MEASURES:
            message = f"the param {name!r} is never used"
            result.faults.append(Fault("unused-param", message, ("params", name), severity="warning", at_key=True))
    return result


def _known(declared: Mapping[str, Any]) -> str:
    if not declared:
        return "this scenario has no params"
    more = f" and {len(declared) - _TOLD:,} more" if len(declared) > _TOLD else ""
    return "the params are " + ", ".join(map(str, itertools.islice(declared, _TOLD))) + more


def _check_name(name: Any, result: Resolved) -> None:
    if name in RESERVED or name in MEASURES:
        message = f"{name!r} means something else in a scenario and cannot name a param"
        result.faults.append(Fault("bad-name", message, ("params", name), at_key=True))


def _is_env(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("env"), str)


class _Values:
    """The value of each param, a chain of references followed to its end."""

    def __init__(
        self, declared: _Declared, result: Resolved, environ: Mapping[str, str], overrides: Mapping[str, str]
    ) -> None:
        self.declared, self.result, self.environ, self.overrides = declared, result, environ, overrides
        self.used: set[str] = set()
        self.ends: dict[str, tuple[Any, bool]] = {}

    def of(self, name: str) -> None:
        values = self.result.values
        self.secret(name)
        chain: dict[str, None] = {}
        current = name
        while current not in values:
            if current in chain:
                passed = list(chain)
                loop = " -> ".join([*passed[passed.index(current) :], current])
                self.fail("param-cycle", f"params refer to each other in a circle: {loop}", name)
                values.update(dict.fromkeys(chain))
                return
            chain[current] = None
            value = self.plain(current, self.declared[current])
            if not is_reference(value):
                values[current] = value
                break
            following = value["param"]
            self.used.add(following)
            if following not in self.declared:
                self.unknown(following, ("params", current))
                values[current] = None
                break
            current = following
        values.update(dict.fromkeys(chain, values[current]))

    def secret(self, name: str) -> None:
        """Note ``name`` where its value comes from the environment, or from outside in place of that."""
        value, given = self.end_of(name)
        if _is_env(value) and not value.get("keep"):
            self.result.variables[name] = value["env"]
            if "value" in value:
                self.result.withheld[name] = value["env"]
            if given or "value" in value or self.environ.get(value["env"]):
                self.result.secrets[name] = value["env"]

    def end_of(self, name: str) -> tuple[Any, bool]:
        """What stands at the end of the chain of references from ``name`` (None where it has no end), and whether a
        param on the way is set from outside. Each param is followed once."""
        passed: dict[str, None] = {}
        current: Any = name
        end, given = None, False
        while current in self.declared and current not in passed:
            if current in self.ends:
                end, given = self.ends[current]
                break
            passed[current] = None
            value = self.declared[current]
            if not is_reference(value):
                end = value
                break
            current = value["param"]
        for each in reversed(passed):
            given = given or each in self.overrides
            self.ends[each] = end, given
        return self.ends[name]

    def plain(self, name: str, value: Any) -> Any:
        """A declared value with ``env`` looked up."""
        if not _is_env(value):
            return value
        if "value" in value:
            return value["value"]
        variable, default = value["env"], value.get("default")
        if self.environ.get(variable):
            return typed_override(self.environ[variable], default if isinstance(default, str) else None)
        if default is None:
            self.fail(
                "unset-variable",
                f"the environment variable {variable} is not set",
                name,
                f"set it, or give a value to fall back on: env {variable} else …",
            )
        return default

    def fail(self, code: str, message: str, name: str, help: str = "") -> None:
        self.result.faults.append(Fault(code, message, ("params", name), help))

    def unknown(self, name: str, path: Path) -> None:
        self.result.faults.append(_unknown(name, self.declared, path))


def _unknown(name: str, declared: _Declared, path: Path, offsets: tuple[int, int] | None = None) -> Fault:
    suggestion = nearest(name, declared.names)
    help = f"did you mean {suggestion}?" if suggestion else _known(declared)
    return Fault("unknown-param", f"there is no param {name!r}", path, help, offsets=offsets, name=name)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(body: Document, result: Resolved, declared: _Declared) -> Document:
    """The document as it may be kept and shown.

    Numbers and times of the traffic, the guardrails and the expectations stay in their places, for the run is judged
    and drawn by them; text, and all that goes into a job, is hidden.
    """
    if not result.secrets:
        return result.document
    veiled = Resolved({}, secrets=result.secrets, values=result.values)
    shown = _Substitution(veiled, set(), declared, veil=True).of(body)
    params = {name: {"env": variable, "value": HIDDEN} for name, variable in veiled.withheld.items()}
    return {**shown, "params": params} if params else shown


class _Substitution:
    """Replaces the references in a document, and notes in ``result`` and ``used`` what it replaced.

    A reference that cannot be followed stays. With ``veil`` secrets are replaced by ``***``.
    """

    def __init__(self, result: Resolved, used: set[str], declared: _Declared, *, veil: bool = False) -> None:
        self.result, self.used, self.declared, self.veil = result, used, declared, veil

    def of(self, body: Document) -> Document:
        """A copy of ``body`` with its references replaced."""
        return {
            key: [self.in_expectation(text, index) for index, text in enumerate(value)]
            if key == "expect" and isinstance(value, list)
            else self.visit(value, (key,))
            for key, value in body.items()
        }

    def visit(self, value: Any, path: Path) -> Any:
        if is_reference(value):
            return self.reference(value, path)
        if isinstance(value, dict):
            return {key: self.visit(child, (*path, key)) for key, child in value.items()}
        if isinstance(value, list):
            return [self.visit(child, (*path, index)) for index, child in enumerate(value)]
        if isinstance(value, str) and _TEMPLATE.search(value):
            return self.in_template(value, path)
        return value

    def reference(self, value: Any, path: Path) -> Any:
        name = value["param"]
        if not self.known(name, path):
            return value
        self.used.add(name)
        if self.result.values[name] is None:
            return value
        self.result.origins[path] = name
        return self.value_of(name, path)

    def known(self, name: str, path: Path, offsets: tuple[int, int] | None = None) -> bool:
        """Whether there is such a param; a fault where there is none."""
        if name not in self.declared:
            self.result.faults.append(_unknown(name, self.declared, path, offsets))
        return name in self.declared

    def in_template(self, value: str, path: Path) -> Any:
        """``${param.NAME}`` in a payload: a string that is this template alone takes the value with its type."""
        for name in dict.fromkeys(_TEMPLATE.findall(value)):
            offset = value.index("param." + name)
            self.known(name, path, (offset, offset + len("param." + name)))
            self.used.add(name)
        whole = _TEMPLATE.fullmatch(value)
        if whole and self.result.values.get(whole[1]) is not None:
            return self.value_of(whole[1], path)
        return _TEMPLATE.sub(lambda match: self.filled(match, path), value)

    def filled(self, match: re.Match[str], path: Path) -> str:
        found = self.result.values.get(match[1])
        text = match[0] if found is None else _text(self.value_of(match[1], path))
        # Dollars at its end would make a template of what follows them, and have no other way to be written.
        kept = text.rstrip("$") if match.end() < len(match.string) else text
        return kept + (f'${{choice("{text[len(kept) :]}")}}' if kept != text else "")

    def value_of(self, name: str, path: Path) -> Any:
        """The value of a param is never a template: in a payload, where strings are, its ``${`` is written so."""
        result, value = self.result, self.result.values[name]
        if name in result.variables and _is_name(path):
            result.faults.append(_named_by_secret(name, result.variables[name], path))
        if name in result.secrets:
            result.tainted[path] = name
        if self.hides(name) and not (_takes_figure(path) and is_figure(value)):
            return self.hidden(name)
        return value.replace("${", "$${") if isinstance(value, str) and _is_content(path) else value

    def in_expectation(self, text: Any, index: int) -> Any:
        """An expectation with its params replaced, in canonical text where it names any."""
        if not isinstance(text, str):
            return text
        result, path = self.result, ("expect", index)
        names = expectation_text.params_of(text, self.declared.names)
        for (start, end), name in sorted(names.items(), reverse=True):
            if not self.known(name, path, (start, end)):
                return None
            self.used.add(name)
            value = result.values[name]
            if value is None:
                return None
            factor = _FACTOR.search(text, 0, start)
            if factor is not None:
                message = f"`{factor[1]} * {text[start:end]}` is arithmetic, which is not known"
                help = "write the value itself, or give it a param of its own"
                result.faults.append(Fault("syntax", message, path, help, offsets=(start, end)))
                return None
            if result.origins.get(path) not in result.secrets:
                result.origins[path] = name
            if name in result.secrets:
                result.tainted[path] = name
            if self.hides(name) and not is_figure(value):
                value = self.hidden(name)
            written = strings.plain_number(value) if isinstance(value, int | float) else str(value)
            text = text[:start] + written + text[end:]
        return text

    def hides(self, name: str) -> bool:
        return self.veil and name in self.result.secrets

    def hidden(self, name: str) -> str:
        self.result.withheld[name] = self.result.secrets[name]
        return HIDDEN


def _is_name(path: Path) -> bool:
    """Whether a scenario, a phase or a kind of job is named here."""
    return path[-1] == "name" and (path[0] in ("name", "pattern") or (path[0] == "jobs" and len(path) == 3))


def _named_by_secret(name: str, variable: str, path: Path) -> Fault:
    message = f"a name stands in every report, and the param {name!r} holds a secret: it comes from the environment"
    help = f"`param {name} = env {variable} keep` says that it is none (in YAML: {{env: {variable}, keep: true}})"
    return Fault("secret-name", message, path, help)


def is_figure(value: Any) -> bool:
    """Whether the value of a param is a number, a switch or a quantity such as ``400/s``."""
    return not isinstance(value, str) or bool(_QUANTITY.fullmatch(value))


def _takes_figure(path: Path) -> bool:
    """Whether the traffic, a limit, an expectation or a setting of a job is told by a figure here."""
    setting = _setting(path)
    if setting is not None:
        return setting in _FIGURES_OF_JOBS
    return path[0] in _FIGURES and path[-1] not in ("name", "type", "file")


def _is_content(path: Path) -> bool:
    """Whether it goes into a job here, where strings may hold templates."""
    return _setting(path) in CONTENTS


def _setting(path: Path) -> object:
    """The setting of a job that a place is in; None elsewhere."""
    step = {"jobs": 2, "job_config": 1}.get(str(path[0]))
    return path[step] if step is not None and len(path) > step else None
