"""Paths as a CI system reads them: from the root of the repository, wherever plg was started in it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_ROOTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
"""Where GitHub and GitLab say that the repository is."""


def root_of(folder: Path, environ: Mapping[str, str]) -> Path | None:
    """The root of the repository that ``folder`` lies in: the CI system's own word, else the folder with ``.git``."""
    here = folder.resolve()
    for name in _ROOTS:
        if environ.get(name):
            named = Path(environ[name]).resolve()
            if here.is_relative_to(named):
                return named
    return next((place for place in (here, *here.parents) if (place / ".git").exists()), None)


def from_root(path: str | None, root: Path | None) -> str | None:
    """``path`` (from the working folder) from ``root``; as it is where it does not lie below it."""
    if path is None or root is None or "\0" in path:
        return path
    place = Path(os.path.abspath(path)).resolve()  # noqa: PTH100  # of a path that need not exist
    return place.relative_to(root).as_posix() if place.is_relative_to(root) and place.exists() else path
