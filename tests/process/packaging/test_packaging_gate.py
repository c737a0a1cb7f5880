"""The gate answers the same twice, and what is excepted from its static checks says why."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import settings

HOME = Path(__file__).parents[3]
DRAWING = """
from hypothesis import given, settings, strategies as st
drawn = []
@settings(max_examples=20)
@given(st.integers())
def test_draw(number):
    drawn.append(number)
def test_show():
    print("drawn:", drawn)
"""


def test_the_profile_in_force_is_the_one_asked_for() -> None:
    profile = settings()
    assert profile.derandomize is (os.environ.get("HYPOTHESIS_PROFILE", "gate") == "gate")
    assert profile.deadline is None


@pytest.mark.parametrize(("profile", "alike"), [("gate", True), ("soak", False)])
def test_two_runs_draw_the_same_in_the_gate_and_not_in_a_soak(tmp_path: Path, profile: str, alike: bool) -> None:
    test = tmp_path / "test_drawing.py"
    test.write_text(DRAWING, encoding="utf-8")
    (tmp_path / "conftest.py").write_text((HOME / "tests/conftest.py").read_text(encoding="utf-8"), encoding="utf-8")
    environment = {**os.environ, "HYPOTHESIS_PROFILE": profile, "PYTHONPATH": str(HOME / "tests")}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-s",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(tmp_path),
        str(test),
    ]
    runs = [
        subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        for _ in range(2)
    ]
    drawn = [line for run in runs for line in run.stdout.splitlines() if "drawn:" in line]
    assert len(drawn) == 2, runs[0].stdout + runs[0].stderr
    assert (drawn[0] == drawn[1]) is alike


def test_each_exception_from_a_static_check_has_its_reason_beside_it() -> None:
    found = [path for folder in ("plg", "bench") for path in sorted((HOME / folder).rglob("*.py"))]
    bare = [
        f"{path.relative_to(HOME)}:{number}"
        for path in found
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"# (?:noqa|type: ignore)[^#]*$", line)
    ]
    assert found
    assert bare == []
