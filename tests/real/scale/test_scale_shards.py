"""Four generators, four processes, one server: what it holds is one run, and what is merged says so."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from support.checked import Done, Started, adds_up, plg

from plg.language.load import load
from plg.plan import make_plan
from plg.runner.start import utc

pytestmark = pytest.mark.slow

WAVES = """scenario "waves" {
  job order weight 3 { stream "s" payload { n: "${seq}" } }
  job refund weight 1 { stream "s" payload { n: "${seq}" } }
  traffic ARRIVALS {
    up:       ramp 20/s -> 400/s over 2s
    then top: sine 600/s +- 300/s every 1s over 2s
    then end: steady 100/s over 1s
  }
  guardrails { max_rate 500/s  max_total_jobs TOTAL  max_duration 30s }
  expect {
    errors == 0
    deviation during up < 1%
    throughput > 90/s during end
    p99(lag) < 250ms
  }
}
"""
SHARDS = 4


def waves(folder: Path, total: int = 100_000, arrivals: str = "") -> Path:
    file = folder / "waves.plg"
    file.write_text(WAVES.replace("TOTAL", str(total)).replace("ARRIVALS", arrivals), encoding="utf-8")
    return file


def run_shards(file: Path, server, *more: str, ahead: float = 4.0) -> list[Done]:
    """All shards at once, each in a process that only shares the server and the moment of the start."""
    start = utc(time.time() + ahead)
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                Started(
                    "check", file, "--shard", f"{i + 1}/{SHARDS}", "--start-at", start, "--target", server.url(),
                    "--quiet", *more, cwd=file.parent,
                )
            )
            for i in range(SHARDS)
        ]  # fmt: skip
        return [process.done(90) for process in started]


def held(server) -> tuple[list[dict], np.ndarray]:
    """The jobs that the server holds and the moments at which it took them (s), by its own clock."""
    answer = server.ask("XRANGE", "s", "-", "+", many=True)
    while answer.count(b"\r\n{") < server.number("XLEN", "s"):
        answer = server.ask("XRANGE", "s", "-", "+", many=True)
    text = answer.decode()
    jobs = [json.loads(found) for found in re.findall(r"^(\{.*\})\r$", text, re.MULTILINE)]
    moments = [int(found) / 1000 for found in re.findall(r"^(\d{13})-\d+\r$", text, re.MULTILINE)]
    assert len(jobs) == len(moments)
    return jobs, np.array(moments)


def busiest(moments: np.ndarray, width: float) -> int:
    """Most jobs in any window of the width; ids are whole milliseconds, so one less than it is looked at."""
    moments = np.sort(moments)
    ends = np.searchsorted(moments, moments + width - 0.0005, side="left")
    return int((ends - np.arange(len(moments))).max())


def merged(done: list[Done], file: Path) -> Done:
    saved = sorted((file.parent / "plg-report").glob("waves.shard-*.outcome.json"))
    assert len(saved) == SHARDS, [some.said for some in done]
    return plg("merge", *saved, cwd=file.parent)


def a_shard_that_never_ran_is_missed(folder: Path) -> None:
    (folder / "plg-report" / "waves.shard-3-of-4.outcome.json").unlink()
    saved = sorted((folder / "plg-report").glob("waves.shard-*.outcome.json"))
    refused = plg("merge", *saved, cwd=folder)
    assert refused.code == 2, refused.said
    assert "shard 3 of 4 is missing" in refused.err
    assert plg("merge", *saved, "--partial", cwd=folder).code == 5


@pytest.mark.parametrize("arrivals", ["", "poisson seed 11"])
def test_four_shards_are_one_run(arrivals, tmp_path, server):
    file = waves(tmp_path, arrivals=arrivals)
    done = run_shards(file, server)
    assert [some.code for some in done] == [0] * SHARDS, "\n".join(some.said for some in done)
    plan = make_plan(load(file).scenario)
    kept = np.concatenate([chunk.seq[chunk.kept] for chunk in plan.chunks()])
    jobs, moments = held(server)
    assert sorted(job["seq"] for job in jobs) == kept.tolist()
    assert len({job["id"] for job in jobs}) == len(jobs)
    assert len({job["run"] for job in jobs}) == 1
    kinds = np.concatenate([chunk.kind[chunk.kept] for chunk in plan.chunks()])
    assert Counter(job["job"] for job in jobs) == {
        name: int(np.sum(kinds == index)) for index, name in enumerate(("order", "refund"))
    }
    assert busiest(moments, 1.0) <= 500
    due = np.sort(np.concatenate([chunk.due[chunk.kept] for chunk in plan.chunks()]))
    late = np.sort(moments) - moments.min() - (due - due[0])
    assert np.quantile(np.abs(late), 0.9) < 0.1
    whole = merged(done, file)
    assert whole.code == 0, whole.said
    outcome = whole.outcome("waves")
    adds_up(outcome["ledger"])
    assert outcome["ledger"]["planned"] == plan.planned
    assert outcome["ledger"]["acked"] == len(kept)
    assert outcome["ledger"]["shed"] == plan.planned - len(kept)
    assert outcome["run_id"] == jobs[0]["run"]
    planned = {phase["name"]: phase["planned"] for phase in outcome["phases"]}
    assert planned == {phase.name: phase.planned for phase in plan.phases}
    clips = [hit for hit in outcome["guardrail_hits"] if hit["action"] == "clip"]
    expected = [(clip.start_s, clip.end_s) for clip in plan.clips]
    assert [(hit["start_s"], hit["end_s"]) for hit in clips] == [pytest.approx(pair, abs=1e-6) for pair in expected]
    assert {hit["allowed"] for hit in clips} == {500.0}
    assert 850 < max(hit["requested"] for hit in clips) <= 900
    assert [row["line"] for row in outcome["expectations"]] == [11, 12, 13, 14]
    if not arrivals:
        a_shard_that_never_ran_is_missed(tmp_path)


@pytest.mark.parametrize("shared", [False, True])
def test_a_total_holds_over_all_shards_to_the_job(shared, tmp_path, server):
    file = waves(tmp_path, 1001)
    done = run_shards(file, server, *["--share-limits"] * shared)
    assert {some.code for some in done} <= {0, 4}, "\n".join(some.said for some in done)
    jobs, moments = held(server)
    assert len(jobs) == len({job["seq"] for job in jobs}) == 1001
    assert busiest(moments, 1.0) <= 500
    if not shared:
        kept = np.concatenate([chunk.seq[chunk.kept] for chunk in make_plan(load(file).scenario).chunks()])
        assert sorted(job["seq"] for job in jobs) == kept[:1001].tolist(), "those that one generator sends"
    whole = merged(done, file)
    assert whole.code == 4, whole.said
    outcome = whole.outcome("waves")
    assert outcome["ledger"]["acked"] == 1001
    [stop] = [hit for hit in outcome["guardrail_hits"] if hit["action"] == "stop"]
    assert (stop["guardrail"], stop["allowed"]) == ("max_total_jobs", 1001)
    keys = server.ask("KEYS", "*", many=True)
    assert b"plg:limits" not in keys, "what plg wrote for itself it has removed"
