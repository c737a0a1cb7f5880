"""Where Python looks for modules: not in the working folder, where the files are the user's and not plg's.

Python itself puts it first for ``-m`` and ``-c``, and an empty entry, ``.`` or the folder's own name in ``PYTHONPATH``
stands for it too. This module imports nothing that could be found there.
"""

import os
import sys


def without_working_folder() -> list[str]:
    """``sys.path`` without the working folder. Where plg itself is installed in it, it comes last."""
    try:
        here = os.path.realpath(os.curdir)
    except OSError:  # it has been removed
        return [place for place in sys.path if place]
    kept = [place for place in sys.path if place and os.path.realpath(place) != here]
    home = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120  # pathlib is not loaded yet
    return [*kept, here] if home == here else kept


def leave_out_working_folder() -> None:
    """Have this process import nothing from the working folder any more."""
    sys.path[:] = without_working_folder()
