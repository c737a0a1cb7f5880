"""How a target is named, waited for, judged at each connection, and kept from repeating a password."""

from __future__ import annotations

import pytest

from plg.diagnostics import ScenarioError
from plg.language.load import load
from plg.redaction import HIDDEN
from plg.target_url import fallen_back, normalized, wait_of
from plg.targets.address import parse_address
from plg.targets.base import TargetError
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
        ('"redis://h/0"\n', "redis://h/0"),
        ("' EMBEDDED '", "embedded"),
        ("\ufeffredis://h/0\u200b\u00a0", "redis://h/0"),
        ("", ""),
        ("'", "'"),
        ("\"redis://h/0'", "\"redis://h/0'"),
        ("FAKE\n", "fake"),
        ("unix:///run/R.sock", "unix:///run/R.sock"),
        ("valkeyx://h", "valkeyx://h"),
    ],
)
def test_a_target_is_read_as_it_is_meant(given: str, meant: str) -> None:
    assert normalized(given) == meant
    assert normalized(normalized(given)) == normalized(given)


@pytest.mark.parametrize(
    ("target", "environ", "said"),
    [
        (
            {"url": {"env": "U", "default": "embedded"}},
            {},
            ("U is not set: the jobs go to embedded, as the scenario says",),
        ),
        (
            {"env": "U", "default": "embedded"},
            {"U": " \n"},
            ("U is empty: the jobs go to embedded, as the scenario says",),
        ),
        ({"url": {"env": "U", "default": "embedded"}}, {"U": "redis://h"}, ()),
        ("embedded", {}, ()),
        ({"url": "redis://h"}, {}, ()),
    ],
)
def test_a_target_that_was_fallen_back_on_is_said(target, environ: dict[str, str], said: tuple[str, ...]) -> None:
    assert fallen_back(target, environ) == said


def test_the_document_that_runs_says_where(tmp_path) -> None:
    rest = "traffic { steady 5/s over 1s } guardrails { max_rate 9/s max_total_jobs 9 max_duration 1m }"
    (tmp_path / "s.plg").write_text(f'scenario s {{ target " VALKEY://u:pw@h/0 " {rest} }}')
    loaded = load(tmp_path / "s.plg")
    assert (loaded.scenario.target, loaded.scenario.document["target"]) == ("redis://u:pw@h/0", "redis://u:***@h/0")


@pytest.mark.parametrize(
    ("target", "environ", "override", "said"),
    [
        ('env XX else "redis://h:1/x"', {}, None, ["redis://h:1/x |"]),
        ('env XX else "redis://h:1/x"', {"XX": ""}, None, ["redis://h:1/x |"]),
        ('env XX else "redis://h"', {"XX": "redis://h/y"}, None, ["redis://h/y |(from the environment variable XX)"]),
        ('"redis://h:1/x"', {}, None, ["redis://h:1/x |"]),
        ("env XX", {}, "redis://h:1/z", ["redis://h:1/z |(given with --target)"]),
    ],
)  # fmt: skip
def test_a_target_that_cannot_be_is_told_once_and_by_its_origin(tmp_path, target, environ, override, said) -> None:
    rest = "traffic { steady 5/s over 1s } guardrails { max_rate 9/s max_total_jobs 9 max_duration 1m }"
    (tmp_path / "s.plg").write_text(f"scenario s {{ target {target} {rest} }}")
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path / "s.plg", environ=environ, target=override)
    middle = "is not a usable target: the part after the host is the number of a database, such as /0"
    assert [fault.message for fault in caught.value.diagnostics] == [
        each.replace("|", middle + " ").strip() for each in said
    ]


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
    assert absent.value.passing
    with pytest.raises(TargetError) as refused:
        open_target(server.url("nobody:wrong"), ())
    assert not refused.value.passing


def test_a_server_cannot_make_plg_repeat_the_password(servers, any_binary) -> None:
    server = servers(any_binary, "--rename-command", "AUTH", "")
    for userinfo in ("app:hunt%20er2", ":hunt%20er2"):
        with pytest.raises(TargetError) as refusal:
            open_target(server.url(userinfo), ())
        assert "hunt" not in str(refusal.value)
        assert HIDDEN in str(refusal.value)
