"""Who is asking: tokens, one-time links and sessions, and what becomes of those that guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from plg.access.errors import TooManyAttempts, Unauthorized
from plg.access.roles import Account
from plg.access.sign_in import LINK_LASTING, SESSION_LASTING, SignIn
from plg.access.tokens import Tokens


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path)


@pytest.fixture
def failed() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def sign_in(tokens, clock, failed) -> SignIn:
    return SignIn(tokens, open=True, failed=lambda *what: failed.append(what), clock=clock)


def test_a_token_is_taken_from_the_header_or_the_subprotocol(sign_in, tokens) -> None:
    text, token = tokens.create("kim", "author")
    kim = Account("kim", "author", token.id)
    for header in (f"Bearer {text}", f"bearer  {text} ", f"plg.token.{text}", f"other, plg.token.{text}"):
        assert sign_in.authenticate(header) == kim, header
    for header in (text, f"Basic {text}", "Bearer", "plg.token.", f"Bearer {text}x"):
        with pytest.raises(Unauthorized):
            sign_in.authenticate(header)


def test_nobody_needs_a_token_on_loopback_until_there_is_one(sign_in, tokens) -> None:
    assert sign_in.authenticate(None) == Account("local", "admin")
    with pytest.raises(Unauthorized):
        SignIn(tokens).authenticate(None)
    tokens.create("kim", "viewer")
    with pytest.raises(Unauthorized, match="needs a token"):
        sign_in.authenticate(None)
    tokens.revoke("kim")
    assert sign_in.authenticate(None).role == "admin"


def test_who_guesses_waits_and_keeps_nobody_else_out(sign_in, tokens, clock, failed) -> None:
    text, _ = tokens.create("kim", "viewer")
    sign_in.authenticate(f"Bearer {text}", origin="192.0.2.1")
    for _ in range(10):
        with pytest.raises(Unauthorized):
            sign_in.authenticate("Bearer guess", origin="192.0.2.1")
    with pytest.raises(TooManyAttempts) as caught:
        sign_in.authenticate("Bearer guess", origin="192.0.2.1")
    assert caught.value.retry_after == pytest.approx(6)
    assert failed == [("192.0.2.1", "the token is not one that is valid here")] * 10
    assert sign_in.authenticate(f"Bearer {text}", origin="192.0.2.1").name == "kim", "it was recognised before"
    other, _ = tokens.create("lee", "viewer")
    with pytest.raises(TooManyAttempts):
        sign_in.authenticate(f"Bearer {other}", origin="192.0.2.1")
    assert sign_in.authenticate(f"Bearer {other}", origin="192.0.2.2").name == "lee"
    clock.now += 6
    with pytest.raises(Unauthorized):
        sign_in.authenticate("Bearer guess", origin="192.0.2.1")


def test_guesses_from_everywhere_are_bounded_too(sign_in, tokens) -> None:
    tokens.create("kim", "viewer")
    for number in range(100):
        with pytest.raises(Unauthorized):
            sign_in.authenticate("Bearer guess", origin=f"198.51.100.{number}")
    with pytest.raises(TooManyAttempts):
        sign_in.authenticate("Bearer guess", origin="192.0.2.9")


def test_a_link_is_good_once_and_for_a_while(sign_in, clock) -> None:
    code = sign_in.one_time_code(Account("local", "admin"))
    session, account = sign_in.redeem(code)
    assert account == sign_in.authenticate(None, session=session) == Account("local", "admin")
    with pytest.raises(Unauthorized, match="used before"):
        sign_in.redeem(code)
    late = sign_in.one_time_code(Account("local", "admin"))
    clock.now += LINK_LASTING
    with pytest.raises(Unauthorized, match="too old"):
        sign_in.redeem(late)


def test_a_session_ends_by_itself_with_its_token_and_by_signing_out(sign_in, tokens, clock) -> None:
    _, token = tokens.create("kim", "operator")
    kim = Account("kim", "operator", token.id)
    session, other = sign_in.begin_session(kim), sign_in.begin_session(kim)
    assert sign_in.authenticate(None, session=session) == kim
    sign_in.end_session(session)
    with pytest.raises(Unauthorized):
        sign_in.authenticate(None, session=session)
    tokens.create("lee", "viewer")
    tokens.revoke("kim")
    with pytest.raises(Unauthorized):
        sign_in.authenticate(None, session=other)
    _, token = tokens.create("kim", "operator")
    again = sign_in.begin_session(Account("kim", "operator", token.id))
    clock.now += SESSION_LASTING
    with pytest.raises(Unauthorized):
        sign_in.authenticate(None, session=again)


def test_a_session_of_the_first_link_ends_when_somebody_has_a_token(sign_in, tokens) -> None:
    session, _ = sign_in.redeem(sign_in.one_time_code(Account("local", "admin")))
    assert sign_in.authenticate(None, session=session).role == "admin"
    tokens.create("kim", "viewer")
    with pytest.raises(Unauthorized):
        sign_in.authenticate(None, session=session)
