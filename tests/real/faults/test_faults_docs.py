"""The page of faults and the tests beside this file speak of the same things."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "faults.md"
# Controls: without them some other test would prove less than it seems to.
CONTROLS = {"test_a_wide_limit_is_no_hindrance", "test_a_gauge_just_below_its_limit_stops_nothing"}


@pytest.fixture(scope="module")
def there():
    texts = [path.read_text() for path in Path(__file__).parent.glob("test_faults_*.py") if path != Path(__file__)]
    return {name for text in texts for name in re.findall(r"^def (test_\w+)\(", text, re.MULTILINE)}


def test_every_line_of_the_page_names_tests_that_exist(there):
    rows = [
        line for line in PAGE.read_text().splitlines() if line.startswith("| ") and not line.startswith("| fault |")
    ]
    rows = [row for row in rows if not row.startswith("| limit |")]
    assert len(rows) > 35
    for row in rows:
        named = re.findall(r"`(test_\w+)`", row)
        assert named, row
        assert set(named) <= there, row


def test_every_test_stands_on_the_page(there):
    assert there - CONTROLS == set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
