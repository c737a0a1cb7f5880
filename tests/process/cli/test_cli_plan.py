"""``plg plan``: its JSON, its arrivals, and that it sends nothing."""

from __future__ import annotations

import csv
import json
import socket
from collections import Counter

import pytest
from support.cli_scenarios import QUICK, quick
from support.shipped import FACTS, FOLDER, SHIPPED


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Planning opens no connection."""
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("plan opened a connection"))


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_arrivals_and_json_tell_of_one_plan(run, here, path):
    done = run("plan", path, "--json", "--arrivals", "arrivals.csv", "--target", "redis://nowhere.invalid:1/0")
    assert (done.code, done.err) == (0, "")
    plan = json.loads(done.out)
    arrivals = rows(here / "arrivals.csv")
    assert list(arrivals[0]) == ["seq", "due_s", "job", "phase"]
    assert [int(row["seq"]) for row in arrivals] == list(range(len(arrivals)))
    assert len(arrivals) == plan["planned"] == FACTS[path.name].planned
    due = [float(row["due_s"]) for row in arrivals]
    assert due == sorted(due)
    assert 0 <= due[0] <= due[-1] <= plan["duration_s"]
    assert {row["job"] for row in arrivals} == set(FACTS[path.name].jobs)
    # Phases nest, and an arrival names the innermost: one that holds others is named by none.
    of_phase = Counter(row["phase"] for row in arrivals)
    planned = {phase["name"]: phase["planned"] for phase in plan["phases"]}
    assert all(count == planned[name] for name, count in of_phase.items())


def test_the_json_has_the_fields_that_are_relied_on(run):
    plan = json.loads(run("plan", FOLDER / "chaos-monkey.plg", "--json").out)
    assert {"scenario", "duration_s", "planned", "peak_rate", "sent_estimate", "phases", "clips", "warnings"} <= set(
        plan
    )
    assert {"name", "start_s", "duration_s", "planned", "peak_rate"} <= set(plan["phases"][0])
    assert {"guardrail", "start_s", "end_s", "shed"} <= set(plan["clips"][0])
    assert {"code", "message", "line"} <= set(plan["warnings"][0])
    assert plan["planned"] - plan["sent_estimate"] == sum(clip["shed"] for clip in plan["clips"])


def test_phases_without_names_are_numbered(run, here):
    (here / "a.plg").write_text(
        quick(traffic="steady 10/s over 1s then crowd: steady 20/s over 2s then pause 1s"), encoding="utf-8"
    )
    plan = json.loads(run("plan", "a.plg", "--json").out)
    assert [(p["name"], p["start_s"], p["duration_s"], p["planned"], p["peak_rate"]) for p in plan["phases"]] == [
        ("phase-1", 0, 1, 10, 10), ("crowd", 1, 2, 40, 20), ("phase-2", 3, 1, 0, 0),
    ]  # fmt: skip


def test_a_seed_gives_one_set_of_arrivals(run, here):
    (here / "a.plg").write_text(quick(arrivals="poisson", traffic="steady 200/s over 2s"), encoding="utf-8")

    def arrivals(*options):
        run("plan", "a.plg", "--arrivals", "x.csv", *options)
        return (here / "x.csv").read_text()

    assert arrivals("--seed", 7) == arrivals("--seed", 7)
    assert arrivals("--seed", 7) != arrivals("--seed", 8)
    seed = json.loads(run("plan", "a.plg", "--json").out)["seed"]
    assert isinstance(seed, int)


def test_uniform_arrivals_know_no_seed(run, here):
    (here / "a.plg").write_text(QUICK, encoding="utf-8")
    for seed in (1, 2):
        run("plan", "a.plg", "--seed", seed, "--arrivals", f"{seed}.csv")
    assert (here / "1.csv").read_text() == (here / "2.csv").read_text()


@pytest.mark.parametrize("where", ["nowhere/x.csv", "."])
def test_arrivals_that_cannot_be_written(run, here, where):
    (here / "a.plg").write_text(QUICK, encoding="utf-8")
    done = run("plan", "a.plg", "--arrivals", where)
    assert done.code == 2
    assert done.err.startswith(f"plg: {where}: ")


def test_the_drawing_names_phases_and_totals(run, here):
    (here / "a.plg").write_text(
        quick(traffic="calm: steady 10/s over 2s then rush: ramp 10/s -> 90/s over 2s"), encoding="utf-8"
    )
    said = run("plan", "a.plg").out
    assert said.startswith("quick: 120 jobs in 4s, peak 90/s")
    assert "calm" in said
    assert "rush" in said
    assert "90/s" in said


def test_arrivals_to_standard_output_are_those_of_the_file(run, here):
    (here / "a.plg").write_text(quick(), encoding="utf-8")
    run("plan", "a.plg", "--arrivals", "arrivals.csv")
    done = run("plan", "a.plg", "--arrivals", "-")
    assert (done.code, done.err) == (0, "")
    assert done.out.replace("\r\n", "\n").splitlines() == (here / "arrivals.csv").read_text("utf-8").splitlines()
    assert len(done.out.splitlines()) == 21
    assert not (here / "-").exists()


def test_json_and_arrivals_do_not_share_standard_output(run, here):
    (here / "a.plg").write_text(quick(), encoding="utf-8")
    done = run("plan", "a.plg", "--json", "--arrivals", "-")
    assert (done.code, done.out) == (2, "")
    assert "--arrivals" in done.err
