"""``plg serve``: load started, watched and stopped over HTTP."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from plg.cli.console import Console
from plg.cli.files import usage_error


def run(options: argparse.Namespace, console: Console) -> int:
    """Serve until a signal comes."""
    try:
        from plg.server.main import Settings, serve
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "websockets"):
            raise
        raise usage_error("plg serve needs more than plg itself", "pip install 'patterned-load[server]'") from None
    data = Path(options.data) if options.data else default_data()
    settings = Settings(options.host, options.port, data.absolute(), options.max_tests, options.orphan_limit)
    return serve(settings, lambda url: print(f"plg serve: {url}", flush=True))


def default_data() -> Path:
    """The platform's folder for the data of programs."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "plg"
    home = os.environ.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "plg"
