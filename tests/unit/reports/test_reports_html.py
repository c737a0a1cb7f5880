from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.report_samples import failing, long, passing, short, stopped, unreachable

from plg.judge.rate_windows import rates
from plg.outcome import Outcome
from plg.reports import theme
from plg.reports.axes import TimeAxis
from plg.reports.charts import RATE
from plg.reports.figure import View, curve, frame
from plg.reports.html import html
from plg.reports.html_page import asset, inert_json

SECTIONS = [
    "Expectations", "Ledger", "Load", "Queue", "Times", "Losses", "The generator itself", "Phases", "Guardrails",
    "Remarks", "Effective scenario",
]  # fmt: skip
BUNDLE = asset("plotly-basic.min.js")
VOID = {"meta", "link", "br", "rect"}


class Reader(HTMLParser):
    """A page as a flat list of elements, with the text of those that matter; complains about elements left open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, list[str]] = {}
        self.ids: dict[str, str] = {}
        self._open: list[str] = []
        self._id: str | None = None
        self.feed(text.replace(BUNDLE, ""))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._id = dict(attrs).get("id")
        if tag not in VOID:
            self._open.append(tag)
            self.text.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.text[tag][-1] += data
        if self._id and self._open and self._open[-1] == "script":
            self.ids[self._id] = self.ids.get(self._id, "") + data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)


def charts_of(page: Reader) -> dict[str, dict[str, list[dict[str, object]]]]:
    return {key.removeprefix("data-"): json.loads(text) for key, text in page.ids.items() if key.startswith("data-")}


def test_a_page_is_small_whole_and_asks_nobody_for_anything(outcome: Outcome) -> None:
    text = html([outcome])
    assert len(text.encode()) < 2_000_000
    page = Reader(text)
    for tag, attributes in page.elements:
        assert not {"src", "srcset", "action", "onload", "onclick"} & set(attributes), tag
        assert attributes.get("href") in (None, "data:,", "#main")
    policy = next(a["content"] for tag, a in page.elements if tag == "meta" and "http-equiv" in a)
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data: blob:"
    assert "@import" not in asset("report.css")
    assert "url(" not in asset("report.css")


def test_parts_stand_in_the_order_a_reader_asks() -> None:
    page = Reader(html([failing()]))
    assert page.text["h2"] == SECTIONS
    assert page.text["h1"] == ["flash-sale"]
    assert page.elements[0] == ("html", {"lang": "en"})


def test_the_verdict_and_its_reason_come_first() -> None:
    text = html([failing()])
    body = text[text.index("<body>") :]
    assert body.index("FAIL") < body.index("2 of 6 expectations failed") < body.index("Expectations</h2>")


def test_every_table_can_be_heard(outcome: Outcome) -> None:
    page = Reader(html([outcome]))
    assert page.count("table") == page.count("caption")
    scopes = [attributes.get("scope") for tag, attributes in page.elements if tag == "th"]
    assert set(scopes) <= {"col", "row"}
    plots = [attributes for tag, attributes in page.elements if attributes.get("class") == "plot"]
    assert all(plot["role"] == "img" and plot["aria-label"] and "hidden" in plot for plot in plots)
    stills = [attributes for tag, attributes in page.elements if attributes.get("class") == "still"]
    assert [still["aria-label"] for still in stills] == [plot["aria-label"] for plot in plots]


def test_results_are_told_by_words_not_only_by_colour() -> None:
    text = html([failing()])
    for word in ("✓</span> PASS", "✗</span> FAIL", "?</span> NO DATA", "!</span> WARN (fail)"):
        assert word in text


def test_every_chart_of_a_full_run_has_data() -> None:
    charts = charts_of(Reader(html([failing()])))
    keys = ["load", "depth", "age", "latency", "service_time", "errors", "lag", "cpu", "memory", "guardrails"]
    assert sorted(charts) == sorted(keys)
    for figure in charts.values():
        assert any(value is not None for trace in figure["data"] for value in trace["y"])  # type: ignore[union-attr]


def test_charts_use_only_what_bundle_and_picture_draw(outcome: Outcome) -> None:
    for figure in charts_of(Reader(html([outcome]))).values():
        assert {trace["type"] for trace in figure["data"]} <= {"scatter"}
        assert figure["layout"]["showlegend"] is False  # type: ignore[call-overload]  # the page has its own


def test_ten_hours_are_drawn_with_few_points_and_no_peak_lost() -> None:
    outcome = long()
    charts = charts_of(Reader(html([outcome])))
    for figure in charts.values():
        assert all(len(trace["x"]) <= 2000 for trace in figure["data"])  # type: ignore[arg-type]
    actual = next(trace for trace in charts["load"]["data"] if trace["name"] == "actual (acked)")
    shown = np.array(actual["y"], dtype=float)
    rate = rates(outcome.recording).actual
    assert shown.max() == pytest.approx(rate.max(), rel=1e-3)
    assert shown.min() == pytest.approx(rate.min(), rel=1e-3)


def test_the_levels_of_a_long_run_stay_levels() -> None:
    for trace in charts_of(Reader(html([long()])))["load"]["data"]:
        assert trace["mode"] != "lines" or trace["line"]["shape"] == "hv"  # type: ignore[call-overload,index]


def test_three_seconds_are_drawn_as_levels_in_seconds() -> None:
    load = charts_of(Reader(html([short()])))["load"]
    assert load["layout"]["xaxis"]["range"] == [0.0, 3.0]  # type: ignore[call-overload,index]
    assert all(trace["line"]["shape"] == "hv" for trace in load["data"] if trace["mode"] == "lines")  # type: ignore[call-overload,index]


def test_a_run_that_sent_nothing_says_why_instead_of_empty_axes() -> None:
    page = Reader(html([unreachable()]))
    assert charts_of(page) == {}
    told = " ".join(page.text["p"])
    assert "The run never began: nothing was sent." in told
    assert "No job was answered in this run." in told
    assert "No samples were taken in this run." in told
    assert "No phase was reached." in told


def test_a_run_without_windows_or_expectations_is_a_page_too() -> None:
    bare = replace(unreachable(), series={}, expectations=(), plan={}, errors=())
    page = Reader(html([bare]))
    assert charts_of(page) == {}
    assert page.count("script") == 0


def test_breaches_hits_and_the_limit_are_marked() -> None:
    load = charts_of(Reader(html([failing()])))["load"]
    names = [trace["name"] for trace in load["data"]]
    assert {"first breach", "clipped", "allowed", "target", "actual (acked)"} == set(names)
    breach = next(trace for trace in load["data"] if trace["name"] == "first breach")
    assert breach["x"] == [10.0, 12.4, 10.2]
    lines = [shape for shape in load["layout"]["shapes"] if shape["name"] == "limit"]  # type: ignore[call-overload]
    assert [line["y0"] for line in lines] == [400]


def test_a_far_limit_is_named_at_the_top_and_does_not_squash_the_curve() -> None:
    page = Reader(html([failing()]))
    depth = charts_of(page)["depth"]
    layout: Any = depth["layout"]
    assert not [shape for shape in layout["shapes"] if shape["name"] == "limit"]
    [note] = [note for note in layout["annotations"] if note["name"] == "limit"]
    assert (note["text"], note["y"], note["yref"]) == ("↑ max_queue_depth 50,000", 1, "paper")
    highest = max(value for trace in depth["data"] for value in trace["y"])  # type: ignore[attr-defined]
    assert layout["yaxis"]["range"][1] == pytest.approx(1.18 * highest)
    assert "Guardrail: 50,000." in " ".join(page.text["figcaption"])


def test_a_legend_names_every_curve_that_the_title_does_not() -> None:
    text = html([failing()])
    figures = re.findall(r'<figure data-chart="data-(\w+)">.*?<div class="legend">(.*?)</div>', text, re.DOTALL)
    named = {key: re.findall(r"</svg> (.*?)</li>", legend) for key, legend in figures}
    assert named["load"] == ["target", "allowed", "actual (acked)", "clipped", "first breach"]
    assert named["errors"] == ["errors", "shed"]
    assert named["depth"] == []
    only = {**failing().series, "errors": [0.0] * len(failing().series["t_s"])}
    assert re.search(r'"data-errors">.*?</svg> shed</li></ul>', html([replace(failing(), series=only)]), re.DOTALL)


def test_a_stopped_run_marks_where() -> None:
    figure = charts_of(Reader(html([stopped()])))["guardrails"]
    assert [trace["name"] for trace in figure["data"]] == ["warned", "clipped", "stopped"]


def test_a_stop_tells_how_soon_it_came_and_other_hits_have_no_such_column() -> None:
    cells = Reader(html([stopped()])).text["td"]
    assert [text for text in cells if "within the limit" in text] == ["84ms after the last reading within the limit"]
    assert "Reaction" in Reader(html([stopped()])).text["th"]
    assert "Reaction" not in Reader(html([failing()])).text["th"]


hostile = st.one_of(
    st.sampled_from(
        [
            "</script><script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "'\"><svg onload=alert(1)>",
            "]]>",
            "<!--",
            "\u2028",
        ]
    ),
    st.text(alphabet=st.characters(), min_size=1, max_size=30),
)


@settings(max_examples=15, deadline=None)
@given(name=hostile, text=hostile, phase=hostile)
def test_no_scenario_text_can_become_markup(name: str, text: str, phase: str) -> None:
    base = failing()
    odd = replace(
        base,
        scenario={
            **base.scenario,
            "name": name,
            "description": text,
            "tags": [text],
            "jobs": [{"payload": {text: name}}],
        },
        reason=text,
        expectations=(replace(base.expectations[1], text=text, detail=name, file=name, first_breach_phase=phase),),
        errors=((text, 1),),
        warnings=(name,),
        plan={**base.plan, "phases": [{**base.plan["phases"][0], "name": phase}, *base.plan["phases"][1:]]},
        phases=(replace(base.phases[0], name=phase), *base.phases[1:]),
        guardrail_hits=(replace(base.guardrail_hits[1], guardrail=phase),),
    )
    for outcomes in ([odd], [odd, base]):
        page, usual = Reader(clean(html(outcomes))), plain_page(len(outcomes))
        assert {tag for tag, _ in page.elements} <= {tag for tag, _ in usual.elements}
        assert page.count("script") == usual.count("script")
        assert page.count("img") == 0
        for figure in charts_of(page).values():
            assert figure["data"]
            assert not [label for label in labels(figure) if re.search(r"<(?!br>|/?extra>)", label)]


def labels(node: object) -> list[str]:
    """Every string of a figure: Plotly reads links and other markup in its labels."""
    if isinstance(node, str):
        return [node]
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [text for child in inner for text in labels(child)]


@cache
def plain_page(runs: int) -> Reader:
    base = failing()
    return Reader(html([replace(base, **same(base))] * runs))  # type: ignore[arg-type]


def same(base: Outcome) -> dict[str, object]:
    """What the page of an odd outcome is compared by: the same shape, told in harmless words."""
    return {
        "expectations": base.expectations[1:2], "errors": base.errors[:1], "warnings": ("remark",),
        "guardrail_hits": base.guardrail_hits[1:2], "phases": base.phases,
        "scenario": {**base.scenario, "description": "words", "tags": ["word"]},
    }  # fmt: skip


def clean(text: str) -> str:
    """As a browser reads a file: lone surrogates cannot be in one."""
    return text.encode("utf-8", "replace").decode("utf-8")


@settings(max_examples=100, deadline=None)
@given(
    st.recursive(st.text(), lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
)
def test_json_in_a_page_is_inert_and_comes_back_whole(value: object) -> None:
    text = inert_json(value)
    assert not set(text) & {"<", ">", "&", "\u2028", "\u2029"}
    assert json.loads(text) == value


def test_several_runs_share_charts_and_a_matrix() -> None:
    page = Reader(html([failing(), passing(), stopped()]))
    assert page.text["h1"] == ["3 runs compared"]
    assert page.text["h2"][:2] == ["Runs", "Expectations"]
    charts = charts_of(page)
    assert [trace["name"] for trace in charts["depth"]["data"]] == ["A", "B", "C"]
    rows = [attributes for tag, attributes in page.elements if tag == "tr"]
    assert len(rows) == (1 + 3) + (1 + 6)


def test_runs_that_ask_different_things_leave_cells_open() -> None:
    other = replace(passing(), expectations=passing().expectations[:1])
    assert html([failing(), other]).count("not asked") == 5


def test_nothing_to_show_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one outcome"):
        html([])


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("colours", [theme.LIGHT, theme.DARK], ids=["light", "dark"])
def test_text_and_lines_stand_out_from_their_ground(colours: dict[str, str]) -> None:
    for text in ("ink", "soft", "good", "bad", "doubt", "accent"):
        for ground in ("paper", "wash", "band"):
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for state in ("good", "bad", "doubt"):
        assert contrast(colours[state], colours[f"{state}-wash"]) >= 4.5, state
    grounds = {"paper", "wash", "band", "rule", "grid", "ink", "soft", "good-wash", "bad-wash", "doubt-wash"}
    for line in sorted(set(colours) - grounds):
        assert contrast(colours[line], colours["paper"]) >= 3.0, line


def test_both_themes_name_the_same_roles_and_the_page_uses_no_other() -> None:
    assert set(theme.LIGHT) == set(theme.DARK)
    used = set(re.findall(r"var\(--([\w-]+)\)", asset("report.css")))
    assert used <= set(theme.LIGHT)


def test_a_name_written_from_right_to_left_turns_no_other() -> None:
    page = html([passing("\u202ezero"), passing("one <b>")])
    assert "<bdi>one &lt;b&gt;</bdi>, <bdi>\\u202ezero</bdi>" in page


def view_of(*phases: tuple[str, float, float]) -> View:
    return View(TimeAxis(phases[-1][1] + phases[-1][2]), phases)


def names_of(view: View) -> list[tuple[str, bool]]:
    t = np.linspace(0.0, view.axis.duration, 5)
    figure = frame(view, [curve(view, "x", "target", t, t, RATE)], height=300, suffix="")
    return [(note["text"], note["visible"]) for note in figure["layout"].get("annotations", ())]


def test_a_long_name_of_a_phase_is_cut_where_its_phase_ends_and_a_single_one_is_not_named() -> None:
    found = names_of(view_of(("a" * 60, 0.0, 5.0), ("b", 5.0, 4.0), ("漢" * 40, 9.0, 3.0), ("c" * 30, 12.0, 0.3)))
    assert [shown for _, shown in found] == [True, True, True, False]
    assert found[0][0] == "a" * 32 + "…"
    assert found[1][0] == "b"
    assert found[2][0] == "漢" * 9 + "…"
    assert names_of(view_of(("phase-1", 0.0, 5.0))) == []


def test_a_race_of_many_loads_is_told_apart_by_letters_where_names_have_no_room() -> None:
    def headings(count: int) -> list[str]:
        runs = [
            replace(passing(), run_id=str(i), scenario={**passing().scenario, "name": f"load number {i} of the race"})
            for i in range(count)
        ]
        matrix = html(runs).split("Observed value and verdict", 1)[1]
        return re.findall(r'scope="col" class="">(.*?)</th>', matrix.split("</thead>")[0])

    assert headings(2) == ["Expectation", "A load number 0 of the race", "B load number 1 of the race"]
    assert headings(8) == ["Expectation", *"ABCDEFGH"]


def test_what_was_not_measured_is_a_gap_in_the_line_and_in_its_area() -> None:
    whole = charts_of(Reader(html([failing()])))["depth"]["data"][0]
    holed = {
        **failing().series,
        "queue_depth": [None if 20 <= i < 90 else 5.0 for i in range(len(failing().series["t_s"]))],
    }
    gap = charts_of(Reader(html([replace(failing(), series=holed)])))["depth"]["data"][0]
    assert (whole.get("fill"), gap.get("fill")) == ("tozeroy", None)
    assert None in gap["y"]


def test_answers_that_come_all_at_once_are_told_from_more_than_was_allowed() -> None:
    base = failing()
    counters = {name: counts.copy() for name, counts in base.recording.counters.items()}
    held = slice(100, 130)
    counters["acked"][130] += counters["acked"][held].sum()
    counters["acked"][held] = 0
    late = replace(base, recording=replace(base.recording, counters=counters))
    words = "rises above it where answers that were late came all at once"
    assert words in html([late])
    assert words not in html([base])
