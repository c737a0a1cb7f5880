"""The wheel, built and installed in a clean environment: it works from any folder and carries all that it needs."""

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[3]

pytestmark = [pytest.mark.slow, pytest.mark.install, pytest.mark.timeout(300)]

SCENARIO = """
scenario "elsewhere" {
  job ping { queue "elsewhere:pings"  payload { n: "${seq}" } }
  traffic { steady 100/s over 1s }
  guardrails { max_rate 500/s  max_total_jobs 1_000  max_duration 30s }
  expect { acked == 100 }
}
"""


def run(*command: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    # PYTHONPATH out of the way: the checkout must not lend the wheel anything.
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def well(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    well(run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, folder=folder))
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    [path] = built.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a fresh environment with the wheel and what it depends on."""
    venv = tmp_path_factory.mktemp("venv")
    well(run(sys.executable, "-m", "venv", venv, folder=venv))
    pip = [venv / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    well(run(*pip, f"{wheel}[embedded]", folder=venv))
    return venv / "bin"


def test_the_wheel_carries_what_it_reads_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "plg/py.typed" in names
    for folder in ("grammar", "schemas"):
        for path in (ROOT / folder).iterdir():
            assert f"plg/{folder}/{path.name}" in names
    for path in (ROOT / "plg").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert path.relative_to(ROOT).as_posix() in names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"plg", "patterned_load"}
    assert not [name for name in names if "__pycache__" in name or "/tests/" in name]


def test_the_sdist_can_test_itself(built: Path) -> None:
    [path] = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"README.md", "LICENSE", "CHANGELOG.md", "Makefile", "mkdocs.yml", "pyproject.toml", ".ci/run"}
    assert needed <= names
    for folder in ("plg", "tests", "scenarios", "docs", "grammar", "schemas", ".github"):
        assert any(name.startswith(f"{folder}/") for name in names), folder


def test_it_runs_from_another_folder(programs: Path, tmp_path: Path) -> None:
    plg = programs / "plg"
    (tmp_path / "elsewhere.plg").write_text(SCENARIO, encoding="utf-8")
    assert "\n1 file checked: no errors, 1 warning\n" in well(run(plg, "lint", "elsewhere.plg", folder=tmp_path))
    assert json.loads(well(run(plg, "schema", folder=tmp_path)))["title"] == "plg scenario"
    well(run(plg, "check", "elsewhere.plg", "--target", "embedded", folder=tmp_path))
    report = tmp_path / "plg-report"
    assert json.loads((report / "elsewhere.outcome.json").read_text())["ledger"]["acked"] == 100
    assert ElementTree.parse(report / "junit.xml").getroot().get("failures") == "0"
    assert (report / "elsewhere.html").stat().st_size > 1_000_000
    assert (report / "elsewhere.scenario.yaml").exists()


def test_a_project_keeps_the_wheel_that_its_workflow_installs(programs: Path, wheel: Path, tmp_path: Path) -> None:
    """Packed again from what is installed, it holds the files of the wheel it came from, and pip takes it."""
    said = well(run(programs / "plg", "new", "sale", "--github", folder=tmp_path))
    [kept] = (tmp_path / ".github" / "plg").iterdir()
    assert f"wrote .github/plg/{kept.name}" in said
    assert f'pip install "./.github/plg/{kept.name}[embedded]"' in (tmp_path / ".github/workflows/plg.yml").read_text()
    original, again = zipfile.ZipFile(wheel), zipfile.ZipFile(kept)
    assert sorted(original.namelist()) == sorted(again.namelist())
    for name in original.namelist():
        assert name.endswith("/RECORD") or original.read(name) == again.read(name), name
    well(run(sys.executable, "-m", "venv", tmp_path / "venv", folder=tmp_path))
    pip = [tmp_path / "venv" / "bin" / "python", "-m", "pip", "install", "--quiet", "--no-deps"]
    well(run(*pip, f"./.github/plg/{kept.name}", folder=tmp_path))
    assert well(run(tmp_path / "venv" / "bin" / "plg", "--version", folder=tmp_path)).startswith("plg ")


IMPORTED = """
import importlib, pkgutil, plg
for module in pkgutil.walk_packages(plg.__path__, "plg."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            print(module.name, error.name.partition(".")[0])
"""
FURTHER = {
    "plg.store": ("sqlalchemy", "alembic"), "plg.server": ("starlette", "uvicorn", "sqlalchemy"),
    "plg.pygments_lexer": ("pygments",), "plg.pytest_plugin": ("pytest", "pygments"),
}  # fmt: skip
"""What is imported with more than the declared dependencies: packages of an extra, or the program that loads it."""


def test_what_it_needs_is_what_it_declares(programs: Path, tmp_path: Path) -> None:
    well(run(programs / "python", "-m", "pip", "check", folder=tmp_path))
    said = well(run(programs / "python", "-c", IMPORTED, folder=tmp_path))
    missing = [line.split() for line in said.splitlines()]
    assert [line for line in missing if line[1] not in FURTHER.get(".".join(line[0].split(".")[:2]), ())] == []


def test_it_is_typed_for_those_who_import_it(programs: Path, tmp_path: Path) -> None:
    user = tmp_path / "user.py"
    user.write_text("from plg.units import parse_rate\nx: float = parse_rate('10/s')\ny: str = parse_rate('10/s')\n")
    done = run(
        sys.executable, "-m", "mypy", "--strict", "--python-executable", programs / "python", user, folder=tmp_path
    )
    assert done.returncode == 1
    assert "user.py:3" in done.stdout
    assert "Found 1 error" in done.stdout
