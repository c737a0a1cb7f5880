"""Whatever ``plg check`` is handed as a scenario: a diagnostic, exit code 2, nothing sent, a suite with one error."""

from __future__ import annotations

import json
import os
import time

import pytest
import yaml
from support.checked import Done
from support.cli_scenarios import QUICK, quick

from plg import session


@pytest.fixture
def refused(run, here, monkeypatch):
    """Checks that a file is refused as it should be: ``refused(name, *codes)``, one of the codes among the faults."""
    monkeypatch.setattr(session, "run", lambda *_: pytest.fail("something was sent"))

    def check(name: str, *codes: str, seconds: float = 10.0) -> Done:
        begin = time.monotonic()
        done = run("check", name)
        assert time.monotonic() - begin < seconds
        assert done.code == 2, done.said
        assert "internal error" not in done.said
        assert any(f"error[{code}]" in done.err for code in codes), done.err[:2000]
        assert done.last.startswith(f"exit 2: {name} has ")
        (suite,) = done.suites()
        assert (suite.get("tests"), suite.get("errors"), suite.get("failures")) == ("1", "1", "0")
        assert [path.name for path in done.report.iterdir()] == ["junit.xml"]
        return done

    return check


@pytest.mark.parametrize("suffix", ["plg", "yaml", "json"])
class TestFilesThatHoldNoScenario:
    def test_missing(self, refused, suffix):
        refused(f"x.{suffix}", "unreadable-file")

    def test_a_folder(self, refused, here, suffix):
        (here / f"x.{suffix}").mkdir()
        refused(f"x.{suffix}", "unreadable-file")

    @pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
    def test_not_for_us(self, refused, here, suffix):
        (here / f"x.{suffix}").touch(0o000)
        refused(f"x.{suffix}", "unreadable-file")

    @pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
    def test_empty(self, refused, here, suffix, content):
        (here / f"x.{suffix}").write_bytes(content)
        refused(f"x.{suffix}", "empty-file")

    @pytest.mark.parametrize(
        "content", [bytes(range(256)) * 20, b"\xff\xfe" + "scenario".encode("utf-16-le"), b"name: \xe9"]
    )
    def test_no_text(self, refused, here, suffix, content):
        (here / f"x.{suffix}").write_bytes(content)
        refused(f"x.{suffix}", "not-text")

    def test_fifty_megabytes(self, refused, here, suffix):
        with (here / f"x.{suffix}").open("wb") as file:
            file.truncate(50_000_000)
        refused(f"x.{suffix}", "file-too-large")

    def test_cut_off(self, refused, here, suffix):
        whole = {"plg": QUICK, "yaml": "name: [x", "json": '{"name": "x", "pattern": {'}[suffix]
        (here / f"x.{suffix}").write_text(whole[: len(whole) * 2 // 3 if suffix == "plg" else None])
        refused(f"x.{suffix}", "unterminated-block", "unterminated-string", "syntax", "yaml-syntax", "json-syntax")


def test_another_kind_of_file(refused, here):
    (here / "x.toml").write_text(QUICK)
    refused("x.toml", "unknown-format")


DEEP = {
    "repeat.plg": "scenario d { traffic { " + "repeat 2 { " * 3000 + "steady 1/s over 1s" + " }" * 3000 + " } }",
    "braces.plg": "{" * 1_000_000,
    "list.yaml": "a: " + "[" * 3000 + "]" * 3000,
    "block.yaml": "\n".join(" " * n + "- " for n in range(600)),
    "list.json": "[" * 1_000_000,
    "object.json": '{"a": ' * 3000 + "1" + "}" * 3000,
}


@pytest.mark.parametrize("name", DEEP)
def test_deep_nesting(refused, here, name):
    (here / name).write_text(DEEP[name])
    refused(name, "too-deep", "syntax", "empty-file")


def test_an_alias_bomb(refused, here):
    lines = ["name: bomb", "a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (here / "bomb.yaml").write_text("\n".join(lines))
    refused("bomb.yaml", "too-large", "alias", "too-many-aliases", "yaml-syntax", "unsupported-yaml", "alias-bomb")


DOCUMENT = {
    "name": "document",
    "jobs": [{"name": "job", "queue": "q"}],
    "pattern": {"type": "steady", "base_rate": 10, "duration": "1s"},
    "guardrails": {"max_rate": 100, "max_total_jobs": 1000, "max_duration": "1m"},
}


def test_the_document_that_is_spoilt_below_is_fine(run, here):
    (here / "x.json").write_text(json.dumps(DOCUMENT))
    (here / "x.yaml").write_text(yaml.safe_dump(DOCUMENT))
    assert run("lint", "x.json", "x.yaml").code == 0


def spoilt(path, value):
    """The document with ``value`` at ``path``; where the value is a dict, it takes the place of what was there."""
    document = json.loads(json.dumps(DOCUMENT))
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return document


HUGE = (float("nan"), float("inf"), float("-inf"), 1e400, 10**400)
RATES = (*HUGE, -1, "-5/s", "NaN/s", "1e999/s", "1e12/s", "fast", None, True, [], {})
DURATIONS = (*HUGE, 0, -1, "0s", "0ms", "-5s", 1e308, "1e400s", "9" * 400 + "h", "400d", "5 fortnights", None, {})
NUMBERS = [
    *((path, value) for path in (("pattern", "base_rate"), ("guardrails", "max_rate")) for value in RATES),
    *((path, value) for path in (("pattern", "duration"), ("guardrails", "max_duration")) for value in DURATIONS),
    *((("guardrails", "max_total_jobs"), value) for value in (*HUGE, 0, -1, 1.5, "many")),
    *((("guardrails", "max_queue_age"), value) for value in ("0s", "9999d")),
    *((("guardrails", "max_error_rate"), {"percent": value, "over": "1s"}) for value in ("0%", "101%", -1)),
    *((("guardrails", "max_error_rate"), {"percent": "5%", "over": value}) for value in ("0s", "9999d")),
    *((("jobs", 0, "weight"), value) for value in (*HUGE, 0, -1)),
    *((("workers",), {"count": value, "each": "1ms"}) for value in (*HUGE, 0, -3, 10**9)),
    *((("workers",), {"count": 1, "each": value}) for value in ("-1ms", "9999d")),
    (("guardrails", "warn_at"), "101%"),
    (("guardrails", "max_rate"), "0/s"),
    (("jobs", 0, "retry"), -1),
    (("jobs", 0, "timeout"), "-1s"),
    (("jobs", 0, "timeout"), "0s"),
    (("max_lag",), float("nan")),
    (("max_lag",), "9999d"),
    (("pattern",), {"type": "points", "points": [{"at": "0s", "rate": 1}, {"at": "9999d", "rate": 1}]}),
    (("pattern",), {"type": "points", "points": [{"at": "0s", "rate": "1e12/s"}, {"at": "9s", "rate": 1}]}),
    (("pattern",), {"type": "sine", "base_rate": 1, "amplitude": 1, "period": "0s", "duration": "1s"}),
]


def title(part):
    return ".".join(map(str, part)) if isinstance(part, tuple) else repr(part)[:40]


@pytest.fixture
def faulty(run, monkeypatch):
    """Checks that a file is refused with a fault that has its place: ``faulty(name)``. No page is asked for: what would
    draw it takes more of the machine than all the rest, and `refused` has it."""
    monkeypatch.setattr(session, "run", lambda *_: pytest.fail("something was sent"))

    def check(name: str, line: str = "") -> None:
        done = run("check", name, "--reports", "junit")
        assert done.code == 2, done.said
        assert "internal error" not in done.said
        assert f"{name}:{line}" in done.err, "the fault is not placed"

    return check


@pytest.mark.parametrize("suffix", ["json", "yaml"])
@pytest.mark.parametrize(("path", "value"), NUMBERS, ids=title)
def test_numbers_that_cannot_be(faulty, here, suffix, path, value):
    document = spoilt(path, value)
    text = json.dumps(document) if suffix == "json" else yaml.safe_dump(document)
    (here / f"x.{suffix}").write_text(text)
    faulty(f"x.{suffix}")


PATTERNS = {
    "exponential from 0": "ramp 0/s -> 9/s over 1s exponential",
    "exponential to 0": "ramp 9/s -> 0/s over 1s exponential",
    "no length": "steady 1/s over 0s",
    "no period": "sine 9/s +- 1/s every 0s over 1s",
    "burst without length": "burst 1/s -> 9/s for 0s every 1s over 3s",
    "no steps": "staircase 1/s -> 9/s in 0 steps over 1s",
    "endless steps": "staircase 1/s -> 9/s in 99_999_999_999 steps over 1s",
    "chaos upside down": "chaos 9/s .. 1/s every 1s over 3s seed 1",
    "chaos too fine": "chaos 1/s .. 9/s every 1ms over 9_999h seed 1",
    "repeat never": "repeat 0 { steady 1/s over 1s }",
    "repeat for ever": "repeat 99_999_999_999 { steady 1/s over 1s then pause 1s }",
    "nothing together": "together { }",
    "one point": "points linear { 0s 1/s }",
    "points backwards": "points linear { 0s 1/s, 2s 1/s, 1s 1/s }",
    "points late": "points linear { 1s 1/s, 2s 1/s }",
    "two of one name": "a: steady 1/s over 1s then a: steady 2/s over 1s",
    "negative": "steady -1/s over 1s",
    "beyond floats": f"steady {'9' * 400}/s over 1s",
    "beyond time": f"steady 1/s over {'9' * 400}d",
    "no file": 'replay "gone.csv"',
    "outside": 'replay "../secret.csv"',
    "absolute": 'replay "/etc/passwd"',
    "folder": 'replay "."',
    "empty name": 'replay ""',
    "null byte": 'replay "a\\u0000b"',
    "unknown word": "stedy 1/s over 1s",
    "unknown unit": "steady 1/fortnight over 1s",
    "no traffic": "",
}


@pytest.mark.parametrize("kind", PATTERNS)
def test_patterns_that_cannot_be(faulty, here, kind):
    (here.parent / "secret.csv").write_text("0,1\n1,1\n")
    (here / "x.plg").write_text(QUICK.replace("steady 200/s over 100ms", PATTERNS[kind]))
    begin = time.monotonic()
    faulty("x.plg", "3:")
    assert time.monotonic() - begin < 5


CLAUSES = {
    "unknown key": ("job job {", "colour red\n job job {"),
    "unknown setting": ('queue "q"', 'queue "q" colour "red"'),
    "job twice": ("traffic", 'job job { queue "r" }\n traffic'),
    "data missing": ("traffic", 'data users "gone.csv"\n traffic'),
    "data outside": ("traffic", 'data users "../secret.csv"\n traffic'),
    "data without rows": ("traffic", 'data users "empty.csv"\n traffic'),
    "params in a ring": ("traffic", "param a = b\n param b = a\n traffic"),
    "param of itself": ("traffic", "param a = a\n traffic"),
    "param twice": ("traffic", "param a = 1\n param a = 2\n traffic"),
    "two traffics": ("guardrails", "traffic { steady 1/s over 1s }\n guardrails"),
    "list and stream": ('queue "q"', 'queue "q" stream "s"'),
    "target of another kind": ("job job", 'target "http://example.com"\n job job'),
    "target without host": ("job job", 'target "redis://"\n job job'),
    "no limit": ("max_total_jobs 1_000", ""),
    "a bound in another unit": ("errors == 0", "errors < 5ms"),
    "a percentile of a count": ("errors == 0", "p99(errors) < 5"),
    "a percentile beyond": ("errors == 0", "p101(latency) < 5ms"),
    "no such phase": ("errors == 0", "errors during lunch == 0"),
    "no window": ("errors == 0", "acked > 0 in every 0s"),
    "more than all": ("errors == 0", "acked > 0 in 101% of 1s"),
}


@pytest.mark.parametrize("kind", CLAUSES)
def test_clauses_that_cannot_be(faulty, here, kind):
    (here.parent / "secret.csv").write_text("a\n1\n")
    (here / "empty.csv").write_text("")
    old, new = CLAUSES[kind]
    assert QUICK.count(old) == 1
    (here / "x.plg").write_text(QUICK.replace(old, new))
    faulty("x.plg")


def test_the_seed_is_any_whole_number(run, here):
    (here / "x.plg").write_text(QUICK.replace("traffic", "traffic poisson"))
    for seed in ("0", "-1", str(2**63), str(2**200)):
        done = run("plan", "x.plg", "--seed", seed, "--json")
        assert done.code in (0, 2), done.said
        assert "internal error" not in done.said


@pytest.mark.parametrize(
    "content",
    [
        quick().replace("job job", "# caf\u00e9\n  job job").encode("latin-1"),
        b"\xff\xfe" + "scenario".encode("utf-16-le"),
        b"scenario x {\0}",
    ],
)
def test_what_is_no_text_is_left_as_it_is(run, here, content):
    (here / "x.plg").write_bytes(content)
    done = run("fmt", "x.plg")
    assert done.code == 2
    assert "error[not-text]" in done.err
    assert (here / "x.plg").read_bytes() == content


def test_a_scenario_is_laid_out_in_its_place_or_not_at_all(run, here, monkeypatch):
    untidy = quick().replace("  ", " ")
    (here / "real.plg").write_text(untidy, encoding="utf-8")
    (here / "real.plg").chmod(0o640)
    (here / "link.plg").symlink_to("real.plg")
    assert run("fmt", "link.plg").code == 0
    assert (here / "link.plg").is_symlink()
    assert (here / "real.plg").stat().st_mode & 0o777 == 0o640
    assert run("fmt", "--check", "real.plg").code == 0
    (here / "real.plg").write_text(untidy, encoding="utf-8")

    def full(self, data):
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    done = run("fmt", "real.plg")
    assert done.code == 2
    assert "no space left on device" in done.err
    assert (here / "real.plg").read_text() == untidy
    assert sorted(path.name for path in here.iterdir()) == ["link.plg", "real.plg"]


def test_what_cannot_be_exchanged_is_written_over_and_one_fault_keeps_no_other_file(run, here, monkeypatch):
    untidy = quick().replace("  ", " ")
    for name in ("a.plg", "b.plg", "c.plg"):
        (here / name).write_text(untidy, encoding="utf-8")
    (here / "hard.plg").hardlink_to(here / "a.plg")
    monkeypatch.setattr("os.access", lambda path, mode: path.name != "b.plg")
    done = run("fmt", "a.plg", "b.plg", "c.plg")
    assert done.code == 2
    assert done.out.splitlines() == ["laid out a.plg", "laid out c.plg"]
    assert "b.plg: permission denied" in done.err
    tidy = (here / "a.plg").read_text()
    assert tidy != untidy
    assert (here / "hard.plg").read_text() == tidy, "still the same file"
    assert (here / "b.plg").read_text() == untidy
    (here / "b.plg").write_text(untidy, encoding="utf-8")
    monkeypatch.setattr("os.access", lambda path, mode: True)
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(16, "busy")))
    assert run("fmt", "b.plg").code == 0, "a file that is mounted by itself cannot be renamed over"
    assert (here / "b.plg").read_text() == tidy
    assert len(list(here.iterdir())) == 4


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h:abc", "the port must be a number"),
        ("redis://h:99999", "the port must be a number"),
        ("redis://h:1/abc", "the number of a database"),
        ("redis://[::1", "one of IPv6"),
        ("redis://h?no=1", "is not known"),
        ("unix://run/redis.sock", "three slashes"),
        ("redis://h?socket_timeout=abc", "socket_timeout must be a number"),
        ("redis://h?protocol=x", "protocol must be a number"),
        ("redis://:p\u2100w@h", "letters that no host can have"),
    ],
)
def test_a_url_that_cannot_be_meant_is_a_fault_of_the_scenario(run, here, url, said):
    (here / "x.plg").write_text(quick().replace("job job", f'target "{url}"\n  job job'), encoding="utf-8")
    (here / "y.plg").write_text(quick(), encoding="utf-8")
    for done in (run("lint", "x.plg"), run("plan", "y.plg", "--target", url), run("check", "y.plg", "--target", url)):
        assert done.code == 2
        assert "bad-target" in done.said
        assert said in done.said


def test_a_name_that_looks_like_an_option(run, here):
    done = run("new", "--", "-x")
    assert done.code == 0
    assert "now run: plg check ./-x.plg" in done.out
    assert run("lint", "./-x.plg").code == 0


def test_a_brace_that_is_missing_is_told_whatever_the_title(run, here):
    for title in ("x", "over", "foo"):
        (here / "x.plg").write_text(f"scenario {title} traffic {{ steady 1/s over 1s }} }}", encoding="utf-8")
        assert "expected `{`" in run("lint", "x.plg").said


def test_a_remark_before_a_parenthesis_and_fine_percentiles(run, here):
    text = quick().replace("errors == 0", "p99.99999 # why\n (latency) < 1s")
    (here / "x.plg").write_text(text, encoding="utf-8")
    assert run("lint", "x.plg").code == 0
