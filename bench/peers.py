"""Which rivals are here: found on the PATH, or installed into ``.cache/bench``, or left out with the reason."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache" / "bench"
DRIVERS = Path(__file__).parent / "drivers"

_PYTHON = {"locust": ["locust", "redis"], "rq": ["rq"], "celery": ["celery[redis]"], "arq": ["arq"]}
"""Each in an environment of its own: they do not agree on a version of redis-py."""
_GO = {"k6": "go.k6.io/k6@v0.57.0", "vegeta": "github.com/tsenart/vegeta/v12@latest"}
"""Go modules, built into ``.cache/bench/bin``. k6 of that version holds its Redis module; later ones fetch it apart."""
_UNTOLD = {"webdis"}
"""These have no way to say their version."""
_MEMTIER = "not on the PATH nor in .cache/bench/bin; it is in no package index, build it from its own sources"


@dataclass(frozen=True)
class Peers:
    """``programs`` maps a tool to the program that runs it, ``skipped`` a tool to why it takes no part."""

    programs: Mapping[str, str]
    versions: Mapping[str, str]
    skipped: Mapping[str, str]


def find_peers(*, install: bool) -> Peers:
    """Look for every rival, and with ``install`` fetch those that a package manager can fetch."""
    programs: dict[str, str] = {}
    skipped: dict[str, str] = {}
    for name in ("redis-benchmark", "memtier_benchmark"):
        found = shutil.which(name) or shutil.which(name, path=str(CACHE / "bin"))
        if found:
            programs[name] = found
        else:
            skipped[name] = _MEMTIER if name.startswith("memtier") else "not on the PATH (package redis-tools)"
    wrk, webdis = shutil.which("wrk"), shutil.which("webdis")
    if wrk and webdis:
        programs |= {"wrk": wrk, "webdis": webdis}
    else:
        skipped["wrk"] = "needs wrk and webdis on the PATH (packages of these names): it speaks HTTP only"
    for name, packages in _PYTHON.items():
        reason = environment(CACHE / name, packages, install=install)
        if reason:
            skipped[name] = reason
        else:
            programs[name] = str(CACHE / name / "bin" / ("locust" if name == "locust" else "python"))
    for name, module in _GO.items():
        reason = _built(CACHE / "bin" / name, module, install=install)
        if name == "vegeta" and "webdis" not in programs:
            reason = "needs webdis on the PATH (package of that name): it speaks HTTP only"
        if reason:
            skipped[name] = reason
        else:
            programs[name] = str(CACHE / "bin" / name)
    reason = _artillery(CACHE / "artillery", install=install)
    if reason:
        skipped["artillery"] = reason
    else:
        programs["artillery"] = str(CACHE / "artillery" / "node_modules" / "artillery" / "bin" / "run")
    if "locust" in programs:
        # redis-py comes with Locust's environment, and redis-py is what a script of one's own would use.
        programs["redis-py"] = str(CACHE / "locust" / "bin" / "python")
    versions = {name: _version(name, program) for name, program in programs.items() if name not in _UNTOLD}
    return Peers(programs, versions, skipped)


def environment(folder: Path, packages: list[str], *, install: bool) -> str | None:
    """Why there is no environment with these packages, or None where there is."""
    stamp = folder / ".complete"
    if stamp.exists():
        return None
    if not install:
        return "not installed; run without --no-install"
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, capture_output=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *packages], check=True, capture_output=True, text=True, timeout=600)
    except (subprocess.SubprocessError, OSError) as error:
        return f"could not be installed: {_words(error)}"
    stamp.touch()
    return None


def _built(program: Path, module: str, *, install: bool) -> str | None:
    """Why a program of Go could not be built, or None where it is there."""
    if program.exists():
        return None
    go = shutil.which("go")
    if go is None or not install:
        return "needs go on the PATH" if go is None else "not built; run without --no-install"
    program.parent.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(
            [go, "install", module], check=True, capture_output=True, text=True, timeout=1800,
            env={**os.environ, "GOBIN": str(program.parent)},
        )  # fmt: skip
    except (subprocess.SubprocessError, OSError) as error:
        return f"could not be built: {_words(error)}"
    return None


def _artillery(folder: Path, *, install: bool) -> str | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return "needs node and npm on the PATH"
    stamp = folder / ".complete"
    if stamp.exists():
        return None
    if not install:
        return "not installed; run without --no-install"
    folder.mkdir(parents=True, exist_ok=True)
    # Without scripts: one of its parts would fetch a browser that nothing here needs.
    words = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", ".", "artillery", "redis"]
    try:
        subprocess.run(words, check=True, capture_output=True, text=True, timeout=600, cwd=folder)
    except (subprocess.SubprocessError, OSError) as error:
        return f"could not be installed: {_words(error)}"
    stamp.touch()
    return None


def _words(error: Exception) -> str:
    said = getattr(error, "stderr", None) or str(error)
    text = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    return text.strip().splitlines()[-1][:200] if text.strip() else type(error).__name__


def _version(name: str, program: str) -> str:
    if name in ("rq", "celery", "arq", "redis-py"):
        package = "redis" if name == "redis-py" else name
        words = [program, "-c", f"from importlib.metadata import version; print(version('{package}'))"]
    elif name == "artillery":
        words = ["node", "-p", f"require('{Path(program).parents[1]}/package.json').version"]
    else:
        # These of Go print more than their version, or know the word without dashes only.
        words = [program, "version" if name == "k6" else "-version" if name == "vegeta" else "--version"]
    done = subprocess.run(words, capture_output=True, text=True)
    # Some tell where they are installed as well, which says nothing of them.
    return (done.stdout.strip() or "unknown").splitlines()[0].partition(" from ")[0]
