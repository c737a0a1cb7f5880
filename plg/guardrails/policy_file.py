"""Reads a policy file (YAML): ceilings for hosts and accounts. A fault in it is a refusal, never "no policy".

`schemas/policy.schema.json` says the same to an editor; a test holds the two together.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

from plg.access.roles import ROLES
from plg.diagnostics import Diagnostic, Path, ScenarioError
from plg.guardrails.fields import FieldReader
from plg.guardrails.hours import EXAMPLE, Hours, zone
from plg.guardrails.policy import Ceilings, Policy, PolicyFile, Rule
from plg.guardrails.terms import Terms, Webhook
from plg.language.kinds import show
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
FIELDS = ("ceilings", "environments", "users", "admins", "max_tests", "budget", "webhook")
_TERMS = ("queues", "forbidden_queues", "hours", "time_zone", "admin_only", "max_tests")
RULE_FIELDS = {
    "environments": (
        "name", "hosts", "ports", "databases", "ceilings", "allow", "require_allow", *_TERMS, "budget",
        "emergency_latch",
    ),
    "users": ("name", "accounts", "roles", "ceilings", "allow", *_TERMS),
}  # fmt: skip
CEILINGS = {name: LIMITS[name] for name in LIMITS if name not in ("warn_at", "emergency_stop", "max_error_rate")}
"""The limits that a policy caps by one value; ``max_error_rate`` has two."""
_WEBHOOK = "for example webhook: {url: https://example.com/plg, secret: {env: PLG_WEBHOOK_SECRET}}"
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


class _Reader(FieldReader):
    """Reads the rules, and the ceilings and terms of each."""

    def policy(self, document: Any) -> PolicyFile:
        known = self.mapping(document, (), "a policy", FIELDS)
        if document == {}:
            self.fault("missing-field", "this policy sets no ceilings", (), f"give it one of {', '.join(FIELDS)}")
        return PolicyFile(
            self.file,
            self.rules(known, "environments", "hosts"),
            self.rules(known, "users", "accounts"),
            self.ceilings(known, ()),
            self.texts(known, "admins", ()),
            self.count(known, "max_tests", ()),
            self.rate(known, "budget", ()),
            self.webhook(known),
            self.text,
        )

    def rules(self, document: dict[str, Any], section: str, patterns: str) -> tuple[Rule, ...]:
        entries = self.list(document[section], (section,)) if section in document else []
        found = [self.rule(entry, (section, index), patterns) for index, entry in enumerate(entries)]
        seen: set[str] = set()
        for index, rule in enumerate(found):
            if rule.name in seen:
                self.fault("duplicate-name", f"the name {show(rule.name)} is taken", (section, index, "name"))
            seen.add(rule.name)
        return tuple(found)

    def rule(self, value: Any, path: Path, patterns: str) -> Rule:
        what = "an environment" if patterns == "hosts" else "a user rule"
        known = self.mapping(value, path, what, RULE_FIELDS[str(path[0])])
        if isinstance(value, dict):
            for name in ("name", patterns):
                if name not in known and not (name == "accounts" and "roles" in known):
                    self.fault("missing-field", f"{what} needs `{name}`", path)
        name = known.get("name", f"#{path[1]}")
        if "name" in known:
            self.checked("name", name, (*path, "name"))
        wanted = self.patterns(known, (*path, patterns)) if patterns in known else ()
        return Rule(
            str(name), wanted, self.ceilings(known, path), self.flag(known, "allow", path, default=True),
            self.spans.nearest(path), self.numbers(known, "ports", path, 1, 65_535),
            self.numbers(known, "databases", path, 0, 1_000_000), self.choices(known, "roles", path, ROLES),
            self.terms(known, path),
        )  # fmt: skip

    def patterns(self, known: dict[str, Any], path: Path) -> tuple[str, ...]:
        found = self.texts(known, str(path[-1]), path[:-1])
        for index, pattern in enumerate(found):
            if path[-1] == "hosts" and pattern and (why := pattern_fault(pattern)):
                example = "for example db.example.com, *.example.com or 10.1.0.0/16"
                self.fault("bad-host", f"{show(pattern)} {why}", (*path, index), example)
        return found

    def terms(self, known: dict[str, Any], path: Path) -> Terms:
        """What the rule asks beside its ceilings."""
        hours = []
        for index, text in enumerate(self.texts(known, "hours", path)):
            try:
                hours.append(Hours.read(text))
            except ValueError as error:
                self.fault("bad-hours", f"`hours`: {error}", (*path, "hours", index), EXAMPLE)
        place = known.get("time_zone", "UTC")
        try:
            zone(place if isinstance(place, str) else show(place))
        except ValueError as error:
            where = (*path, "time_zone")
            self.fault("unknown-name", f"`time_zone`: {error}", where, "for example UTC or Europe/Berlin")
        return Terms(
            self.texts(known, "queues", path), self.texts(known, "forbidden_queues", path), tuple(hours), str(place),
            self.rate(known, "admin_only", path), self.flag(known, "require_allow", path),
            self.count(known, "max_tests", path), self.rate(known, "budget", path), self.latch(known, path),
        )  # fmt: skip

    def latch(self, known: dict[str, Any], path: Path) -> float:
        """How long an emergency stop holds all others up (s)."""
        value = known.get("emergency_latch")
        if value is None and "emergency_latch" not in known:
            return 0.0
        return math.inf if value == "until_reset" else self.duration(value, (*path, "emergency_latch"))

    def webhook(self, known: dict[str, Any]) -> Webhook | None:
        """Who is told of emergency stops."""
        if "webhook" not in known:
            return None
        given = self.mapping(known["webhook"], ("webhook",), "webhook", ("url", "secret"))
        for name in ("url", "secret"):
            if isinstance(known["webhook"], dict) and name not in given:
                self.fault("missing-field", f"webhook needs `{name}`", ("webhook",), _WEBHOOK)
        url, secret = given.get("url", ""), given.get("secret", {"env": "X"})
        if not isinstance(url, str) or (url and not url.startswith(("https://", "http://"))):
            self.fault("wrong-type", "`url` must be an https:// or http:// URL", ("webhook", "url"), _WEBHOOK)
        variable = secret.get("env") if isinstance(secret, dict) and len(secret) == 1 else None
        if not isinstance(variable, str) or not variable:
            message = "`secret` must name the variable that holds it: a policy file is no place for a secret"
            self.fault("wrong-type", message, ("webhook", "secret"), _WEBHOOK)
        return Webhook(str(url), str(variable))

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
