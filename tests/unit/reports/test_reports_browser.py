"""The page as a browser shows it: charts drawn, nothing fetched, nothing complained about."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.report_samples import SAMPLES, failing, long, passing, stopped

from plg.outcome import Outcome
from plg.reports import theme
from plg.reports.html import html

EARLY = """<script>
window.seen = { complaints: [], refused: [] };
addEventListener("error", (e) => seen.complaints.push(String(e.message)));
addEventListener("unhandledrejection", (e) => seen.complaints.push(String(e.reason)));
document.addEventListener("securitypolicyviolation", (e) => seen.refused.push(e.blockedURI));
for (const kind of ["error", "warn"]) console[kind] = (...words) => seen.complaints.push(words.join(" "));
</script>"""
LATE = """<script>
(function look(left) {
  if (document.documentElement.dataset.ready !== "yes" && left > 0) return setTimeout(look, 100, left - 1);
  setTimeout(() => {
    const lines = [...document.querySelectorAll(".plot path.js-line, .plot .point")];
    seen.hash = decodeURIComponent(location.hash.slice(1));
    seen.ready = document.documentElement.dataset.ready;
    const drawn = (plot) => [...plot.querySelectorAll("path.js-line, path.point")].filter(
      (path) => (path.getAttribute("d") || "").length > 10).length;
    seen.charts = Object.fromEntries([...document.querySelectorAll(".plot")].map((p) => [p.dataset.key, drawn(p)]));
    seen.fetched = performance.getEntriesByType("resource").map((entry) => entry.name);
    seen.width = [document.documentElement.scrollWidth, innerWidth];
    seen.colours = lines.map((line) => getComputedStyle(line).stroke);
    seen.ground = getComputedStyle(document.body).backgroundColor;
    seen.plots = [...document.querySelectorAll(".plot")].map((p) =>
      [p.querySelector(".main-svg").getBoundingClientRect().width, p.parentElement.clientWidth]);
    seen.stills = [...document.querySelectorAll(".still")].map((still) => still.getClientRects().length);
    seen.legends = [...document.querySelectorAll("figure[data-chart]")].flatMap((figure) => {
      const legend = figure.querySelector(".legend").getBoundingClientRect();
      return [...figure.querySelectorAll(".plot text")].map((text) => text.getBoundingClientRect())
        .filter((box) => box.width && box.top < legend.bottom - 1 && box.bottom > legend.top + 1).length;
    });
    const told = JSON.stringify(seen);
    if (parent !== window) parent.postMessage(told, "*");
    else document.body.setAttribute("data-seen", told);
  }, 300);
})(100);
</script>"""


def instrumented(text: str) -> str:
    return text.replace("<title>", f"{EARLY}<title>", 1).replace("</body>", f"{LATE}</body>", 1)


def seen(document: str) -> dict[str, Any]:
    match = re.search(r'data-seen="([^"]*)"', document)
    assert match, "the page never got ready"
    found: dict[str, Any] = json.loads(match[1].replace("&quot;", '"').replace("&lt;", "<").replace("&amp;", "&"))
    return found


def rgb(colour: str) -> str:
    return "rgb({}, {}, {})".format(*(int(colour[i : i + 2], 16) for i in (1, 3, 5)))


Dump = Callable[..., str]
ATTACK = "</script><script>seen.complaints.push('broken out')</script><img src=x onerror=seen.complaints.push(1)>"


def hostile() -> Outcome:
    """A run whose every name tries to become markup."""
    base = failing()
    odd = {"name": ATTACK, "description": ATTACK, "jobs": [{"payload": ATTACK}]}
    return replace(
        base,
        scenario={**base.scenario, **odd},
        reason=ATTACK,
        plan={**base.plan, "phases": [{**phase, "name": ATTACK} for phase in base.plan["phases"]]},
        expectations=tuple(replace(result, text=ATTACK, first_breach_phase=ATTACK) for result in base.expectations),
        guardrail_hits=tuple(replace(hit, guardrail=ATTACK) for hit in base.guardrail_hits),
    )


PAGES: dict[str, Callable[[], list[Outcome]]] = {
    **{name: (lambda make=make: [make()]) for name, make in SAMPLES.items() if name != "error"},  # type: ignore[misc]
    "hostile": lambda: [hostile()],
    "compare": lambda: [failing(), passing(), stopped(), long()],
    "race": lambda: [
        replace(passing(), run_id=str(i), scenario={**passing().scenario, "name": f"load number {i} of the race"})
        for i in range(8)
    ],
}


@pytest.fixture(scope="module")
def pages(dump: Dump, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What every page said of itself, by ``name@width``: all opened at once, each in a frame of its own."""
    folder = tmp_path_factory.mktemp("pages")
    frames, wanted = "", []
    for name, make in PAGES.items():
        (folder / f"{name}.html").write_text(instrumented(html(make())), encoding="utf-8")
        for width in (360, 390, 1280) if name in ("fail", "compare", "race") else (1280,):
            wanted.append(f"{name}@{width}")
            frames += (
                f'<iframe src="{name}.html#{name}@{width}" style="width:{width}px;height:900px;border:0"></iframe>'
            )
    collect = (
        "const all = {}; addEventListener('message', (e) => { const one = JSON.parse(e.data); all[one.hash] = one;"
        f" if (Object.keys(all).length === {len(wanted)})"
        " document.body.setAttribute('data-seen', JSON.stringify(all)); })"
    )
    frame = folder / "frames.html"
    frame.write_text(f"<body><script>{collect}</script>{frames}</body>", encoding="utf-8")
    return seen(dump(frame, folder, width=1400))


@pytest.mark.parametrize("name", sorted(PAGES))
def test_every_chart_is_drawn_without_network_or_complaint(name: str, pages: dict[str, Any]) -> None:
    found = pages[f"{name}@1280"]
    assert found["ready"] == "yes"
    assert found["complaints"] == []
    assert found["refused"] == []
    assert found["fetched"] == []
    assert found["charts"]
    assert all(found["charts"].values()), found["charts"]


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_drawn_chart_takes_the_place_of_its_picture(name: str, pages: dict[str, Any]) -> None:
    found = pages[f"{name}@1280"]
    assert len(found["stills"]) == len(found["charts"])
    assert set(found["stills"]) <= {0}


@pytest.mark.parametrize(
    "page", ["fail@360", "fail@390", "fail@1280", "compare@390", "race@390", "race@1280", "stopped@1280", "long@1280"]
)
def test_a_legend_covers_no_label(page: str, pages: dict[str, Any]) -> None:
    assert pages[page]["legends"]
    assert set(pages[page]["legends"]) == {0}


@pytest.mark.parametrize("width", [360, 390, 1280])
@pytest.mark.parametrize("name", ["fail", "compare", "race"])
def test_nothing_is_wider_than_the_screen(name: str, width: int, pages: dict[str, Any]) -> None:
    found = pages[f"{name}@{width}"]
    assert found["width"][1] == width
    assert found["width"][0] <= width
    assert all(drawn <= room for drawn, room in found["plots"])


ACT = """<script>
(async () => {
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  while (document.documentElement.dataset.ready !== "yes") await pause(100);
  const plots = [...document.querySelectorAll(".plot")];
  const time = (value) => (typeof value === "string" ? Date.parse(value.replace(" ", "T") + "Z") : value);
  const ranges = () => plots.map((plot) => plot.layout.xaxis.range.map(time));
  const widths = () => plots.map((plot) => plot.querySelector(".main-svg").getBoundingClientRect().width);
  seen.whole = ranges();
  const [from, to] = seen.whole[0];
  const [left, right] = [from + (to - from) / 4, from + (to - from) / 2];
  await Plotly.relayout(plots[1], { "xaxis.range[0]": left, "xaxis.range[1]": right });
  await pause(300);
  seen.zoomed = ranges();
  seen.names = plots[0].layout.annotations.filter((note) => note.visible !== false).map((note) => note.text);
  await Plotly.relayout(plots[2], { "xaxis.autorange": true });
  await pause(300);
  seen.back = ranges();
  seen.screen = widths();
  dispatchEvent(new Event("beforeprint"));
  seen.paper = widths();
  seen.open = document.querySelector("details").open;
  seen.inked = getComputedStyle(document.querySelector("[data-key=depth] path.js-line")).stroke;
  dispatchEvent(new Event("afterprint"));
  await pause(300);
  seen.after = widths();
  document.body.setAttribute("data-seen", JSON.stringify(seen));
})();
</script>"""


@pytest.mark.parametrize("name", ["fail", "long"])
def test_zooming_one_chart_zooms_all_and_printing_fits_the_paper(name: str, dump: Dump, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    text = html(PAGES[name]()).replace("<title>", f"{EARLY}<title>", 1).replace("</body>", f"{ACT}</body>", 1)
    page.write_text(text, encoding="utf-8")
    found = seen(dump(page, tmp_path, "--blink-settings=preferredColorScheme=0"))
    assert found["complaints"] == []
    start, end = found["whole"][0]
    quarter = pytest.approx([start + (end - start) / 4, start + (end - start) / 2])
    assert all(shown == quarter for shown in found["zoomed"])
    assert found["names"][:1] == ["crowd"]
    assert found["back"] == found["whole"]
    assert max(found["paper"]) <= 688 < max(found["screen"])
    assert found["after"] == found["screen"]
    assert found["open"] is True
    assert found["inked"] == rgb(theme.LIGHT["depth"])


def test_the_light_theme_reaches_the_charts(pages: dict[str, Any]) -> None:
    check_theme(pages["fail@1280"], theme.LIGHT)


def test_the_dark_theme_reaches_the_charts(dump: Dump, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(instrumented(html([failing()])), encoding="utf-8")
    check_theme(seen(dump(page, tmp_path, "--blink-settings=preferredColorScheme=0")), theme.DARK)


def check_theme(found: dict[str, Any], colours: Mapping[str, str]) -> None:
    assert found["ground"] == rgb(colours["paper"])
    assert {rgb(colours[role]) for role in ("actual", "p99", "depth", "gauge")} <= set(found["colours"])
