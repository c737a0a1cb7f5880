"""What the machine refuses plg, whatever the scenario: files, memory, threads, a working folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

FILES_FOR_A_RUN = 32
"""Files that a run may have open at a time beside one for each connection. Counted: 19, with workers of plg's own."""


def shortage(fault: BaseException) -> str | None:
    """What the machine had too little of, in a sentence, where that is behind the ``fault``; else None."""
    for each in _chain(fault):
        if isinstance(each, OSError) and each.errno in _SHORT:
            return _too_few_files() if each.errno == errno.EMFILE else _named(each, _SHORT[each.errno])
        if isinstance(each, MemoryError):
            return _SHORT[errno.ENOMEM]
        if isinstance(each, RuntimeError) and "start new thread" in str(each):
            return _SHORT[errno.EAGAIN]
    return None


def too_few_files_for_a_run(more: int = 0) -> str | None:
    """That this process may open too few files to run a scenario that needs ``more`` than others; else None."""
    needed = FILES_FOR_A_RUN + more
    return _too_few_files(needed) if _file_limit() < needed else None


def lost_folder() -> str | None:
    """The working folder as it was called, where it has been removed; else None."""
    try:
        Path.cwd()
    except FileNotFoundError:
        try:
            return str(Path("/proc/self/cwd").readlink()).removesuffix(" (deleted)")
        except OSError:  # no Linux
            return os.environ.get("PWD", ".")
    return None


_SHORT = {
    errno.EMFILE: "",
    errno.ENFILE: "this machine has too many open files",
    errno.ENOMEM: "this machine has no memory left for plg",
    errno.EAGAIN: "this machine starts no more threads or processes for this user (ulimit -u)",
    errno.ENOSPC: "no space left on device",
    errno.EDQUOT: "disk quota exceeded",
}


def _too_few_files(needed: int = FILES_FOR_A_RUN) -> str:
    return (
        f"this process may open no more than {_file_limit():.0f} files at a time: "
        f"raise the limit, as with `ulimit -n 256`; a run like this needs {needed}"
    )


def _file_limit() -> float:
    import resource

    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return float("inf") if soft == resource.RLIM_INFINITY else soft


def _named(fault: OSError, words: str) -> str:
    return f"{fault.filename}: {words}" if fault.filename else words


def _chain(fault: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while fault is not None and id(fault) not in seen:
        seen.add(id(fault))
        yield fault
        fault = fault.__cause__ or fault.__context__
