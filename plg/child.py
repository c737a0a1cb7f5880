"""Python processes that plg starts: they import plg and its libraries from where this process has them, and nothing
from the working folder."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

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

    The child looks for modules where this process does, but for the working folder: Python puts it first for ``-m``
    and ``-c``, and an empty entry of ``PYTHONPATH`` means it too. Without ``site`` nothing of it runs before that.
    """
    return [sys.executable, "-I", "-S", "-c", _START, _HOME, module, "\n".join(safe_path()), *arguments]


def safe_path() -> list[str]:
    """``sys.path`` without the working folder, where it is no place that packages are installed in."""
    here = os.path.realpath(os.curdir)
    return [place for place in sys.path if place and os.path.realpath(place) != here]
