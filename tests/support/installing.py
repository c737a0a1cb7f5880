"""What a test installs from a package registry: where that cannot be reached, it skips and says why."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


def once(place: Path, fill: Callable[[Path], None]) -> Path:
    """The folder ``place``, filled by the first process that asks for it: those of one session share it."""
    with place.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark = place.with_suffix(".filled")
        if not mark.exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            fill(place)
            mark.touch()
    return place


def venv(place: Path, *requirements: str) -> None:
    """Make a Python environment in a folder, by the pip of this one: one of its own takes longer than most packages.
    What is never imported is not compiled either."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    pip = [sys.executable, "-m", "pip", "--python", place / "bin" / "python", "install", "--no-compile"]
    subprocess.run([*pip, "--quiet", "--disable-pip-version-check", *requirements], check=True)


def install(*command: str | Path, folder: Path) -> None:
    """Run a command that fetches packages, in ``folder``."""
    program = str(command[0])
    if shutil.which(program) is None:
        pytest.skip(f"no {Path(program).name} on this machine")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        pytest.skip(f"{Path(program).name} could not install: {said[-1] if said else 'no word'}")


def npm(folder: Path, *packages: str) -> Path:
    """The folder of packages from npm."""
    install("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, *packages, folder=folder)
    return folder / "node_modules"
