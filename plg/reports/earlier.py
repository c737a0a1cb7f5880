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

from plg.reports.registry import REPORTS

_MARK = ".earlier"
_OUTCOME = f".{REPORTS['json'].suffix}"
"""The ending of the file that says which scenario was run."""
_SIGNS = {f".{report.suffix}": report.sign for report in REPORTS.values() if not report.shared}
"""What the files of a run are called behind the stem, and what finds plg's hand in each."""
_HEAD = 20_000
"""Bytes in which a report's sign stands."""
_SHARD = re.compile(r"\.shard-\d+-of-\d+$")


def set_aside(folder: Path, files: Iterable[str], *, suffix: str = "", spared: Iterable[str] = ()) -> None:
    """Set aside what earlier runs of the scenario ``files`` (paths or globs) left in ``folder``.

    ``suffix`` is the part of the stem that tells a shard's files from those of others. The stems that are ``spared``
    belong to checks at work. What cannot be renamed stays.
    """
    named = _files(files)
    found = {path.name.removesuffix(ending) for ending in _SIGNS for path in folder.glob(f"*{ending}")}
    for stem in sorted(found.difference(spared)):
        shard = _SHARD.search(stem)
        if (shard[0] if shard else "") == suffix and _is_of(folder / f"{stem}{_OUTCOME}", stem, named):
            set_aside_stem(folder, stem, named)


def set_aside_of_outcomes(folder: Path, outcomes: Iterable[str], *, spared: Iterable[str] = ()) -> None:
    """Set aside what earlier commands made in ``folder`` of saved ``outcomes`` (paths or globs), or of their
    whole where they are shards; not the outcomes themselves. ``spared`` is as in `set_aside`.
    """
    named = _files(outcomes)
    stems = {_SHARD.sub("", path.name.removesuffix(_OUTCOME)) for path in named if path.name.endswith(_OUTCOME)}
    for stem in sorted(stems.difference(spared)):
        set_aside_stem(folder, stem, named)


def _files(patterns: Iterable[str]) -> list[Path]:
    return [
        Path(name)
        for pattern in patterns
        for name in (glob.glob(pattern, recursive=True) or [pattern])  # noqa: PTH207  # absolute patterns too
    ]


def set_aside_stem(folder: Path, stem: str, kept: Sequence[Path] = ()) -> None:
    """Set aside the files of one run, but for those that are ``kept`` and those that plg did not write."""
    inputs = {path.absolute() for path in kept}
    for path in (folder / f"{stem}{ending}" for ending in _SIGNS):
        if path.absolute() not in inputs and _signed(path):
            with suppress(OSError):
                path.replace(_marked(path))


def replaced(path: Path) -> None:
    """Remove the file that was set aside, as there is a new one at ``path`` or none is wanted."""
    with suppress(OSError):
        _marked(path).unlink(missing_ok=True)


def _signed(path: Path) -> bool:
    """Whether plg wrote the file."""
    sign = next(sign for ending, sign in _SIGNS.items() if path.name.endswith(ending))
    try:
        with path.open("rb") as file:
            return re.search(sign.encode(), file.read(_HEAD), re.MULTILINE) is not None
    except OSError:
        return False


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
