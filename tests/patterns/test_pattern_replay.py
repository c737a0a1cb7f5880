"""Recorded curves from CSV files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plg.patterns.base import PatternError
from plg.patterns.registry import read
from plg.patterns.replay import RecordingError, load


def write(folder: Path, text: str) -> Path:
    file = folder / "traffic.csv"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "text",
    [
        "seconds,rate\n0,10\n5,80\n9,20\n",
        "0,10\n5,80\n9,20",
        "# recorded on a Tuesday\nseconds, rate\n\n100,10\n105,80\n109,20\n",
        "\ufeff0,10\r\n5,80\r\n9,20\r\n",
        '"0","10"\n"5","8e1"\n" 9 ","20"\n',
    ],
)
def test_rows_with_and_without_a_header_start_at_second_zero(tmp_path: Path, text: str) -> None:
    assert load(write(tmp_path, text)) == ((0, 10), (5, 80), (9, 20))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("seconds,rate\n0,10\n5,many\n", 3, "rate is 'many', not a finite number"),
        ("0,10\n5,nan\n", 2, "rate is 'nan'"),
        ("0,10\n5,inf\n", 2, "rate is 'inf'"),
        ("0,10\n5,-1\n", 2, "below zero"),
        ("0,10\n5,1\n5,2\n", 3, "do not rise"),
        ("0,10\n5,1\n4,2\n", 3, "4 follows 5"),
        ("0,10,1\n5,1,1\n", 1, "two columns"),
        ("0\n5\n", 1, "two columns"),
        ("seconds,rate\nseconds,rate\n", 2, "seconds is 'seconds'"),
        ("", 0, "needs two"),
        ("seconds,rate\n0,10\n", 0, "has 1 rows"),
    ],
)
def test_bad_rows_are_named_by_their_line(tmp_path: Path, text: str, line: int, words: str) -> None:
    with pytest.raises(RecordingError, match=words) as caught:
        load(write(tmp_path, text))
    assert caught.value.line == line
    assert isinstance(caught.value, ValueError)


def test_a_file_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"there is no file traffic\.csv"):
        load(tmp_path / "traffic.csv")
    (tmp_path / "traffic.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(RecordingError, match="cannot be read as text"):
        load(tmp_path / "traffic.csv")
    with pytest.raises(RecordingError, match="cannot be read"):
        load(tmp_path)


def test_scale_multiplies_rates_and_speed_compresses_time(tmp_path: Path) -> None:
    write(tmp_path, "0,10\n5,80\n9,20\n")
    plain = read({"type": "replay", "file": "traffic.csv"}, tmp_path)
    fast = read({"type": "replay", "file": "traffic.csv", "scale": 1.5, "speed": 2}, tmp_path)
    assert plain.duration == 9
    assert fast.duration == 4.5
    t = np.linspace(0, 4.5, 91)
    assert np.allclose(fast.rate(t), 1.5 * plain.rate(2 * t))
    assert fast.total == pytest.approx(plain.total * 1.5 / 2)
    assert plain.rate(np.array([2.5])).tolist() == [45]


def test_the_fault_names_the_phase(tmp_path: Path) -> None:
    write(tmp_path, "0,10\n0,20\n")
    phases = [{"type": "steady", "base_rate": 1, "duration": 1}, {"type": "replay", "file": "traffic.csv"}]
    with pytest.raises(PatternError) as caught:
        read({"type": "custom", "phases": phases}, tmp_path, ("pattern",))
    assert caught.value.path == ("pattern", "phases", 1)
