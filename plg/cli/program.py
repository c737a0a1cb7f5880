"""Parses the arguments and hands over to one module a command, imported only then."""

from __future__ import annotations

import argparse
import atexit
import gc
import importlib
import os
import sys
from collections.abc import Sequence

from plg import __version__
from plg.cli.console import Console
from plg.cli.loading import loading
from plg.cli.options import add_commands
from plg.cli.parser import Parser, UsageExit
from plg.cli.stale import disown, redden
from plg.machine import lost_folder, shortage
from plg.redaction import hide_in_tracebacks, hide_known
from plg.runs.signals import broken_off

_EPILOG = """exit codes:
  0 pass    1 internal error    2 usage or invalid scenario    3 an expectation failed
  4 stopped by a guardrail    5 the generator could not hold the schedule    6 target refused, unreachable or lost
  129/130/143 interrupted

start here:
  plg new sale --template flash-sale      a scenario to begin with
  plg check sale.plg                      run it on a private Redis and judge it"""


def build_parser() -> Parser:
    """The parser of the whole command line."""
    parser = Parser(
        prog="plg",
        description="Put patterned load on a Redis-backed job queue and judge, in CI, whether it kept its promises.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"plg {__version__}")
    add_commands(parser)
    return parser


def run(given: Sequence[str], *, as_program: bool) -> int:
    """Run one command and return its exit code. What runs ``as_program`` ends with it."""
    try:
        options = build_parser().parse_args(given)
    except UsageExit as end:
        redden(given, end.message)
        disown(given)
        raise
    if getattr(options, "command", None) is None:
        build_parser().print_help()
        return 2
    if folder := lost_folder():
        Console(sys.stdout, sys.stderr).error(f"the working folder {folder} has been removed: change to another one")
        return 2
    _spare_time()
    if as_program:
        hide_in_tracebacks()
    options.program = as_program
    return _run(options, given, Console(sys.stdout, sys.stderr))


def _run(options: argparse.Namespace, given: Sequence[str], console: Console) -> int:
    try:
        with loading():
            command = importlib.import_module(f"plg.cli.{options.command}_command")
        return int(command.run(options, console))
    except KeyboardInterrupt:
        if options.program:
            raise
        redden(given, "interrupted")
        return 130
    except Exception as error:
        if options.program and broken_off():
            raise
        return _fail(error, given, console)


def _fail(error: Exception, given: Sequence[str], console: Console) -> int:
    """Tell what a command ended with, also where its JUnit document would stand; the exit code."""
    from plg.diagnostics import ScenarioError

    if isinstance(error, BrokenPipeError):
        # The reader of a pipe has gone (`plg plan … | head`): that is no fault, and nothing more can be said to it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, ScenarioError):
        console.diagnostics(error.diagnostics, error.sources)
        redden(given, error.diagnostics[0].message)
        return 2
    short = shortage(error)
    if short or isinstance(error, OSError):
        words = hide_known(short or _of_the_system(error))
        redden(given, words)
        console.error(words)
        return 2
    # The last net: a bug in plg must not look like a verdict, nor like a traceback.
    if os.environ.get("PLG_DEBUG"):
        raise error
    words = hide_known(f"internal error: {type(error).__name__}: {error}")
    redden(given, words)
    console.error(words)
    console.error("this is a fault of plg, not of the scenario; PLG_DEBUG=1 shows where")
    console.error("exit 1: internal error")
    return 1


def _of_the_system(error: Exception) -> str:
    """What the system said, with the file that it is about."""
    assert isinstance(error, OSError), "only these come from the system"
    return f"{error.filename or 'input/output'}: {(error.strerror or str(error)).lower()}"


def _spare_time() -> None:
    """Keep the libraries from work that no command of plg needs."""
    # NumPy's linear algebra starts a thread a core at import, which spins for a while; plg has no matrices.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # At its end the interpreter would look through all that was imported for cycles: a tenth of a second, for memory
    # that the system takes back anyway.
    atexit.register(gc.freeze)
