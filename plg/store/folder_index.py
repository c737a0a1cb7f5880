"""The files of a folder and what was read of them, read again only where they changed."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
_Sign = tuple[int, int, int]


class Index(Generic[T]):
    """What ``read`` makes of each file of a ``folder`` with one of the ``suffixes``; None is left out.

    ``generation`` tells one state of plg's own files from another. Files that people put there are known by the time of
    the folder, and those that they write over are looked for once that is ``believed`` for so many seconds. Use it only
    while nobody else of plg changes anything.
    """

    def __init__(
        self,
        folder: Path,
        suffixes: tuple[str, ...],
        read: Callable[[Path], T | None],
        generation: Callable[[], int],
        *,
        believed: float = math.inf,
    ) -> None:
        self._folder, self._suffixes, self._read, self._generation = folder, suffixes, read, generation
        self._found: dict[str, tuple[_Sign, T | None]] = {}
        self._values: dict[str, T] = {}
        self._sign: tuple[int, int] | None = None
        self._believed, self._looked = believed, 0.0
        self.changes = 0
        """How often what is found has changed."""

    def refresh(self) -> Mapping[str, T]:
        """All that is there now, by the names of the files."""
        sign, now = self._folder_sign(), time.monotonic()
        if sign != self._sign or now - self._looked > self._believed:
            present: dict[str, tuple[_Sign, T | None]] = {}
            for entry, each in self._entries():
                known = self._found.get(entry.name)
                present[entry.name] = known if known and known[0] == each else (each, self._read(Path(entry.path)))
            if present != self._found:
                self._found, self.changes = present, self.changes + 1
                self._values = {name: value for name, (_, value) in present.items() if value is not None}
            self._sign, self._looked = sign, now
        return self._values

    def get(self, name: str) -> T | None:
        """What was last found in a file."""
        return self._values.get(name)

    @contextmanager
    def changing(self, names: list[str]) -> Iterator[None]:
        """Around a change of these files alone: no other is looked at again for it."""
        known = self._sign is not None and self._folder_sign() == self._sign
        yield
        if not known:
            return
        for name in names:
            self._found.pop(name, None)
            self._values.pop(name, None)
            path = self._folder / name
            try:
                sign = _sign_of(path.stat())
            except FileNotFoundError:
                continue
            value = self._read(path)
            self._found[name] = sign, value
            if value is not None:
                self._values[name] = value
        self._sign, self.changes = self._folder_sign(), self.changes + 1

    def _folder_sign(self) -> tuple[int, int]:
        try:
            return self._generation(), self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            return self._generation(), 0

    def _entries(self) -> Iterator[tuple[os.DirEntry[str], _Sign]]:
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if entry.name.endswith(self._suffixes) and not entry.name.startswith("."):
                        yield entry, _sign_of(entry.stat())
        except FileNotFoundError:
            return


def _sign_of(found: os.stat_result) -> _Sign:
    return found.st_mtime_ns, found.st_size, found.st_ino
