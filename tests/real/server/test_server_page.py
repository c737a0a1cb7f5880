"""The page in a real browser: a test is started from it, watched, stopped, and its report opened."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from support.browser import Browser, found_browser
from support.plg_server import Server
from support.proxy import Proxy

from plg.access.tokens import Tokens
from plg.reports import theme
from plg.server.static import page_files

LARGEST = 250_000
"""Bytes of all that the page loads."""
SCENARIO = """scenario "from the page" {
  target "embedded"
  job order { queue "page:orders"  payload { n: "${seq}" } }
  workers 2 each 2ms only embedded
  traffic { rise: ramp 20/s -> 60/s over 5s  then hold: steady 60/s over 5m }
  guardrails { max_rate 50/s  max_total_jobs 50_000  max_duration 10m }
  expect { errors == 0  max(queue_depth) < 1_000 }
}
"""


def test_the_page_is_small_and_says_itself_what_a_browser_may_load(plg_server: Server) -> None:
    page = plg_server.ask("GET", "/")
    text = page.body.decode()
    assert page.status == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bon[a-z]+=|style=", text)
    loaded = len(page.body)
    for name in page_files():
        if name == "index.html":
            continue
        address = re.search(r"/page/([0-9a-f]{16})/", text)
        assert address
        file = plg_server.ask("GET", f"{address[0]}{name}")
        assert file.status == 200, name
        assert "immutable" in file.headers["cache-control"]
        assert file.headers["x-content-type-options"] == "nosniff"
        loaded += len(file.body)
    assert loaded < LARGEST
    assert plg_server.ask("GET", "/", If_None_Match=page.headers["etag"]).status == 304
    for path in ("/page/0000000000000000/app.js", f"{address[0]}..%2fapp.py", f"{address[0]}index.html", "/page/"):
        assert plg_server.ask("GET", path).status == 404, path


def test_nothing_in_the_page_comes_from_elsewhere() -> None:
    for name, data in page_files().items():
        if name.endswith((".js", ".css", ".html")) and not name.startswith("uPlot"):
            found = set(re.findall(rb"https?://[\w.]+", data))
            assert found <= {b"http://www.w3.org"}, name
    assert b"Leon Sorokin" in page_files()["uPlot-LICENSE.txt"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = found_browser()
    if program is None:
        pytest.skip("no Chromium or Chrome on PATH")
    made = Browser(program, tmp_path_factory.mktemp("browser"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def home(plg_server: Server) -> str:
    return f"http://127.0.0.1:{plg_server.port}/"


@pytest.fixture(scope="module")
def test_id(plg_server: Server, browser: Browser, home: str) -> str:
    """A test that was typed into the page and started with its button."""
    browser.screen(1280, 1000)
    browser.go(f"{home}#/start")
    browser.click("textarea")
    browser.type(SCENARIO.replace("max_rate", "max_rat"))
    fault = browser.until("document.querySelector('.faults li')?.textContent")
    assert fault.startswith("Line 6:16")
    assert browser.js("document.querySelector('.marks mark').textContent") == "max_rat"
    assert browser.js("document.querySelector('.primary').disabled")
    assert plg_server.ask("GET", "/api/v1/load-test/patterns").json["items"] == []
    browser.js("document.querySelector('textarea').select()")
    browser.type(SCENARIO)
    browser.until("document.querySelector('[data-chart=plan] canvas') && !document.querySelector('.primary').disabled")
    assert "05:05" in browser.js("document.querySelector('.planned .figures').textContent")
    assert plg_server.ask("GET", "/api/v1/load-test/patterns").json["items"] == []
    browser.complaints.clear()
    browser.click(".primary")
    browser.until("/^#\\/test\\//.test(location.hash) && document.querySelector('.live')")
    return str(browser.js("location.hash.split('/')[2]"))


PIXELS = "document.querySelector('[data-chart=rate] canvas').toDataURL()"


def confirmed(browser: Browser) -> int:
    text = browser.js("document.querySelectorAll('.figures dd')[2].firstChild.textContent")
    return int(re.sub(r"\D", "", text) or 0)


@pytest.mark.browser
@pytest.mark.timeout(240)
def test_a_test_is_started_watched_stopped_and_its_report_opened(
    plg_server: Server, browser: Browser, home: str, test_id: str
) -> None:
    browser.until("document.querySelector('.verdict.live')")
    browser.until("document.querySelector('[data-chart=rate] canvas')")
    plg_server.until(test_id, lambda s: s["ledger"]["acked"] > 60)
    browser.until("parseInt(document.querySelectorAll('.figures dd')[2].firstChild.textContent) > 60")
    before, drawn, counted = (
        browser.js(PIXELS),
        browser.js("+document.documentElement.dataset.drawn"),
        confirmed(browser),
    )
    browser.until(f"+document.documentElement.dataset.drawn > {drawn} + 4")
    assert browser.js(PIXELS) != before
    assert counted <= confirmed(browser) <= plg_server.status(test_id)["ledger"]["acked"]
    names = browser.js("[...document.querySelectorAll('[data-chart]')].map((e) => e.dataset.chart)")
    assert names == ["rate", "depth", "age", "flow", "latency", "errors", "machine"]
    assert browser.js(
        "[...document.querySelectorAll('.holder')].every((e) => e.ariaLabel && e.querySelector('canvas'))"
    )
    # The schedule asks for 60/s and 50/s are allowed: the guardrail acts, and the page lists it.
    browser.until("document.querySelector('.live section:nth-of-type(4) tbody')?.textContent.includes('max_rate')")
    look_closer(browser)
    check_dark(browser)
    browser.screen(390, 844)
    browser.until("document.querySelector('[data-chart=rate] canvas').getBoundingClientRect().width < 390")
    assert browser.js("document.documentElement.scrollWidth") <= 390
    browser.screen(1280, 1000)
    browser.click(".danger")
    status = plg_server.ended(test_id)
    assert status["stopped_by"]
    browser.until("document.querySelector('.verdict:not(.live)')")
    assert confirmed(browser) == status["ledger"]["acked"]
    assert browser.js("document.querySelector('.reason').textContent") == status["reason"]
    browser.click(".live .button")
    check_report(browser, test_id)
    assert browser.complaints == []
    assert [
        each
        for each in browser.requests
        if not each.startswith((home, "about:", "data:", f"ws:{home.removeprefix('http:')}"))
    ] == []


def look_closer(browser: Browser) -> None:
    """Zoomed by key: new data do not move the picture; then the whole run again."""
    browser.js("document.querySelector('[data-chart=rate] .holder').focus()")
    browser.key("+")
    zoomed = browser.until("/Zoomed: (.*)/.exec(document.querySelector('.controls').textContent)?.[1]")
    drawn = browser.js("+document.documentElement.dataset.drawn")
    browser.until(f"+document.documentElement.dataset.drawn > {drawn} + 3")
    assert zoomed in browser.js("document.querySelector('.controls').textContent")
    browser.key("0")
    browser.until("document.querySelector('.controls button').ariaPressed === 'true'")


def check_dark(browser: Browser) -> None:
    browser.screen(1280, 1000, dark=True)
    red, green, blue = (int(theme.DARK["paper"][i : i + 2], 16) for i in (1, 3, 5))
    browser.until(f"getComputedStyle(document.body).backgroundColor === 'rgb({red}, {green}, {blue})'")


def check_report(browser: Browser, test_id: str) -> None:
    def opened() -> Any:
        pages = browser.send("Target.getTargets")["targetInfos"]
        return next((page for page in pages if page["url"].endswith(f"/{test_id}/report.html")), None)

    for _ in range(600):
        if (page := opened()) and "from the page" in page["title"]:
            browser.send("Target.closeTarget", {"targetId": page["targetId"]})
            browser.send("Page.bringToFront")
            return
        browser.js("new Promise((done) => setTimeout(done, 100))")
    raise AssertionError(f"no report was opened: {page}")


@pytest.mark.browser
def test_past_runs_are_listed_and_filtered(browser: Browser, home: str, test_id: str, plg_server: Server) -> None:
    if plg_server.status(test_id)["status"] == "running":
        plg_server.ask("POST", f"/api/v1/load-test/patterns/{test_id}/stop")
        plg_server.ended(test_id)
    browser.go(f"{home}#/")
    browser.until("document.querySelector('main table tbody tr')?.textContent.includes('from the page')")
    browser.click("#words")
    browser.type("another")
    browser.until("!document.querySelector('main table tbody tr')")
    browser.js("document.querySelector('#words').select()")
    browser.type("FROM embedded")
    browser.until("document.querySelectorAll('main table tbody tr').length === 1")
    browser.click("main table tbody a")
    browser.until("document.querySelector('.live .button:not([hidden])')")


@pytest.mark.browser
def test_an_hour_is_kept_in_bounds_with_its_extremes(browser: Browser, home: str) -> None:
    """36,000 updates, as of an hour at ten a second, with one spike early and one late."""
    browser.go(f"{home}#/start")
    address = browser.until("document.querySelector('script[type=module]')?.src")
    told = browser.js(f"""import({address.replace("app.js", "curves.js")!r}).then(({{ Curves }}) => {{
      const curves = new Curves(), rows = [];
      for (let i = 1; i <= 36000; i++) {{
        const t = i / 10, actual = i === 5000 ? 900 : i === 33000 ? 1 : 100, queue_depth = i / 100;
        curves.hear({{ type: "rate_update", seq: i, t, target: 100, allowed: 100, actual, queue_depth }});
        const more = {{ latency: {{}}, ledger: {{ acked: i }} }};
        if (i % 10 === 0) curves.hear({{ type: "metrics_update", t, queue_depth, ...more }});
        if (i % 6000 === 0) rows.push(curves.rates.length);
      }}
      const {{ t, actual, queue_depth: depth }} = curves.rates.data;
      const sorted = t.every((at, i) => !i || at > t[i - 1]);
      return {{ rows, sorted, first: t[0], last: t.at(-1), most: Math.max(...actual), least: Math.min(...actual),
        when: t[actual.indexOf(900)], slope: curves.slope(), gauges: curves.gauges.length,
        deepest: curves.most.queue_depth }};
    }})""")
    assert max(told["rows"]) <= 4000
    assert 1000 < told["gauges"] <= 3600
    assert told["sorted"]
    assert (told["first"], told["last"]) == (pytest.approx(0.1, abs=1), 3600)
    assert (told["most"], told["when"], told["least"], told["deepest"]) == (900, 500, 1, 360)
    assert told["slope"] == pytest.approx(0.1)


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_broken_connection_is_told_and_taken_up_where_it_broke(plg_server: Server, browser: Browser) -> None:
    proxy = Proxy(plg_server.port)
    test_id = plg_server.start_test({"plg": SCENARIO})
    try:
        browser.go(f"http://127.0.0.1:{proxy.port}/#/test/{test_id}")
        browser.until("parseInt(document.querySelectorAll('.figures dd')[2]?.firstChild.textContent) > 20")
        assert browser.js("document.querySelector('.stale').hidden")
        proxy.blackhole = True
        browser.until("/No news for .*old/.exec(document.querySelector('.stale:not([hidden])')?.textContent)")
        proxy.refuse = True
        proxy.cut()
        browser.until("/connection is lost/.exec(document.querySelector('.stale:not([hidden])')?.textContent)")
        shown = confirmed(browser)
        proxy.blackhole = proxy.refuse = False
        browser.until(f"parseInt(document.querySelectorAll('.figures dd')[2].firstChild.textContent) > {shown} + 20")
        browser.until("document.querySelector('.stale').hidden")
        joined = [int(url.partition("since=")[2]) for url in browser.requests if test_id in url and "since=" in url]
        assert len(joined) > 1
        assert joined[-1] > joined[0]
        plg_server.ask("POST", f"/api/v1/load-test/patterns/{test_id}/stop")
        plg_server.ended(test_id)
        browser.until("document.querySelector('.live .button:not([hidden])')")
    finally:
        browser.go("about:blank")
        browser.complaints.clear()
        proxy.close()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_server_with_tokens_asks_for_one(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> None:
    data = tmp_path_factory.mktemp("guarded")
    token, _ = Tokens(data).create("somebody", "operator")
    server = Server(data)
    try:
        test_id = server.start_test({"plg": SCENARIO}, Authorization=f"Bearer {token}")
        browser.go(f"http://127.0.0.1:{server.port}/#/test/{test_id}")
        browser.click("#token")
        browser.type(token)
        browser.click("form .primary")
        browser.until("document.querySelector('#link').textContent.includes('live')")
        browser.until("parseInt(document.querySelectorAll('.figures dd')[2]?.firstChild.textContent) > 20")
        assert token not in browser.js("location.href") + "".join(browser.requests)
    finally:
        browser.go("about:blank")
        browser.complaints.clear()
        server.end()
