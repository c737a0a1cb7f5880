"""``plg fmt``: canonical layout, comments kept."""

from __future__ import annotations

import argparse
import errno
import os
import shlex
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from plg.cli.console import Console
from plg.cli.files import expand, usage_error
from plg.diagnostics import ScenarioError
from plg.file_kinds import FOLDER, JUNIT, OUTCOME, PAGE, PICTURE, XML, kind_of
from plg.language.format import format_text
from plg.language.source import decode, read_bytes

UNFORMATTED = 3
_STRANGE = (OUTCOME, JUNIT, PAGE, XML, PICTURE, FOLDER)


def run(options: argparse.Namespace, console: Console) -> int:
    """Rewrite the files, or with --check only tell which would change (exit 3)."""
    console.outlive_reader()
    code = changed = 0
    for file in expand(options.files):
        if file.suffix != ".plg" or kind_of(file) in _STRANGE:
            raise _not_laid_out(file)
        try:
            raw = read_bytes(file)
            laid_out = format_text(decode(raw, str(file)), str(file)).encode()
        except ScenarioError as error:
            console.diagnostics(error.diagnostics, error.sources)
            code = 2
            continue
        if laid_out != raw:
            changed += 1
            try:
                if not options.check:
                    _replace(file, laid_out)
            except OSError as error:
                console.error(f"{file}: {(error.strerror or str(error)).lower()}")
                code = 2
                continue
            console.print(f"{'would lay out' if options.check else 'laid out'} {file}")
    return code or (UNFORMATTED if options.check and changed else 0)


def _not_laid_out(file: Path) -> ScenarioError:
    """Why the file is none for plg fmt, and what to write."""
    kind = kind_of(file)
    if not file.exists():
        return usage_error(f"there is no file {file}")
    if kind in _STRANGE:
        return usage_error(f"{file} is {kind}, not a scenario", "plg fmt lays out .plg files")
    write = f"plg convert {shlex.quote(str(file))} --to plg writes it in the DSL, which plg fmt lays out"
    return usage_error(f"{file} is not a .plg file", write)


def _replace(file: Path, content: bytes) -> None:
    """Write the whole of it or nothing, where the file can be exchanged for another; a link or a mount stays one."""
    file = file.resolve()
    found = file.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "this is no regular file", str(file))
    if not os.access(file, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
    if found.st_nlink > 1 or not _exchange(file, found, content):
        file.write_bytes(content)


def _exchange(file: Path, found: os.stat_result, content: bytes) -> bool:
    """Write a file beside it and put that in its place; False where this is not to be had here."""
    draft = file.with_name(f".plg-fmt.{os.getpid()}")
    try:
        draft.write_bytes(content)
        shutil.copymode(file, draft)
        made = draft.stat()
        if (made.st_uid, made.st_gid) != (found.st_uid, found.st_gid):
            os.chown(draft, found.st_uid, found.st_gid)
        draft.replace(file)
    except OSError as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise  # what lies there is whole, and would not be if it were written over
        return False
    return True
