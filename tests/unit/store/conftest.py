"""A store of each kind."""

from __future__ import annotations

import pytest
from support.postgres import postgres
from support.stores import Opened, place

from plg.store.store import Store

__all__ = ["place", "postgres"]


@pytest.fixture
def store(place: Opened) -> Store:
    """A fresh one, with a key."""
    return place()
