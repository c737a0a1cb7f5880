"""Real runs that are watched until the queue is drained and workers are there, and say when that was."""

from __future__ import annotations

import time

import pytest
from support.session_runs import scenario

from plg import session
from plg.prepare import Request, prepare

RUSH = "calm: steady 20/s over 500ms then rush: steady 100/s over 1s"


def test_a_run_is_watched_until_its_deadline_lines_are_decided(play):
    """110 jobs, one worker of 50 a second: the last of them are taken about a second after the rush."""
    lines = (
        "drained within 20s after rush  drained within 300ms after rush  workers >= 1 within 1s of rush"
        "  queue_depth returns to 2 within 20s after rush  workers >= 2 within 1s of rush  max(in_flight) == 1"
    )
    played = play(scenario(RUSH, "workers 1 each 20ms", f"expect {{ {lines} }}"))
    results = {result.text: result for result in played.outcome.expectations}
    drained = results["drained within 20s after rush"]
    assert drained.verdict == "pass"
    assert drained.observed == pytest.approx(1.0, abs=0.5)
    assert drained.detail.startswith("drained ")
    assert results["drained within 300ms after rush"].verdict == "fail"
    assert results["workers >= 1 within 1s of rush"].verdict == "pass"
    assert results["workers >= 2 within 1s of rush"].verdict == "fail"
    assert results["max(in_flight) == 1"].verdict == "pass"
    back = results["queue_depth returns to 2 within 20s after rush"]
    assert (back.verdict, back.observed) == ("pass", pytest.approx(drained.observed, abs=0.3))
    # The server is asked: nothing is left, and the watch ended with the last line and not with its deadline.
    assert played.length("q") == 0
    assert played.outcome.recording.sample_times[-1] < 5
    assert max(v for v in played.outcome.series["workers"] if v is not None) == 1


def test_a_watch_that_is_too_short_tells_nothing(play):
    played = play(scenario(RUSH, "workers 1 each 100ms", "watch 500ms", "expect { drained within 3s after rush }"))
    [result] = played.outcome.expectations
    assert (result.verdict, result.observed) == ("no_data", None)
    assert "only" in result.detail


def test_a_watch_is_as_long_as_a_line_needs_also_where_the_queue_is_empty_at_once(play):
    """That it stayed so was not seen, if nobody looked on."""
    line = "queue_depth returns to 5 within 10s after rush"
    played = play(scenario(RUSH, "workers 1 each 1ms", "watch 8s", f"expect {{ {line} }}"))
    [result] = played.outcome.expectations
    assert result.verdict == "pass", result.detail
    assert 2.3 < played.outcome.recording.sample_times[-1] < 6


def test_where_workers_cannot_be_counted_the_run_says_so_and_waits_for_nobody(server, tmp_path):
    """The user may not ask for their names."""
    server.ask("ACL", "SETUSER", "shy", "on", ">pw", "~*", "&*", "+@all", "-srandmember")
    text = 'job mail { queue rq "q" call "shop.mail" }'
    lines = "expect { workers >= 1 within 20s of rush  errors == 0 }"
    (tmp_path / "s.plg").write_text(scenario(RUSH, lines, jobs=text))
    url = server.url().replace("redis://", "redis://shy:pw@")
    began = time.monotonic()
    outcome = session.run(prepare(tmp_path / "s.plg", Request({}, target=url)), session.Observer())
    assert time.monotonic() - began < 12
    asked = outcome.expectations[0]
    assert (asked.verdict, asked.detail) == ("no_data", "no workers samples")
    assert any(note.startswith("workers cannot be counted here") for note in outcome.warnings)
    assert server.ask("LLEN", "rq:queue:q") == b":110\r\n"
