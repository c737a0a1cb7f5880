"""What a user sees of a policy: the lowered limits before the run, and a refusal with its place instead of a run."""

import json
from pathlib import Path

import pytest

from plg.cli.main import main

SCENARIO = """
scenario "guarded" {
  target env PLG_TEST_TARGET else "redis://localhost:1/0"
  job ping { queue "guarded:pings" }
  traffic { steady 50/s over 2s }
  guardrails { max_rate 500/s  max_total_jobs 1_000  max_duration 30s }
}
"""
POLICY = """\
environments:
  - name: production
    hosts: ["*.prod.example.com"]
    allow: false
  - name: slow
    hosts: [embedded]
    ceilings: {max_rate: 20/s}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for variable in ("PLG_POLICY", "PLG_TEST_TARGET"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "guarded.plg").write_text(SCENARIO, encoding="utf-8")
    (tmp_path / "plg-policy.yaml").write_text(POLICY, encoding="utf-8")
    return tmp_path


def test_the_plan_is_made_under_the_ceiling_and_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "guarded.plg", "--target", "embedded"]) == 0
    out = capsys.readouterr().out
    assert "max_rate lowered from 500/s to 20/s by environment slow of" in out
    assert main(["plan", "guarded.plg", "--target", "embedded", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["planned"], plan["sent_estimate"]) == (100, 40)


@pytest.mark.parametrize("way", ["flag", "variable"])
@pytest.mark.parametrize("command", ["plan", "check"])
def test_a_refusal_is_exit_2_with_its_place(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, way: str
) -> None:
    target = "redis://:geheim@DB.Prod.Example.com.:6380/0"
    arguments = [command, "guarded.plg"]
    if way == "flag":
        arguments += ["--target", target]
    else:
        monkeypatch.setenv("PLG_TEST_TARGET", target)
    assert main(arguments) == 2
    said = capsys.readouterr()
    refusal = "the policy allows no load on db.prod.example.com (environment production)"
    assert f"error[policy-refused]: {refusal}" in said.err
    assert "plg-policy.yaml:2:" in said.err
    assert "geheim" not in said.err + said.out


def test_a_refused_check_still_writes_junit(folder: Path) -> None:
    assert main(["check", "guarded.plg", "--target", "redis://db.prod.example.com"]) == 2
    assert "policy-refused" in (folder / "plg-report" / "junit.xml").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", ["environments: [", "enviroments: []", "\0"])
def test_a_broken_policy_is_refused_for_every_target(
    folder: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (folder / "plg-policy.yaml").write_text(text, encoding="utf-8")
    assert main(["check", "guarded.plg", "--target", "embedded"]) == 2
    assert "plg-policy.yaml" in capsys.readouterr().err
    assert [path.name for path in (folder / "plg-report").iterdir()] == ["junit.xml"]


def test_naming_another_policy_does_not_lift_the_one_that_lies_here(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "mine.yaml").write_text("ceilings: {max_rate: 1000/s}", encoding="utf-8")
    assert main(["plan", "guarded.plg", "--target", "redis://db.prod.example.com", "--policy", "mine.yaml"]) == 2
    assert "policy-refused" in capsys.readouterr().err


def test_environments_are_named_and_must_exist(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "guarded.plg", "--env", "slow", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["sent_estimate"] == 40
    assert main(["plan", "guarded.plg", "--env", "slw"]) == 2
    said = capsys.readouterr().err
    assert "unknown-environment" in said
    assert "production, slow" in said
    (folder / "plg-policy.yaml").unlink()
    assert main(["plan", "guarded.plg", "--env", "slow"]) == 2
    assert "needs a policy file" in capsys.readouterr().err


def test_a_scenario_in_another_folder_is_under_the_policy_of_this_one(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    below = folder / "load" / "nightly"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert main(["plan", str(folder / "guarded.plg"), "--target", "redis://db.prod.example.com"]) == 2
    assert "policy-refused" in capsys.readouterr().err
