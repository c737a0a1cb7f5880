"""One passing scenario, spoilt in one place at a time, ends with each exit code there is, and leaves all its files."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from support.checked import Done, Started, calmly, ended, outcome_in, plg, suites_in, until
from support.real_servers import free_port

from plg.cli.main import main

PASSING = """scenario "mutant" {
  job job { queue "q" payload { n: "${seq}" } }
  traffic { steady 200/s over 700ms }
  guardrails { max_rate 500/s  max_total_jobs 1_000  max_duration 30s }
  expect {
    deviation < 5%
    errors == 0
  }
}
"""


def mutated(*changes: tuple[str, str]) -> str:
    """The passing scenario with each first text replaced by the second."""
    text = PASSING
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


@pytest.fixture
def check(here, server, client, capsys):
    """``plg check`` in this process on a spoilt scenario: ``check(text, *options)``."""

    def run(text: str, *options: object, target: str | None = None) -> Done:
        (here / "mutant.plg").write_text(text, encoding="utf-8")

        def attempt() -> Done:
            code = main(["check", "mutant.plg", "--target", target or f"unix://{server.path}", *map(str, options)])
            if code == 5:
                client.delete("q")
            said = capsys.readouterr()
            return Done(code, said.out, said.err, here)

        return calmly(attempt)

    return run


def held_as_told(outcome, client, key="q") -> int:
    """What the server holds lies between what was confirmed and what may have been."""
    ledger, held = outcome["ledger"], client.llen(key)
    assert ledger["acked"] <= held <= ledger["acked"] + ledger["unknown"]
    return held


def test_as_it_stands_it_passes(check, client):
    outcome = ended(check(PASSING), "mutant", 0, "pass")
    assert held_as_told(outcome, client) == 140
    assert outcome["expectations"][0]["line"] == 6


def test_without_a_server_of_ones_own_it_passes_too(here):
    (here / "mutant.plg").write_text(PASSING, encoding="utf-8")
    done = calmly(lambda: plg("check", "mutant.plg", "--target", "embedded", cwd=here))
    outcome = ended(done, "mutant", 0, "pass")
    assert outcome["target"]["kind"] == "embedded"
    assert outcome["ledger"]["acked"] == 140


INVALID = {
    "syntax": ("steady 200/s over", "steady 200/s ovr"),
    "unknown unit": ("over 700ms", "over 700fortnights"),
    "missing limit": ("max_duration 30s", ""),
    "unknown measure": ("errors == 0", "erors == 0"),
    "unknown phase": ("errors == 0", "errors during lunch == 0"),
    "no aggregate": ("errors == 0", "latency < 5ms"),
    "unknown template": ("${seq}", "${sequence}"),
    "param not declared": ("steady 200/s", "steady speed"),
    "zero duration": ("over 700ms", "over 0s"),
    "no such file": ("steady 200/s over 700ms", 'replay "gone.csv"'),
}


@pytest.mark.parametrize("kind", INVALID)
def test_2_invalid(check, client, kind):
    done = check(mutated(INVALID[kind]))
    assert done.code == 2
    assert done.last.startswith("exit 2: mutant.plg has ")
    assert "error[" in done.err
    assert "mutant.plg:" in done.err
    (suite,) = done.suites()
    assert (suite.get("errors"), suite.get("failures")) == ("1", "0")
    assert client.dbsize() == 0, "something was sent"
    assert [path.name for path in done.report.iterdir()] == ["junit.xml"]


def test_2_no_such_scenario(check, here):
    code = main(["check", "nowhere.plg"])
    assert code == 2
    assert suites_in(here / "plg-report" / "junit.xml")[0].get("errors") == "1"


FAILING = {
    "a bound": ("errors == 0", "acked < 100"),
    "a window": ("errors == 0", "acked < 10 in every 100ms"),
    "a relation": ("errors == 0", "p50(latency) > 100 * p50(latency) during phase-1"),
    "no data": ("errors == 0", "p99(service_time) during lull < 1s"),
}


@pytest.mark.parametrize(
    "kind", ["a bound", "no data", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("a window", "a relation"))]
)
def test_3_an_expectation_fails(check, client, kind):
    changes = [FAILING[kind]]
    if kind == "no data":
        changes.append(("steady 200/s over 700ms", "a: steady 200/s over 400ms then lull: pause 100ms"))
    outcome = ended(check(mutated(*changes)), "mutant", 3, "fail")
    verdicts = [result["verdict"] for result in outcome["expectations"]]
    assert verdicts == ["pass", "no_data" if kind == "no data" else "fail"]
    assert FAILING[kind][1] in outcome["reason"] or kind == "a relation"
    assert held_as_told(outcome, client) == outcome["ledger"]["planned"]


def test_3_an_expectation_that_ends_the_run(check, client):
    text = mutated(
        ("errors == 0", "acked < 30 or stop"),
        ("over 700ms", "over 20s"),
        ("max_total_jobs 1_000", "max_total_jobs 9_000"),
    )
    outcome = ended(check(text), "mutant", 3, "fail")
    assert outcome["duration_s"] < 3
    assert outcome["ledger"]["cancelled"] > 3000
    assert held_as_told(outcome, client) < 600


def test_a_warning_is_told_and_passes(check):
    outcome = ended(check(mutated(("errors == 0", "warn acked < 30"))), "mutant", 0, "pass")
    assert outcome["expectations"][1]["verdict"] == "fail"
    assert "1 warning" in outcome["reason"]


GUARDED = {
    "max_total_jobs": ("max_total_jobs 1_000", "max_total_jobs 50"),
    "max_duration": ("max_duration 30s", "max_duration 300ms"),
    "max_queue_depth": ("max_duration 30s", "max_duration 30s max_queue_depth 20"),
    "max_queue_age": ("max_duration 30s", "max_duration 30s max_queue_age 150ms"),
    "max_memory": ("max_duration 30s", "max_duration 30s max_memory 1MB"),
    "max_cpu": ("max_duration 30s", "max_duration 30s max_cpu 0.01%"),
}


@pytest.mark.parametrize("guardrail", GUARDED)
def test_4_stopped(check, client, guardrail):
    outcome = ended(check(mutated(GUARDED[guardrail])), "mutant", 4, "stopped")
    assert guardrail in outcome["reason"]
    assert outcome["ledger"]["cancelled"] > 0
    held = held_as_told(outcome, client)
    if guardrail == "max_total_jobs":
        assert held == 50
    elif guardrail == "max_duration":
        assert held == 60
    (hit,) = [hit for hit in outcome["guardrail_hits"] if hit["action"] == "stop"]
    assert hit["guardrail"] == guardrail
    assert hit["requested"] > hit["allowed"]
    assert 0 <= hit["reaction_s"] <= (0 if guardrail in ("max_total_jobs", "max_duration") else 0.25)


def later(seconds, action):
    """Do something while the run goes on."""
    thread = threading.Timer(seconds, action)
    thread.start()
    return thread


def test_4_too_many_errors(check, server, client):
    text = mutated(("over 700ms", "over 4s"), ("max_duration 30s", "max_duration 30s max_error_rate 5% over 500ms"))
    timer = later(1.0, lambda: server.ask("CONFIG", "SET", "maxmemory", "1"))
    outcome = ended(check(text), "mutant", 4, "stopped")
    timer.join()
    assert "max_error_rate" in outcome["reason"]
    assert outcome["ledger"]["failed"] > 0
    assert any("OOM" in error["text"] for error in outcome["errors"])
    held_as_told(outcome, client)


def test_a_rate_over_the_limit_is_clipped_and_no_end(check, client):
    outcome = ended(
        check(mutated(("max_rate 500/s", "max_rate 100/s"), ("deviation < 5%", "deviation < 60%"))), "mutant", 0, "pass"
    )
    assert outcome["ledger"]["shed"] > 0
    assert held_as_told(outcome, client) + outcome["ledger"]["shed"] == 140


def test_5_the_generator_was_held_up(here, server, client):
    (here / "mutant.plg").write_text(mutated(("over 700ms", "over 1500ms")), encoding="utf-8")
    with Started("check", "mutant.plg", "--target", f"unix://{server.path}", cwd=here) as run:
        until(lambda: client.llen("q") > 50)
        os.kill(run.process.pid, signal.SIGSTOP)
        time.sleep(0.6)
        os.kill(run.process.pid, signal.SIGCONT)
        outcome = ended(run.done(), "mutant", 5, "invalid")
    assert "could not hold the schedule" in outcome["reason"]
    assert held_as_told(outcome, client) == 300
    (suite,) = suites_in(here / "plg-report" / "junit.xml")
    assert int(suite.get("errors")) > 0


def refusing(server, client, kind) -> str:
    """Makes the server refuse in this way, and returns the URL to try."""
    plain = f"unix://{server.path}"
    if kind == "wrong password":
        return server.url(userinfo=":wrong")
    if kind == "refused port":
        return f"redis://127.0.0.1:{free_port()}/0"
    if kind == "unknown host":
        return "redis://no-such-host.invalid:6379/0"
    if kind == "no socket":
        return "unix:///tmp/plg-no-such-socket"
    if kind == "read-only replica":
        client.execute_command("REPLICAOF", "127.0.0.1", free_port())
    elif kind == "full":
        client.config_set("maxmemory", 1)
        client.config_set("maxmemory-policy", "noeviction")
    elif kind == "another type":
        client.set("q", "text")
    return plain


@pytest.mark.parametrize(
    "kind",
    ["wrong password", "refused port", "unknown host", "no socket", "read-only replica", "full", "another type"],
)
def test_6_refused_or_unreachable(check, server, client, kind):
    url = refusing(server, client, kind)
    before = client.dump("q")
    outcome = ended(check(PASSING, target=url), "mutant", 6, "error")
    assert outcome["ledger"]["acked"] == 0
    assert all(error["count"] > 0 for error in outcome["errors"]), "an error of no job"
    assert client.dump("q") == before


def test_6_the_password_is_in_no_file(check, here, server):
    done = check(PASSING, target=server.url(userinfo="me:s3cr3t-word"))
    ended(done, "mutant", 6, "error")
    assert "s3cr3t-word" not in done.said
    for path in done.report.iterdir():
        assert b"s3cr3t-word" not in path.read_bytes(), path


def test_6_the_type_changes_on_the_way(check, client):
    def change():
        until(lambda: client.llen("q") > 50)
        with client.pipeline() as transaction:
            transaction.rename("q", "kept")
            transaction.set("q", "text")
            transaction.execute()

    timer = later(0.1, change)
    outcome = ended(
        check(mutated(("over 700ms", "over 6s"), ("max_total_jobs 1_000", "max_total_jobs 5_000"))),
        "mutant",
        6,
        "error",
    )
    timer.join()
    assert "WRONGTYPE" in outcome["reason"]
    assert held_as_told(outcome, client, "kept") > 0
    assert client.get("q") == b"text"


@pytest.mark.slow
def test_6_the_server_dies_and_does_not_come_back(here, server):
    (here / "mutant.plg").write_text(
        mutated(("over 700ms", "over 25s"), ("max_total_jobs 1_000", "max_total_jobs 9_000")), encoding="utf-8"
    )
    with Started("check", "mutant.plg", "--target", f"unix://{server.path}", cwd=here) as run:
        until(lambda: server.number("LLEN", "q") > 100)
        server.process.kill()
        server.process.wait()
        outcome = ended(run.done(), "mutant", 6, "error")
    assert outcome["ledger"]["acked"] > 90
    assert outcome["duration_s"] < 22


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted(here, server, client, number, code):
    (here / "mutant.plg").write_text(
        mutated(("over 700ms", "over 25s"), ("max_total_jobs 1_000", "max_total_jobs 9_000")), encoding="utf-8"
    )
    with Started("check", "mutant.plg", "--target", f"unix://{server.path}", cwd=here) as run:
        until(lambda: client.llen("q") > 100)
        run.process.send_signal(number)
        begin = time.monotonic()
        outcome = ended(run.done(), "mutant", code, "interrupted")
        assert time.monotonic() - begin < 6
    assert signal.Signals(number).name in outcome["reason"]
    held = held_as_told(outcome, client)
    assert held == outcome["ledger"]["acked"] > 100
    assert outcome["ledger"]["cancelled"] > 3000


def test_a_second_interrupt_ends_at_once(here, server, client):
    """While the end of a run is awaited that the user will not wait for."""
    text = mutated(("over 700ms", "over 25s"), ("max_total_jobs 1_000", "max_total_jobs 9_000"))
    (here / "mutant.plg").write_text(text, encoding="utf-8")
    with Started("check", "mutant.plg", "--target", f"unix://{server.path}", cwd=here) as run:
        until(lambda: client.llen("q") > 100)
        # A server that is silent keeps plg waiting for answers. Within a second, two signals are one.
        os.kill(server.process.pid, signal.SIGSTOP)
        run.process.send_signal(signal.SIGINT)
        time.sleep(1.2)
        run.process.send_signal(signal.SIGINT)
        begin = time.monotonic()
        done = run.done()
        assert time.monotonic() - begin < 1.5
    os.kill(server.process.pid, signal.SIGCONT)
    assert done.code == 130


@pytest.mark.slow
def test_an_interrupt_before_the_run_is_one_too(here):
    """While a scenario of many phases is still being read."""
    phases = " then ".join(f"p{n}: steady 10/s over 1s" for n in range(4000))
    text = mutated(("steady 200/s over 700ms", phases), ("max_total_jobs 1_000", "max_total_jobs 90_000"))
    (here / "mutant.plg").write_text(text.replace("max_duration 30s", "max_duration 2h"), encoding="utf-8")
    # A server that is just being started is left to its watchdog, and Python would say so of its handles.
    warnings = {"PYTHONWARNINGS": "error,ignore::ResourceWarning"}
    with Started("check", "mutant.plg", "--target", "embedded", cwd=here, **warnings) as run:
        time.sleep(0.9)
        run.process.send_signal(signal.SIGINT)
        done = run.done()
    assert done.code == 130, done.said


@pytest.mark.parametrize("parallel", [1, 2])
def test_an_interrupt_between_two_scenarios_is_no_pass(here, server, client, parallel):
    """It comes while the first report is drawn; or, of two at once, when both have ended and a third would begin."""
    names = [f"mutant{number}" for number in range(4)]
    for name in names:
        (here / f"{name}.plg").write_text(PASSING.replace('"mutant"', f'"{name}"'), encoding="utf-8")
    files = [f"{name}.plg" for name in names]
    target = ("--target", f"unix://{server.path}", "--parallel", parallel)
    with Started("check", *files, *target, cwd=here) as run:
        if parallel == 1:
            until(lambda: (here / "plg-report" / "mutant0.outcome.json").exists())
        else:
            until(lambda: client.llen("q") >= 140)
        run.process.send_signal(signal.SIGINT)
        done = run.done()
    assert done.code == 130, done.said
    assert "not run" in done.last
    suites = done.suites()
    assert [suite.get("name") for suite in suites] == names
    [never] = suites[-1]
    assert (never.get("name"), never[0].tag, never[0].get("type")) == ("run", "error", "interrupted")
    assert "before it began" in never[0].get("message")


def test_names_that_are_no_text_or_too_long_for_a_file_keep_their_artifacts(here, server):
    name = os.fsencode(str(here)) + b"/caf\xe9.plg"
    long = "漢" * 100
    with open(name, "wb") as file:  # noqa: PTH123  # a path of bytes
        file.write(PASSING.replace('"mutant"', f'"{long}"').encode())
    with Started("check", os.fsdecode(name), "--target", f"unix://{server.path}", cwd=here) as run:
        done = run.done()
    assert done.code in (0, 5), done.said
    assert "not written" not in done.said
    kinds = {path.name.partition(".")[2] for path in done.report.iterdir()}
    assert kinds == {"xml", "html", "outcome.json", "scenario.yaml"}
    [saved] = done.report.glob("*.outcome.json")
    assert saved.name.startswith("漢" * 50)
    outcome = outcome_in(saved)
    assert outcome["scenario"]["name"] == long
    assert outcome["scenario_file"].endswith("caf\ufffd.plg")
