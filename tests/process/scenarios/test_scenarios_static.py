"""Every shipped scenario lints clean, is laid out canonically, and plans what it is expected to."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.shipped import FACTS, FOLDER, SHIPPED

from plg.cli.main import main
from plg.language.load import load


def plan_of(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """What `plg plan --json` says of a scenario."""
    code = main(["plan", str(path), "--json"])
    done = capsys.readouterr()
    assert (code, done.err) == (0, "")
    plan: dict[str, Any] = json.loads(done.out)
    return plan


def test_every_shipped_scenario_has_its_facts() -> None:
    assert {path.name for path in SHIPPED} == set(FACTS)


def test_all_lint_clean(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["lint", *map(str, SHIPPED)])
    assert (code, capsys.readouterr().out) == (0, f"{len(SHIPPED)} files checked: no errors, no warnings\n")


def test_all_are_laid_out_canonically(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["fmt", "--check", *(str(path) for path in SHIPPED if path.suffix == ".plg")])
    assert (code, capsys.readouterr().out) == (0, "")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_plan_holds_what_is_expected_of_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, facts = plan_of(path, capsys), FACTS[path.name]
    assert plan["planned"] == facts.planned
    assert plan["planned"] - plan["sent_estimate"] == facts.shed
    assert plan["duration_s"] == pytest.approx(facts.duration)
    # A warning in a scenario that people copy from would be copied too. Only the clips of chaos-monkey are meant.
    assert {warning["code"] for warning in plan["warnings"]} == ({"guardrail-bound-to-hit"} if facts.shed else set())


def test_all_together_end_within_three_minutes() -> None:
    assert sum(facts.duration for facts in FACTS.values() if not facts.example) < 170


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_all_spellings_of_a_scenario_plan_the_same(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(FOLDER / "data", tmp_path / "data")
    plans = [plan_of(path, capsys)]
    for spelling in ("plg", "yaml", "json"):
        assert main(["convert", str(path), "--to", spelling]) == 0
        again = tmp_path / f"again.{spelling}"
        again.write_text(capsys.readouterr().out, encoding="utf-8")
        plans.append(plan_of(again, capsys))
    for plan in plans:
        for warning in plan["warnings"]:
            warning.pop("line")
    assert plans[1:] == plans[:1] * 3


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_it_has_the_jobs_that_are_expected(path: Path) -> None:
    assert tuple(job.name for job in load(path, target="embedded").scenario.jobs) == FACTS[path.name].jobs
