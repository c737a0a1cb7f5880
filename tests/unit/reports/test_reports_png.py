from __future__ import annotations

import re
import struct
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from support.report_samples import failing, passing, unreachable

from plg.outcome import Outcome
from plg.reports import png as module
from plg.reports.png import png, stack
from plg.reports.registry import ReportUnavailable


def size_of(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def test_a_picture_has_the_asked_size(browser: str) -> None:
    picture = png(failing(), width=900, scale=1)
    assert size_of(picture) == (900, stack(failing())["layout"]["height"])
    assert len(picture) > 20_000


def test_charts_stand_above_each_other_without_touching(outcome: Outcome) -> None:
    layout = stack(outcome)["layout"]
    axes = sorted(key for key in layout if key.startswith("yaxis"))
    domains = sorted(layout[key]["domain"] for key in axes)
    assert all(0 <= low < high <= 1 for low, high in domains)
    assert all(high < low for (_, high), (low, _) in pairwise(domains))
    traces = {trace["yaxis"] for trace in stack(outcome)["data"]}
    assert len(traces) == len(axes)


def test_nothing_to_draw_is_said() -> None:
    texts = [note["text"] for note in stack(replace(unreachable(), series={}, plan={}))["layout"]["annotations"]]
    assert "Nothing was sent, so there is nothing to draw." in texts


def test_a_missing_kaleido_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str, *_: Any) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(module, "import_module", absent)
    with pytest.raises(ReportUnavailable, match=r"pip install kaleido"):
        png(failing())


def test_a_missing_browser_is_told_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    import plotly.graph_objects as go

    def no_browser(*_: Any, **__: Any) -> bytes:
        raise RuntimeError("Kaleido requires Google Chrome to be installed.")

    monkeypatch.setattr(go.Figure, "to_image", no_browser)
    with pytest.raises(ReportUnavailable, match="needs Chrome or Chromium"):
        png(failing())


def test_a_long_reason_stays_within_the_picture() -> None:
    long = replace(passing(), reason="p99(latency) during a-phase " * 40, scenario={"name": "n" * 100})
    heading = stack(long)["layout"]["annotations"][0]["text"]
    name, *lines = re.sub("<(?!br).*?>", "", heading).split("<br>")
    assert name == "n" * 80 + ": PASS"
    assert len(lines) == 2
    assert max(map(len, lines)) <= 140
    assert lines[1].endswith(" …")
