"""Paths as a CI system reads them: from the root of the repository, wherever plg was started in it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

_NAMED = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
"""Where GitHub and GitLab say that the repository is."""


def roots(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The roots that the CI system names."""
    return tuple(Path(environ[name]).absolute() for name in _NAMED if environ.get(name))


def from_root(path: str | None, named: Sequence[Path] | None) -> str | None:
    """``path`` (from the working folder) from the root of its repository: one of those ``named``, else the folder above
    it that holds ``.git``. As it is where it lies in none, where there is no such file, or where None are asked for.
    """
    if path is None or named is None or not os.path.exists(path):  # noqa: PTH110  # which raises for no name
        return path
    # A link is named by where it lies, and folders may be reached by links: as they are written, then as they are.
    written = Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow the link, absolute() keeps ..
    real = written.parent.resolve() / written.name
    above = next((place for place in real.parents if (place / ".git").exists()), None)
    for root in (*named, *([above] if above is not None else [])):
        for place, base in ((written, root), (real, root.resolve())):
            if place.is_relative_to(base):
                return place.relative_to(base).as_posix()
    return path
