"""The hooks that pre-commit takes from this repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from plg.cli.main import main

ROOT = Path(__file__).parents[3]
HOOKS = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))}
GOOD = "scenario x{traffic{steady 10/s over 5s}guardrails{max_rate 20/s max_total_jobs 100 max_duration 1m}}"


def run(hook: str, files: list[Path]) -> int:
    """As pre-commit does: the entry with the names of the files that the hook is for."""
    program, *words = HOOKS[hook]["entry"].split()
    assert program == "plg"
    return main([*words, *(str(file) for file in files if re.search(HOOKS[hook]["files"], file.name))])


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    named = [tmp_path / name for name in ("a.plg", "b.plg.yaml", "other.yaml", "plg.py")]
    for file in named:
        file.write_text("name: [")
    named[0].write_text(GOOD)
    return named


def test_the_files_of_a_commit_are_linted(files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plg-lint", files) == 2
    said = "".join(capsys.readouterr())
    assert "b.plg.yaml" in said
    assert "other.yaml" not in said
    files[1].unlink()
    assert run("plg-lint", files[:1]) == 0


def test_they_are_laid_out_and_nothing_else_is(files: list[Path]) -> None:
    assert run("plg-fmt", files) == 0
    assert files[0].read_text().startswith("scenario x {\n")
    assert {file.read_text() for file in files[1:]} == {"name: ["}
