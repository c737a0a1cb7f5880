"""URLs are read as they are meant or refused, and no password ever shows."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from plg.redaction import redact
from plg.targets.address import parse_address
from plg.targets.base import TargetError

MARK = "Q7Z"
secrets = st.text(st.characters(codec="ascii", min_codepoint=33), max_size=12).map(lambda t: t[:6] + MARK + t[6:])
places = st.sampled_from(["h", "localhost:6379", "10.0.0.1:1/3", "[::1]:6379/0", "h:6379/0?db=2", ""])
schemes = st.sampled_from(["redis", "rediss", "unix", "http"])


def shown_for(url: str) -> str:
    """Everything a person could come to see of a URL."""
    try:
        address = parse_address(url)
    except TargetError as error:
        return redact(url) + str(error)
    return redact(url) + address.shown + repr(address) + str(address)


@given(schemes, st.sampled_from(["", "u", "default"]), secrets, places)
@example("redis", "", "a/" + MARK, "h:6379/0")
@example("redis", "", "a?b=" + MARK + "&c", "h")
@example("redis", "u", "#" + MARK, "h:6379")
@example("redis", "u", "p@" + MARK, "h:6379")
@example("redis", "u", "12" + MARK, "h:6379")
def test_a_password_never_shows(scheme, user, secret, place):
    for spelling in (secret, quote(secret, safe="")):
        assert MARK not in shown_for(f"{scheme}://{user}:{spelling}@{place}")


@given(schemes, secrets, st.sampled_from(["password", "pass%77ord", "ssl_password"]))
def test_a_password_among_the_options_never_shows(scheme, secret, name):
    assert MARK not in shown_for(f"{scheme}:///run/s?db=1&{name}={quote(secret, safe='')}&db=2")


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=20))
def test_a_lone_name_may_be_a_token_and_does_not_show(token):
    assert parse_address(f"redis://{MARK}{token}@host/0").shown == "redis://***@host/0"


def test_what_shows_is_the_url_otherwise():
    assert redact("redis://h:6379/0") == "redis://h:6379/0"
    assert redact("redis://ann:secret@h:6379/0") == "redis://ann:***@h:6379/0"
    assert redact("redis://:secret@h") == "redis://:***@h"
    assert redact("unix:///run/s?db=1&password=x") == "unix:///run/s?db=1&password=***"
    assert redact("unix://ann@/run/s?password=x") == "unix://ann@/run/s?password=***"
    assert redact("embedded") == "embedded"


@given(
    st.text(min_size=1, max_size=10).filter(lambda t: "\0" not in t),
    st.text(min_size=1, max_size=10),
    st.integers(1, 65535),
    st.integers(0, 15),
)
def test_a_quoted_url_is_read_back(user, password, port, database):
    address = parse_address(f"redis://{quote(user, safe='')}:{quote(password, safe='')}@example.org:{port}/{database}")
    assert address.options == {
        "host": "example.org", "port": port, "username": user, "password": password, "db": database
    }  # fmt: skip


def test_options_of_pools_and_decoding_are_passed_over():
    address = parse_address("redis://h/1?decode_responses=True&protocol=3&max_connections=5&health_check_interval=30")
    assert address.options == {"host": "h", "db": 1}


def test_a_url_may_state_its_patience():
    assert parse_address("redis://h?socket_connect_timeout=1.5").connect_timeout == 1.5
    assert parse_address("redis://h").connect_timeout is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://h/zero", "number of a database"),
        ("redis://h/0/1", "number of a database"),
        ("redis://h?db=x", "number of a database"),
        ("redis://h:0", "1 to 65535"),
        ("redis://h:70000", "1 to 65535"),
        ("redis://h:port", "1 to 65535"),
        ("unix://run/redis.sock", "three slashes"),
        ("unix://", "path"),
        ("http://h", "redis://"),
        ("redis://h#x", "%23"),
        ("redis://localhost%00.example.org", "control characters"),
        ("redis://h%0d%0aFLUSHALL", "control characters"),
        ("redis://h%20:1", "blanks"),
        ("redis://a b", "blanks"),
        ("unix:///run/s%00.sock", "NUL"),
        ("rediss://h?ssl_ca_cert=x", "did you mean 'ssl_ca_certs'"),
        ("rediss://h?ssl_cert_reqs=maybe", "none, optional or required"),
        ("redis://h?ssl_ca_certs=x", "only for rediss://"),
        ("redis://h?socket_connect_timeout=soon", "socket_connect_timeout"),
    ],
)
def test_what_cannot_be_meant_is_refused(url, words):
    with pytest.raises(TargetError, match=words) as refusal:
        parse_address(url)
    assert refusal.value.kind == "refused"
    assert redact(url) in str(refusal.value)
