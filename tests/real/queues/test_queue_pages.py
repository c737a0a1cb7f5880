"""The page of each framework: its worker runs the jobs of its scenario, by the commands on the page as they stand."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from support.installing import install
from support.pages import as_shown, blocks, commands

from plg.cli.main import main
from plg.queues.registry import SHIPPED

ROOT = Path(__file__).parents[3]
PAGES, EXAMPLES = ROOT / "docs" / "queues", ROOT / "examples"
KINDS = [kind for kind in SHIPPED if kind not in ("list", "stream")]
ORDER = re.compile(r"charged order (\d+):")
MEASURE = re.compile(r"`([a-z_]+)`")


def page_of(kind: str) -> Path:
    return PAGES / f"{kind}.md"


def console(page: Path, title: str) -> str:
    [text] = [text for language, name, text in blocks(page) if (language, name) == ("console", title)]
    return text


def test_every_framework_has_its_page_and_example_and_the_overview_leads_there() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {*KINDS}
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == {*KINDS}
    overview = (ROOT / "docs" / "queues.md").read_text(encoding="utf-8")
    assert all(f"(queues/{kind}.md)" in overview for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_shows_the_files_and_commands_of_the_example(kind: str) -> None:
    folder = EXAMPLES / kind
    shown = {title: text for language, title, text in blocks(page_of(kind)) if language != "console"}
    assert shown == {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.suffix != ".md"}
    readme = folder / "README.md"
    assert console(readme, "the worker") == console(page_of(kind), "the worker")
    typed = [command for command, _ in commands(console(page_of(kind), "plg"))]
    assert typed == [command for command, _ in commands(console(readme, "plg"))]


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_promises_no_measure_that_is_refused(kind: str, tmp_path: Path, capsys) -> None:
    text = page_of(kind).read_text(encoding="utf-8").partition("## What is measured")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    measures = [measure for row in rows for measure in MEASURE.findall(row)]
    assert len(measures) >= 3
    times = ("queue_wait", "run_time", "end_to_end", "drain_time", "queue_age")
    lines = [f"p95({m}) < 5s" if m in times[:3] else f"{m} < 5s" if m in times else f"{m} >= 0" for m in measures]
    scenario = (EXAMPLES / kind / "load.plg").read_text(encoding="utf-8")
    path = tmp_path / "asked.plg"
    path.write_text(re.sub(r"expect \{.*?\}", "expect {\n" + "\n".join(lines) + "\n}", scenario, flags=re.DOTALL))
    assert main(["lint", str(path)]) == 0, capsys.readouterr().out
    assert "not measured" not in capsys.readouterr().out


def test_the_compose_file_is_valid_and_runs_the_commands_of_the_pages() -> None:
    path = EXAMPLES / "docker-compose.yml"
    schema = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    done = subprocess.run(schema, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    services = yaml.safe_load(path.read_text(encoding="utf-8"))["services"]
    assert services.keys() == {"redis", *KINDS}
    for kind in KINDS:
        service, (*_, (worker, _)) = services[kind], commands(console(page_of(kind), "the worker"))
        assert service["command"][-1].replace("$$", "$").endswith(f"&& exec {worker}")
        assert service["volumes"] == [f"./{kind}:/shop:ro"]
        assert service["depends_on"] == {"redis": {"condition": "service_healthy"}}


@contextmanager
def started(command: str, folder: Path, environ: dict[str, str], ready: str) -> Iterator[Path]:
    """The log of a worker that has said that it is ``ready``."""
    log = folder / "worker.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, shell=True, cwd=folder, env=environ, stdout=output, stderr=output, start_new_session=True
        )
    try:
        until = time.monotonic() + 30
        while ready not in log.read_text(errors="replace"):
            assert process.poll() is None, log.read_text(errors="replace")[-2000:]
            assert time.monotonic() < until, log.read_text(errors="replace")[-2000:]
            time.sleep(0.05)
        yield log
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(10)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        process.wait()


def prepared(kind: str, folder: Path, environment) -> tuple[str, str]:
    """Install what the page says, in ``folder``; the command of the worker, and a PATH on which it is found."""
    *first, (worker, _) = commands(console(page_of(kind), "the worker"))
    path = os.environ["PATH"]
    for command, _ in first:
        words = shlex.split(command)
        if words[:2] == ["pip", "install"]:
            path = f"{environment(kind, *words[2:])}:{path}"
        else:
            install(*words, folder=folder)
    if kind == "sidekiq" and shutil.which("sidekiq") is None:
        pytest.skip("no sidekiq on PATH")
    return worker, path


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
def test_the_worker_runs_what_the_scenario_sends(kind: str, environment, server, tmp_path: Path) -> None:
    folder = tmp_path / kind
    shutil.copytree(EXAMPLES / kind, folder)
    worker, path = prepared(kind, folder, environment)
    program = tmp_path / "bin" / "plg"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m plg "$@"\n')
    program.chmod(0o755)
    environ = os.environ | {
        "PATH": f"{program.parent}:{path}", "REDIS_URL": server.url(), "PYTHONUNBUFFERED": "1", "COLUMNS": "100",
    }  # fmt: skip
    [ready] = re.findall(r"Once the\s+worker says `(.*?)`", page_of(kind).read_text(encoding="utf-8"))
    [(command, shown)] = commands(console(page_of(kind), "plg"))
    with started(worker, folder, environ, ready) as log:
        for _ in range(3):
            before = log.stat().st_size
            done = subprocess.run(
                command, shell=True, cwd=folder, env=environ, capture_output=True, text=True, timeout=120
            )
            if done.returncode != 5:  # a busy machine
                break
        assert done.returncode == 0, done.stdout + done.stderr
        printed = iter(done.stdout.splitlines())
        for line in shown:
            assert any(as_shown(line, each) for each in printed), (line, done.stdout)
        [outcome] = [json.loads(path.read_text()) for path in folder.glob("plg-report/*.outcome.json")]
        assert outcome["ledger"]["acked"] == outcome["ledger"]["planned"] == 150
        charged = Counter(map(int, ORDER.findall(log.read_bytes()[before:].decode("utf-8", "replace"))))
        assert charged == Counter(range(150))
