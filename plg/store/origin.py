"""Where a run comes from: machine, commit and branch, by the variables of CI services, else by git."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path

from plg.dataclass import dataclass

_COMMIT = ("GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT", "CIRCLE_SHA1", "BUILDKITE_COMMIT", "BUILD_SOURCEVERSION",
           "BITBUCKET_COMMIT", "TRAVIS_COMMIT")  # fmt: skip
_BRANCH = ("GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "BRANCH_NAME", "GIT_BRANCH", "CIRCLE_BRANCH",
           "BUILDKITE_BRANCH", "BUILD_SOURCEBRANCHNAME", "BITBUCKET_BRANCH", "TRAVIS_BRANCH")  # fmt: skip
_PATIENCE = 2.0
"""Seconds that git gets to answer."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Empty where it is not known."""

    machine: str = ""
    commit: str = ""
    branch: str = ""


def origin(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Origin:
    """That of a run in this process. ``folder`` is asked for its git where no CI service tells the commit."""
    found = os.environ if environ is None else environ
    commit = next((found[name] for name in _COMMIT if found.get(name)), "")
    branch = next((found[name] for name in _BRANCH if found.get(name)), "").removeprefix("origin/")
    if not commit and folder is not None:
        commit = _git(folder, "rev-parse", "HEAD")
        branch = branch or (_git(folder, "branch", "--show-current") if commit else "")
    return Origin(platform.node()[:200], commit[:64], branch[:255])


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
