"""The process that draws: started ahead, silent until it is needed, gone with whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import pytest
from support.real_servers import alive, gone_within
from support.report_samples import SAMPLES

from plg.outcome_io import to_json
from plg.reports.artifacts import Artifacts
from plg.reports.html import html
from plg.reports.render import Drawing, RenderError, render
from plg.reports.render_process import RenderProcess

STARTER = """
import sys
from plg.reports.render_process import RenderProcess
renderer = RenderProcess()
renderer.set_up()
renderer.await_calm()
print(renderer._next._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def saved() -> str:
    return to_json(SAMPLES[sorted(SAMPLES)[0]]())


def broken(monkeypatch: pytest.MonkeyPatch, folder: Path, words: str) -> None:
    """Every Python that is started from now on says ``words`` and fails."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


def test_a_process_started_ahead_draws_the_same(saved: str) -> None:
    expected = html([SAMPLES[sorted(SAMPLES)[0]]()]).encode()
    assert render(saved, "html") == expected
    with RenderProcess() as renderer:
        renderer.set_up()
        renderer.await_calm()
        with renderer.begin(saved) as drawing:
            assert drawing.finish() == expected
        with renderer.begin(saved) as drawing:
            assert drawing.finish() == expected, "without one that was started ahead"


def test_it_has_loaded_all_before_it_says_that_it_is_ready() -> None:
    probe = (
        "import io, json, sys\n"
        "from plg.reports import render\n"
        "class Input:\n"
        "    @property\n"
        "    def buffer(self):\n"
        "        print(json.dumps(sorted(sys.modules)))\n"
        "        return io.BytesIO(b'')\n"
        "sys.stdin = Input()\n"
        "sys.argv[1:] = ['html']\n"
        "sys.exit(render.main())\n"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "", "the sign comes before the input is asked for"
    assert {'"plotly.graph_objs._figure"', '"numpy.ma"', '"plg.language.write_yaml"'} <= set(lines[1][1:-1].split(", "))
    assert '"jsonschema"' not in lines[1], "what plg has just written needs no check"
    assert len(lines) == 2, "nothing is drawn of no outcome"


def test_what_was_started_in_vain_leaves_nothing() -> None:
    with RenderProcess() as renderer:
        renderer.set_up()
        assert renderer._next is not None
        process = renderer._next._process
        renderer.set_up()
        assert renderer._next._process is process, "one is enough"
    assert process.returncode == -signal.SIGKILL
    assert all(pipe is None or pipe.closed for pipe in (process.stdin, process.stdout, process.stderr))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_the_process_that_started_it(number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", STARTER], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as parent:  # fmt: skip
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(number)
    assert gone_within(pid, 10) is not None


def test_an_interruption_of_the_terminal_does_not_reach_it(saved: str) -> None:
    with Drawing("html") as drawing:
        assert os.getsid(drawing._process.pid) != os.getsid(0)
        drawing.begin(saved)
        assert drawing.finish().startswith(b"<!DOCTYPE html>")


def test_a_drawing_that_nobody_waits_for_is_ended(saved: str) -> None:
    with Drawing("html") as drawing:
        drawing.begin(saved)
    assert drawing._process.returncode is not None


def test_a_process_that_fails_is_told_when_it_is_needed(
    saved: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken(monkeypatch, tmp_path, "no plotly here")
    with RenderProcess() as renderer:
        renderer.set_up()
        renderer.await_calm()
        with renderer.begin(saved * 100) as drawing, pytest.raises(RenderError, match="no plotly here"):
            drawing.finish()


def test_a_process_that_cannot_be_started_is_tried_again_when_it_is_needed(
    saved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RenderProcess() as renderer:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", "/nowhere/python")
            renderer.set_up()
            renderer.await_calm()
        with renderer.begin(saved) as drawing:
            assert drawing.finish().startswith(b"<!DOCTYPE html>")


def test_what_cannot_be_drawn_costs_no_other_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken(monkeypatch, tmp_path, "out of ink")
    outcome = SAMPLES[sorted(SAMPLES)[0]]()
    artifacts = Artifacts(tmp_path / "out")
    artifacts.add(outcome)
    artifacts.finish(github=False)
    names = sorted(path.suffix for path in (tmp_path / "out").iterdir())
    assert names == [".json", ".xml", ".yaml"]
    (note,) = artifacts.finish(github=False).notes
    assert note.endswith(".html not written: out of ink")


def test_the_outcome_is_written_while_it_is_drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    outcome, seen = SAMPLES[sorted(SAMPLES)[0]](), []

    def finish(drawing: Drawing, *_: object) -> bytes:
        seen.extend(sorted(path.suffix for path in (tmp_path / "out").glob("[!.]*")))
        raise RenderError("later")

    monkeypatch.setattr(Drawing, "finish", finish)
    Artifacts(tmp_path / "out").add(outcome)
    assert seen == [".json", ".xml", ".yaml"]


def test_after_a_signal_all_drawings_together_get_two_seconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Three pages, none of which comes to an end; what programs read is there all the same."""
    enough = threading.Event()

    def hold(given: IO[bytes], outcome_json: bytes) -> None:
        with given:
            enough.wait(30)

    monkeypatch.setattr("plg.reports.render._hand_over", hold)
    signals = iter([None, None])
    artifacts = Artifacts(tmp_path / "out", interrupted=lambda: next(signals, "SIGTERM"))
    for name in sorted(SAMPLES)[:3]:
        artifacts.add_undrawn(SAMPLES[name]())
    begun = time.monotonic()
    artifacts.draw()
    enough.set()
    assert 1.9 < time.monotonic() - begun < 10
    first, others = artifacts.finish(github=False).notes
    assert first.endswith(".html not written: a signal came, and it was not drawn soon enough")
    assert others == "nor were the reports of 2 more scenarios drawn"
    assert len(list((tmp_path / "out").glob("*.outcome.json"))) == 3
