"""Text on a terminal takes the columns that it is reckoned with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.report_samples import expectation

from plg.reports.ascii_plot import draw, glyphs
from plg.reports.terminal import expectation_lines
from plg.reports.text_width import columns, cut, pad


@pytest.mark.parametrize(
    ("text", "width"),
    [
        ("abc", 3),
        ("漢字", 4),
        ("e\u0301", 1),
        ("🚀x", 3),
        ("ﾊﾟ", 2),
        ("", 0),
        ("µ", 1),
        ("Ω→", 2),
        ("\u1112\u1161\u11ab", 2),
    ],
)
def test_wide_letters_take_two_columns_and_marks_none(text: str, width: int) -> None:
    assert columns(text) == width


@given(st.text(alphabet="ab漢字🚀é\u0301 ", max_size=30), st.integers(0, 40))
def test_what_is_cut_fits_and_no_more_would(text: str, width: int) -> None:
    part = cut(text, width)
    assert text.startswith(part)
    assert columns(part) <= width
    assert part == text or columns(text[: len(part) + 1]) > width
    assert columns(pad(part, width)) == width


@pytest.mark.parametrize("ascii_only", [False, True])
def test_values_stand_below_one_another(ascii_only: bool) -> None:
    lines = expectation_lines(
        [
            expectation('errors during "漢字漢字" == 0', "pass", 0.0, 0.0, "jobs"),
            expectation('errors during "abcd" == 0', "pass", 0.0, 0.0, "jobs"),
        ],
        ascii_only=ascii_only,
    )
    first, second = (columns(line[: line.rindex("0")]) for line in lines)
    assert first == second


def test_the_name_of_a_phase_stands_under_its_seam() -> None:
    import numpy as np

    lines = draw(
        np.ones(1280), None, [("漢字漢字", 0.0), ("later", 5.0)], 10.0, width=46, rows=2, pen=glyphs(False, False)
    )
    floor, names, _ = lines[-3:]
    seam = floor.index("┴")
    assert columns(names[: names.index("later")]) == seam


def test_what_comes_after_the_end_is_drawn_as_not_sent_and_what_comes_before_is_not() -> None:
    import numpy as np

    over = np.arange(1280) >= 640
    lines = draw(np.full(1280, 10.0), None, [], 10.0, width=46, rows=2, pen=glyphs(False, False), over=over)
    curve = lines[0].partition("│")[2].strip()
    assert set(curve[: len(curve) // 2 - 1]) == {"█"}
    assert set(curve[len(curve) // 2 + 1 :]) == {"░"}
