"""Imports without interruption: what a program loads at its start is nothing to look for garbage in."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """A stretch of imports and preparations, in which the collector of cycles rests.

    It would run hundreds of times, for about a twentieth of the start. What is there at the end is taken for lasting:
    no later collection goes through it again, least of all one in the middle of a run.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
