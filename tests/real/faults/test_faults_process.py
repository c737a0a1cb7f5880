"""plg as a process when something around it breaks: exit codes, artifacts, and nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.checked import full_disk
from support.live import jobs_in, kill, revive, seqs_in
from support.real_servers import alive, gone_within

ROOT = Path(__file__).parents[3]
SCENARIO = """scenario "fault" {{
  {extra}
  job a {{ queue "plg:test" payload {{ n: "${{seq}}" }} }}
  traffic {{ {traffic} }}
  guardrails {{ max_rate 50000/s max_total_jobs 1_000_000 max_duration 5m }}
  expect {{ {expect} }}
}}
"""


class Check:
    """A ``plg check`` under way."""

    def __init__(self, folder, target, *, rate=300, seconds=3, extra="", traffic=None, expect="acked > 0", **options):
        traffic = traffic or f"steady {rate}/s over {seconds}s"
        (folder / "s.plg").write_text(SCENARIO.format(traffic=traffic, expect=expect, extra=extra))
        self.out = folder / "out"
        environment = {k: v for k, v in os.environ.items() if k not in ("GITHUB_ACTIONS", "REDIS_URL", "PLG_POLICY")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "plg", "check", str(folder / "s.plg"), "--out", str(self.out), "--target", target],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
            **{"env": environment | {"PYTHONPATH": str(ROOT)}, **options},
        )  # fmt: skip

    def end(self, timeout=60):
        self.said, self.complaints = self.process.communicate(timeout=timeout)
        return self.process.returncode

    def outcome(self):
        outcome = json.loads((self.out / "fault.outcome.json").read_text())
        ledger = outcome["ledger"]
        assert ledger["planned"] == ledger["sent"] + ledger["shed"] + ledger["late"] + ledger["cancelled"]
        assert ledger["sent"] == ledger["acked"] + ledger["failed"] + ledger["unknown"]
        assert outcome["exit_code"] == self.process.returncode
        return outcome

    def artifacts_are_whole(self):
        assert {path.name for path in self.out.iterdir()} == {
            "junit.xml", "fault.html", "fault.outcome.json", "fault.scenario.yaml"
        }  # fmt: skip
        ElementTree.parse(self.out / "junit.xml")
        assert "</html>" in (self.out / "fault.html").read_text()[-200:]


def until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came about"
        time.sleep(0.01)


def agree(ledger, held):
    assert len(held) == len(set(held))
    assert ledger["acked"] <= len(held) <= ledger["acked"] + ledger["unknown"]


@pytest.mark.slow
def test_the_server_restarts_under_a_check(servers, any_binary, tmp_path):
    server = servers(any_binary, "--appendonly", "yes")
    check = Check(tmp_path, server.url())
    until(lambda: server.number("LLEN", "plg:test") > 100)
    kill(server)
    revive(server)
    assert check.end() == 0, check.said + check.complaints
    agree(check.outcome()["ledger"], seqs_in(server))
    check.artifacts_are_whole()


@pytest.mark.slow
@pytest.mark.parametrize("extra", ["", "workers 2 each 1ms"], ids=["", "workers"])
def test_the_server_is_killed_under_a_check(server, tmp_path, extra):
    check = Check(tmp_path, server.url(), seconds=60, extra=extra)
    until(lambda: int(server.fact("total_commands_processed") or "0") > 500)  # jobs are on their way, workers or not
    time.sleep(1)
    kill(server)
    assert check.end() == 6, check.said + check.complaints
    outcome = check.outcome()
    assert outcome["verdict"] == "error"
    assert 14 < outcome["duration_s"] < 25
    check.artifacts_are_whole()


@pytest.mark.slow
def test_a_server_frozen_for_good_is_lost(server, tmp_path):
    """Ten seconds for an answer, fifteen for a connection that answers."""
    check = Check(tmp_path, server.url(), seconds=90)
    until(lambda: server.number("LLEN", "plg:test") > 100)
    os.kill(server.process.pid, signal.SIGSTOP)
    assert check.end(90) == 6, check.said + check.complaints
    os.kill(server.process.pid, signal.SIGCONT)
    ledger = check.outcome()["ledger"]
    assert ledger["unknown"] > 0
    until(lambda: len(jobs_in(server)) > ledger["acked"], 5)  # some wake with it; at most those that are unknown
    agree(ledger, seqs_in(server))
    assert "no answer" in check.said
    check.artifacts_are_whole()


def test_a_certificate_of_an_unknown_authority(tmp_path):
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("no openssl program to make a certificate with")
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-keyout", "key", "-out", "crt"], cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", tmp_path / "key")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
                context.wrap_socket(connection, server_side=True).close()
            except ssl.SSLError:
                continue
            except OSError:
                return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    check = Check(tmp_path, f"rediss://localhost:{listener.getsockname()[1]}/0")
    assert check.end() == 6
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)
    assert "ssl_ca_certs" in check.said
    assert check.outcome()["ledger"]["sent"] == 0
    check.artifacts_are_whole()


def test_no_room_for_the_artifacts(server, tmp_path):
    """Files may have 3 kB here: what fits is whole, what does not is told and leaves nothing behind."""
    check = Check(tmp_path, server.url(), seconds=1, **full_disk(3000))
    assert check.end() == 2, check.said + check.complaints
    assert "fault.html not written: file too large" in check.complaints
    assert "fault.outcome.json could not be written: file too large" in check.said.splitlines()[-1]
    left = {path.name for path in check.out.iterdir()}
    assert left <= {"junit.xml", "fault.scenario.yaml"}
    assert "fault.scenario.yaml" in left
    if "junit.xml" in left:
        ElementTree.parse(check.out / "junit.xml")


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "out").write_text("a file stands where the folder should be")
    check = Check(tmp_path, server.url(), seconds=1)
    assert check.end() == 2
    assert "out cannot hold the artifacts" in check.complaints
    assert server.number("EXISTS", "plg:test") == 0
    assert (tmp_path / "out").read_text() == "a file stands where the folder should be"


def test_plg_stopped_and_continued_is_invalid(server, tmp_path):
    check = Check(tmp_path, server.url(), seconds=3)
    until(lambda: server.number("LLEN", "plg:test") > 100)
    os.kill(check.process.pid, signal.SIGSTOP)
    time.sleep(1.6)
    os.kill(check.process.pid, signal.SIGCONT)
    assert check.end() == 5, check.said + check.complaints
    outcome = check.outcome()
    assert outcome["verdict"] == "invalid"
    assert outcome["ledger"]["late"] > 50
    agree(outcome["ledger"], seqs_in(server))
    check.artifacts_are_whole()


def test_plg_stopped_between_a_send_and_its_answer_blames_nobody(server, tmp_path):
    """A job a second: the stop falls between two sends, or between one and its answer, and nothing is ever late."""
    check = Check(tmp_path, server.url(), rate=1, seconds=4, expect="max(latency) < 200ms")
    until(lambda: server.number("LLEN", "plg:test") == 1)
    os.kill(check.process.pid, signal.SIGSTOP)
    time.sleep(0.4)
    os.kill(check.process.pid, signal.SIGCONT)
    code = check.end()
    outcome = check.outcome()
    [stall] = outcome["stalls"]
    assert stall["end_s"] - stall["start_s"] == pytest.approx(0.4, abs=0.1)
    assert outcome["ledger"]["acked"] == 4
    assert "plg itself stood still for" in check.said
    # Whether the answer had been read before is chance.
    slow = outcome["latency_s"]["max"] > 0.2
    assert code == (5 if slow else 0), check.said
    check.artifacts_are_whole()


def test_a_phase_that_plg_slept_through_has_no_verdict(server, tmp_path):
    """Less than 1% of the run, and nearly all of a phase: every way to a verdict says so."""
    traffic = "calm: steady 20_000/s over 3s then stampede: steady 300/s over 1s then after: steady 10/s over 3s"
    check = Check(tmp_path, server.url(), traffic=traffic, expect="errors == 0  p95(latency) < 250ms during stampede")
    until(lambda: server.number("LLEN", "plg:test") >= 60_000)
    os.kill(check.process.pid, signal.SIGSTOP)
    time.sleep(2.2)
    os.kill(check.process.pid, signal.SIGCONT)
    assert check.end() == 5, check.said + check.complaints
    outcome = check.outcome()
    assert outcome["verdict"] == "invalid"
    assert [(r["verdict"], r["invalid"]) for r in outcome["expectations"]] == [("pass", False), ("no_data", True)]
    assert outcome["ledger"]["late"] > 200
    again = subprocess.run(
        [sys.executable, "-m", "plg", "judge", str(check.out / "fault.outcome.json")], cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert again.returncode == 5, again.stdout + again.stderr
    suite = ElementTree.parse(check.out / "junit.xml").getroot()
    assert {case.get("name") for case in suite.iter("testcase") if case.find("error") is not None} == {
        "run", "p95(latency) < 250ms during stampede"
    }  # fmt: skip


def test_plg_killed_takes_its_server_along_and_leaves_no_half_of_a_file(tmp_path):
    check = Check(tmp_path, "embedded", seconds=30, start_new_session=True)
    until(lambda: _server_of(check.process.pid) is not None)
    server = _server_of(check.process.pid)
    assert alive(server)
    time.sleep(0.5)
    check.process.kill()
    check.end()
    assert gone_within(server, 5) is not None
    # Nothing is there but a document that says the check did not come to its end.
    assert [path.name for path in check.out.glob("[!.]*")] in ([], ["junit.xml"])
    for path in check.out.glob("junit.xml"):
        assert ElementTree.parse(path).getroot().get("errors") == "1"


def _server_of(pid):
    """The process id of the server that a ``plg`` keeps: the child of its child."""
    for keeper in _children(pid):
        for server in _children(keeper):
            return server
    return None


def _children(pid):
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in listed.stdout.split() if Path(f"/proc/{word}").exists()]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)]
)
def test_a_signal_while_the_server_is_silent(server, tmp_path, number, code):
    check = Check(tmp_path, server.url(), seconds=60)
    until(lambda: server.number("LLEN", "plg:test") > 50)
    os.kill(server.process.pid, signal.SIGSTOP)
    time.sleep(0.3)
    start = time.monotonic()
    os.kill(check.process.pid, number)
    assert check.end() == code
    assert time.monotonic() - start < 6
    os.kill(server.process.pid, signal.SIGCONT)
    ledger = check.outcome()["ledger"]
    assert ledger["cancelled"] > 10_000
    until(lambda: len(jobs_in(server)) > ledger["acked"], 5)  # some wake with it; at most those that are unknown
    agree(ledger, seqs_in(server))
    check.artifacts_are_whole()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="no idle scheduling class on this system")
def test_a_machine_short_of_processors_makes_a_run_invalid(server, tmp_path):
    """plg gets what two busy loops a processor leave it: the run says nothing about the queue, and plg says so."""
    check = Check(tmp_path, server.url(), rate=2000, seconds=6)
    until(lambda: server.number("LLEN", "plg:test") > 500)
    hogs = [
        subprocess.Popen([sys.executable, "-c", "import time\nt = time.time() + 4\nwhile time.time() < t: pass"])
        for _ in range(2 * (os.cpu_count() or 1))
    ]
    for task in Path(f"/proc/{check.process.pid}/task").iterdir():
        os.sched_setscheduler(int(task.name), os.SCHED_IDLE, os.sched_param(0))
    for hog in hogs:
        hog.wait()
    assert check.end(120) == 5, check.said + check.complaints
    assert check.outcome()["verdict"] == "invalid"
    agree(check.outcome()["ledger"], seqs_in(server))
