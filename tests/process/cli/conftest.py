"""A fresh working folder, and the command line run in this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.checked import UNSET, Done

from plg.cli.main import main


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(here: Path, capsys: pytest.CaptureFixture[str]):
    """``plg`` with these arguments: ``run("lint", "x.plg")``."""

    def call(*arguments: object) -> Done:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse ends the program itself
            code = int(end.code or 0)
        said = capsys.readouterr()
        done = Done(code, said.out, said.err, here)
        assert "Traceback" not in done.said
        return done

    return call
