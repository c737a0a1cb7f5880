"""An emergency stop holds up all runs on its server for as long as the policy says, and somebody else is told of it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest
from support.checked import until

from plg.guardrails.terms import Webhook
from plg.guardrails.webhook import BadSecret, Notifier, signature
from plg.outcome import Outcome
from plg.targets.interlock import NOTHING, STOP, Interlock, Lease
from plg.targets.open import open_target

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Receiver:
    """A web server that answers each request with the next of ``answers`` (200 in the end) and keeps what it got."""

    answers: list[int] = field(default_factory=list)
    got: list[tuple[float, dict[str, str], bytes]] = field(default_factory=list)
    slow: float = 0.0

    def __post_init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append((time.monotonic(), {k.lower(): v for k, v in self.headers.items()}, body))
                time.sleep(receiver.slow)
                answer = receiver.answers.pop(0) if receiver.answers else 200
                self.send_response(answer)
                if answer == 302:
                    self.send_header("location", "/elsewhere")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def receiver():
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


def verified(headers: dict[str, str], body: bytes) -> dict:
    """By the published rule: HMAC-SHA256 over id, timestamp and body."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 300
    return json.loads(body)


def scenario(folder: Path, name: str, limits: str = "", seconds: float = 30) -> Path:
    file = folder / f"{name}.plg"
    file.write_text(
        f'scenario "{name}" {{ job a {{ queue "{name}" }} traffic {{ steady 200/s over {seconds:g}s }}\n'
        f"guardrails {{ max_rate 500/s max_total_jobs 100_000 max_duration 1m {limits} }} }}",
        encoding="utf-8",
    )
    return file


@pytest.mark.parametrize("latch", ["until_reset", "10m"])
def test_the_guardrail_of_one_run_stops_the_others_and_latches(server, play, tmp_path, receiver, monkeypatch, latch):
    receiver.slow = 1.0
    monkeypatch.setenv("HOOK", SECRET)
    (tmp_path / "plg-policy.yaml").write_text(
        f"webhook: {{url: '{receiver.url}', secret: {{env: HOOK}}}}\n"
        f"environments:\n  - {{name: here, hosts: [localhost], emergency_latch: {latch}}}\n"
    )
    ended: list[Outcome] = []
    calm = threading.Thread(target=lambda: ended.append(play(scenario(tmp_path, "calm"), server.url())))
    calm.start()
    until(lambda: server.number("LLEN", "calm") > 20)
    wild = play(scenario(tmp_path, "wild", "max_queue_depth 100"), server.url(), run_id="wild-1")
    calm.join()
    assert (wild.verdict, wild.exit_code) == ("stopped", 4)
    assert (ended[0].verdict, ended[0].exit_code) == ("interrupted", 130)
    assert "emergency stop: max_queue_depth in run wild-1 of wild" in ended[0].reason
    refused = play(scenario(tmp_path, "later", seconds=0.2), server.url())
    assert refused.exit_code == 6
    assert "all runs there are stopped by " in refused.reason
    left = server.number("PTTL", STOP)
    assert left == -1 if latch == "until_reset" else 500_000 < left <= 600_000
    [(_, headers, body)] = receiver.got
    told = verified(headers, body)
    assert told["type"] == "emergency.stop"
    assert (told["data"]["run"], told["data"]["guardrail"]) == ("wild-1", "max_queue_depth")
    assert any("was told of the emergency stop" in warning for warning in wild.warnings)
    with open_target(server.url(), ()) as target:
        assert Interlock(target).resume()
    assert play(scenario(tmp_path, "later", seconds=0.2), server.url()).ledger.acked == 40


def test_without_a_latch_only_the_run_itself_stops(server, play, tmp_path):
    (tmp_path / "plg-policy.yaml").write_text("environments:\n  - {name: here, hosts: [localhost]}\n")
    assert play(scenario(tmp_path, "wild", "max_queue_depth 50"), server.url()).exit_code == 4
    assert server.number("EXISTS", STOP) == 0


def test_so_many_runs_at_a_time_and_so_many_of_one_account(server, play, tmp_path):
    (tmp_path / "plg-policy.yaml").write_text(
        "environments:\n  - {name: here, hosts: [localhost], max_tests: 3}\n"
        "users:\n  - {name: each, accounts: ['*'], max_tests: 1}\n"
    )
    file = scenario(tmp_path, "sale", seconds=0.2)
    with open_target(server.url(), ()) as target:
        others = Interlock(target)
        others.grant(Lease("a", 10, "run-a", {"account": "ann"}), NOTHING)
        others.grant(Lease("a2", 10, "run-a", {"account": "ann"}), NOTHING)
        assert "1 run of this account goes on there" in play(file, server.url(), account="ann").reason
        assert play(file, server.url(), account="bob").ledger.acked == 40
        others.grant(Lease("b", 10, "run-b", {"account": "bea"}), NOTHING)
        others.grant(Lease("c", 10, "run-c", {"account": "cyd"}), NOTHING)
        refused = play(file, server.url(), account="bob")
        assert refused.exit_code == 6
        assert "3 runs go on there, and environment here of " in refused.reason
        assert server.number("LLEN", "sale") == 40


def test_a_webhook_without_its_secret_is_said_and_nothing_is_sent(server, play, tmp_path, receiver, monkeypatch):
    monkeypatch.delenv("HOOK", raising=False)
    (tmp_path / "plg-policy.yaml").write_text(f"webhook: {{url: '{receiver.url}', secret: {{env: HOOK}}}}\n")
    outcome = play(scenario(tmp_path, "wild", "max_queue_depth 20"), server.url())
    assert outcome.exit_code == 4
    assert any("HOOK with the secret of the webhook is not set" in warning for warning in outcome.warnings)
    assert receiver.got == []


def test_a_message_is_tried_again_under_one_id_until_it_is_taken(receiver):
    receiver.answers = [500, 302, 429]
    said: list[str] = []
    notifier = Notifier(Webhook(receiver.url, "HOOK"), {"HOOK": SECRET}, said.append, waits=(0.05, 0.1, 0.2, 0.4))
    id = notifier.notify("emergency.stop", {"n": 1})
    notifier.close(20)
    assert (notifier.sent, notifier.given_up) == (1, 0)
    assert [headers["webhook-id"] for _, headers, _ in receiver.got] == [id] * 4
    assert {headers["host"] for _, headers, _ in receiver.got} == {receiver.url.split("/")[2]}
    assert all(verified(headers, body)["data"] == {"n": 1} for _, headers, body in receiver.got)
    moments = [moment for moment, _, _ in receiver.got]
    gaps = [after - before for before, after in pairwise(moments)]
    assert all(gap >= wait * 0.8 for gap, wait in zip(gaps, (0.05, 0.1, 0.2), strict=True)), gaps
    assert [words.partition(": ")[2] for words in said] == [
        "it answered 500; tried again in 0.05 s", "it answered 302; tried again in 0.1 s",
        "it answered 429; tried again in 0.2 s",
    ]  # fmt: skip


def test_messages_are_given_up_after_a_while_or_at_once_where_nobody_wants_them(receiver):
    said: list[str] = []
    receiver.answers = [500, 500, 410]
    notifier = Notifier(Webhook(receiver.url, "HOOK"), {"HOOK": SECRET}, said.append, waits=(0.01,))
    notifier.notify("a", {})
    notifier.notify("b", {})
    notifier.notify("c", {})
    notifier.close(20)
    assert (notifier.sent, notifier.given_up) == (1, 2)
    assert [json.loads(body)["type"] for _, _, body in receiver.got] == ["a", "a", "b", "c"]
    receiver.slow = 5
    late = Notifier(Webhook(receiver.url, "HOOK"), {"HOOK": SECRET}, said.append)
    for _ in range(300):
        late.notify("flood", {})
    late.close(0.2)
    assert late.given_up >= 199
    assert "could not be delivered in time" in said[-1]


def test_nobody_listens(free_port_url):
    said: list[str] = []
    notifier = Notifier(Webhook(free_port_url, "HOOK"), {"HOOK": SECRET}, said.append, waits=(0.01,))
    notifier.notify("a", {})
    notifier.close(20)
    assert notifier.given_up == 1
    assert "connection refused" in said[0]


@pytest.fixture
def free_port_url() -> str:
    from support.real_servers import free_port

    return f"http://127.0.0.1:{free_port()}/"


@pytest.mark.parametrize("secret", ["", "abc", "whsec_", "whsec_!!!", "whsec_" + base64.b64encode(b"short").decode()])
def test_a_secret_that_is_none_is_refused_and_not_repeated(secret):
    with pytest.raises(BadSecret) as caught:
        Notifier(Webhook("https://example.com", "HOOK"), {"HOOK": secret})
    assert not secret or secret not in str(caught.value).replace("must be whsec_", "")


def test_the_signature_is_that_of_the_standards_own_example():
    """From the test vectors of standardwebhooks.com."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    id, moment, body = "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    assert signature(key, id, moment, body) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
