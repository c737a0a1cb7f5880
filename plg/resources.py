"""Files that travel with the package: the grammar and the schemas."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def locate(folder: str, name: str) -> Path:
    """Path of ``name`` in the authored ``folder`` (``grammar`` or ``schemas``).

    In a wheel the folder lies inside the package, in a checkout beside it.
    """
    inside = _PACKAGE / folder
    return (inside if inside.is_dir() else _PACKAGE.parent / folder) / name


def read_text(folder: str, name: str) -> str:
    """Text of one such file."""
    return locate(folder, name).read_text(encoding="utf-8")
