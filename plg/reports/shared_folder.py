"""One folder of artifacts that several checks may write into at the same time: none loses another's suites.

Each check keeps a hidden file in the folder, locked as long as it lives, with the JUnit document of its own runs.
``junit.xml`` is put together from all of them. The files of checks that have ended stay until the last one that ran
beside them leaves; the first one that comes into an empty folder takes away what was left by one that was killed.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = ".plg-check-"
_PATIENCE = 5.0
"""Seconds to wait for the folder's lock, which others hold for milliseconds."""


class SharedFolder:
    """This check's place in a folder. ``name`` is that of the document that they share."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._prefix = folder, f"{_PREFIX}{name}-"
        self._own: Path | None = None
        self._held = -1

    def others(self, document: str) -> list[str]:
        """The documents of all checks that share the folder now, this one's ``document`` among them, by their start.

        Where the file system knows no locks this check is alone.
        """
        with suppress(OSError), self._locked():
            own = self._enter()
            own.write_text(document, encoding="utf-8")
            return [text for path in self._files() if (text := path.read_text(encoding="utf-8"))]
        return [document]

    def leave(self) -> None:
        """Let go; whoever is the last takes the hidden files away."""
        if self._own is None:
            return
        with suppress(OSError), self._locked():
            os.close(self._held)
            if not any(map(_alive, self._files())):
                for path in self._files():
                    path.unlink(missing_ok=True)
        self._own = None

    def _enter(self) -> Path:
        if self._own is None:
            if not any(map(_alive, self._files())):
                for path in self._files():
                    path.unlink(missing_ok=True)
            own = self._folder / f"{self._prefix}{time.time_ns():020d}-{os.getpid()}"
            self._held = os.open(own, os.O_WRONLY | os.O_CREAT, 0o644)
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._own = own
        return self._own

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"{self._prefix}*"))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """The folder itself is what is locked: nothing stays behind."""
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            until = time.monotonic() + _PATIENCE
            while not _lock(folder) and time.monotonic() < until:
                time.sleep(0.01)  # there is nothing to wait on but the other's end of writing
            yield
        finally:
            os.close(folder)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _alive(path: Path) -> bool:
    """Whether the check that the file belongs to still runs: its lock ends with it, however it ends."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)
