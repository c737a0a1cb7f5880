"""``plg``: parses the arguments and hands over to one module a command, imported only then."""

from __future__ import annotations

import argparse
import atexit
import gc
import importlib
import os
import sys
from collections.abc import Sequence
from itertools import pairwise

from plg import __version__
from plg.cli.console import Console
from plg.cli.loading import loading
from plg.cli.options import add_commands

_EPILOG = """exit codes:
  0 pass    1 internal error    2 usage or invalid scenario    3 an expectation failed
  4 stopped by a guardrail    5 the generator could not hold the schedule    6 target refused, unreachable or lost
  129/130/143 interrupted

start here:
  plg new sale --template flash-sale      a scenario to begin with
  plg check sale.plg                      run it on a private Redis and judge it"""


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="plg",
        description="Put patterned load on a Redis-backed job queue and judge, in CI, whether it kept its promises.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"plg {__version__}")
    add_commands(parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = _main(given)
    except SystemExit as end:
        # The command line could not be read: what an earlier check left must not pass for the result of this one.
        if end.code == 2:
            _redden(given, "the command line could not be read")
        raise
    if arguments is None:
        from plg.cli.signals import ignore

        ignore()
    return code


def _main(arguments: list[str]) -> int:
    parser = build_parser()
    options = parser.parse_args(arguments)
    if getattr(options, "command", None) is None:
        parser.print_help()
        return 2
    _spare_time()
    console = Console(sys.stdout, sys.stderr)
    with loading():
        command = importlib.import_module(f"plg.cli.{options.command}_command")
    from plg.diagnostics import ScenarioError

    try:
        return int(command.run(options, console))
    except ScenarioError as error:
        console.diagnostics(error.diagnostics, error.sources)
        return 2
    except BrokenPipeError:
        # The reader of a pipe has gone (`plg plan … | head`): that is no fault, and nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        _redden(arguments, "interrupted")
        return 130
    except OSError as error:
        _redden(arguments, "a file could not be read or written")
        console.error(f"{error.filename or 'input/output'}: {(error.strerror or str(error)).lower()}")
        return 2
    except Exception as error:  # the last net: a bug in plg must not look like a verdict, nor like a traceback
        if os.environ.get("PLG_DEBUG"):
            raise
        _redden(arguments, "internal error")
        console.error(f"internal error: {type(error).__name__}: {error}")
        console.error("this is a fault of plg, not of the scenario; PLG_DEBUG=1 shows where")
        console.error("exit 1: internal error")
        return 1


def _redden(arguments: Sequence[str], reason: str) -> None:
    """A check that ended before it could say so itself: mark the junit.xml that an earlier one left in its folder."""
    if not arguments or arguments[0] != "check":
        return
    folder = "plg-report"
    for argument, following in pairwise([*arguments, ""]):
        if argument == "--out":
            folder = following
        elif argument.startswith("--out="):
            folder = argument.removeprefix("--out=")
    from pathlib import Path

    if not (Path(folder) / "junit.xml").exists():
        return
    from plg.reports.artifacts import Artifacts

    Artifacts(Path(folder)).give_up(reason)


def _spare_time() -> None:
    """Keep the libraries from work that no command of plg needs."""
    # NumPy's linear algebra starts a thread a core at import, which spins for a while; plg has no matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # At its end the interpreter would look through all that was imported for cycles: a tenth of a second, for memory
    # that the system takes back anyway.
    atexit.register(gc.freeze)
