from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.report_samples import failing, unreachable

from plg.outcome import Ledger, Outcome
from plg.reports.ascii_plot import draw, glyphs
from plg.reports.sampling import highest
from plg.reports.terminal import draw_plan, last_line, live_line, progress_line, summary

LEDGER = Ledger(2520, 2445, 75, 0, 0, 2442, 2, 1)
anything = st.text(alphabet=st.characters(), min_size=1, max_size=40)


class Flat:
    """A plan of a constant rate in one phase."""

    def __init__(self, rate: float, duration: float = 10.0, name: str = "only") -> None:
        self._rate, self._duration, self._name = rate, duration, name

    def target_rate(self, t: np.ndarray) -> np.ndarray:
        return np.full_like(t, self._rate)

    allowed_rate = target_rate

    def to_document(self) -> dict[str, object]:
        phase = {"name": self._name, "start_s": 0.0, "duration_s": self._duration}
        return {
            "scenario": self._name, "duration_s": self._duration, "planned": 10, "peak_rate": self._rate,
            "sent_estimate": 10, "phases": [phase], "clips": [], "warnings": [],
        }  # fmt: skip


def test_the_last_line_is_the_exit_code_and_why(outcome: Outcome) -> None:
    last = summary(outcome).rstrip("\n").splitlines()[-1]
    assert last == f"exit {outcome.exit_code}: {outcome.reason}"


def test_every_expectation_has_its_mark() -> None:
    marks = re.findall(r"^  ([✓✗?!]) ", summary(failing()), re.MULTILINE)
    assert marks == ["✓", "✗", "✓", "✗", "?", "!"]


def test_colour_changes_nothing_but_colour(outcome: Outcome) -> None:
    assert re.sub(r"\x1b\[\d+m", "", summary(outcome, colour=True)) == summary(outcome)
    assert "\x1b" not in summary(outcome)


@settings(max_examples=100, deadline=None)
@given(anything, anything)
def test_no_text_from_outside_moves_the_cursor(name: str, error: str) -> None:
    base = unreachable()
    odd = replace(base, scenario={**base.scenario, "name": name}, reason=error, errors=((error, 1),), warnings=(name,))
    text = summary(odd)
    assert not set(text) & {"\x1b", "\r", "\x07", "\x9b"}
    assert text.count("\n") == summary(replace(base, warnings=("x",))).count("\n")
    assert summary(odd, ascii_only=True).isascii()
    assert last_line(6, error).isprintable()


@settings(max_examples=100, deadline=None)
@given(st.integers(20, 200), st.floats(0, 40_000), anything)
def test_the_live_line_fits_its_width(width: int, t: float, phase: str) -> None:
    line = live_line(
        t,
        36_000.0,
        target=1e6,
        actual=987_654.3,
        ledger=LEDGER,
        depth=123_456,
        lag_p99=0.0021,
        phase=phase,
        width=width,
    )
    assert len(line) <= width
    assert line.isprintable()


def test_the_live_line_says_what_goes_on() -> None:
    line = live_line(
        11.2, 16, target=400, actual=398.2, ledger=LEDGER, depth=12, lag_p99=0.002, phase="crowd", width=200
    )
    assert line.startswith("0:11/0:16 ████████░░░░ · crowd · target 400/s · actual 398.2/s · sent 2,445")
    assert "depth 12" in line
    assert "lag p99 2ms" in line


def test_a_log_line_leaves_nothing_out() -> None:
    line = progress_line(3700, 7200, target=4, actual=4, ledger=LEDGER, depth=0, ascii_only=True)
    expected = "1:01:40/2:00:00 target 4/s, actual 4/s, sent 2,445, failed 2, unknown 1, shed 75, depth 0"
    assert line == expected


def test_trouble_colours_the_live_line_only_when_asked() -> None:
    facts = {"target": 1.0, "actual": 1.0, "ledger": LEDGER}
    assert "\x1b[33m" in live_line(1, 2, colour=True, **facts)  # type: ignore[arg-type]
    assert "\x1b" not in live_line(1, 2, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize("rate", [0.0, 0.01, 1.0, 12_345.0, 1e7])
@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_drawing_fits_its_width_at_any_rate(rate: float, width: int) -> None:
    text = draw_plan(Flat(rate), width=width, ascii_only=True)
    drawn = text.splitlines()[1:]
    assert max(map(len, drawn)) <= width
    assert text.isascii()
    assert ("#" in text) == (rate > 0)


def test_a_steady_plan_is_one_row() -> None:
    heading, row = draw_plan(Flat(25.0), width=80).splitlines()
    assert heading.endswith("steady 25/s")
    assert row.startswith("25/s │████")


class Phased(Flat):
    """The same in two phases."""

    def to_document(self) -> dict[str, object]:
        names = [{"name": "first", "start_s": 0.0}, {"name": "second", "start_s": 5.0}]
        return {**super().to_document(), "phases": names}


def test_a_steady_plan_of_several_phases_keeps_their_names() -> None:
    lines = draw_plan(Phased(25.0), width=80).splitlines()
    assert len([line for line in lines if "│" in line]) == 1
    assert "first" in lines[-2]
    assert "second" in lines[-2]


class Rising(Flat):
    """A plan that comes to its peak at its very end, where no moment that is looked at lies."""

    def target_rate(self, t: np.ndarray) -> np.ndarray:
        return self._rate * t / self._duration

    def allowed_rate(self, t: np.ndarray) -> np.ndarray:
        return np.full_like(t, self._rate)


def test_the_scale_ends_at_the_peak_that_the_heading_names() -> None:
    heading, top, *rest = draw_plan(Rising(40.0), width=80).splitlines()
    assert heading.endswith("peak 40/s")
    assert top.startswith("40/s │")
    assert top.endswith("█")
    assert any(line.startswith("20/s │") for line in rest)


@settings(max_examples=60, deadline=None)
@given(anything)
def test_a_phase_name_cannot_break_the_drawing(name: str) -> None:
    text = draw_plan(Flat(5.0, name=name), width=80)
    assert len(text.splitlines()) == len(draw_plan(Flat(5.0), width=80).splitlines())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.integers(2, 12))
def test_the_highest_column_reaches_the_top_and_none_is_lost(tops: list[float], rows: int) -> None:
    lines = draw(np.array(tops), None, [], 10.0, width=70, rows=rows, pen=glyphs(False, False))
    columns = lines[rows].count("─")
    body = [line.partition("│")[2].ljust(columns) for line in lines[:rows]]
    shown = highest(np.array(tops), columns)
    assert len(tops) > columns or shown.max() == max(tops)
    if shown.max() > 0:
        assert body[0][int(np.argmax(shown))] == "█"
    for column, top in enumerate(shown):
        if top == 0:
            assert body[-1][column] == " "
        elif top / max(tops) > 1e-3:
            assert body[-1][column] != " "


def test_what_rises_above_the_limit_is_drawn_as_shed() -> None:
    lines = draw(np.array([10.0, 40.0]), 20.0, [], 10.0, width=26, rows=4, pen=glyphs(False, False))
    assert [line[:4] for line in lines[:4]] == ["40/s", "    ", "20/s", "    "]
    body = [line.partition("│")[2].ljust(20) for line in lines[:4]]
    assert [line[-1] for line in body] == ["░", "░", "█", "█"]
    assert [line[0] for line in body] == [" ", " ", "╌", "█"]
