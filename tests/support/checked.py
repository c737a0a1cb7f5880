"""`plg` as its users run it: a process, its exit code, what it printed, and the files it left."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from plg.resources import read_text

COMMAND = (sys.executable, "-m", "plg")
HOME = Path(__file__).parents[2]
UNSET = (
    "NO_COLOR", "FORCE_COLOR", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "PLG_POLICY", "PLG_DEBUG", "COLUMNS",
    "REDIS_URL",
)  # fmt: skip


@dataclass(frozen=True)
class Done:
    """A command that has ended, and the folder it ran in."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def said(self) -> str:
        return self.out + self.err

    @property
    def last(self) -> str:
        """The last line of the result: it tells the code and why."""
        return self.out.rstrip("\n").rpartition("\n")[2]

    @property
    def report(self) -> Path:
        return self.folder / "plg-report"

    def outcome(self, name: str) -> dict[str, Any]:
        """The saved outcome of a scenario, found to be one by its schema."""
        return outcome_in(self.report / f"{name}.outcome.json")

    def suites(self) -> list[ElementTree.Element]:
        return suites_in(self.report / "junit.xml")


def environment(**more: str) -> dict[str, str]:
    """The environment of the tests without what would change how plg behaves, and with ``more``."""
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    return kept | {"PYTHONPATH": str(HOME), "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8"} | more


def full_disk(size: int, **variables: str) -> dict[str, Any]:
    """Options of `Popen` for a process whose files may not grow beyond ``size`` bytes, as on a full disk.

    Python would leave the half of a compiled module behind, for all who import it later, so it compiles none here.
    """
    return {
        "preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        "env": environment(PYTHONDONTWRITEBYTECODE="1", **variables),
    }


def plg(*arguments: object, cwd: Path, seconds: float = 60, **variables: str) -> Done:
    """Run ``plg`` with ``arguments`` in ``cwd`` to its end."""
    with Started(*arguments, cwd=cwd, **variables) as process:
        return process.done(seconds)


class Started:
    """A running ``plg``, for those who want to do something to it."""

    def __init__(self, *arguments: object, cwd: Path, **variables: str) -> None:
        self.folder = cwd
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)], cwd=cwd, env=environment(**variables), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __enter__(self) -> Started:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def done(self, seconds: float = 60) -> Done:
        out, err = self.process.communicate(timeout=seconds)
        # Where a test asks for another encoding than UTF-8, only ASCII is looked at.
        said = out.decode(errors="replace"), err.decode(errors="replace")
        done = Done(self.process.returncode, *said, self.folder)
        assert "Traceback" not in done.said, done.said
        return done


def calmly(attempt: Callable[[], Done]) -> Done:
    """What ``attempt`` comes to once this machine is not busy with other things, as INVALID says that it is."""
    for _ in range(4):
        done = attempt()
        if done.code != 5:
            return done
    raise AssertionError(f"this machine is too busy for a small run, four times over:\n{done.said}")


def until(what: Any, seconds: float = 20) -> None:
    """Wait until ``what()`` is true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


@cache
def _outcome_schema() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(read_text("schemas", "outcome.schema.json")))


def outcome_in(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    faults = [f"{fault.json_path}: {fault.message}" for fault in _outcome_schema().iter_errors(document)]
    assert not faults, faults
    return document


def suites_in(path: Path) -> list[ElementTree.Element]:
    """The suites of a JUnit file, whose counts are those of its cases."""
    root = ElementTree.parse(path).getroot()
    suites = list(root)
    for node in (root, *suites):
        cases = list(node.iter("testcase"))
        assert int(node.get("tests", "-1")) == len(cases) > 0
        for kind in ("failure", "error"):
            assert int(node.get(f"{kind}s", "-1")) == sum(case.find(kind) is not None for case in cases)
    return suites


def adds_up(ledger: dict[str, int]) -> None:
    """Every planned arrival stands in one column."""
    assert ledger["planned"] == ledger["sent"] + ledger["shed"] + ledger["late"] + ledger["cancelled"]
    assert ledger["sent"] == ledger["acked"] + ledger["failed"] + ledger["unknown"]


def ended(done: Done, name: str, code: int, verdict: str) -> dict[str, Any]:
    """A check of one scenario ended as it should: code, last line, ledger and all files. Returns the outcome."""
    assert done.code == code, done.said
    assert done.last.startswith(f"exit {code}: "), done.out
    outcome = done.outcome(name)
    assert (outcome["exit_code"], outcome["verdict"]) == (code, verdict)
    assert done.last == f"exit {code}: {outcome['reason']}"
    adds_up(outcome["ledger"])
    (suite,) = done.suites()
    assert suite.get("name") == name
    assert (int(suite.get("errors", "0")) + int(suite.get("failures", "0")) > 0) == (code != 0)
    page = (done.report / f"{name}.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert page.rstrip().endswith("</html>")
    assert (done.report / f"{name}.scenario.yaml").stat().st_size > 50
    return outcome
