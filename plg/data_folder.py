"""Where plg keeps what lasts: profiles, the history of runs, the audit log."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def data_folder(given: str | None = None, environ: Mapping[str, str] | None = None) -> Path:
    """The folder ``given``, else ``PLG_DATA``, else the platform's own for the data of programs. It is not made."""
    found = os.environ if environ is None else environ
    chosen = given or found.get("PLG_DATA")
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        return Path(found.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "plg"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "plg"
    # The XDG specification: a path that is not absolute is passed over.
    home = found.get("XDG_DATA_HOME") or ""
    return (Path(home) if home.startswith("/") else Path.home() / ".local" / "share") / "plg"
