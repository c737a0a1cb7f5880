"""The command line, in a fresh working folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from process.cli.conftest import here, run
from support.postgres import postgres
from support.stores import SCENARIO

__all__ = ["here", "postgres", "run"]


@pytest.fixture(autouse=True)
def kept(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scenario with secrets, a key, and a data folder that is not the user's."""
    monkeypatch.setenv("PLG_KEYS", "k1:" + "1f" * 32)
    monkeypatch.setenv("PLG_DATA", str(here / "data"))
    for name in ("GITHUB_SHA", "GITHUB_REF_NAME", "GITHUB_HEAD_REF"):
        monkeypatch.delenv(name, raising=False)
    (here / "sale.plg").write_text(SCENARIO, encoding="utf-8")
    return here
