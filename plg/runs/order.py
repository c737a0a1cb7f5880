"""What is to be run, as plain data that can travel: to a child process, or to a worker on another machine."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, field, fields, replace
from pathlib import Path
from typing import Any

from plg import __version__
from plg.clock import MonotonicClock
from plg.dataclass import dataclass
from plg.diagnostics import Diagnostic, ScenarioError, Span
from plg.guardrails.policy import Policy, PolicyFile, account_name
from plg.language.files import packed
from plg.language.load import read_source, read_text
from plg.language.source import Source
from plg.prepare import Prepared, Request, prepare_source
from plg.runner.start import Start


@dataclass(frozen=True, slots=True)
class Order:
    """One run. ``text`` is the scenario's source, spelled as ``suffix`` says; ``file`` is what it is called in reports.

    ``folder`` is where its tables and recordings lie, None where it may use none; ``files`` are they themselves
    (base64), for a machine that cannot reach it. ``environ`` holds the environment that the scenario may read,
    ``policies`` the texts of the policy files by their names, ``account`` who ordered it and ``role`` what a server
    lets that account do. ``start`` is in seconds since the Unix epoch; the others are as in `plg.prepare.Request`.
    ``digest`` is that of the plan, where the orderer has made one: who runs another is refused.
    """

    text: str
    suffix: str
    file: str
    folder: str | None
    files: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=dict)
    target: str | None = None
    seed: int | None = None
    policies: tuple[tuple[str, str], ...] = ()
    environment: str | None = None
    account: str = ""
    role: str = ""
    shard: tuple[int, int] | None = None
    share_limits: bool = False
    run_id: str | None = None
    start: float | None = None
    connections: int | None = None
    wait: float | None = None
    force: bool = False
    clean: bool = False
    veil: bool = False
    digest: str = ""
    version: str = __version__
    source: Source | None = field(default=None, compare=False, repr=False)
    """The text as it was read, for who runs it in this process; it does not travel."""

    @staticmethod
    def of(file: Path, asked: Request, environ: Mapping[str, str]) -> Order:
        """The order for a scenario file. Raises `ScenarioError` where it cannot be read."""
        return Order.of_source(read_source(file), file.suffix.lower(), asked, environ)

    @staticmethod
    def of_source(source: Source, suffix: str, asked: Request, environ: Mapping[str, str]) -> Order:
        """The order for a source that has been read, spelled as ``suffix`` says."""
        folder = None if source.folder is None else str(source.folder.resolve())
        return Order(
            source.text, suffix, source.file, folder, overrides=dict(asked.overrides),
            environ={name: environ[name] for name in sorted(_variables(source.document)) if name in environ},
            target=asked.target, seed=asked.seed,
            policies=tuple((each.file, each.text) for each in asked.policy.files) if asked.policy else (),
            environment=asked.environment, account=asked.account or account_name(), role=asked.role,
            shard=asked.shard, share_limits=asked.share_limits,
            run_id=asked.run_id, start=asked.start.wall if asked.start else None, connections=asked.connections,
            wait=asked.wait, force=asked.force, clean=asked.clean, veil=asked.veil, source=source,
        )  # fmt: skip

    def packed(self) -> Order:
        """The order with the files that the scenario reads in it, for a machine that has none of them."""
        if self.folder is None:
            return self
        folder = Path(self.folder)
        return replace(self, files=packed(self._read(folder).document, folder))

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps({each.name: getattr(self, each.name) for each in fields(self) if each.name != "source"})

    @staticmethod
    def from_json(text: str) -> Order:
        """The order that `to_json` wrote. Raises `ScenarioError` where another version of plg wrote it."""
        found: dict[str, Any] = json.loads(text)
        if found.get("version") != __version__:
            message = f"this worker has plg {__version__}, the run was ordered by plg {found.get('version')}"
            raise ScenarioError([Diagnostic("other-version", message, "<order>", help="install the same plg on both")])
        found["policies"] = tuple((file, rules) for file, rules in found["policies"])
        found["shard"] = None if found["shard"] is None else tuple(found["shard"])
        return Order(**found)

    @contextmanager
    def prepared(self) -> Iterator[Prepared]:
        """The run, ready to begin, for as long as its files are needed. Raises `ScenarioError` with every fault."""
        with ExitStack() as stack:
            folder = None if self.folder is None else Path(self.folder)
            if self.files:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plg-order-")))
                for name, content in self.files.items():
                    place = folder / name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(base64.b64decode(content))
            prepared = prepare_source(self._read(folder), self._request())
            if self.digest and digest(prepared) != self.digest:
                message = "this worker's plan is not the one that was ordered"
                raise ScenarioError(
                    [Diagnostic("other-plan", message, self.file, help="see that both have the same plg")]
                )
            yield prepared

    def _read(self, folder: Path | None) -> Source:
        here = self.source
        return here if here is not None and not self.files else read_text(self.text, self.file, self.suffix, folder)

    def _request(self) -> Request:
        clock = MonotonicClock()
        start = None if self.start is None else Start(self.start, clock.now() + self.start - clock.wall())
        files = _policies(self.policies)
        return Request(
            self.overrides, self.target, self.seed, Policy(files) if files else None, self.environment, self.shard,
            self.share_limits, self.run_id, start, self.connections, self.wait,
            environ=self.environ, account=self.account or None, role=self.role, force=self.force, clean=self.clean,
            veil=self.veil,
        )  # fmt: skip


def _policies(texts: tuple[tuple[str, str], ...]) -> tuple[PolicyFile, ...]:
    if not texts:
        return ()
    from plg.guardrails.policy_file import read_policy_text

    return tuple(read_policy_text(text, file) for file, text in texts)


def _variables(value: Any) -> set[str]:
    """The environment variables that a document asks for: no others leave this process."""
    if isinstance(value, dict):
        own = {value["env"]} if isinstance(value.get("env"), str) else set()
        return own.union(*map(_variables, value.values()))
    return set().union(*map(_variables, value)) if isinstance(value, list) else set()


def digest(prepared: Prepared) -> str:
    """What tells a plan from another: its scenario with limits and seed, but not the shard."""
    import hashlib

    limits, plan = prepared.scenario.guardrails, prepared.plan
    parts = [prepared.scenario.document, repr(limits), plan.seed, plan.planned_total]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def faults_to(error: ScenarioError) -> dict[str, Any]:
    """The faults of a refusal as plain data."""
    return {"diagnostics": [asdict(fault) for fault in error.diagnostics], "sources": error.sources}


def faults_from(found: Mapping[str, Any]) -> ScenarioError:
    """The refusal that `faults_to` wrote."""
    faults = [
        Diagnostic(**{**each, "span": Span(**each["span"]) if each["span"] else None, "path": tuple(each["path"])})
        for each in found["diagnostics"]
    ]
    return ScenarioError(faults, found["sources"])
