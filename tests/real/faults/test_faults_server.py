"""The server dies, pauses, refuses and forgets in the middle of a run."""

from __future__ import annotations

import os
import signal
import socket
import time

import numpy as np
import pytest
from support.live import (
    QUEUE,
    STREAM,
    adds_up,
    agrees,
    drive,
    executed_at,
    jobs_in,
    kill,
    most_in_a_window,
    revive,
    seqs_in,
    steady,
    totals,
)
from support.real_servers import Scripted, answering

from plg.judge.remains import queue_result
from plg.runner.recording import Recording
from plg.scenario import ErrorRateLimit, Guardrails
from plg.targets.base import TargetError
from plg.targets.open import open_target
from plg.targets.url import UrlTarget


def words_of(recording: Recording) -> str:
    return " | ".join(text for text, _ in recording.errors)


def test_killed_and_restarted_on_the_same_port(servers, any_binary):
    server = servers(any_binary, "--appendonly", "yes")
    happen = [(0.5, lambda: kill(server)), (0.9, lambda: revive(server))]
    ran = drive(server.url(), steady(1000, 2), happen=happen)
    agrees(ran, seqs_in(server))
    assert ran.total("acked") > 1200
    assert ran.total("held") == 0, totals(ran.recording)
    assert ran.code == 0


@pytest.mark.slow
def test_killed_and_restarted_again_and_again(servers, any_binary):
    server = servers(any_binary, "--appendonly", "yes")
    happen = [
        (at, act) for n in range(8) for at, act in ((n + 0.5, lambda: kill(server)), (n + 0.8, lambda: revive(server)))
    ]
    limits = Guardrails(1500, 10**9, 1e6, rate_limit_window=0.5)
    ran = drive(server.url(), steady(1200, 10), job=STREAM, happen=happen, limits=limits)
    agrees(ran, seqs_in(server))
    assert most_in_a_window(executed_at(server), 0.5) <= 750
    assert ran.total("acked") > 8000
    assert ran.code == 0


def test_killed_for_good(server):
    ran = drive(server.url(), steady(500, 30), happen=[(0.6, lambda: kill(server))], give_up_after=1.2)
    adds_up(ran.recording)
    assert ran.code == 6
    assert "onnection refused" in ran.recording.stop_detail
    assert "--wait" not in ran.recording.stop_detail, "that is for a server that is not up yet"
    assert queue_result(ran.recording).said == "no job was taken from the queue while it could be seen"
    assert 1.7 < ran.recording.ended_s < 3.5
    assert ran.total("cancelled") > 0


@pytest.mark.slow
def test_killed_after_the_last_job_was_confirmed(server):
    """A plan may end on a pause; a server that dies in it has kept its promises, but it is gone."""
    pattern = {"type": "custom", "phases": [steady(200, 0.5), steady(0, 1.0)]}
    ran = drive(server.url(), pattern, happen=[(0.8, lambda: kill(server))])
    adds_up(ran.recording)
    assert ran.total("acked") == 100
    assert ran.code == 6


@pytest.mark.slow
@pytest.mark.parametrize("how", ["pause", "sleep"])
def test_paused_for_three_seconds_at_ten_thousand_a_second(servers, any_binary, how):
    server = servers(any_binary, "--enable-debug-command", "local")

    def pause():
        if how == "pause":
            server.ask("CLIENT", "PAUSE", 3000, "ALL")
        else:
            server.ask("DEBUG", "SLEEP", "3")

    limits = Guardrails(12_000, 10**9, 1e6, rate_limit_window=1.0)
    ran = drive(
        server.url(), steady(10_000, 5), job=STREAM, happen=[(0.7, pause)], limits=limits, answer_timeout=10,
        max_lag=0.5,
    )  # fmt: skip
    agrees(ran, seqs_in(server))
    assert (ran.total("unknown"), ran.total("failed")) == (0, 0), totals(ran.recording)
    assert ran.total("late") > 5000
    assert 2.5 < ran.recording.histograms["latency"].over(ran.recording.whole()).max < 4
    assert most_in_a_window(executed_at(server), 1.0) <= 12_000
    # Some may be held where this machine is busy with other things, but not the seconds that the server slept.
    assert ran.total("held") < 0.05 * ran.plan.planned, totals(ran.recording)


def test_a_frozen_server_whose_old_jobs_wake_with_it_keeps_the_limit(server):
    """It wakes after plg has given the connection up, and executes what stood in its socket beside what comes new."""
    happen = [
        (0.8, lambda: os.kill(server.process.pid, signal.SIGSTOP)),
        (1.9, lambda: os.kill(server.process.pid, signal.SIGCONT)),
    ]
    limits = Guardrails(400, 10**9, 1e6, rate_limit_window=0.5)
    ran = drive(
        server.url(), steady(350, 3), job=STREAM, happen=happen, limits=limits, answer_timeout=0.4, connect_timeout=0.3,
        give_up_after=5, max_lag=2,
    )  # fmt: skip
    agrees(ran, seqs_in(server))
    assert ran.total("unknown") > 0
    assert len(seqs_in(server)) > ran.total("acked"), "nothing woke: the test is vacuous"
    assert most_in_a_window(executed_at(server), 0.5) <= 200
    assert ran.code == 0


def test_out_of_memory_for_a_while(server):
    def full():
        server.ask("CONFIG", "SET", "maxmemory", "1")

    def room():
        server.ask("CONFIG", "SET", "maxmemory", "0")

    ran = drive(server.url(), steady(300, 1.3), happen=[(0.3, full), (0.8, room)])
    agrees(ran, seqs_in(server))
    assert 120 <= ran.total("failed") <= 180
    assert words_of(ran.recording).startswith("OOM")
    assert ran.code == 0


def test_out_of_memory_for_good(server):
    ran = drive(server.url(), steady(300, 30), happen=[(0.5, lambda: server.ask("CONFIG", "SET", "maxmemory", "1"))])
    agrees(ran, seqs_in(server))
    assert ran.code == 6
    assert ran.recording.stop_detail.startswith("OOM")
    assert ran.recording.ended_s < 6


@pytest.mark.slow
def test_one_refusal_in_a_slow_run_is_not_a_refused_target(server):
    """Between two jobs more than a second passes: one refused job is no reason to think that all will be."""
    happen = [
        (0.1, lambda: server.ask("CONFIG", "SET", "maxmemory", "1")),
        (1.2, lambda: server.ask("CONFIG", "SET", "maxmemory", "0")),
    ]
    ran = drive(server.url(), steady(0.8, 2.5), happen=happen)
    agrees(ran, seqs_in(server))
    assert (ran.total("failed"), ran.total("acked")) == (1, 1)
    assert ran.code == 0


@pytest.mark.parametrize(
    ("order", "word"),
    [
        (("REPLICAOF", "127.0.0.1", "1"), "READONLY"),
        (("SET", "plg:test", "x"), "WRONGTYPE"),
        (("ACL", "SETUSER", "default", "-lpush"), "NOPERM"),
    ],
)
def test_a_refusal_for_good_ends_the_run_at_once(server, order, word):
    def spoil():
        client = server.ask("RENAME", "plg:test", "plg:kept") if order[0] == "SET" else b""
        assert not client.startswith(b"-")
        assert server.ask(*order).startswith(b"+OK")

    ran = drive(server.url(), steady(400, 30), happen=[(0.5, spoil)])
    adds_up(ran.recording)
    assert ran.code == 6
    assert ran.recording.stop_detail.startswith(word)
    assert 0.4 < ran.recording.ended_s < 0.9
    assert ran.total("failed") <= 20
    if word != "READONLY":
        kept = seqs_in(server, "plg:kept" if word == "WRONGTYPE" else "plg:test")
        assert len(kept) == ran.total("acked")


def test_a_password_set_during_the_run(server):
    """Connections that stand keep standing; when they are killed, nobody lets plg in again."""

    def lock():
        server.ask("CONFIG", "SET", "requirepass", "geheim")
        password_is("geheim")(server, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    ran = drive(server.url(), steady(400, 30), happen=[(0.5, lock)], give_up_after=1.2)
    adds_up(ran.recording)
    assert ran.code == 6
    assert "NOAUTH" in ran.recording.stop_detail
    assert "geheim" not in words_of(ran.recording) + ran.recording.stop_detail
    assert ran.recording.ended_s < 3
    server.options = ("--requirepass", "geheim")
    assert ran.total("acked") <= len(jobs_in(server)) <= ran.total("acked") + ran.total("unknown")


def password_is(password):
    def ask(server, *words):
        import redis

        client = redis.Redis(unix_socket_path=str(server.path), password=password)
        try:
            return client.execute_command(*words)
        finally:
            client.close()

    return ask


def test_no_place_left_for_clients_for_a_while(server):
    def crowd():
        # All over one connection: it keeps the only place there is.
        holder.append(socket.create_connection(("127.0.0.1", server.port)))
        said.append(tell(b"CONFIG SET maxclients 1\r\n"))
        said.append(tell(b"CLIENT KILL TYPE normal SKIPME yes\r\n"))

    def leave():
        said.append(tell(b"CONFIG SET maxclients 100\r\n"))

    def tell(words):
        holder[0].sendall(words)
        return holder[0].recv(100)[:3]

    holder: list = []
    said: list = []
    ran = drive(server.url(), steady(300, 1.6), happen=[(0.4, crowd), (0.9, leave)])
    agrees(ran, seqs_in(server))
    holder[0].close()
    assert said[0] == said[2] == b"+OK"
    # Half a second without a place; how long after it the next attempt comes is left to chance, within a second.
    assert ran.total("late") < 0.6 * 300
    assert ran.total("acked") > 0.6 * ran.plan.planned
    assert ran.total("held") == 0, totals(ran.recording)


def test_a_cluster_node_without_slots_is_refused_before_anything_is_sent(servers, any_binary):
    server = servers(any_binary, "--cluster-enabled", "yes")
    with pytest.raises(TargetError, match="CLUSTERDOWN"):
        open_target(server.url(), (QUEUE,)).close()


@pytest.mark.parametrize(
    "words",
    [
        "MOVED 5474 127.0.0.1:1",
        pytest.param("CLUSTERDOWN Hash slot not served", marks=pytest.mark.slow),
        pytest.param("MISCONF Redis is configured to save RDB", marks=pytest.mark.slow),
    ],
)
def test_a_server_that_answers_every_job_with(server, words):
    """A slot that moved away mid-run, as a run sees it: every job is refused with the same words."""
    refusing = Scripted(_refuses(f"-{words}\r\n".encode()))

    class Moved(UrlTarget):
        def connect(self, node=None):
            return socket.create_connection(("127.0.0.1", refusing.port))

    try:
        ran = drive("", steady(200, 30), target=Moved(server.url(), (QUEUE,)), probe_url=server.url())
    finally:
        refusing.close()
    adds_up(ran.recording)
    assert ran.code == 6
    assert ran.recording.stop_detail == words
    assert ran.recording.ended_s < 1.6
    assert ran.total("acked") == 0
    assert ran.total("failed") > 0


def _refuses(answer):
    def handle(connection):
        rest = b""
        while data := connection.recv(65536):
            rest += data
            commands = rest.count(b"LPUSH")
            if commands:
                rest = rest.rpartition(b"LPUSH")[2]
                connection.sendall(answer * commands)

    return handle


@pytest.mark.slow
def test_a_slot_that_moves_away_in_a_real_cluster(servers, any_binary):
    server = servers(any_binary, "--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")
    assert server.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383).startswith(b"+OK")
    end = time.monotonic() + 5
    while b"cluster_state:ok" not in server.ask("CLUSTER", "INFO") and time.monotonic() < end:
        time.sleep(0.02)
    slot = server.number("CLUSTER", "KEYSLOT", "plg:test")

    def move():
        server.ask("RENAME", "plg:test", "{plg:test}kept")
        assert server.ask("CLUSTER", "DELSLOTS", slot).startswith(b"+OK")

    ran = drive(server.url(), steady(200, 30), happen=[(0.6, move)])
    adds_up(ran.recording)
    assert ran.code == 6
    assert "CLUSTERDOWN" in ran.recording.stop_detail
    assert ran.recording.ended_s < 2.5


def test_a_server_that_loads_after_its_restart(server, servers, any_binary):
    """While it reads its data it takes connections and refuses everything: plg waits instead of failing jobs."""
    loading = Scripted(answering(b"-LOADING Redis is loading the dataset in memory\r\n"))

    class Restarting(UrlTarget):
        def connect(self, node=None):
            return (
                UrlTarget(f"redis://127.0.0.1:{server.port}/0", (QUEUE,)).connect() if not away else _connect(loading)
            )

    def _connect(listener):
        from plg.targets.address import parse_address

        self = Restarting.__new__(Restarting)
        self._address, self._connect_timeout = parse_address(listener.url), 1.0
        return UrlTarget.connect(self)

    away: list = []

    def restart():
        away.append(True)
        server.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    try:
        ran = drive(
            "", steady(300, 1.8), target=Restarting(server.url(), (QUEUE,)), probe_url=server.url(),
            happen=[(0.4, restart), (1.0, away.clear)],
        )  # fmt: skip
    finally:
        loading.close()
    agrees(ran, seqs_in(server))
    assert ran.total("failed") == 0
    assert loading.connections > 0
    assert ran.code == 0


@pytest.mark.slow
def test_a_restart_with_much_to_load(servers, any_binary):
    """A real one: two million keys stand in the file, and reading them takes the server a while."""
    server = servers(any_binary, "--appendonly", "yes", "--enable-debug-command", "local")
    server.ask("DEBUG", "POPULATE", "1500000", "fill", "40")
    server.ask("BGREWRITEAOF")
    end = time.monotonic() + 40
    while time.monotonic() < end and (
        server.fact("aof_rewrite_in_progress") != "0" or server.fact("aof_rewrite_scheduled") != "0"
    ):
        time.sleep(0.1)
    seen = []

    def restart():
        kill(server)
        revive(server, wait=False)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                answer = server.ask("PING")
            except OSError:
                continue
            if answer.startswith(b"+PONG"):
                return
            seen.append(answer)
            time.sleep(0.01)

    ran = drive(server.url(), steady(300, 8), happen=[(0.5, restart)], give_up_after=15, connect_timeout=2)
    assert any(answer.startswith(b"-LOADING") for answer in seen), "it was too quick: the test is vacuous"
    agrees(ran, seqs_in(server))
    assert ran.total("failed") == 0
    assert ran.code == 0


def test_an_outage_past_the_error_limit_is_a_guardrail_stop(server):
    limits = Guardrails(1e6, 10**9, 1e6, max_error_rate=ErrorRateLimit(0.01, 5.0))
    happen = [(0.5, lambda: server.ask("CONFIG", "SET", "maxmemory", "1"))]
    ran = drive(server.url(), steady(500, 30), happen=happen, limits=limits)
    agrees(ran, seqs_in(server))
    assert ran.code == 4
    assert ran.recording.stop_detail == "max_error_rate"
    [hit] = [hit for hit in ran.recording.hits if hit.action == "stop"]
    assert hit.start_s < 0.8
    assert np.isclose(hit.allowed, 0.01)
