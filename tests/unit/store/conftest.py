"""A store of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.postgres import postgres
from support.stores import KEYS, Clock, Opened, opener, place

from plg.store.store import Store

__all__ = ["place", "postgres"]


@pytest.fixture
def store(place: Opened) -> Store:
    """A fresh one, with a key."""
    return place()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Store]:
    """One in SQLite, for what is the same in all."""
    with Store(opener("sqlite", tmp_path, None)(), KEYS, Clock()) as store:
        yield store
