"""Values from the environment reach the jobs and nothing else: canaries in every place where a secret may stand."""

from __future__ import annotations

import base64
import copy
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from support.checked import Done
from support.real_servers import Scripted, launcher, server_programs

from plg import session
from plg.diagnostics import ScenarioError
from plg.language.load import load, load_document, read_text
from plg.language.write import write_json, write_plg, write_yaml
from plg.outcome_io import from_json, to_json
from plg.prepare import Request, prepare
from plg.reports.html import html as html_page
from plg.reports.registry import REPORTS
from plg.reports.render import Drawing
from plg.runs.order import Order

KEY, URL, NUMBER = 'CANARY-key:§"q" ${seq}', "redis://u:CANARYpass@h/0", "987654321"
CANARIES = ("CANARY", NUMBER)
SCENARIO = """scenario "s" {
  description about
  param about = env ABOUT
  param key = env KEY
  param again = key
  param url = env URL else "none"
  param number = env NUMBER
  param place = env PLACE keep
  param rate = env RATE else 100/s
  param set = env UNSET else "x"
  job a {
    queue place
    payload {
      a: "${param.key}", b: "x ${param.url} y", c: number, d: [again, { e: "${param.set}" }], f: "${param.number}"
    }
  }
  traffic { steady rate over 200ms }
  guardrails { max_rate 500/s max_total_jobs 1_000 max_duration 1m }
  expect { errors == 0 warn acked == 0 }
}
"""
SMALL = """scenario "s" {
  param key = env KEY
  job a { queue "q" payload { k: key } }
  workers 1 each 1ms
  traffic { steady 50/s over 200ms }
  guardrails { max_rate 500/s max_total_jobs 1_000 max_duration 1m }
  expect { errors == 0 }
}
"""


@pytest.fixture
def secrets(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scenario with secrets in its environment, and GitHub's files."""
    given = {"KEY": KEY, "URL": URL, "NUMBER": NUMBER, "PLACE": "kept-queue", "RATE": "120/s", "ABOUT": "CANARY about"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(here / "summary.md"))
    (here / "s.plg").write_text(SCENARIO, encoding="utf-8")
    return here


@pytest.fixture
def server() -> Iterator[Any]:
    """A server on a port of its own."""
    program = next((path for path in server_programs().values() if path), None)
    assert program is not None, "a redis-server or valkey-server is needed"
    for start in launcher():
        yield start(program)


SET = ("--set", "set=CANARYset")


def leaks(folder: Path, said: str) -> list[str]:
    """Where a canary is found, other than in the scenario's own variables."""
    found = [f"terminal: {line}" for line in said.splitlines() if any(c in line for c in CANARIES)]
    for path in folder.rglob("*"):
        if path.is_file() and any(c in path.read_text(encoding="utf-8", errors="replace") for c in CANARIES):
            found.append(str(path))
    return found


def test_every_command_keeps_secrets(run: Any, secrets: Path) -> None:
    said = ""
    for part in ("1/2", "2/2"):
        done = run("check", "s.plg", "--shard", part, "--run-id", "r", "--quiet", *SET)
        assert done.code == 0, done.said
        said += done.said
    for arguments in (
        ("check", "s.plg", *SET),
        ("plan", "s.plg", "--json", *SET), ("plan", "s.plg", "--arrivals", "a.csv", *SET), ("lint", "s.plg"),
        ("fmt", "s.plg"), ("convert", "s.plg", "--to", "json"),
        ("judge", "plg-report/s.outcome.json"), ("judge", "plg-report/s.outcome.json", "s.plg", *SET),
        ("judge", "plg-report/s.outcome.json", "plg-report/s.scenario.yaml"),
        ("report", "plg-report/s.outcome.json", "--html", "r.html", "--junit", "r.xml", "--markdown", "r.md"),
        ("merge", "plg-report/s.shard-1-of-2.outcome.json", "plg-report/s.shard-2-of-2.outcome.json", "--out", "m"),
        ("plan", "plg-report/s.scenario.yaml"),
    ):  # fmt: skip
        done = run(*arguments)
        assert done.code in (0, 5), done.said  # the shards were not started together
        said += done.said
    assert leaks(secrets, said) == []
    saved = json.loads((secrets / "plg-report/s.outcome.json").read_text())["scenario"]
    payload = saved["jobs"][0]["payload"]
    assert payload == {"a": "***", "b": "x *** y", "c": "***", "d": ["***", {"e": "***"}], "f": "***"}
    assert saved["jobs"][0]["queue"] == "kept-queue"
    assert saved["pattern"]["base_rate"] == "120/s"
    assert saved["params"]["key"] == {"env": "KEY", "value": "***"}
    assert "rate" not in saved["params"]
    refused = run("check", "plg-report/s.scenario.yaml", "--out", "again")
    assert refused.code == 2
    assert "KEY" in refused.err
    assert "withheld-value" in refused.err
    assert run("convert", "plg-report/s.scenario.yaml", "--to", "plg").code == 2


def test_the_jobs_have_the_values(run: Any, secrets: Path, server: Any) -> None:
    done = run("check", "s.plg", "--quiet", "--target", f"redis://127.0.0.1:{server.port}", *SET)
    assert done.code == 0, done.said
    job = json.loads(server.ask("LINDEX", "kept-queue", "0").partition(b"\r\n")[2])["payload"]
    assert job == {
        "a": KEY, "b": f"x {URL} y", "c": int(NUMBER), "d": [KEY, {"e": "CANARYset"}], "f": int(NUMBER),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "instead"),
    [
        ("steady rate", "steady key"), ("max_rate 500/s", "max_rate url"), ("max_duration 1m", "max_duration number"),
        ("errors == 0", "p99(latency) < key"), ("queue place", "queue key"), ("queue place", 'queue "q" encoding key'),
        ("over 200ms", "over again"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("value", [KEY, "CANARY" * 20, "CANARY", URL])
def test_a_value_of_the_wrong_kind_is_not_quoted(
    run: Any, secrets: Path, monkeypatch: pytest.MonkeyPatch, place: str, instead: str, value: str
) -> None:
    monkeypatch.setenv("KEY", value)
    assert place in SCENARIO
    (secrets / "s.plg").write_text(SCENARIO.replace(place, instead), encoding="utf-8")
    done = run("check", "s.plg", *SET)
    linted = run("lint", "s.plg", "--format", "json")
    assert leaks(secrets, done.said + linted.said) == []


def test_what_is_not_from_the_environment_is_kept(run: Any, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("URL")
    assert run("check", "s.plg", "--quiet", *SET).code == 0
    saved = json.loads((secrets / "plg-report/s.outcome.json").read_text())["scenario"]
    assert saved["jobs"][0]["payload"]["b"] == "x none y"


def test_an_internal_error_does_not_tell(run: Any, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **more: object) -> None:
        raise RuntimeError(f"cannot do with {KEY!r} and {URL}")

    monkeypatch.setattr("plg.prepare.make_plan", broken)
    done = run("check", "s.plg", "--quiet", *SET)
    assert "CANARY" not in done.said
    assert "CANARY" not in "".join(path.read_text() for path in secrets.glob("plg-report/*"))


def test_what_a_server_repeats_is_hidden(run: Any, secrets: Path) -> None:
    def repeat(connection: Any) -> None:
        while connection.recv(65536):
            connection.sendall(f"-ERR no command with args {KEY} {URL} CANARYset\r\n".encode())

    server = Scripted(repeat)
    try:
        done = run("check", "s.plg", "--quiet", "--target", server.url, *SET)
    finally:
        server.close()
    assert done.code == 6, done.said
    assert "***" in done.said
    assert leaks(secrets, done.said) == []


def test_an_opened_exit_is_found(run: Any, secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plg.language.params._shown", lambda body, result, declared: result.document)
    done = run("check", "s.plg", "--quiet", *SET)
    assert any("outcome.json" in leak for leak in leaks(secrets, done.said))


@pytest.mark.parametrize(
    "value", ["7CANARY", "900/CANARY", "-5/CANARY", "5sCANARY", "CANARY.csv", "1e99CANARY", "CA", "redis://CANARY:1/x"]
)
@pytest.mark.parametrize("place", ["steady rate", "max_rate 500/s", "max_duration 1m", "each 1ms", "errors == 0"])
def test_no_part_of_a_value_is_quoted(
    run: Any, secrets: Path, monkeypatch: pytest.MonkeyPatch, place: str, value: str
) -> None:
    monkeypatch.setenv("KEY", value)
    instead = f"{place.rpartition(' ')[0]} key" if place[:6] != "errors" else "p99(latency) < key during key"
    text = SCENARIO.replace("traffic", "workers 1 each 1ms traffic").replace("ABOUT", "KEY").replace(place, instead)
    (secrets / "s.plg").write_text(text, encoding="utf-8")
    done = run("lint", "s.plg")
    assert done.code == 2
    assert value[-6:] not in done.said.replace("steady rate", "")
    assert "KEY" in done.said


def test_figures_of_the_traffic_are_shown(run: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE", "1200/s")
    text = SMALL.replace("env KEY", "env RATE else 10/s").replace("steady 50/s", "steady key").replace(": key", ": 1")
    (here / "s.plg").write_text(text.replace("500/s", "key"), encoding="utf-8")
    (here / "plg-policy.yaml").write_text("environments: [{name: all, hosts: ['*'], ceilings: {max_rate: 100/s}}]")
    done = run("plan", "s.plg")
    assert done.code == 0, done.said
    assert "max_rate lowered from 1,200/s to 100/s" in done.out
    assert "***" not in done.said


@pytest.mark.parametrize(
    "secret",
    ["two  blanks", "first-line\nsecond-line\nthird-line", "a" * 300, 'qu"ote & <less>', "ünïcödé\\n", "tab\tbed"],
)
def test_what_a_server_makes_of_a_secret_is_hidden(here: Path, monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    """As Redis repeats what it does not know: on one line, cut off after 128 bytes; and as proxies spell it."""
    monkeypatch.setenv("KEY", secret)
    (here / "s.plg").write_text(SMALL, encoding="utf-8")
    raw = secret.encode()
    for spelled in (
        secret.replace("\n", " "), secret.replace("\n", " ")[:128], secret.splitlines()[-1], quote(secret, safe=""),
        json.dumps(secret), json.dumps(secret, ensure_ascii=False), escape(secret).replace("\n", " "),
        repr(secret), repr(raw), base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode().rstrip("="),
    ):  # fmt: skip
        words = f"-ERR unknown command, with args beginning with: '{spelled}'\r\n".encode()

        def repeat(connection: Any, words: bytes = words) -> None:
            while connection.recv(65536):
                connection.sendall(words)

        server = Scripted(repeat)
        try:
            prepared = prepare(here / "s.plg", Request({}, target=server.url))
            outcome = session.run(prepared, session.Observer())
        finally:
            server.close()
        said = f"{outcome.reason} {to_json(outcome)} {html_page([outcome])}"
        assert re.search(r"with args beginning with: \S{1,9}\*\*\*", said)
        pieces = (spelled, " ".join(spelled.split()), json.dumps(spelled)[1:-1], escape(spelled))
        assert [piece for piece in pieces if piece in said.replace("***", "")] == []


BROKEN = """
import sys
import plg.session
def broken(*arguments, **more):
    import os
    raise RuntimeError("cannot do with " + os.environ["KEY"])
plg.prepare.make_plan = broken
from {module} import main
sys.exit(main())
"""


@pytest.mark.parametrize("debug", ["", "1"])
@pytest.mark.parametrize("module", ["plg.cli.main", "plg.runs.child"])
def test_no_process_ends_with_a_secret(
    here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], module: str, debug: str
) -> None:
    """Also where it ends with a traceback, and where it is the child that runs one of several scenarios."""
    monkeypatch.setenv("KEY", "CANARY\nof two lines")
    monkeypatch.setenv("PLG_DEBUG", debug)
    (here / "s.plg").write_text(SMALL, encoding="utf-8")
    order = Order.of(here / "s.plg", Request({}), {"KEY": "CANARY\nof two lines"}).to_json()
    arguments = ["check", "s.plg"] if module == "plg.cli.main" else [str(here / "left.json")]
    with subprocess.Popen(
        [sys.executable, "-c", BROKEN.format(module=module), *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        # Left open to the end: a child whose standard input is closed has no parent any more.
        process.stdin.write(f"{order}\n")
        process.stdin.flush()
        said = process.stdout.read()
    assert process.returncode == 1, said
    assert "RuntimeError: cannot do with ***" in said
    assert ("Traceback" in said) == bool(debug or module == "plg.runs.child")
    assert leaks(here, said) == []
    assert "two lines" not in said


def test_no_command_line_holds_a_secret(here: Path) -> None:
    """Of plg's children: those that run several scenarios, their workers, their servers and what draws."""
    for name in ("a", "b"):
        (here / f"{name}.plg").write_text(SMALL.replace('"s"', name).replace("200ms", "2s"), encoding="utf-8")
    given = {**os.environ, "KEY": "CANARYkey"}
    check = subprocess.Popen(
        [sys.executable, "-m", "plg", "check", "a.plg", "b.plg", "--parallel", "2"], env=given,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    lines = set()
    while check.poll() is None:
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                lines.add(process.read_bytes())
        time.sleep(0.05)
    said = check.communicate()[0]
    assert check.returncode == 0, said
    assert any(b"plg.runs.child" in line for line in lines)
    assert any(b"plg.targets.consumer" in line for line in lines)
    assert [line for line in lines if b"CANARY" in line] == []
    assert leaks(here, said) == []


WHOLE: dict[str, Any] = {
    "name": "s", "description": "about it", "tags": ["a", "b"], "params": {"key": {"env": "KEY", "default": "x"}},
    "target": "fake", "data": {"users": "users.csv"},
    "jobs": [
        {
            "name": "j1", "weight": 2, "queue": "q1", "payload": {"a": "x", "n": {"m": ["y", "${users.name}"]}},
            "priority": 1, "timeout": "30s", "retry": 3,
        },
        {"name": "j2", "queue": {"kind": "stream", "name": "q2"}, "encoding": "raw", "payload": "order ${seq}"},
    ],
    "workers": {"count": 1, "each": "1ms"}, "connections": 2, "pacing": "precise", "max_lag": "100ms", "watch": "20ms",
    "arrivals": {"process": "uniform", "seed": 4},
    "pattern": {"type": "custom", "phases": [
        {"name": "p1", "type": "steady", "base_rate": "50/s", "duration": "40ms"},
        {"name": "p2", "type": "replay", "file": "r.csv"},
    ]},
    "guardrails": {"max_rate": "500/s", "max_total_jobs": 1000, "max_duration": "1m"},
    "expect": ["errors == 0", "p99(latency) < 1s during p1"],
}  # fmt: skip
"""A scenario with every field at which a secret may be put."""


def places(node: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in children:
        if key != "params":
            yield (*path, key)
            yield from places(child, (*path, key))


def put(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(WHOLE)
    owner: Any = changed
    for step in path[:-1]:
        owner = owner[step]
    owner[path[-1]] = value
    return changed


def secret_everywhere(here: Path, monkeypatch: pytest.MonkeyPatch, look: Any, *values: str) -> None:
    """Put a param with each of the values, and a text with one in it, in each place of `WHOLE`, and ``look`` at what is
    said and left. How a value begins and ends is nothing in the midst of a text: two of them are enough there."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    (here / "users.csv").write_text("name\nann\nbob\n")
    (here / "r.csv").write_text("t,rate\n0,20\n0.05,20\n")
    found, ran = [], 0
    puts = [*itertools.product([{"param": "key"}], values), *itertools.product(["x${param.key}y"], values[-2:])]
    for path, (value, given) in itertools.product(places(WHOLE), puts):
        monkeypatch.setenv("KEY", given)
        (here / "s.yaml").write_text(json.dumps(put(path, value)))
        code, said = look()
        ran += code != 2
        found += [f"{path} {value} {given}: {leak}" for leak in leaks(here, said)]
    assert found == []
    assert ran > 40


def test_a_secret_in_any_place_is_never_shown(run: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def look() -> tuple[int, str]:
        said = [run("lint", "s.yaml"), run("plan", "s.yaml")]
        with suppress(ScenarioError):
            said.append(Done(0, json.dumps(load("s.yaml").document), "", here))
        return said[1].code, "".join(done.said for done in said)

    secret_everywhere(here, monkeypatch, look, "CANARYsecret", "7CANARY")


class DrawnHere(Drawing):
    """A report that is drawn in this process, by what the drawing process runs."""

    def __init__(self, form: str) -> None:
        self._form = form

    def await_ready(self, patience: float) -> None: ...

    def begin(self, outcome_json: str) -> None:
        self._given = outcome_json

    def finish(self, left: object = None, patience: float = 0.0) -> bytes:
        return str(REPORTS[self._form].make([from_json(self._given, trusted=True)])).encode()

    def abandon(self) -> None: ...


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_secret_in_any_place_is_never_left(run: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plg.reports.render_process.Drawing", DrawnHere)  # some hundred pages, and no process for each

    def look() -> tuple[int, str]:
        done = run("check", "s.yaml")
        return done.code, done.said + run("plan", "s.yaml", "--json").said

    url, path = "redis://u:CANARYpass@127.0.0.1:1/0", "./CANARY.csv"
    secret_everywhere(here, monkeypatch, look, "CANARYsecret", "7CANARY", url, path, "sale CANARY", NUMBER)
    assert list(here.glob("plg-report/s.html*"))


def test_a_name_is_no_secret(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether or not the variable is set; with `keep` it may be one."""
    for path in (("name",), ("jobs", 0, "name"), ("pattern", "phases", 1, "name")):
        for environ in ({}, {"KEY": "CANARY"}):
            with pytest.raises(ScenarioError) as refused:
                load_document(put(path, "x${param.key}"), environ=environ, folder=here)
            assert "secret-name" in {fault.code for fault in refused.value.diagnostics}
            assert "CANARY" not in str(refused.value)
    kept = put(("name",), "x${param.key}") | {"params": {"key": {"env": "KEY", "keep": True}}}
    del kept["data"], kept["pattern"]["phases"][1]
    kept["jobs"][0]["payload"] = {}
    assert load_document(kept, environ={"KEY": "kept"}).scenario.name == "xkept"


def test_keep_in_all_spellings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACE", "kept")
    text = 'scenario "s" { param a = env PLACE keep param b = env PLACE else "x" keep job j { payload { a: a, b: b } }'
    text += " traffic { steady 1/s over 1s } guardrails { max_rate 5/s max_total_jobs 10 max_duration 1m } }"
    document = read_text(text, "s.plg").document
    kept = {"a": {"env": "PLACE", "keep": True}, "b": {"env": "PLACE", "default": "x", "keep": True}}
    assert document["params"] == kept
    for suffix, write in ((".plg", write_plg), (".yaml", write_yaml), (".json", write_json)):
        path = tmp_path / f"s{suffix}"
        path.write_text(write(document))
        assert read_text(path.read_text(), path.name, suffix).document == document
        assert load(path).document["jobs"][0]["payload"] == {"a": "kept", "b": "kept"}
