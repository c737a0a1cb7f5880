"""The page of each framework: its worker runs the jobs of its scenario, by the commands on the page as they stand."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from support.examples import EXAMPLES, PAGES, ROOT, console, example, page_of
from support.pages import as_shown, blocks, commands
from support.shipped import FACTS
from support.shipped import SHIPPED as SCENARIOS

from plg.cli.main import main
from plg.queues.registry import SHIPPED, format_of
from plg.targets.doctor.examination import examine

KINDS = [kind for kind in SHIPPED if kind not in ("list", "stream")]
MEASURE = re.compile(r"`([a-z_]+)`")


def test_every_framework_has_its_page_and_example_and_the_overview_leads_there() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {*KINDS}
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == {*KINDS}
    overview = (ROOT / "docs" / "queues.md").read_text(encoding="utf-8")
    assert all(f"(queues/{kind}.md)" in overview for kind in KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_shows_the_files_and_commands_of_the_example(kind: str) -> None:
    folder = EXAMPLES / kind
    shown = {title: text for language, title, text in blocks(page_of(kind)) if language != "console"}
    files = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.suffix != ".md"}
    middleware = {name: files.pop(name) for name in [*files] if name.startswith("tell_plg.")}
    assert shown == files
    told = [text for language, _, text in blocks(ROOT / "docs" / "workers.md") if language in ("ruby", "go")]
    assert all(any(text.endswith(each) for each in told) for text in middleware.values())
    assert (kind in ("sidekiq", "asynq")) is bool(middleware)
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
        own = "plg.worker" in "".join(path.read_text(encoding="utf-8") for path in (EXAMPLES / kind).glob("*.py"))
        assert service["volumes"] == [f"./{kind}:/shop:ro", *["../plg:/packages/plg:ro"] * own]
        assert service["depends_on"] == {"redis": {"condition": "service_healthy"}}


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", KINDS)
def test_the_worker_runs_what_the_scenario_sends(kind: str, environment, server, tmp_path: Path) -> None:
    [(command, shown)] = commands(console(page_of(kind), "plg"))
    with example(kind, tmp_path, server.url(), environment) as running:
        done = running.run(command)
        assert done.returncode == 0, done.stdout + done.stderr
        printed = iter(done.stdout.splitlines())
        for line in shown:
            assert any(as_shown(line, each) for each in printed), (line, done.stdout)
        [outcome] = [json.loads(path.read_text()) for path in running.folder.glob("plg-report/*.outcome.json")]
        assert outcome["ledger"]["acked"] == outcome["ledger"]["planned"]
        assert running.charged(outcome["ledger"]["planned"]) == Counter(range(outcome["ledger"]["planned"]))
        # An idle queue of dramatiq, huey and taskiq leaves nothing to be seen.
        [queue] = [each for each in examine(server.url()).document()["queues"] if each["kind"] == kind] or [{}]
        assert queue.get("waiting", 0) == 0
        if queue and "workers" in format_of(kind).gauges:
            assert queue["workers"] == 1


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("path", [path for path in SCENARIOS if FACTS[path.name].example], ids=lambda path: path.stem)
def test_a_shipped_scenario_passes_as_shipped(path: Path, environment, server, tmp_path: Path) -> None:
    facts = FACTS[path.name]
    with example(facts.example, tmp_path, server.url(), environment) as running:
        done = running.run(f"plg check {path} --out {tmp_path}/out --quiet", path.parent.parent)
        assert done.returncode == 0, done.stdout + done.stderr
        outcome = json.loads((tmp_path / "out" / f"{path.stem}.outcome.json").read_text())
        assert outcome["ledger"]["acked"] == outcome["ledger"]["planned"] == facts.planned
        assert {e["verdict"] for e in outcome["expectations"]} == {"pass"}
        assert running.charged(facts.planned) == Counter(range(facts.planned))
