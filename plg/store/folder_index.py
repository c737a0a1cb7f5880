"""The files of a folder and what was read of them, read again only where they changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
_Sign = tuple[int, int, int]


class Index(Generic[T]):
    """What ``read`` makes of each file of a ``folder`` with one of the ``suffixes``; None is not kept in view."""

    def __init__(self, folder: Path, suffixes: tuple[str, ...], read: Callable[[Path], T | None]) -> None:
        self._folder, self._suffixes, self._read = folder, suffixes, read
        self._found: dict[str, tuple[_Sign, T | None]] = {}

    def refresh(self) -> dict[str, T]:
        """All that is there now, by the names of the files."""
        present: dict[str, tuple[_Sign, T | None]] = {}
        for entry, sign in self._entries():
            known = self._found.get(entry.name)
            present[entry.name] = known if known and known[0] == sign else (sign, self._read(Path(entry.path)))
        self._found = present
        return {name: value for name, (_, value) in present.items() if value is not None}

    def _entries(self) -> Iterator[tuple[os.DirEntry[str], _Sign]]:
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if entry.name.endswith(self._suffixes) and not entry.name.startswith("."):
                        found = entry.stat()
                        yield entry, (found.st_mtime_ns, found.st_size, found.st_ino)
        except FileNotFoundError:
            return
