"""Values from the environment reach the jobs and nothing else: canaries in every place where a secret may stand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_servers import Scripted, launcher, server_programs

from plg.language.load import load, read_text
from plg.language.write import write_json, write_plg, write_yaml

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

    monkeypatch.setattr("plg.session.make_plan", broken)
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
