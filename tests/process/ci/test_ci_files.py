"""The workflow and the action are what GitHub takes, and paste no input into a script."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.github_runner import ACTION, ROOT, WORKFLOWS, Runner, read

from plg.language.starters import workflow


def validate(path: Path, schema: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_are_valid(path: Path) -> None:
    validate(path, "vendor.github-workflows")


def test_the_action_is_valid() -> None:
    validate(ACTION, "vendor.github-actions")


def test_the_workflow_that_plg_new_writes_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "plg.yml"
    path.write_text(workflow("load/it's a $(sale).plg", "wheels/plg.whl"), encoding="utf-8")
    validate(path, "vendor.github-workflows")


def test_the_schemas_are_schemas() -> None:
    schemas = sorted((ROOT / "schemas").glob("*.json"))
    assert schemas
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--check-metaschema", *map(str, schemas)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def scripts() -> list[tuple[str, str]]:
    found = [(f"action: {step['name']}", step["run"]) for step in read(ACTION)["runs"]["steps"] if "run" in step]
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            found += [(f"{path.name}: {name}", step["run"]) for step in job["steps"] if "run" in step]
    return found


@pytest.mark.parametrize(("name", "script"), scripts())
def test_no_expression_is_pasted_into_a_script(name: str, script: str) -> None:
    assert "${{" not in script.replace("${{ matrix.", "")


@pytest.mark.parametrize(("name", "script"), scripts())
def test_scripts_are_bash(name: str, script: str) -> None:
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_workflows_may_only_read() -> None:
    for path in WORKFLOWS:
        assert read(path)["permissions"] == {"contents": "read"}


def test_every_make_target_that_ci_calls_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = [script for _, script in scripts()] + [(ROOT / ".ci" / "run").read_text()]
    called = {target for text in texts for target in re.findall(r"\bmake ([a-z]+)", text)} - {"python"}
    assert called
    assert called <= targets


# The check step, with a program that only tells its arguments in place of plg -----------------------------------------

TELL = """#!{python}
import json, sys
print(json.dumps(sys.argv[1:]))
sys.exit({code})
"""


def run_check(tmp_path: Path, code: int = 0, **inputs: str) -> tuple[int, list[str], dict[str, str]]:
    program = tmp_path / "plg"
    program.write_text(TELL.format(python=sys.executable, code=code), encoding="utf-8")
    program.chmod(0o755)
    runner = Runner({name.replace("_", "-"): value for name, value in inputs.items()}, tmp_path, tmp_path)
    runner.outputs["install"] = {"plg": str(program)}
    done = runner.step("check")
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout), runner.outputs["check"]


def test_only_what_is_given_becomes_an_argument(tmp_path: Path) -> None:
    assert run_check(tmp_path, scenarios="a.plg") == (
        0, ["check", "--out=plg-report", "--", "a.plg"], {"report": "plg-report", "exit-code": "0"},
    )  # fmt: skip


def test_every_input_arrives(tmp_path: Path) -> None:
    _, arguments, _ = run_check(
        tmp_path, scenarios="\n  load/*.plg\n\n  b c.yaml  \n", out="my report", target="redis://u:p@h/0?a=b c",
        set="peak=900/s\n note=two words \n", seed="7", env="staging", policy="p.yaml", png="true", fail_fast="true",
        wait="30s",
    )  # fmt: skip
    assert arguments == [
        "check", "--out=my report", "--target=env PLG_TARGET", "--wait=30s", "--seed=7", "--env=staging",
        "--policy=p.yaml", "--png", "--fail-fast", "--set=peak=900/s", "--set=note=two words", "--", "load/*.plg",
        "b c.yaml",
    ]  # fmt: skip


def test_a_target_from_a_secret_that_is_missing_is_no_run_on_a_private_server(tmp_path: Path) -> None:
    _, arguments, _ = run_check(tmp_path, scenarios="a.plg", target="")
    assert arguments == ["check", "--out=plg-report", "--target=env PLG_TARGET", "--", "a.plg"]
    (tmp_path / "a.plg").write_text(
        "scenario a { traffic { steady 5/s over 1s } guardrails { max_rate 9/s max_total_jobs 9 max_duration 1m } }"
    )
    for environ in ({"PLG_TARGET": ""}, {}):
        done = subprocess.run(
            [sys.executable, "-m", "plg", *arguments], cwd=tmp_path, env={**os.environ, **environ}, capture_output=True,
            text=True,
        )  # fmt: skip
        assert done.returncode == 2
        assert "the target is empty" in done.stderr
        assert "is the variable or secret set that it comes from?" in done.stderr


def test_the_target_of_the_action_is_not_in_the_list_of_processes(tmp_path: Path) -> None:
    """The arguments that plg gets from the action, and a target that answers to none of its words."""
    (tmp_path / "a.plg").write_text(
        "scenario a { traffic { steady 5/s over 1s } guardrails { max_rate 9/s max_total_jobs 9 max_duration 1m } }"
    )
    target = "redis://:hidden-word@127.0.0.1:1/0"
    _, arguments, _ = run_check(tmp_path, scenarios="a.plg", target=target)
    assert "hidden-word" not in " ".join(arguments)
    done = subprocess.run(
        [sys.executable, "-m", "plg", *arguments], cwd=tmp_path, env={**os.environ, "PLG_TARGET": target},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 6, "that is where it tried to go"
    assert "127.0.0.1:1" in done.stdout
    assert "hidden-word" not in done.stdout + done.stderr
    assert not any(b"hidden-word" in path.read_bytes() for path in (tmp_path / "plg-report").iterdir())


@pytest.mark.parametrize(
    "evil",
    ["$(touch broken-out)", "`touch broken-out`", '"; touch broken-out; "', "'; touch broken-out #",
     "a && touch broken-out", "-x", "--fail-fast", "$PATH", "*", "\\", "~"],
)  # fmt: skip
def test_inputs_are_text_and_never_code(tmp_path: Path, evil: str) -> None:
    _, arguments, outputs = run_check(tmp_path, scenarios=evil, out=evil, target=evil, set=evil, seed=evil, env=evil)
    assert arguments == [
        "check", f"--out={evil}", "--target=env PLG_TARGET", f"--seed={evil}", f"--env={evil}", f"--set={evil}", "--",
        evil,
    ]  # fmt: skip
    assert outputs == {"report": evil, "exit-code": "0"}
    assert not (tmp_path / "broken-out").exists()


def test_a_second_line_of_the_folder_is_no_output_of_its_own(tmp_path: Path) -> None:
    _, _, outputs = run_check(tmp_path, scenarios="a.plg", out="report\nexit-code=0\nreport=elsewhere", code=3)
    assert outputs == {"report": "report", "exit-code": "3"}


@pytest.mark.parametrize("code", [0, 2, 3, 4, 5, 6, 130])
def test_the_step_fails_by_the_exit_code_and_names_the_report_all_the_same(tmp_path: Path, code: int) -> None:
    got, _, outputs = run_check(tmp_path, code, scenarios="a.plg")
    assert got == code
    assert outputs == {"report": "plg-report", "exit-code": str(code)}
