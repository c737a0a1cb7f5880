"""Reads a policy file (YAML): ceilings for hosts and accounts. A fault in it is a refusal, never "no policy".

`schemas/policy.schema.json` says the same to an editor; a test holds the two together.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from pathlib import Path as FilePath
from typing import Any

from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, Fault, Path, ScenarioError, nearest
from plg.guardrails.policy import Ceilings, Policy, PolicyFile, Rule
from plg.language.kinds import fault_of, show
from plg.language.limits import LIMITS
from plg.language.limits import error_rate as read_error_rate
from plg.language.source import Spans, decode, read_bytes
from plg.scenario import ErrorRateLimit
from plg.targets.hosts import pattern_fault

FILE_NAMES = ("plg-policy.yaml", "plg-policy.yml", "plg-policy.json")
"""What a policy may be called. Where several lie in one folder, all of them hold."""
_STEMS = ("plg-policy", ".plg-policy", "plg_policy", ".plg_policy", "plgpolicy", "plg.policy", "plg-policies")
_SUFFIXES = (".yaml", ".yml", ".json", ".toml", ".txt", ".yaml.txt", ".yml.txt", ".json.txt", "")
_CASES = (str.lower, str.upper, str.title)
LOOKALIKES = tuple(
    name
    for name in dict.fromkeys(
        write(stem) + other(suffix) for stem in _STEMS for suffix in _SUFFIXES for write in _CASES for other in _CASES
    )
    if name not in FILE_NAMES
)
"""Names that somebody may have meant for a policy. A file of one of them is refused: it would not hold."""
_OTHER = {stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket"}
SYSTEM_FILES = tuple(FilePath("/etc/plg", name) for name in ("policy.yaml", "policy.yml", "policy.json"))
"""Read on every run where they are there: the place for ceilings that hold against the users of a machine."""
FIELDS = ("ceilings", "environments", "users")
RULE_FIELDS = {
    "environments": ("name", "hosts", "ports", "databases", "ceilings", "allow", "require_allow"),
    "users": ("name", "accounts", "ceilings", "allow"),
}
CEILINGS = {name: LIMITS[name] for name in LIMITS if name not in ("warn_at", "emergency_stop", "max_error_rate")}
"""The limits that a policy caps by one value; ``max_error_rate`` has two."""
ERROR_RATE = {"percent": "percent", "over": "duration"}


def find_policy(
    named: str | None, environ: Mapping[str, str], folder: FilePath, *, system: Sequence[FilePath] = SYSTEM_FILES
) -> Policy | None:
    """Every policy that holds for a run, or None where there is none.

    These are the machine's own, the one that ``PLG_POLICY`` names, the one ``named`` on the command line, and each
    ``plg-policy.yaml`` (or ``.yml``, ``.json``) in ``folder`` or above it. All of them hold: naming one takes none of
    the others away. Raises `ScenarioError` where one cannot be read, or lies there under a name that is not read.
    """
    asked = [FilePath(where) for where in (environ.get("PLG_POLICY"), named) if where]
    lying = [*filter(_is_there, system), *_lying(folder, asked)]
    _refuse_pipes(lying)
    paths = dict.fromkeys([*lying, *asked])
    return Policy(tuple(read_policy(path) for path in paths)) if paths else None


def with_neighbours(policy: Policy | None, folder: FilePath) -> Policy | None:
    """``policy`` and what lies in ``folder``, where a scenario is, or above it. Raises as `find_policy`."""
    files = () if policy is None else policy.files
    known = [FilePath(file.file) for file in files]
    more = [path for path in _lying(folder, known) if not any(_same(path, other) for other in known)]
    _refuse_pipes(more)
    return Policy((*files, *map(read_policy, more))) if more else policy


def _lying(folder: FilePath, known: Collection[FilePath]) -> list[FilePath]:
    """The policies in a folder and above it, the outermost first; a lookalike must be one of those ``known``."""
    found: list[FilePath] = []
    for parent in reversed([folder, *folder.parents]):
        here = [parent / name for name in FILE_NAMES if _is_there(parent / name)]
        for path in (parent / name for name in LOOKALIKES if _is_there(f"{parent}/{name}")):
            if not path.is_dir() and not any(_same(path, other) for other in (*here, *known)):
                help = (
                    f"a policy is called {FILE_NAMES[0]} (or .yml, .json) and is YAML or JSON; --policy takes any name"
                )
                message = "this looks like a policy, but a file of this name is not read: its ceilings would not hold"
                raise ScenarioError([Diagnostic("policy-name", message, str(path), help=help)])
        found += here
    return found


def _refuse_pipes(paths: Collection[FilePath]) -> None:
    """Refuse what nobody asked for by name and that may never end, or never begin: a named pipe, a device."""
    for path in paths:
        with suppress(OSError):
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                message = f"{path} is {_OTHER.get(stat.S_IFMT(mode), 'a device')}, not a policy"
                raise ScenarioError([Diagnostic("unreadable-file", message, str(path))])


def _same(one: FilePath, other: FilePath) -> bool:
    """Whether two paths lead to one file: some systems do not tell capitals from small letters."""
    with suppress(OSError):
        return one.samefile(other)
    return False


def _is_there(path: FilePath | str) -> bool:
    """Whether anything is at ``path``. What cannot even be looked at counts as there, and reading it will say why."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def read_policy(path: FilePath) -> PolicyFile:
    """The policy in ``path``. Raises `ScenarioError` with every fault, each with its place."""
    return read_policy_text(decode(read_bytes(path, "policy"), str(path), "policy"), str(path))


def read_policy_text(text: str, file: str) -> PolicyFile:
    """The policy in ``text``, which came from ``file``. Raises as `read_policy`."""
    spans = Spans(text)
    document, faults = _read(text, file, spans)
    reader = _Reader(file, text, spans, list(faults))
    if document is None and reader.faults:
        raise reader.refusal()
    policy = reader.policy(document)
    if reader.faults:
        raise reader.refusal()
    return policy


def _read(text: str, file: str, spans: Spans) -> tuple[Any, list[Diagnostic]]:
    if file.lower().endswith(".json"):
        from plg.language.json_source import read_json

        document, faults, _ = read_json(text, file, spans, "policy")
    else:
        from plg.language.yaml_source import read_yaml

        document, faults, _ = read_yaml(text, file, spans, "policy")
    help = "delete the file, or write a policy into it, for example: ceilings: {max_rate: 100/s}"
    return document, [replace(fault, help=help) if fault.code == "empty-file" else fault for fault in faults]


@dataclass
class _Reader:
    file: str
    text: str
    spans: Spans
    faults: list[Diagnostic] = field(default_factory=list)

    def refusal(self) -> ScenarioError:
        first = (0, 0)
        ordered = sorted(self.faults, key=lambda d: (d.span.line, d.span.column) if d.span else first)
        return ScenarioError(ordered, {self.file: self.text})

    def fault(self, code: str, message: str, path: Path, help: str = "", *, at_key: bool = False) -> None:
        span = self.spans.key(path) if at_key else self.spans.nearest(path)
        self.faults.append(Diagnostic(code, message, self.file, span, help, path=path))

    def policy(self, document: Any) -> PolicyFile:
        known = self.mapping(document, (), "a policy", FIELDS)
        if document == {}:
            self.fault("missing-field", "this policy sets no ceilings", (), f"give it one of {', '.join(FIELDS)}")
        return PolicyFile(
            self.file,
            self.rules(known, "environments", "hosts"),
            self.rules(known, "users", "accounts"),
            self.ceilings(known, ()),
            self.text,
        )

    def mapping(self, value: Any, path: Path, what: str, fields: tuple[str, ...]) -> dict[str, Any]:
        """``value`` without the fields that are not known, each of which is a fault."""
        if not isinstance(value, dict):
            self.fault("wrong-type", f"{what} is a mapping, not {show(value)}", path)
            return {}
        for name in value:
            if name not in fields:
                near = nearest(name, fields)
                help = f"did you mean {near}?" if near else f"known here: {', '.join(fields)}"
                self.fault("unknown-key", f"{what} has no field `{name}`", (*path, name), help, at_key=True)
        return {name: inner for name, inner in value.items() if name in fields}

    def rules(self, document: dict[str, Any], section: str, patterns: str) -> tuple[Rule, ...]:
        entries = self.list(document[section], (section,)) if section in document else []
        found = [self.rule(entry, (section, index), patterns) for index, entry in enumerate(entries)]
        seen: set[str] = set()
        for index, rule in enumerate(found):
            if rule.name in seen:
                self.fault("duplicate-name", f"the name {show(rule.name)} is taken", (section, index, "name"))
            seen.add(rule.name)
        return tuple(found)

    def list(self, value: Any, path: Path) -> list[Any]:
        if isinstance(value, list) and value:
            return value
        what = "must not be empty" if value == [] else f"must be a list, not {show(value)}"
        self.fault("out-of-range" if value == [] else "wrong-type", f"`{path[-1]}` {what}", path)
        return []

    def rule(self, value: Any, path: Path, patterns: str) -> Rule:
        what = "an environment" if patterns == "hosts" else "a user rule"
        known = self.mapping(value, path, what, RULE_FIELDS[str(path[0])])
        if isinstance(value, dict):
            for name in ("name", patterns):
                if name not in known:
                    self.fault("missing-field", f"{what} needs `{name}`", path)
        name = known.get("name", f"#{path[1]}")
        if "name" in known:
            self.checked("name", name, (*path, "name"))
        wanted = self.patterns(known, (*path, patterns)) if patterns in known else ()
        return Rule(
            str(name), wanted, self.ceilings(known, path), self.flag(known, "allow", path, default=True),
            self.spans.nearest(path), self.numbers(known, "ports", path, 1, 65_535),
            self.numbers(known, "databases", path, 0, 1_000_000), self.flag(known, "require_allow", path),
        )  # fmt: skip

    def flag(self, known: dict[str, Any], name: str, path: Path, *, default: bool = False) -> bool:
        value = known.get(name, default)
        if not isinstance(value, bool):
            self.fault("wrong-type", f"`{name}` must be true or false, not {show(value)}", (*path, name))
        return bool(value)

    def numbers(self, known: dict[str, Any], name: str, path: Path, least: int, most: int) -> tuple[int, ...]:
        """A list of whole numbers from ``least`` to ``most``."""
        found = self.list(known[name], (*path, name)) if name in known else []
        for index, value in enumerate(found):
            if isinstance(value, bool) or not isinstance(value, int):
                message = f"`{name}` must hold whole numbers, not {show(value)}"
                self.fault("wrong-type", message, (*path, name, index))
            elif not least <= value <= most:
                message = f"`{name}` must hold numbers from {least} to {most}, not {value}"
                self.fault("out-of-range", message, (*path, name, index))
        return tuple(value for value in found if isinstance(value, int))

    def patterns(self, known: dict[str, Any], path: Path) -> tuple[str, ...]:
        found = self.list(known[path[-1]], path)  # type: ignore[index]  # the last step of this path is a field's name
        for index, pattern in enumerate(found):
            where = (*path, index)
            if not isinstance(pattern, str):
                self.fault("wrong-type", f"`{path[-1]}` must hold text, not {show(pattern)}", where, "quote it")
            elif not pattern:
                self.fault("out-of-range", f"`{path[-1]}` must not hold an empty text", where)
            elif path[-1] == "hosts" and (why := pattern_fault(pattern)):
                example = "for example db.example.com, *.example.com or 10.1.0.0/16"
                self.fault("bad-host", f"{show(pattern)} {why}", where, example)
        return tuple(str(pattern) for pattern in found)

    def ceilings(self, known: dict[str, Any], path: Path) -> Ceilings:
        if "ceilings" not in known:
            return Ceilings()
        path = (*path, "ceilings")
        given = self.mapping(known["ceilings"], path, "ceilings", (*CEILINGS, "max_error_rate"))
        values: dict[str, Any] = {}
        for name, value in given.items():
            if name == "max_error_rate":
                values[name] = self.error_rate(value, (*path, name))
            elif self.checked(CEILINGS[name].kind, value, (*path, name)):
                values[CEILINGS[name].attribute] = CEILINGS[name].read(value)
        return Ceilings(**values)

    def error_rate(self, value: Any, path: Path) -> ErrorRateLimit | None:
        given = self.mapping(value, path, "max_error_rate", tuple(ERROR_RATE))
        for name in ERROR_RATE:
            if isinstance(value, dict) and name not in given:
                example = "for example {percent: 5, over: 10s}"
                self.fault("missing-field", f"max_error_rate needs `{name}`", path, example)
        good = [self.checked(kind, given[name], (*path, name)) for name, kind in ERROR_RATE.items() if name in given]
        if good != [True, True]:
            return None
        return read_error_rate(given)

    def checked(self, kind: str, value: Any, path: Path) -> bool:
        """Whether ``value`` is of its kind; a fault is kept where it is not."""
        fault: Fault | None = fault_of(kind, value)
        if fault is None and isinstance(value, dict):
            fault = Fault("wrong-type", f"must be a plain value, not {show(value)}", help="a policy has no params")
        if fault is not None:
            self.fault(fault.code, f"`{path[-1]}` {fault.message}", path, fault.help)
        return fault is None
