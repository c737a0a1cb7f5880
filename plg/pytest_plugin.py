"""Scenarios as tests of pytest: each expectation is a test with its own outcome, and ``plg_run`` is a fixture.

A scenario sends jobs, so none is run because it lies somewhere: pytest collects those that are named on its command
line and those that ``plg_files`` names. Each is run once, by ``plg check`` in a process of its own, also where its
tests are divided among the workers of pytest-xdist.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from plg.child import python_command
from plg.dataclass import dataclass

SUFFIXES = (".plg", ".plg.yaml", ".plg.yml")
_RUNS = pytest.StashKey["Runs"]()
_ENDING = 15.0
"""Seconds that a check gets to end itself when pytest is interrupted."""


class NotHeld(Exception):
    """A promise of a scenario that was not kept, or not measured."""


class WarningNotHeld(UserWarning):
    """A line marked ``warn`` that did not hold."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A check that ended: its exit code, what it said, and the file of its outcome; None where it came to none."""

    code: int
    said: str
    outcome: str | None


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("plg", "scenarios of load on a job queue")
    group.addoption("--plg-target", metavar="URL", help="where the jobs of all scenarios go, in place of their own")
    group.addoption(
        "--plg-set", metavar="NAME=VALUE", action="append", default=[], help="the value of a param, as plg check --set"
    )
    group.addoption("--plg-out", metavar="DIR", help="the folder of the reports (default: plg_out, or plg-report)")
    parser.addini("plg_files", "globs of the scenarios that are collected, from the root of the project", type="args")
    parser.addini("plg_args", "further arguments of plg check for each of them", type="args")
    parser.addini("plg_out", "the folder of the reports", default="plg-report")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_RUNS] = Runs(config)


def pytest_unconfigure(config: pytest.Config) -> None:
    if (runs := config.stash.get(_RUNS, None)) is not None:
        runs.close()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    if not file_path.name.endswith(SUFFIXES):
        return None
    config, session = parent.config, parent.session
    within = file_path.relative_to(config.rootpath) if file_path.is_relative_to(config.rootpath) else file_path
    named = session.isinitpath(file_path) or any(within.match(glob) for glob in config.getini("plg_files"))
    return ScenarioFile.from_parent(parent, path=file_path) if named else None


@pytest.fixture
def plg_run(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Any]:
    """``plg_run(file, *arguments)`` runs ``plg check`` and returns the judged outcome, whatever its verdict.

    A relative ``file`` stands beside the test's own. ``arguments`` are those of ``plg check``; the options and settings
    of this plugin come before them. Raises `NotHeld` where there is no outcome, with what the check said.
    """
    from plg.outcome_io import from_json

    def run(file: Path | str, *arguments: str) -> Any:
        place = request.path.parent / file
        checked = check(place, tmp_path / "plg-report", [*usual_arguments(request.config), *arguments])
        request.node.add_report_section("call", f"plg check {place.name}", checked.said)
        if checked.outcome is None:
            raise NotHeld(checked.said)
        return from_json(Path(checked.outcome).read_text(encoding="utf-8"))

    return run


class ScenarioFile(pytest.File):
    """A scenario: a test for the run as a whole, and one for each expectation."""

    def collect(self) -> Iterator[pytest.Item]:
        from plg.diagnostics import ScenarioError
        from plg.diagnostics_render import render_text
        from plg.language.load import load
        from plg.reports.suites import unique

        try:
            scenario = load(self.path, sends=False).scenario
        except ScenarioError as error:
            raise self.CollectError(render_text(error.diagnostics, error.sources)) from None
        names = unique(["run", *(each.text for each in scenario.expect)])
        lines = [None, *(each.line for each in scenario.expect)]
        for number, (name, line) in enumerate(zip(names, lines, strict=True)):
            yield Promise.from_parent(self, name=name, number=number, line=line)


class Promise(pytest.Item):
    """The expectation ``number`` (from 1) of a scenario; 0 is that the run was sound and came to its end."""

    def __init__(self, *, number: int, line: int | None, **given: Any) -> None:
        super().__init__(**given)
        self._number, self._line = number, line

    def runtest(self) -> None:
        checked = self.config.stash[_RUNS].of(self.path)
        if self._number == 0:
            self.add_report_section("call", "plg check", checked.said)
        if checked.outcome is None:
            raise NotHeld(checked.said)
        from plg.outcome_io import from_json
        from plg.reports import wording

        outcome = from_json(Path(checked.outcome).read_text(encoding="utf-8"))
        if self._number == 0:
            if outcome.verdict not in ("pass", "fail") or checked.code != outcome.exit_code:
                raise NotHeld(outcome.reason or checked.said)
            return
        result = outcome.expectations[self._number - 1]
        if result.verdict == "pass":
            return
        told = "\n".join(filter(None, [wording.breach(result), result.detail if result.verdict == "fail" else ""]))
        if result.level != "warn":
            raise NotHeld(told)
        warnings.warn(WarningNotHeld(f"{result.text}: {told}"), stacklevel=1)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        if isinstance(excinfo.value, NotHeld):
            return f"{self._where()}{excinfo.value}"
        return super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None if self._line is None else self._line - 1, self.name

    def _where(self) -> str:
        place = os.path.relpath(self.path, self.config.rootpath)
        return f"{place}:{self._line}: {self.name}\n" if self._line else f"{place}: {self.name}\n"


class Runs:
    """The checks of this session, each made once: also where several workers of pytest-xdist ask for it."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._found: dict[Path, Checked] = {}
        self._own: tempfile.TemporaryDirectory[str] | None = None

    def of(self, file: Path) -> Checked:
        """What came of the scenario; it is run where it has not been."""
        if file not in self._found:
            self._found[file] = self._made(file)
        return self._found[file]

    def _made(self, file: Path) -> Checked:
        folder = self._folder()
        number = "-".join(Path(os.path.relpath(file, self._config.rootpath)).parts)
        kept = folder / f"{number}.json"
        with (folder / f"{number}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # until it is closed, or its process ends
            if kept.exists():
                return Checked(**json.loads(kept.read_text(encoding="utf-8")))
            out = self._config.rootpath / (self._config.getoption("plg_out") or self._config.getini("plg_out"))
            checked = check(file, out / number, usual_arguments(self._config))
            kept.write_text(json.dumps(asdict(checked)), encoding="utf-8")
            return checked

    def _folder(self) -> Path:
        """Where the workers of one session find each other's runs."""
        if "PYTEST_XDIST_TESTRUNUID" in os.environ:
            folder = Path(tempfile.gettempdir()) / f"plg-pytest-{os.environ['PYTEST_XDIST_TESTRUNUID']}"
            folder.mkdir(mode=0o700, exist_ok=True)
            return folder
        if self._own is None:
            self._own = tempfile.TemporaryDirectory(prefix="plg-pytest-")
        return Path(self._own.name)

    def close(self) -> None:
        """Remove what was written for this session alone."""
        if self._own is not None:
            self._own.cleanup()
        import shutil

        if not hasattr(self._config, "workerinput") and (uid := getattr(self._session_plugin(), "testrunuid", None)):
            shutil.rmtree(Path(tempfile.gettempdir()) / f"plg-pytest-{uid}", ignore_errors=True)

    def _session_plugin(self) -> Any:
        """What pytest-xdist's controller has to say of this session; None without it."""
        plugin = self._config.pluginmanager.getplugin("dsession")
        return getattr(plugin, "nodemanager", None)


def usual_arguments(config: pytest.Config) -> list[str]:
    """What the options and settings of the plugin say to ``plg check``."""
    target = config.getoption("plg_target")
    sets = [word for each in config.getoption("plg_set") for word in ("--set", each)]
    return [*config.getini("plg_args"), *sets, *(["--target", target] if target else [])]


def check(file: Path, out: Path, arguments: Sequence[str]) -> Checked:
    """Run ``plg check`` on a ``file``, with its reports in the folder ``out``."""
    command = python_command("plg.cli.main", ["check", str(file), "--out", str(out), *arguments])
    before = _moments(out)
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=told, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait()
        finally:
            _end(process)
        told.seek(0)
        said = told.read().decode(errors="replace").strip()
    written = [path for path, moment in _moments(out).items() if before.get(path) != moment]
    return Checked(code, said, str(written[0]) if written else None)


def _moments(out: Path) -> dict[Path, int]:
    """When each outcome in the folder was written."""
    return {path: path.stat().st_mtime_ns for path in out.glob("*.outcome.json")}


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a check that pytest does not wait for any more, as Ctrl-C does."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        try:
            process.wait(_ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
