"""The connection breaks, stalls and trickles on the way; the ledger and the server still agree."""

from __future__ import annotations

import random
import socket
import time

import pytest
from support.live import (
    LOOSE,
    QUEUE,
    STREAM,
    adds_up,
    agrees,
    drive,
    executed_at,
    most_in_a_window,
    seqs_in,
    steady,
    totals,
)
from support.proxy import DOWN, UP
from support.real_servers import Scripted

from plg.scenario import Guardrails
from plg.stop import Stop
from plg.targets.url import UrlTarget

LONGEST_WAIT = 1.0
"""Seconds between two attempts to connect, at most."""
SLOWLY = [pytest.param(*case, marks=pytest.mark.slow) for case in ((UP, "stream"), (DOWN, "list"), (DOWN, "stream"))]


def held(ran):
    return ran.total("held")


def cutter(proxy, direction, counts, seconds):
    """For so long, orders one cut after another, each as soon as answers have passed again since the one before."""

    def step():
        end = time.monotonic() + seconds
        for count in counts:
            proxy.cut_after(direction, count)
            while proxy.armed and time.monotonic() < end:
                time.sleep(0.002)  # the proxy tells nobody of a cut, so one looks again
            passed = proxy.passed[DOWN]
            while proxy.passed[DOWN] < passed + 60 and time.monotonic() < end:
                time.sleep(0.002)  # nor of what passed

    return step


@pytest.mark.parametrize(("direction", "kind"), [(UP, "list"), *SLOWLY])
def test_a_connection_reset_after_any_number_of_bytes(server, proxied, direction, kind):
    proxy = proxied(server)
    most = 6000 if direction == UP else 60
    counts = [*range(1, 9), *random.Random(7).choices(range(most), k=52)]
    ran = drive(
        proxy.url, steady(1500, 3), job=STREAM if kind == "stream" else QUEUE, probe_url=server.url(),
        happen=[(0.05, cutter(proxy, direction, counts, 2.7))],
    )  # fmt: skip
    agrees(ran, seqs_in(server))
    assert proxy.cuts >= 10, totals(ran.recording)
    assert ran.total("unknown") > 0
    assert held(ran) <= 0.01 * ran.plan.planned
    assert ran.code == 0


@pytest.mark.slow
@pytest.mark.parametrize("direction", [UP, DOWN])
def test_a_reset_after_each_number_of_bytes_of_a_batch(server, proxied, direction):
    proxy = proxied(server)
    counts = range(1, 700, 3) if direction == UP else range(1, 80)
    happen = [(0.05, cutter(proxy, direction, counts, 19.5))]
    ran = drive(proxy.url, steady(2000, 20), probe_url=server.url(), happen=happen)
    agrees(ran, seqs_in(server))
    assert proxy.cuts >= 40
    assert ran.code == 0


def test_answers_delayed_are_latency_and_nothing_else(server, proxied):
    proxy = proxied(server)
    ran = drive(
        proxy.url, steady(500, 1.5), probe_url=server.url(), happen=[(0.5, lambda: setattr(proxy, "delay", 0.15))]
    )
    agrees(ran, seqs_in(server))
    assert ran.total("acked") == ran.plan.planned
    assert 0.15 <= ran.recording.histograms["latency"].over(ran.recording.whole()).max < 1.5
    assert ran.code == 0


def test_answers_a_byte_at_a_time(server, proxied):
    proxy = proxied(server)
    ran = drive(
        proxy.url, steady(60, 1.5), probe_url=server.url(), happen=[(0, lambda: setattr(proxy, "trickle", 0.002))]
    )
    agrees(ran, seqs_in(server))
    assert ran.total("acked") == ran.plan.planned
    assert ran.code == 0


def test_answers_that_never_come_are_unknown_and_the_jobs_are_there(server, proxied):
    proxy = proxied(server)
    happen = [(0.5, lambda: setattr(proxy, "swallow", True)), (1.6, proxy.heal)]
    ran = drive(proxy.url, steady(400, 3), probe_url=server.url(), happen=happen, answer_timeout=0.6)
    agrees(ran, seqs_in(server))
    assert ran.total("unknown") >= 200
    assert len(seqs_in(server)) == ran.total("acked") + ran.total("unknown")
    assert ("no answer for 0.6 s", ran.total("unknown")) in ran.recording.errors
    assert ran.total("held") == 0
    assert ran.code == 0


def test_silence_until_the_end_is_a_lost_target(server, proxied):
    proxy = proxied(server)
    happen = [(0.5, lambda: setattr(proxy, "blackhole", True))]
    ran = drive(
        proxy.url, steady(300, 30), probe_url=server.url(), happen=happen, answer_timeout=0.5, give_up_after=1.5
    )
    agrees(ran, seqs_in(server))
    assert ran.code == 6
    assert ran.recording.ended_s < 4.5
    assert ran.total("cancelled") > 6000


def test_a_blackhole_is_waited_out_without_a_word_against_plg(server, proxied):
    """New connections are taken and never answered: the schedule, the ledger and signals go on meanwhile."""
    proxy = proxied(server)

    def vanish():
        proxy.mute = proxy.blackhole = True
        proxy.cut()

    ran = drive(
        proxy.url, steady(300, 4), probe_url=server.url(), happen=[(0.5, vanish), (2.2, proxy.heal)], max_lag=0.2
    )
    agrees(ran, seqs_in(server))
    assert ran.total("late") > 200
    assert held(ran) == 0, totals(ran.recording)
    assert ran.recording.stop is None
    assert ran.code == 0


def test_a_signal_while_connecting_ends_the_run_at_once(server, proxied):
    proxy = proxied(server)
    asked = []

    def vanish():
        proxy.mute = proxy.blackhole = True
        proxy.cut()

    happen = [(0.3, vanish), (0.8, lambda: asked.append("SIGINT"))]
    ran = drive(
        proxy.url, steady(300, 30), probe_url=server.url(), happen=happen, connect_timeout=5.0, give_up_after=20.0,
        interrupted=lambda: Stop.signal(asked[0]) if asked else None,
    )  # fmt: skip
    adds_up(ran.recording)
    assert ran.code == 130
    assert ran.recording.ended_s < 1.0
    assert ran.wall_s < 2.0


@pytest.mark.slow
def test_connections_refused_for_a_while(server, proxied):
    """When the attempt comes that is let in is left to chance; how many jobs are late follows from it exactly."""
    proxy = proxied(server)
    rate, max_lag, slammed = 500, 0.5, []

    def slam():
        proxy.refuse = True
        proxy.cut()
        slammed.append(time.monotonic())

    ran = drive(
        proxy.url, steady(rate, 4), probe_url=server.url(), happen=[(0.5, slam), (1.7, proxy.heal)], max_lag=max_lag
    )
    agrees(ran, seqs_in(server))
    away = proxy.let_in_at[-1] - slammed[0]
    assert 1.2 <= away < 1.2 + LONGEST_WAIT + 0.1
    assert ran.total("late") == pytest.approx(rate * (away - max_lag), abs=0.15 * rate)
    assert ran.total("failed") == 0, totals(ran.recording)
    assert held(ran) <= 0.01 * ran.plan.planned, totals(ran.recording)
    assert ran.total("acked") >= ran.plan.planned - ran.total("late") - ran.total("unknown")
    assert proxy.connections < 40
    assert ran.code == 0


@pytest.mark.slow
def test_a_server_that_hangs_up_on_every_job_is_lost(server, proxied):
    """It answers the greeting, so it can be reached; but no job ever comes through."""
    hang_up = Scripted(_greets_then_hangs_up)
    try:

        class Split(UrlTarget):
            calls = 0

            def connect(self, node=None):
                self.calls += 1
                if self.calls == 1:
                    return super().connect()
                return socket.create_connection(("127.0.0.1", hang_up.port))

        proxy = proxied(server)
        target = Split(proxy.url, (QUEUE,))
        ran = drive(
            proxy.url,
            steady(200, 30),
            target=target,
            probe_url=server.url(),
            happen=[(0.5, proxy.cut)],
            give_up_after=1.5,
        )
    finally:
        hang_up.close()
    agrees(ran, seqs_in(server))
    assert ran.code == 6
    assert ran.recording.ended_s < 5
    assert hang_up.connections < 60


def _greets_then_hangs_up(connection):
    connection.recv(1)
    connection.close()


@pytest.mark.slow
def test_a_name_that_is_not_found_for_a_while(server, monkeypatch):
    """The look-up fails, and slowly: neither keeps the schedule waiting."""
    real = socket.getaddrinfo
    broken = []

    def look_up(host, *rest, **more):
        if host == "queue.test":
            if broken:
                time.sleep(0.4)  # as long as a resolver takes to give up
                raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
            host = "127.0.0.1"
        return real(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)

    def lose():
        broken.append(True)
        assert server.ask("CLIENT", "KILL", "TYPE", "normal").startswith(b":")

    url = f"redis://queue.test:{server.port}/0"
    happen = [(0.4, lose), (1.4, broken.clear)]
    ran = drive(url, steady(300, 2.5), probe_url=server.url(), happen=happen, max_lag=0.3)
    agrees(ran, seqs_in(server))
    assert ran.total("late") > 100
    assert held(ran) == 0, totals(ran.recording)
    assert ran.code == 0
    forever = drive(url, steady(300, 30), probe_url=server.url(), happen=[(0.3, lose)], give_up_after=1.5)
    adds_up(forever.recording)
    assert forever.code == 6
    assert "check the name of the host" in forever.recording.stop_detail


LIMIT, WINDOW = 400.0, 0.25


@pytest.mark.parametrize(
    "fault", ["swallow", *(pytest.param(f, marks=pytest.mark.slow) for f in ("cut", "delay", "blackhole"))]
)
def test_catching_up_keeps_to_the_limit_by_the_servers_clock(server, proxied, fault):
    """After an outage or a stall more is due than may leave: no window on the server holds more than the limit."""
    proxy = proxied(server)

    def begin():
        if fault == "cut":
            proxy.refuse = True
            proxy.cut()
        else:
            setattr(proxy, fault, 0.7 if fault == "delay" else True)

    limits = Guardrails(LIMIT, 10**9, 1e6, rate_limit_window=WINDOW)
    ran = drive(
        proxy.url, steady(350, 3.5), job=STREAM, probe_url=server.url(), limits=limits,
        happen=[(0.8, begin), (1.6, proxy.heal)], answer_timeout=0.5, connect_timeout=0.3, max_lag=2.0,
    )  # fmt: skip
    agrees(ran, seqs_in(server))
    times = executed_at(server)
    assert most_in_a_window(times, WINDOW) <= LIMIT * WINDOW
    # And it did use what the limit leaves: more than the 350 a second that were asked for.
    assert most_in_a_window(times[times > times[0] + 1.5], WINDOW) >= 0.95 * LIMIT * WINDOW
    assert ran.code == 0


@pytest.mark.slow
def test_a_wide_limit_is_no_hindrance(server):
    """The guard against a vacuous test above: with a loose limit the same stall does end in a burst."""

    def pause():
        server.ask("CLIENT", "PAUSE", 600, "ALL")

    ran = drive(server.url(), steady(350, 2), job=STREAM, happen=[(0.6, pause)], limits=LOOSE, max_lag=2.0)
    agrees(ran, seqs_in(server))
    assert most_in_a_window(executed_at(server), WINDOW) > 1.5 * LIMIT * WINDOW
