"""What a test installs from a package registry: where that cannot be reached, it skips and says why."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


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
