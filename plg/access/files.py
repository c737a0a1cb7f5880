"""Files of a data folder that several processes change: one at a time, and each time whole."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from plg.access.errors import AccessError


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of ``path`` (a file beside it); it ends with the process, however that ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        holder = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unusable(path, error) from None
    try:
        fcntl.flock(holder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(holder)


def replace_file(path: Path, text: str) -> None:
    """Write a file so that after a crash at any point it holds the old text or the new one; readable by its owner."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        holder = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            write_all(holder, text.encode())
            os.fsync(holder)
        finally:
            os.close(holder)
        part.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise unusable(path, error) from None


def write_all(holder: int, data: bytes) -> None:
    """Write all of ``data``. Raises `OSError` where the disk takes only a part."""
    view = memoryview(data)
    while view:
        view = view[os.write(holder, view) :]


def sync_folder(folder: Path) -> None:
    """Let a new name in a folder outlive a crash of the machine."""
    holder = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(holder)
    finally:
        os.close(holder)


def unusable(path: Path, error: OSError) -> AccessError:
    """The error that the system gave, in a sentence."""
    return AccessError(f"{path}: {(error.strerror or str(error)).lower()}")
