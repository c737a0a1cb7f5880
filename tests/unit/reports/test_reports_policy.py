"""The page where scripts, styles and data images are forbidden, as Jenkins forbids them by default.

The server puts the page into a sandbox with that policy. Another page of the same server, without one, opens it in a
frame and looks: what a reader sees must all be there.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.report_samples import SAMPLES, failing, long, passing, stopped

from plg.outcome import Outcome
from plg.reports.html import html

POLICY = "sandbox allow-same-origin; default-src 'none'; img-src 'self'; style-src 'self';"
LOOK = """<body><iframe src="page.html" style="width:WIDTHpx;height:4000px;border:0"></iframe><script>
const frame = document.querySelector("iframe");
frame.onload = () => {
  const page = frame.contentDocument;
  const shown = (e) => e.checkVisibility() && e.getClientRects().length > 0 && e.getBoundingClientRect().height > 0;
  const stills = [...page.querySelectorAll(".still > svg")].filter(shown);
  const box = (e) => e.getBoundingClientRect();
  const seen = {
    scripted: page.documentElement.dataset.ready || null,
    styled: getComputedStyle(page.querySelector("h1")).fontSize,
    text: page.body.innerText,
    stills: stills.length,
    outside: stills.flatMap((svg) => [...svg.querySelectorAll("svg[viewBox] > *")].filter((part) =>
      box(part).right > box(svg).right + 3 || box(part).left < box(svg).left - 3
    ).map((part) => part.outerHTML.slice(0, 200))),
    cut: stills.flatMap((svg) => [...svg.querySelectorAll("text")].filter((part) =>
      box(part).right > frame.contentWindow.innerWidth || box(part).left < 0
    ).map((part) => part.outerHTML.slice(0, 200))),
    letters: Math.min(...stills.flatMap((svg) => [...svg.querySelectorAll("text")].map((part) => box(part).height))),
    pictures: Math.min(...stills.map((svg) => box(svg).width / box(svg.closest("figure")).width)),
    inked: stills.map((svg) => [...svg.querySelectorAll("path")].filter((path) => {
      const { stroke, fill } = getComputedStyle(path);
      return path.getTotalLength() > 0 && ![stroke, fill].every((paint) => ["none", "rgb(0, 0, 0)"].includes(paint));
    }).length),
    plots: [...page.querySelectorAll(".plot")].filter(shown).length,
    tables: [...page.querySelectorAll("table")].filter(shown).length,
    colours: stills.slice(0, 1).map((svg) => getComputedStyle(svg.querySelector(".k-actual, .k-run0")).color),
    wide: [...page.querySelectorAll("svg")].map((svg) => [box(svg).width, box(svg).height]),
    fetched: frame.contentWindow.performance.getEntriesByType("resource").map((entry) => entry.name),
  };
  document.body.setAttribute("data-seen", JSON.stringify(seen));
};
</script></body>"""


@contextmanager
def served(folder: Path, policy: str | None) -> Iterator[tuple[str, list[str]]]:
    """A server of the folder on a free port of this machine: its address, and what it is asked for."""
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def end_headers(self) -> None:
            if policy and self.path.startswith("/page"):
                self.send_header("Content-Security-Policy", policy)
            super().end_headers()

        def log_message(self, *_: object) -> None:
            asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def look(dump: Callable[..., str], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """What a browser shows of the page of some outcomes, under a policy or without one."""

    def run(outcomes: list[Outcome], policy: str | None = POLICY, width: int = 1280) -> dict[str, Any]:
        site = tmp_path / "site"
        site.mkdir(exist_ok=True)
        (site / "page.html").write_text(html(outcomes), encoding="utf-8")
        (site / "look.html").write_text(LOOK.replace("WIDTH", str(width)), encoding="utf-8")
        with served(site, policy) as (address, asked):
            document = dump(f"{address}/look.html", tmp_path)
        found = re.search(r'data-seen="([^"]*)"', document)
        assert found, "the page was not looked at"
        seen: dict[str, Any] = json.loads(found[1].replace("&quot;", '"').replace("&lt;", "<").replace("&amp;", "&"))
        return seen | {"asked": set(asked) - {"/look.html", "/page.html", "/favicon.ico"}}

    return run


@pytest.mark.parametrize("name", ["pass", "fail", "stopped", "long"])
def test_verdict_and_charts_are_there_without_script_and_style(name: str, look: Callable[..., dict[str, Any]]) -> None:
    outcome = SAMPLES[name]()
    seen = look([outcome])
    assert seen["scripted"] is None
    assert seen["styled"] == "32px", "the browser's own size: the style sheet was blocked"
    assert seen["stills"] == html([outcome]).count('class="still"') >= 8
    assert seen["plots"] == 0
    assert seen["outside"] == []
    assert min(seen["inked"]) >= 2
    assert seen["colours"] == ["rgb(0, 114, 178)"]
    assert max(height for _, height in seen["wide"]) <= 400
    for words in (outcome.name, {"fail": "FAIL", "pass": "PASS", "stopped": "STOPPED", "long": "FAIL"}[name]):
        assert words in seen["text"]
    for result in outcome.expectations:
        assert result.text in seen["text"]
    assert seen["tables"] >= 3
    assert seen["fetched"] == []
    assert seen["asked"] == set()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", ["fail", "long"])
def test_pictures_can_be_read_at_any_width(name: str, width: int, look: Callable[..., dict[str, Any]]) -> None:
    """Letters keep their size, and curves take the room there is."""
    seen = look([SAMPLES[name]()], width=width)
    assert seen["stills"] >= 8
    assert seen["outside"] == seen["cut"] == []
    assert seen["letters"] >= 11
    assert seen["pictures"] > 0.99
    assert min(height for _, height in seen["wide"] if height > 20) >= 90


def test_a_comparison_is_there_without_script_and_style(look: Callable[..., dict[str, Any]]) -> None:
    seen = look([failing(), passing(), stopped(), long()])
    assert "4 runs compared" in seen["text"]
    assert seen["stills"] >= 7
    assert seen["outside"] == []
    assert min(seen["inked"]) >= 4


def test_without_a_policy_the_charts_that_can_be_zoomed_take_the_place_of_the_pictures(
    look: Callable[..., dict[str, Any]],
) -> None:
    seen = look([failing()], None)
    assert seen["scripted"] == "yes"
    assert seen["stills"] == 0
    assert seen["plots"] == html([failing()]).count('class="still"')


def test_no_element_has_a_style_of_its_own_or_an_image() -> None:
    for outcomes in ([failing()], [failing(), passing()]):
        text = html(outcomes)
        body = text[text.index("<body>") : text.index("<script")]
        assert "style=" not in body
        assert "<style" not in body
        assert "<img" not in body
        assert "data:" not in body
