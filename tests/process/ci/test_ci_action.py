"""The action's own steps, run for real: install from this checkout, check a scenario, fail by its exit code."""

import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.github_runner import ACTION, ROOT, Runner

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCENARIO = """
scenario "short" {
  job ping { queue "action:pings"  payload { n: "${seq}" } }
  param rate = 50/s
  traffic { steady rate over 1s }
  guardrails { max_rate 500/s  max_total_jobs 1_000  max_duration 30s }
  expect { errors == 0  acked >= 150 }
}
"""


def test_install_and_check(tmp_path: Path) -> None:
    workspace, temp = tmp_path / "work space", tmp_path / "temp"
    workspace.mkdir()
    temp.mkdir()
    (workspace / "short.plg").write_text(SCENARIO, encoding="utf-8")
    inputs = {"scenarios": "*.plg", "out": "the report", "target": "embedded", "set": "rate=200/s"}
    runner = Runner(inputs, workspace, temp)

    installed = runner.step("install")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert installed.stdout.startswith("plg ")

    summary = temp / "summary"
    checked = runner.step("check", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert runner.outputs["check"] == {"report": "the report", "exit-code": "0"}
    report = workspace / "the report"
    promised = {"junit.xml", "short.html", "short.outcome.json", "short.scenario.yaml"}
    assert {path.name for path in report.iterdir()} >= promised
    assert ElementTree.parse(report / "junit.xml").getroot().get("failures") == "0"
    assert "short" in summary.read_text(encoding="utf-8")

    runner.inputs["set"] = ""  # at 50/s the second promise cannot be kept
    failed = runner.step("check", GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(summary))
    assert failed.returncode == 3, failed.stdout + failed.stderr
    assert "::error file=short.plg,line=7" in failed.stdout
    assert ElementTree.parse(report / "junit.xml").getroot().get("failures") == "1"

    runner.inputs["scenarios"] = "nothing-*.plg"
    missing = runner.step("check")
    assert missing.returncode == 2
    assert "no file matches" in missing.stderr


def test_the_action_in_a_folder_of_another_project(tmp_path: Path) -> None:
    """Copied with a wheel beside it, it installs that; without one it says what is missing."""
    action, temp = tmp_path / "shop" / ".github" / "actions" / "plg-check", tmp_path / "temp"
    action.mkdir(parents=True)
    temp.mkdir()
    shutil.copy(ACTION, action)
    runner = Runner({"scenarios": "*.plg"}, tmp_path / "shop", temp, action=action)

    bare = runner.step("install")
    assert bare.returncode == 2, bare.stdout + bare.stderr
    assert "no wheel of plg beside the action" in bare.stdout

    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(action), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    installed = runner.step("install")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert installed.stdout.startswith("plg ")
