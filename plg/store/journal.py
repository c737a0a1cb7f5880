"""Several files changed as one: all of a change is there, or nothing, however the process ends.

A change is first written whole to ``pending.json``, which is where it counts as made; then it is carried out. Whoever
next opens the folder and finds it carries it out once more.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from plg.store.errors import Unavailable

BUSY = 5.0
"""Seconds that a writer waits for another one."""
_POLL = 0.005


class Journal:
    """The lock and the pending change of a ``folder``; changes are of files below ``root``."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder
        self._lock, self._pending = folder / "lock", folder / "pending.json"

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Nobody changes anything meanwhile."""
        with self._locked(fcntl.LOCK_SH):
            clean = not self._pending.exists()
            if clean:
                yield
        if not clean:
            with self.writing():
                yield

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Nobody else reads or changes anything meanwhile."""
        with self._locked(fcntl.LOCK_EX):
            self._recover()
            yield

    def change(self, files: Mapping[Path, bytes | None]) -> None:
        """Write these files, and remove those that are None. Only while `writing`."""
        steps = {
            str(path.relative_to(self._root)): None if data is None else base64.b64encode(data).decode()
            for path, data in files.items()
        }
        with self._told():
            self._advance()
            _write(self._pending, json.dumps(steps).encode(), lasting=True)
            self._carry_out(files)

    def generation(self) -> int:
        """What tells one state of the folder from another. Only while `reading` or `writing`."""
        with self._told():
            return int(self._lock.read_bytes() or b"0")

    def _advance(self) -> None:
        """Count a change, where whoever reads looks. It need not last: no process outlives what would forget it."""
        number = b"%d" % (self.generation() + 1)
        handle = os.open(self._lock, os.O_WRONLY)
        try:
            os.pwrite(handle, number, 0)
        finally:
            os.close(handle)

    def _recover(self) -> None:
        with self._told():
            try:
                steps = json.loads(self._pending.read_bytes())
            except FileNotFoundError:
                return
            self._advance()
            self._carry_out(
                {self._root / name: None if data is None else base64.b64decode(data) for name, data in steps.items()}
            )

    def _carry_out(self, files: Mapping[Path, bytes | None]) -> None:
        for path, data in files.items():
            if data is None:
                path.unlink(missing_ok=True)
            else:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                _write(path, data)
        # What was carried out must last before the account of it goes.
        for folder in {path.parent for path in files}:
            with suppress(FileNotFoundError):
                _sync_folder(folder)
        self._pending.unlink()

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        with self._told():
            handle = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            deadline = time.monotonic() + BUSY
            while True:
                try:
                    fcntl.flock(handle, kind | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise Unavailable(
                            f"{self._root} is locked by another process for more than {BUSY:g} s; nothing was changed"
                        ) from None
                    time.sleep(_POLL)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as fault:
            why = (fault.strerror or str(fault)).lower()
            raise Unavailable(f"{self._root} cannot be written: {why}", "see the folder's rights and room") from None


def _write(path: Path, data: bytes, *, lasting: bool = False) -> None:
    """Put ``data`` in place of what the file holds, as a whole."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if lasting:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
