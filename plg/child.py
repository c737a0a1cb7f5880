"""Python processes that plg starts: they import plg and its libraries from where this process has them, and nothing
from the working folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from plg.import_path import without_working_folder

_HOME = str(Path(__file__).parent.parent)
_START = """\
import sys
home, module, places = sys.argv[1], sys.argv[2], sys.argv[3]
sys.path[:] = places.split("\\n")
sys.path.insert(0, home)
import plg
del sys.path[0]
del sys.argv[1:4]
from importlib import import_module
sys.exit(import_module(module).main())
"""
"""The folder of plg comes first only until plg is found: beside it may lie what hides parts of the standard library."""


def python_command(module: str, arguments: Sequence[str] = ()) -> list[str]:
    """The command line that runs ``main()`` of a ``module`` of plg, with ``arguments`` in ``sys.argv``.

    The child looks for modules where this process does, but for the working folder. Without ``site``, nothing runs
    before that.
    """
    # "-I" passes over the variable that says so.
    alike = ["-B"] if sys.dont_write_bytecode else []
    places = "\n".join(without_working_folder())
    return [sys.executable, "-I", "-S", *alike, "-c", _START, _HOME, module, places, *arguments]
