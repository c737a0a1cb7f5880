"""The files of a scenario are read once: what was checked is what runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from plg import recordings
from plg.language import files
from plg.prepare import Request, prepare
from plg.runner.encode import batch_encoder

TEXT = """scenario "files" {
  target fake
  data users "users.csv"
  job a { payload { user: "${users.name}" } }
  job b { payload { user: "${users.name}" } }
  traffic { replay "curve.csv" x 2 then replay "curve.csv" x 1 }
  guardrails { max_rate 100/s max_total_jobs 1_000 max_duration 1m }
}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "users.csv").write_text("name\nann\nbob\n", encoding="utf-8")
    (tmp_path / "curve.csv").write_text("time,rate\n0,5\n1,5\n", encoding="utf-8")
    (tmp_path / "files.plg").write_text(TEXT, encoding="utf-8")
    return tmp_path


def test_each_file_is_read_once_from_the_check_to_the_payloads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    table, recording = files.read_table, recordings.read_recording

    def noted(real):
        def reader(path: Path):
            read.append(path.name)
            return real(path)

        return reader

    monkeypatch.setattr(files, "read_table", noted(table))
    monkeypatch.setattr(recordings, "read_recording", noted(recording))
    prepared = prepare(folder / "files.plg", Request({}))
    batch_encoder(prepared.scenario, prepared.plan, "run")
    assert sorted(read) == ["curve.csv", "users.csv"]


def test_a_file_that_changes_after_the_check_changes_nothing(folder: Path) -> None:
    prepared = prepare(folder / "files.plg", Request({}))
    (folder / "users.csv").write_text("other\nx\n", encoding="utf-8")
    (folder / "curve.csv").unlink()
    batch_encoder(prepared.scenario, prepared.plan, "run")
    assert prepared.scenario.data["users"].column("name") == ["ann", "bob"]
    assert prepared.scenario.pattern.total == pytest.approx(15.0)
