"""A host has one spelling for a policy, however it is written."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plg.targets.base import TargetError
from plg.targets.hosts import LOOPBACK, canonical, matches, names_of, pattern_fault

PRODUCTION = [
    "redis://db.prod.example.com",
    "redis://DB.Prod.Example.COM:6379/0",
    "rediss://user:secret@db.prod.example.com/1",
    "redis://db.prod.example.com.:6380",
    "redis://:p%40ss@db.prod.example.com",
    "redis://db%2Eprod.example.com",
    "redis://%64b.prod.example.com",
    "redis://\uff44b.prod.example.com",
    "redis://db\u3002prod.example.com",
    "redis://db.prod.example.com?client_name=x",
    "redis://embedded@db.prod.example.com",
]


@pytest.mark.parametrize("target", PRODUCTION)
def test_every_spelling_of_a_host_is_the_same_host(target: str) -> None:
    assert names_of(target) == ("db.prod.example.com",)
    assert matches(names_of(target), "*.prod.example.com")
    assert matches(names_of(target), "DB.prod.example.com.")


@pytest.mark.parametrize(
    "target",
    [
        "redis://localhost", "redis://LOCALHOST:6379", "redis://localhost.", "redis://127.0.0.1", "redis://127.1",
        "redis://127.9.8.7", "redis://[::1]:6379", "redis://[0:0:0:0:0:0:0:1]", "redis://[::ffff:127.0.0.1]",
        "redis://2130706433", "redis://0x7f.1", "redis://017700000001", "redis://0.0.0.0", "redis://[::]",
        "redis://a.localhost", "redis://ip6-localhost", "redis://", "redis:///0", "unix:///run/redis.sock",
    ],
)  # fmt: skip
@pytest.mark.parametrize("pattern", ["localhost", "127.0.0.1", "::1", "[::1]", "127.0.0.0/8", "127.1", "local*"])
def test_this_machine_is_one_host_in_all_its_spellings(target: str, pattern: str) -> None:
    assert names_of(target)[:3] == LOOPBACK
    assert matches(names_of(target), pattern)


@pytest.mark.parametrize(
    ("target", "pattern"),
    [
        ("redis://10.1.2.3", "10.1.2.3"),
        ("redis://10.1.2.3", "10.1.0.0/16"),
        ("redis://10.1.2.3", "10.1.*"),
        ("redis://167838211", "10.1.2.3"),
        ("redis://012.1.515", "10.1.2.3"),
        ("redis://[::ffff:10.1.2.3]", "10.1.0.0/16"),
        ("redis://[FD00:0:0::1]", "fd00::1"),
        ("redis://[fd00::1%25eth0]", "[fd00::1]"),
        ("redis://[fd00::12]", "fd00::/64"),
        ("redis://[fd00::12]", "fd00::*"),
        ("redis://b\u00fccher.example", "xn--bcher-kva.example"),
        ("redis://xn--bcher-kva.example", "B\u00dcCHER.example"),
        ("redis://a.b\u00fccher.example", "*.b\u00fccher.example"),
        ("redis://shard7.example.com", "shard?.example.com"),
        ("embedded", "embedded"),
        ("fake", "*"),
    ],
)
def test_a_pattern_covers_it(target: str, pattern: str) -> None:
    assert pattern_fault(pattern) is None
    assert matches(names_of(target), pattern)


@pytest.mark.parametrize(
    ("target", "pattern"),
    [
        ("redis://prod.example.com", "*.prod.example.com"),
        ("redis://db.prod.example.com.evil.org", "*.prod.example.com"),
        ("redis://shard12.example.com", "shard?.example.com"),
        ("redis://10.2.2.3", "10.1.0.0/16"),
        ("redis://db.example.com", "localhost"),
        ("redis://db.example.com", "10.0.0.0/8"),
        ("embedded", "localhost"),
        ("redis://localhost.example.com", "localhost"),
        ("redis://notlocalhost", "localhost"),
    ],
)
def test_a_pattern_does_not_cover_it(target: str, pattern: str) -> None:
    assert not matches(names_of(target), pattern)


@pytest.mark.parametrize(
    "target",
    ["redis://host:notaport", "redis://db/0?host=other", "http://db", "redis://[::1", "unix://", "redis://a#b"],
)
def test_a_url_that_leads_nowhere_clear_is_no_host(target: str) -> None:
    with pytest.raises(TargetError):
        names_of(target)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("redis://db.example.com", "URL"),
        ("user@db.example.com", "URL"),
        ("db.example.com:6379", "port"),
        ("10.0.0.1:6379", "port"),
        ("*:6379", "port"),
        ("10.1.0.0/99", "network"),
        ("db/0", "network"),
        ("abc:def", "IPv6"),
        ("two words", "no host"),
        ("a,b", "no host"),
        ("-x", "no host"),
    ],
)
def test_a_pattern_that_could_never_match_is_refused(pattern: str, said: str) -> None:
    assert said in (pattern_fault(pattern) or "")


labels = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True).filter(lambda s: not s.startswith("xn--"))
hosts = st.lists(labels, min_size=1, max_size=4).map(".".join)


@settings(max_examples=100)
@given(host=hosts, data=st.data())
def test_case_dots_and_escapes_never_change_a_host(host: str, data: st.DataObject) -> None:
    written = "".join(
        data.draw(st.sampled_from([c, c.upper(), f"%{ord(c):02x}", f"%{ord(c.upper()):02X}"])) for c in host
    )
    written += data.draw(st.sampled_from(["", "."]))
    port = data.draw(st.sampled_from(["", ":6379", ":1"]))
    who = data.draw(st.sampled_from(["", "u:p@", ":p@"]))
    assert names_of(f"redis://{who}{written}{port}/0")[-1] == names_of(f"redis://{host}")[-1]
    assert matches(names_of(f"redis://{who}{written}{port}"), host)


@settings(max_examples=100)
@given(st.text(max_size=30))
@example("0\r%")
def test_one_spelling_is_its_own_spelling(text: str) -> None:
    assert canonical(canonical(text)) == canonical(text)


@settings(max_examples=60)
@given(st.ip_addresses(v=6))
def test_an_ipv6_address_matches_itself_written_out(address) -> None:  # type: ignore[no-untyped-def]  # a strategy's value
    assert matches(names_of(f"redis://[{address.exploded}]"), str(address))
