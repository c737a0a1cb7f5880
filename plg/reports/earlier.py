"""Artifacts of an earlier run of a scenario: set aside under another name before a new run of it has any.

So no file in the folder passes for a result of a check that ended early. A file that has been set aside is removed when
the check writes the one that takes its place.
"""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

_MARK = ".earlier"
_ENDINGS = (".outcome.json", ".scenario.yaml", ".html", ".png", ".md")
"""What the files of a run are called behind the stem; the first is the one that says which scenario it was."""
_SHARD = re.compile(r"\.shard-\d+-of-\d+$")


def set_aside(folder: Path, files: Iterable[str], *, suffix: str = "", spared: Iterable[str] = ()) -> None:
    """Set aside what earlier runs of the scenario ``files`` (paths or globs) left in ``folder``.

    ``suffix`` is the part of the stem that tells a shard's files from those of others. The stems that are ``spared``
    belong to checks at work. What cannot be renamed stays.
    """
    named = [Path(name) for pattern in files for name in (glob.glob(pattern, recursive=True) or [pattern])]  # noqa: PTH207
    for outcome in sorted(folder.glob(f"*{_ENDINGS[0]}")):
        stem = outcome.name.removesuffix(_ENDINGS[0])
        shard = _SHARD.search(stem)
        if (shard[0] if shard else "") == suffix and stem not in spared and _is_of(outcome, stem, named):
            set_aside_stem(folder, stem, named)


def set_aside_stem(folder: Path, stem: str, kept: Sequence[Path] = ()) -> None:
    """Set aside the files of one run, but for those that are ``kept``."""
    inputs = {path.absolute() for path in kept}
    for path in (folder / f"{stem}{ending}" for ending in _ENDINGS):
        if path.absolute() not in inputs:
            with suppress(OSError):
                path.replace(_marked(path))


def replaced(path: Path) -> None:
    """Remove the file that was set aside for the one that has now been written at ``path``."""
    with suppress(OSError):
        _marked(path).unlink(missing_ok=True)


def _marked(path: Path) -> Path:
    return path.with_name(path.name + _MARK)


def _is_of(outcome: Path, stem: str, files: Sequence[Path]) -> bool:
    """Whether the saved outcome is that of a run of one of the files, also where it was started in another folder."""
    try:
        saved = json.loads(outcome.read_bytes())
        scenario = Path(saved["scenario_file"])
    except (OSError, ValueError, KeyError, TypeError):
        return any(file.stem == _SHARD.sub("", stem) for file in files)
    return any(
        scenario.resolve() == file.resolve() or (scenario.name == file.name and not scenario.exists()) for file in files
    )
