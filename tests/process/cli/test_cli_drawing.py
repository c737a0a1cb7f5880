"""When ``plg check`` starts what draws its reports, and that none of it is left."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from support.cli_scenarios import QUICK, quick

from plg import session
from plg.cli import checking
from plg.cli.main import main
from plg.reports.render_process import RenderProcess


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the check asks of the renderer and when its runs go on, in order."""
    made: list[str] = []

    def told(owner: object, name: str) -> None:
        kept = getattr(owner, name)

        def call(*arguments: object) -> object:
            made.append(name)
            return kept(*arguments)

        monkeypatch.setattr(owner, name, call)

    for name in ("set_up", "await_calm", "clear", "begin"):
        told(RenderProcess, name)
    told(session.Run, "run")
    return made


def test_it_is_started_first_and_asleep_when_the_run_starts(here, calls) -> None:
    (here / "a.plg").write_text(quick("a"), encoding="utf-8")
    (here / "b.plg").write_text(quick("b"), encoding="utf-8")
    main(["check", "a.plg", "b.plg", "--quiet"])
    assert calls == ["set_up", "await_calm", "run", "begin"] * 2 + ["clear"]


def test_it_is_not_kept_through_a_long_run(here, calls, monkeypatch) -> None:
    monkeypatch.setattr(checking, "_SHORT", 0.05)
    (here / "a.plg").write_text(quick("a"), encoding="utf-8")
    main(["check", "a.plg", "--quiet"])
    assert calls == ["set_up", "clear", "await_calm", "run", "begin", "clear"]
    assert (here / "plg-report" / "a.html").exists()


def test_it_is_not_started_before_a_start_that_would_not_wait(here, calls) -> None:
    (here / "a.plg").write_text(quick("a"), encoding="utf-8")
    main(["check", "a.plg", "--quiet", "--start-at", "+700ms"])
    assert calls == ["await_calm", "run", "begin", "clear"], "there is nothing to wait for"


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize("arguments", [["a.plg"], ["missing.plg"], ["*.none"], ["good.plg"]], ids=lambda a: a[0])
def test_nothing_is_left_of_it(here, arguments: list[str]) -> None:
    (here / "a.plg").write_text(QUICK.replace("steady", "stedy"), encoding="utf-8")
    (here / "good.plg").write_text(quick("good"), encoding="utf-8")
    mark = f"PLG_TEST_MARK={uuid.uuid4().hex}"
    name, _, value = mark.partition("=")
    done = subprocess.run(
        [sys.executable, "-m", "plg", "check", *arguments],
        capture_output=True, env={**os.environ, name: value}, check=False,
    )  # fmt: skip
    assert done.returncode in ((0, 5) if arguments == ["good.plg"] else (2,)), done.stderr
    assert not [pid for pid, environment in _environments() if mark.encode() in environment]


def _environments() -> list[tuple[str, bytes]]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            found.append((process.name, (process / "environ").read_bytes()))
        except OSError:
            continue
    return found
