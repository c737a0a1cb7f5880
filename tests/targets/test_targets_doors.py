"""How a target is named, waited for, judged at each connection, and kept from repeating a password."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plg.guardrails.policy import Ceilings, Policy, PolicyFile, Rule
from plg.redaction import HIDDEN, hide, redact
from plg.scenario import Guardrails
from plg.target_url import normalized, wait_of
from plg.targets.address import parse_address
from plg.targets.base import TargetError
from plg.targets.client import Client
from plg.targets.faults import is_not_up_yet
from plg.targets.open import open_target


@pytest.fixture
def server(servers, any_binary):
    return servers(any_binary)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("redis://h/0\n", "redis://h/0"),
        ("  redis://h/0\t\r\n", "redis://h/0"),
        ("REDIS://H/0", "redis://H/0"),
        ("Valkey://h", "redis://h"),
        ("valkeys://u:P@h", "rediss://u:P@h"),
        (" embedded", "embedded"),
        ("FAKE\n", "fake"),
        ("unix:///run/R.sock", "unix:///run/R.sock"),
        ("valkeyx://h", "valkeyx://h"),
    ],
)
def test_a_target_is_read_as_it_is_meant(given: str, meant: str) -> None:
    assert normalized(given) == meant
    assert normalized(normalized(given)) == normalized(given)


def test_a_url_may_say_how_long_to_wait() -> None:
    assert wait_of("redis://h/0?wait=30s&timeout=2") == 30.0
    assert wait_of("redis://h/0") == wait_of("embedded") == 0.0
    assert parse_address("redis://h?wait=1m").wait == 60.0
    assert "wait" not in parse_address("redis://h?wait=1m").options
    with pytest.raises(TargetError, match="wait must be a duration"):
        parse_address("redis://h?wait=soon")


def test_a_server_that_is_not_there_yet_is_told_from_one_that_refuses(server) -> None:
    with pytest.raises(TargetError) as absent:
        open_target("redis://127.0.0.1:1/0", ())
    assert is_not_up_yet(absent.value)
    with pytest.raises(TargetError) as refused:
        open_target(server.url("nobody:wrong"), ())
    assert not is_not_up_yet(refused.value)


class Dripping:
    """A server that answers one byte at a time, for ever."""

    def __init__(self) -> None:
        self.door = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.door.getsockname()[1]}/0"
        self.ended = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while not self.ended.is_set():
            try:
                client, _ = self.door.accept()
            except OSError:
                return
            with client:
                try:
                    client.recv(4096)
                    client.sendall(b"+")
                    while not self.ended.wait(0.05):
                        client.sendall(b"x")
                except OSError:
                    continue

    def close(self) -> None:
        self.ended.set()
        self.door.close()


@pytest.mark.parametrize("userinfo", ["", "user:pw@"], ids=["answer", "handshake"])
def test_an_exchange_has_one_deadline_and_not_one_a_byte(userinfo: str) -> None:
    server = Dripping()
    try:
        address = parse_address(server.url.replace("//", f"//{userinfo}"))
        client = Client(address, connect_timeout=0.6, answer_timeout=0.6)
        begun = time.monotonic()
        with pytest.raises(TargetError, match="no answer in time"):
            client.ask([("PING",)])
        assert 0.3 < time.monotonic() - begun < 2.0
        client.close()
    finally:
        server.close()


def test_a_server_cannot_make_plg_repeat_the_password(servers, any_binary) -> None:
    server = servers(any_binary, "--rename-command", "AUTH", "")
    for userinfo in ("app:hunt%20er2", ":hunt%20er2"):
        with pytest.raises(TargetError) as refusal:
            open_target(server.url(userinfo), ())
        assert "hunt" not in str(refusal.value)
        assert HIDDEN in str(refusal.value)


def test_a_misspelled_option_may_hold_a_password() -> None:
    assert redact("redis://h/0?passwort=hunter2&db=1") == "redis://h/0?passwort=***&db=1"
    with pytest.raises(TargetError) as refusal:
        parse_address("redis://h/0?passwort=hunter2")
    assert "hunter2" not in str(refusal.value)


@given(st.text(min_size=4, max_size=12).filter(lambda text: HIDDEN not in text and text.strip("*")))
def test_a_secret_is_hidden_in_every_spelling(secret: str) -> None:
    import base64
    import json
    from urllib.parse import quote

    secret = secret.encode("utf-8", "replace").decode()
    spellings = [secret, quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1],
                 base64.b64encode(secret.encode()).decode()]  # fmt: skip
    for spelling in spellings:
        assert spelling not in hide(f"a {spelling} b", [secret]).replace(HIDDEN, "")


def test_a_short_secret_does_not_eat_the_words_around_it() -> None:
    assert hide("1 of 11 jobs, 'a' and a1", ["1", "a"]) == f"{HIDDEN} of 11 jobs, '{HIDDEN}' and a1"


LIMITS = Guardrails(max_rate=100.0, max_total_jobs=1000, max_duration=60.0)


def policy(*rules: Rule) -> Policy:
    return Policy((PolicyFile("p.yaml", rules),))


@pytest.mark.parametrize(
    ("host", "address", "words"),
    [
        ("db.prod.example.com", "192.0.2.7", "allows no load on db.prod.example.com at 192.0.2.7"),
        ("queue.example.com", "10.1.2.3", "lower ceiling holds: max_rate lowered from 100/s to 10/s"),
        ("::ffff:10.1.2.3", "::ffff:10.1.2.3", "--env network"),
        ("queue.example.com", "192.0.2.8", None),
        ("localhost", "127.0.0.1", None),
    ],
)
def test_every_connection_is_held_against_the_policy(host: str, address: str, words: str | None) -> None:
    """Under the name and under the address; what holds already refuses nothing."""
    rules = (
        Rule("production", ("*.prod.example.com",), allow=False),
        Rule("network", ("10.1.0.0/16",), Ceilings(max_rate=10.0)),
        Rule("here", ("localhost",), Ceilings(max_rate=500.0)),
    )
    found = policy(*rules).gate(LIMITS)(host, address)
    if words is None:
        assert found is None
    else:
        assert found is not None
        assert words in found


def test_what_is_judged_is_what_was_connected_to(server) -> None:
    """Before a word was said: the address of the very socket, whatever the name meant a moment ago."""
    seen: list[tuple[str, str]] = []

    def gate(host: str, address: str) -> str | None:
        seen.append((host, address))
        return "not here" if len(seen) > 1 else None

    url = server.url().replace("127.0.0.1", "localhost")
    with open_target(url, (), gate=gate) as target, pytest.raises(TargetError, match="not here") as refusal:
        target.connect()
    assert refusal.value.kind == "refused"
    assert seen == [("localhost", "127.0.0.1")] * 2
