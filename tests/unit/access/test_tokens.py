"""Tokens: what is kept of them, whom they let in, and for how long; roles: who may do what."""

from __future__ import annotations

import base64
import json
import threading
import time
from pathlib import Path

import pytest
from argon2.low_level import Type, hash_secret_raw

from plg.access import roles
from plg.access.bucket import MOST_KEYS, Buckets
from plg.access.errors import AccessError, Forbidden
from plg.access.roles import PERMISSIONS, ROLES, Account, allowed, require
from plg.access.tokens import FILE, Tokens


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(tmp_path: Path, clock: Clock) -> Tokens:
    return Tokens(tmp_path, clock)


def test_a_token_is_shown_once_and_kept_as_a_hash(tokens: Tokens, tmp_path: Path) -> None:
    text, token = tokens.create("kim", "operator", 60, by="root@host")
    kept = (tmp_path / FILE).read_text()
    secret = text.rpartition("_")[2]
    assert len(secret) == 48
    assert secret not in kept
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert tokens.recognise(text) == Account("kim", "operator", token.id)
    [entry] = json.loads(kept)["tokens"]
    assert entry["hash"] == _argon2id(secret, entry["salt"]), "by another implementation of the same parameters"


def _argon2id(secret: str, salt: str) -> str:
    found = hash_secret_raw(secret.encode(), base64.b64decode(salt), 2, 19_456, 1, 32, Type.ID)
    return base64.b64encode(found).decode()


def test_nobody_else_is_let_in(tokens: Tokens, clock: Clock) -> None:
    text, token = tokens.create("kim", "viewer", 60)
    other, _ = tokens.create("lee", "admin", None)
    swapped = f"plg_{token.id}_{other.rpartition('_')[2]}"
    for wrong in ("", "plg", text[:-1], text + "0", text.upper(), swapped, f"{text}\n", f" {text}"):
        assert tokens.recognise(wrong) is None, wrong
    assert tokens.recognise(text) is not None
    clock.now += 60
    assert tokens.recognise(text) is None, "expired"
    assert tokens.recognise(other) is not None, "never expires"


def test_a_revoked_token_is_refused_at_once_also_where_it_was_recognised_before(tokens, tmp_path, clock) -> None:
    text, token = tokens.create("kim", "viewer")
    beside = Tokens(tmp_path, clock)
    assert tokens.recognise(text) == beside.recognise(text) is not None
    assert [each.id for each in beside.revoke("kim")] == [token.id]
    assert tokens.recognise(text) is None
    assert not tokens.any_valid
    with pytest.raises(AccessError, match="no token 'kim' that could be revoked"):
        tokens.revoke("kim")
    again, _ = tokens.create("kim", "viewer")
    assert tokens.recognise(again) is not None


@pytest.mark.parametrize("name", ["", " kim", "kim ", "a\nb", "a\x00b", "x" * 101])
def test_a_name_is_one_line(tokens: Tokens, name: str) -> None:
    with pytest.raises(AccessError, match="name of a token"):
        tokens.create(name, "viewer")


def test_names_and_roles_are_told_apart(tokens: Tokens) -> None:
    tokens.create("kim", "viewer")
    with pytest.raises(AccessError, match="there is a token 'kim' already"):
        tokens.create("kim", "viewer")
    with pytest.raises(AccessError, match="no role 'root'"):
        tokens.create("lee", "root")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2, "tokens": []}', '{"version": 1, "tokens": [{}]}'])
def test_a_file_that_cannot_be_read_lets_nobody_in(tokens: Tokens, tmp_path: Path, text: str) -> None:
    given, _ = tokens.create("kim", "admin")
    (tmp_path / FILE).write_text(text)
    with pytest.raises(AccessError):
        tokens.recognise(given)
    with pytest.raises(AccessError):
        tokens.create("lee", "viewer")
    assert (tmp_path / FILE).read_text() == text


def _create(folder: Path, name: str) -> None:
    for number in range(5):
        Tokens(folder).create(f"{name}-{number}", "viewer")


def test_of_tokens_made_at_once_none_is_lost(tmp_path: Path) -> None:
    """Each opens the lock for itself, as processes do."""
    workers = [threading.Thread(target=_create, args=(tmp_path, name)) for name in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len({token.name for token in Tokens(tmp_path).all()}) == 15


def test_a_known_token_costs_no_hash_again(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    text, _ = tokens.create("kim", "viewer")
    tokens.recognise(text)
    monkeypatch.setattr(tokens, "_hash", lambda *_: pytest.fail("it was hashed again"))
    assert tokens.recognise(text) is not None


WHO = {
    "tests.read": "viewer", "profiles.read": "viewer", "streams.read": "viewer",
    "tests.start": "operator", "tests.stop": "operator", "profiles.run": "operator",
    "profiles.write": "author",
    "tokens": "admin", "policy": "admin", "audit": "admin", "rates.high": "admin", "emergency.reset": "admin",
}  # fmt: skip


def test_each_role_may_what_the_one_before_it_may_and_more() -> None:
    assert set(WHO) == set(PERMISSIONS)
    for permission, least in WHO.items():
        for role in ROLES:
            may = ROLES.index(role) >= ROLES.index(least)
            assert allowed(Account("kim", role), permission) is may, (role, permission)
        assert not allowed(None, permission)
        assert not allowed(Account("kim", "root"), permission)
    assert not allowed(Account("kim", "admin"), "tests.unknown")
    with pytest.raises(Forbidden, match="a viewer may not do this") as caught:
        require(Account("kim", "viewer"), roles.START_TESTS)
    assert caught.value.help == "the role operator may"
    require(Account("kim", "operator"), roles.START_TESTS)


def test_attempts_come_back_one_by_one_and_strangers_are_forgotten() -> None:
    now = [0.0]
    buckets = Buckets(3, 10, lambda: now[0])
    for _ in range(3):
        assert buckets.wait("a") == 0
        buckets.take("a")
    assert buckets.wait("a") == 10
    assert buckets.wait("b") == 0
    now[0] = 4
    assert buckets.wait("a") == pytest.approx(6)
    now[0] = 10
    assert buckets.wait("a") == 0
    for number in range(MOST_KEYS + 10):
        buckets.take(f"k{number}")
    assert len(buckets._left) == MOST_KEYS


def test_time_is_the_machines_own(tmp_path: Path) -> None:
    _, token = Tokens(tmp_path).create("kim", "viewer", 60)
    assert abs(token.created_at - time.time()) < 60
    assert token.expires_at == token.created_at + 60
