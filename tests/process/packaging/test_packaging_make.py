"""The Makefile and the CI script: what they would do, what they say, and how they fail."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="no make on PATH")


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # A make that runs this test passes its own flags on; they are not meant for the one started here.
    own = {name: value for name, value in os.environ.items() if not name.startswith("MAKE") and name != "MFLAGS"}
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, check=False)


def test_help_lists_every_target() -> None:
    phony = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split()
    shown = re.findall(r"^  make (\w+) +\S", make("help").stdout, re.MULTILINE)
    assert sorted(shown) == sorted(phony)
    assert make().stdout == make("help").stdout


def test_an_old_python_is_named_before_anything_is_made(tmp_path: Path) -> None:
    old = program(tmp_path / "python3", 'if [ "$1" = -V ]; then echo "Python 3.9.2"; else exit 1; fi')
    done = make("demo", f"PYTHON={old}", f"VENV={tmp_path}/venv")
    assert done.returncode != 0
    assert f"plg needs Python 3.11 or newer; {old} is Python 3.9.2" in done.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(("target", "stamp"), [("demo", ".plg-demo"), ("test", ".plg-dev"), ("slow", ".plg-dev")])
def test_what_is_installed_is_not_installed_again(tmp_path: Path, target: str, stamp: str) -> None:
    venv = tmp_path / "venv"
    program(venv / "bin" / "python", "exit 1")
    assert "pip" in make("-n", target, f"VENV={venv}").stdout
    (venv / stamp).touch()
    assert "pip" not in make("-n", target, f"VENV={venv}").stdout
    os.utime(venv / stamp, (0, 0))  # as if pyproject.toml had changed since
    assert "pip" in make("-n", target, f"VENV={venv}").stdout


def test_the_demo_stays_on_a_private_server(tmp_path: Path) -> None:
    planned = make("-n", "demo", f"VENV={tmp_path}/venv").stdout
    assert "plg check scenarios/flash-sale.plg --target embedded --out plg-report" in planned


# The CI script, with a make that only says what pytest would ---------------------------------------------------------

MAKE = """
case "$1" in
  test) printf 'collected 9 items\\n==== \\033[32m7 passed\\033[0m, 2 skipped in 3.21s (0:00:03) ==\\n'; exit {test} ;;
  slow) echo '1 failed, 2 passed, 9 deselected in 7.00s'; exit {slow} ;;
esac
"""


def ci(tmp_path: Path, test: int, slow: int) -> subprocess.CompletedProcess[str]:
    tree, path = tmp_path / "tree", tmp_path / "bin"
    program(path / "make", MAKE.format(test=test, slow=slow))
    for name in ("chromium", "redis-server"):
        program(path / name, "exit 0")
    (tree / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci" / "run", tree / ".ci" / "run")
    return subprocess.run(
        [tree / ".ci" / "run"], cwd=tmp_path, env={**os.environ, "PATH": f"{path}:{os.environ['PATH']}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(("test", "slow", "code"), [(0, 0, 0), (2, 0, 2), (0, 3, 3), (2, 3, 2)])
def test_the_ci_script_runs_both_suites_and_tells_how_they_ended(
    tmp_path: Path, test: int, slow: int, code: int
) -> None:
    if shutil.which("timeout") is None:
        pytest.skip("no timeout program: the CI script is for machines that have coreutils")
    done = ci(tmp_path, test, slow)
    assert done.returncode == code
    assert done.stdout.splitlines()[-3:] == [
        "ci: test: 7 passed, 2 skipped in 3.21s (0:00:03)",
        "ci: slow: 1 failed, 2 passed, 9 deselected in 7.00s",
        f"ci: exit code {code}",
    ]


def test_the_ci_script_ends_within_seventy_minutes_at_the_worst() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    limits = [int(seconds) for seconds in re.findall(r"(?:^step \w+|timeout) (\d+)", script, re.MULTILINE)]
    assert len(limits) == 5
    grace = 2 * int(re.findall(r"--kill-after=(\d+)", script)[0])
    assert sum(limits) + grace < 70 * 60
