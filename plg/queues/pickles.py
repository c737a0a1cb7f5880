"""Pickles of others, read without running anything: of every class and function in them an inert stand-in is made."""

from __future__ import annotations

import io
import pickle
from typing import Any


class Inert:
    """Whatever stands in a pickle and is no plain data. It takes all that a pickle may do to an object."""

    def __new__(cls, *given: object, **named: object) -> Inert:
        return super().__new__(cls)

    def __init__(self, *given: object, **named: object) -> None:
        """Nothing is kept."""

    def __call__(self, *given: object, **named: object) -> Inert:
        return self

    def __setstate__(self, state: object) -> None:
        """Nothing is kept."""

    def __setitem__(self, key: object, value: object) -> None:
        """Nothing is kept."""

    def append(self, value: object) -> None:
        """Nothing is kept."""

    def extend(self, values: object) -> None:
        """Nothing is kept."""

    def add(self, value: object) -> None:
        """Nothing is kept."""


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return Inert

    def persistent_load(self, pid: object) -> Any:
        return Inert()


def plain(data: bytes) -> Any:
    """The plain data of a pickle; None where it is none, or not whole."""
    try:
        return _Reader(io.BytesIO(data)).load()
    except Exception:  # whatever a broken or hostile pickle brings about, it is no data
        return None
