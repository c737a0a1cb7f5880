"""What each command loads: the light ones stay light because they never import the heavy libraries."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
EVERY = {"numpy", "plotly", "redis", "lark", "jsonschema", "yaml", "kaleido", "junit_xml", "fakeredis"}
DRAWING = {"plotly", "redis", "kaleido", "junit_xml", "fakeredis"}

PROBE = """
import json, sys
from plg.cli.main import main
try:
    code = main({arguments!r})
except SystemExit as stop:
    code = stop.code
print("\\n" + json.dumps([code, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""


def loaded_by(*arguments: str) -> set[str]:
    """Top-level modules in memory after the command, which must end well."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=list(arguments))],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code, names = json.loads(done.stdout.splitlines()[-1])
    assert code in (0, None), done.stdout
    return set(names)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["check", "--help"], ["schema"], ["plan", "--help"]], ids=" ".join
)
def test_help_loads_no_library(arguments: list[str]) -> None:
    assert loaded_by(*arguments) & EVERY == set()


@pytest.mark.parametrize("name", ["flash-sale.plg", "mail-burst.yaml"])
def test_lint_loads_no_library_for_drawing_or_sending(name: str) -> None:
    assert loaded_by("lint", f"scenarios/{name}") & DRAWING == set()


def test_fmt_needs_no_yaml_and_no_schema() -> None:
    assert loaded_by("fmt", "--check", "scenarios/flash-sale.plg") & EVERY <= {"lark", "numpy"}


def test_plan_loads_no_library_for_drawing_or_sending() -> None:
    assert loaded_by("plan", "scenarios/flash-sale.plg") & DRAWING == set()


def test_check_starts_what_draws_before_it_loads_a_library() -> None:
    code = "import sys, plg.cli.check_command; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) & EVERY == set()


def test_the_probe_would_see_a_library() -> None:
    assert "numpy" in loaded_by("plan", "scenarios/flash-sale.plg")
