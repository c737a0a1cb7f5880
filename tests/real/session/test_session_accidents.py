"""What goes wrong before the first job or beside the run, and what it may not take with it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.checked import Done, environment
from support.session_runs import scenario

from plg import session
from plg.cli.main import main
from plg.prepare import Request, prepare
from plg.stop import Stop
from plg.targets.worker import ReferenceWorkers


def rows(path: Path, count: int) -> None:
    path.write_text("email,name\n" + "".join(f"user{n}@example.com,Name {n}\n" for n in range(count)), encoding="utf-8")


def test_a_large_data_file_does_not_eat_into_the_schedule(play, tmp_path):
    """It takes longer to read than the lead before the first arrival, and the first arrivals are on time."""
    rows(tmp_path / "users.csv", 400_000)
    job = 'job j { queue "q" payload { to: "${users.email}" } }'
    played = play(scenario("steady 200/s over 400ms", 'data users "users.csv"', jobs=job))
    jobs = played.all_there()
    assert jobs[79]["payload"] == {"to": "user79@example.com"}
    first = jobs[0]["enqueued_at"] - played.started
    assert first < 0.05, f"the first job left {first:.3f} s after the start"


def test_windows_too_small_are_a_fault_of_their_line(here, capsys, client):
    text = scenario(
        "steady 1/s over 30s", "expect {\n  errors == 0\n  acked < 3 in every 10us\n}".replace("10us", "0.01ms")
    )
    (here / "s.plg").write_text(text, encoding="utf-8")
    line = text[: text.index("acked")].count("\n") + 1
    code = main(["check", "s.plg"])
    said = capsys.readouterr()
    done = Done(code, said.out, said.err, here)
    assert done.code == 2
    assert "error[too-many-windows]" in done.err
    assert f"s.plg:{line}:" in done.err
    (suite,) = done.suites()
    case = suite.find("testcase")
    assert (case.get("file"), case.get("line")) == ("s.plg", str(line))
    assert main(["plan", "s.plg"]) == 2
    assert "error[too-many-windows]" in capsys.readouterr().err


def processes() -> set[str]:
    """The child processes of this one, as ``ps`` lists them."""
    command = ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    return {line.strip() for line in found.stdout.splitlines() if "--ppid" not in line}


@pytest.mark.parametrize("what", ["batch_encoder", "Sender", "Monitor", "Run", "ThreadSampler"])
def test_what_was_started_is_ended_when_preparing_fails(here, monkeypatch, what):
    """An embedded server, workers, probe and sampler: none outlives the run that never began."""
    (here / "s.plg").write_text(scenario("steady 10/s over 1s", "workers 2 each 1ms"), encoding="utf-8")
    before, threads = processes(), set(threading.enumerate())

    def fail(*arguments, **more):
        raise RuntimeError("planted")

    monkeypatch.setattr(session, what, fail)
    prepared = prepare(here / "s.plg", Request({}, target="embedded"))
    with pytest.raises(RuntimeError, match="planted"):
        session.run(prepared, session.Observer())
    assert set(threading.enumerate()) == threads
    assert processes() == before


def test_a_run_that_breaks_off_ends_the_workers_too(here, monkeypatch, server):
    stopped = []
    stop = ReferenceWorkers.stop
    monkeypatch.setattr(ReferenceWorkers, "stop", lambda self: stopped.append(stop(self)) or stopped[-1])

    def fail(progress):
        raise RuntimeError("planted")

    (here / "s.plg").write_text(scenario("steady 100/s over 2s", "workers 2 each 1ms"), encoding="utf-8")
    prepared = prepare(here / "s.plg", Request({}, target=f"unix://{server.path}"))
    before, threads = processes(), set(threading.enumerate())
    with pytest.raises(RuntimeError, match="planted"):
        session.run(prepared, session.Observer(progress=fail, progress_every=0.2))
    assert len(stopped) == 1
    assert set(threading.enumerate()) == threads
    assert processes() == before


def test_workers_that_cannot_start_are_exit_code_6(here, server, client, capsys):
    """A user who may push but not take: plg says so, and sends nothing that nobody would take."""
    server.ask("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all", "-xgroup")
    jobs = 'job j { stream "s" payload { n: "${seq}" } }'
    (here / "s.plg").write_text(scenario("steady 10/s over 1s", "workers 2 each 1ms", jobs=jobs), encoding="utf-8")
    code = main(["check", "s.plg", "--target", server.url("ann:pw")])
    said = capsys.readouterr()
    assert code == 6, said
    assert "the reference workers could not start" in said.out
    assert client.xlen("s") == 0


def test_a_bug_in_one_file_leaves_the_others_theirs(here, capsys, monkeypatch, server):
    for name in ("a", "b", "c"):
        text = scenario("steady 100/s over 100ms").replace("real run", name)
        (here / f"{name}.plg").write_text(text, encoding="utf-8")
    real = session.run

    def run(prepared, observer):
        if prepared.scenario.name == "b":
            raise ZeroDivisionError("planted")
        return real(prepared, observer)

    monkeypatch.setattr(session, "run", run)
    code = main(["check", "a.plg", "b.plg", "c.plg", "--target", f"unix://{server.path}"])
    said = capsys.readouterr()
    done = Done(code, said.out, said.err, here)
    assert done.code == 1
    assert done.last.startswith("exit 1: ")
    assert " of 3 scenarios passed; b (exit 1): internal error: ZeroDivisionError: planted" in done.last
    assert "exit 1: internal error: ZeroDivisionError: planted" in done.out
    assert "Traceback" not in done.said
    assert [suite.get("name") for suite in done.suites()] == ["a", "b", "c"]
    assert done.suites()[1].get("errors") == "1"
    assert [done.outcome(name)["ledger"]["acked"] for name in ("a", "c")] == [10, 10]
    assert server.number("LLEN", "q") == 20


def test_a_bug_shows_where_it_is_on_request(here, monkeypatch):
    (here / "s.plg").write_text(scenario("steady 100/s over 100ms"), encoding="utf-8")
    monkeypatch.setenv("PLG_DEBUG", "1")
    monkeypatch.setattr(session, "run", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["check", "s.plg"])


READER_GONE = """
import subprocess, sys
command = [sys.executable, "-m", "plg", "check", "s.plg"]
check = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
check.stdout.readline()
check.stdout.close()
print(check.stderr.read().decode(), file=sys.stderr)
check.stderr.close()
sys.exit(check.wait())
"""


def shell(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip


@pytest.mark.parametrize("bound", ["acked == 20", "acked == 21"])
def test_a_reader_that_goes_away_changes_no_verdict(here, bound):
    """``plg check … | head -1``: the run goes on, its files are written and its code is that of the verdict."""
    (here / "s.plg").write_text(scenario("steady 100/s over 200ms", f"expect {{ {bound} }}"), encoding="utf-8")
    ran = shell(sys.executable, "-c", READER_GONE, cwd=here)
    assert ran.returncode in ((0, 5) if bound.endswith("20") else (3,))
    assert ran.stderr.strip() == ""
    assert Done(ran.returncode, "", "", here).outcome("real-run")["ledger"]["acked"] == 20


@pytest.mark.parametrize(
    "how",
    [
        ">&- 2>&-",
        ">/dev/full 2>/dev/full",
        *(pytest.param(how, marks=pytest.mark.slow) for how in (">&-", "2>&-", ">/dev/full")),
    ],
)
def test_nowhere_to_write_to_changes_no_verdict(here, how):
    (here / "s.plg").write_text(scenario("steady 100/s over 200ms", "expect { acked == 21 }"), encoding="utf-8")
    ran = shell("sh", "-c", f'exec "$0" -m plg check s.plg {how}', sys.executable, cwd=here)
    assert ran.returncode == 3, ran
    # A full disk is told where it can be; a reader that has gone is nothing to tell of.
    assert ran.stderr == ("plg: standard output: no space left on device\n" if how == ">/dev/full" else "")
    assert Done(3, "", "", here).outcome("real-run")["verdict"] == "fail"


def test_an_interruption_while_connecting_is_one(tmp_path):
    file = tmp_path / "s.plg"
    file.write_text(
        'scenario "s" { target "redis://127.0.0.1:1/0" traffic { steady 10/s over 1s } '
        "guardrails { max_rate 20/s max_total_jobs 100 max_duration 10s } }"
    )
    prepared = prepare(file, Request({}))
    outcome = session.run(prepared, session.Observer(interrupted=lambda: Stop("signal", "SIGINT")))
    assert (outcome.verdict, outcome.exit_code) == ("interrupted", 130)
    assert session.run(prepared, session.Observer()).exit_code == 6
