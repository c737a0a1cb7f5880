"""``plg serve``: load started, watched and stopped over HTTP."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from plg.cli.console import Console
from plg.cli.files import target, usage_error
from plg.data_folder import data_folder
from plg.guardrails.policy_file import find_policy


def run(options: argparse.Namespace, console: Console) -> int:
    """Serve until a signal comes."""
    try:
        from plg.server.main import Settings, serve
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "websockets"):
            raise
        raise usage_error("plg serve needs more than plg itself", "pip install 'patterned-load[server]'") from None
    policy = find_policy(options.policy, os.environ, Path.cwd())
    settings = Settings(
        options.host, options.port, data_folder(options.data).absolute(), options.max_tests, options.orphan_limit,
        tuple((each.file, each.text) for each in policy.files) if policy else (), tuple(options.allow_host),
        options.behind_proxy, options.tls_cert, options.tls_key,
        target(options.database),
    )  # fmt: skip
    return serve(settings, lambda words: print(f"plg serve: {words}", flush=True))
