"""The store that a command names."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from plg.cli.files import target
from plg.data_folder import data_folder

if TYPE_CHECKING:
    from plg.store.store import Store


def store_named(options: argparse.Namespace) -> Store:
    """The store of ``--data`` and ``--database``. Raises `StoreError`."""
    from plg.store.open import open_store

    return open_store(data_folder(options.data), target(options.database))


def columns(rows: list[tuple[str, ...]]) -> list[str]:
    """Rows as lines, each column as wide as its widest cell; the last one as it is."""
    from plg.escaping import visible

    shown = [tuple(visible(cell) for cell in row) for row in rows]
    widths = [max(len(row[at]) for row in shown) for at in range(len(shown[0]))] if shown else []
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1]]).rstrip()
        for row in shown
    ]
