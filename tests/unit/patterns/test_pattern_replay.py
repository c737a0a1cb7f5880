"""Recorded curves as patterns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from plg.patterns.base import MOST_PIECES, PatternError
from plg.patterns.registry import read
from plg.recordings import MAX_ROWS


def write(folder: Path, text: str) -> Path:
    file = folder / "traffic.csv"
    file.write_text(text, encoding="utf-8")
    return file


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
    assert str(caught.value) == "traffic.csv: line 2: seconds must rise from row to row, and '0' is there twice"


def test_every_recording_that_is_read_is_small_enough_to_play() -> None:
    assert MAX_ROWS <= MOST_PIECES
