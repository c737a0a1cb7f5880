"""Real runs on a server that loses what it confirmed: restarted without persistence, or evicting keys."""

from __future__ import annotations

import pytest
from support.live import kill, revive
from support.session_runs import Meanwhile, said_first, scenario, verdicts

RESTART = "the server was restarted during the run: jobs that were confirmed may be lost"
LINES = "queue_depth < 1000\n queue_age < 20s\n drain_time < 5s\n errors <= 1000"


def restart(server):
    kill(server)
    revive(server)


@pytest.mark.parametrize("workers", ["workers 1 each 1ms", ""])
def test_a_restart_in_mid_run_gives_no_verdict_on_the_queue(play, server, workers):
    with Meanwhile(0.5, lambda: restart(server)) as observer:
        text = scenario("steady 40/s over 1500ms", workers, "watch 1s", f"expect {{ {LINES} }}")
        played = play(text, observer=observer)
    assert RESTART in said_first(played)
    found = verdicts(played)
    assert [found[name] for name in ("queue_depth", "queue_age", "drain_time")] == ["no_data"] * 3
    assert found["errors"] == "pass"
    assert {r.detail for r in played.outcome.expectations if r.verdict == "no_data"} == {RESTART}
    assert played.outcome.exit_code == 3, played.outcome.reason


def test_a_restart_after_the_last_send_drains_nothing(play, server):
    """The last jobs vanish with the server, and the queue looks worked off."""
    with Meanwhile(1.0, lambda: restart(server)) as observer:
        played = play(scenario("steady 50/s over 500ms", "watch 4s", "expect { drain_time < 5s }"), observer=observer)
    assert verdicts(played) == {"drain_time": "no_data"}
    assert RESTART in said_first(played)
    assert played.outcome.exit_code == 3, played.outcome.reason


def test_a_queue_too_deep_stays_a_failure(play, server):
    with Meanwhile(0.9, lambda: restart(server)) as observer:
        played = play(scenario("steady 50/s over 500ms", "watch 2s", "expect { queue_depth < 3 }"), observer=observer)
    assert RESTART in said_first(played)
    assert verdicts(played) == {"queue_depth": "fail"}


def test_evicted_keys_give_no_verdict_on_the_queue(play, server, client):
    client.set("other", b"x" * 200_000)

    def squeeze():
        client.config_set("maxmemory-policy", "allkeys-random")
        client.config_set("maxmemory", "1")
        client.config_set("maxmemory", "0")

    with Meanwhile(0.4, squeeze) as observer:
        played = play(scenario("steady 50/s over 1s", "watch 1s", f"expect {{ {LINES} }}"), observer=observer)
    assert client.info("stats")["evicted_keys"] >= 1, "nothing was evicted: the test is vacuous"
    [said] = [text for text in said_first(played) if "evicted" in text]
    assert said.startswith("the server evicted ")
    assert said.endswith("during the run")
    assert [r.verdict for r in played.outcome.expectations][:3] == ["no_data"] * 3
    assert played.outcome.exit_code == 3, played.outcome.reason


def test_a_server_that_stays_is_not_spoken_of(play):
    played = play(scenario("steady 50/s over 500ms", "workers 1 each 1ms", f"expect {{ {LINES} }}"))
    played.kept()
    assert played.outcome.recording.lost == ""
