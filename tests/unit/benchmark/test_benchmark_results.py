"""How the benchmark runs its children, interleaves its rounds, judges its goals and draws what it found."""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from bench import entrants
from bench.chart import chart
from bench.child import Failed, run
from bench.contests import Contest, Size, contests, hold_contest, medians, plain
from bench.goals import Goal, judge
from bench.peers import Peers, find_peers
from bench.server import private_server
from bench.table import table

TINY = Size(rounds=1, jobs=20_000, hold_s=0.5, million_s=0.5, ramp_s=1, minutes=0.5)


def test_a_child_is_weighed_and_heard():
    burn = "import time\ne = time.process_time() + 0.2\nwhile time.process_time() < e: pass\nprint('{\"a\": 1}')"
    finished = run([sys.executable, "-c", burn])
    assert finished.said == {"a": 1}
    assert 0.2 <= finished.cpu_s <= finished.wall_s + 0.1
    assert finished.max_rss_mb > 1


def test_a_child_that_fails_or_hangs_is_an_error():
    with pytest.raises(Failed, match="ended with 3: words"):
        run([sys.executable, "-c", "print('words'); raise SystemExit(3)"])
    assert run([sys.executable, "-c", "raise SystemExit(3)"], accept=(0, 3)).said == {}
    with pytest.raises(Failed, match="ended with -9"):
        # It would sleep on for a minute if it were not ended.
        run([sys.executable, "-c", "import time; time.sleep(60)"], patience=0.3)


def test_rounds_are_interleaved_and_one_failure_spoils_nothing():
    order: list[str] = []

    def entry(name, fails=False):
        def once(server):
            order.append(name)
            if fails:
                raise Failed("said no")
            return {"wall_s": float(len(order))}

        return once

    contest = Contest("c", "C", {"a": entry("a"), "b": entry("b", fails=True), "d": entry("d")}, plain)
    with private_server() as server:
        results, failed = hold_contest(contest, server, 3)
    assert order == ["a", "b", "d", "a", "d", "a", "d"]
    assert failed == {"b": "Failed: said no"}
    assert medians(results["a"]) == {"wall_s": {"median": 4.0, "least": 1.0, "most": 6.0}}


def test_plg_is_measured_by_every_contest_of_its_own():
    """plg alone, small: each contest runs for real and gives the figures that the goals ask for."""
    found = {}
    with private_server() as server:
        for contest in contests(Peers({}, {}, {}), TINY):
            if contest.name in ("startup", "check"):
                continue
            results, failed = hold_contest(contest, server, 1)
            assert failed == {}
            assert all(name.startswith("plg") or name == "bare loop" for name in results)
            found[contest.name] = {name: medians(figures) for name, figures in results.items()}
    for name, entry in [("most", "plg"), ("most", "plg, single values"), ("most", "plg, JSON envelope")]:
        assert found[name][entry]["jobs"]["median"] == TINY.jobs
    assert found["hold-1000"]["plg"]["jobs"]["median"] == 500
    for goal in judge(found):
        # Ratios need rivals; everything else must have been measured.
        assert (goal.observed is None) == (goal.contest == "most" or "over memtier" in goal.text), goal


def test_goals_are_judged_by_ratio_and_bound():
    def figures(**values):
        return {name: {"median": value, "least": value, "most": value} for name, value in values.items()}

    found = {
        "most": {
            "plg": figures(jobs_s=5e6, cpu_us_job=0.1),
            "plg, single values": figures(jobs_s=2e6, cpu_us_job=0.3),
            "redis-benchmark": figures(jobs_s=1.6e6, cpu_us_job=0.15),
            "memtier": figures(jobs_s=1.9e6, cpu_us_job=0.4),
        },
        "million": {
            "plg": figures(deviation=-0.0006, cpu_share=0.2, windows_off=0.0),
            "memtier": figures(cpu_share=0.5),
        },
    }
    judged = {goal.text: (goal.observed and round(goal.observed, 3), goal.met) for goal in judge(found)}
    assert list(judged.values()) == [
        (1.053, False), (2.632, True), (0.75, True), (2.0, False), (0.001, False), (0.2, True), (0.4, True),
        (0.0, True),
    ]  # fmt: skip
    assert not Goal("most", "t", None, at_most=1).met
    assert Goal("most", "t", 1.0, at_least=1.0).met


def test_the_page_and_the_picture_show_what_was_found():
    figures = {"jobs_s": {"median": 1234567.0}, "cpu_us_job": {"median": 0.5}}
    machine = dict.fromkeys(("system", "cpu", "cpus", "python", "server", "load_before", "load_after"), "?")
    results = {
        "started_at": "2030-01-01", "quick": True, "rounds": 2, "skipped": {"wrk": "absent <here>"},
        "versions": {"a": "1"}, "machine": machine,
        "contests": {
            "most": {"title": "Most", "failed": {"x": "why"}, "entries": {"plg": figures, "<b>&": figures}},
            "hold-1000": {"title": "Hold", "failed": {}, "entries": {}},
        },
        "goals": [{"text": "g", "observed": None, "at_least": 1, "at_most": None, "met": False}],
    }  # fmt: skip
    page = table(results)
    assert "| plg | 1,234,567 | 0.500 |  |" in page
    assert "x failed: why" in page
    assert "| g | ≥ 1 | not measured | **missed** |" in page
    assert "- wrk: absent <here>" in page
    svg = ElementTree.fromstring(chart(results))
    bars = [e for e in svg.iter() if e.tag.endswith("rect") and e.get("class")]
    assert [bar.get("class") for bar in bars] == ["o", "r", "o", "r"]
    assert float(bars[0].get("width")) > 1


def test_rivals_that_are_absent_are_named_with_a_reason(monkeypatch, tmp_path):
    monkeypatch.setattr("bench.peers.CACHE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    peers = find_peers(install=False)
    assert peers.programs == {}
    assert set(peers.skipped) == {
        "redis-benchmark",
        "memtier_benchmark",
        "locust",
        "rq",
        "celery",
        "arq",
        "artillery",
        "wrk",
        "k6",
        "vegeta",
    }
    assert all(peers.skipped.values())


@pytest.mark.parametrize("name", [path.name for path in Path(entrants.DRIVERS).iterdir() if path.is_file()])
def test_every_driver_is_used_by_an_entry(name):
    folder = Path(entrants.__file__).parent
    assert any(name in (folder / module).read_text() for module in ("entrants.py", "contests.py", "queues/clients.py"))
