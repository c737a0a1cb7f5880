"""``plg lint --stdin``: what an editor asks of a text that is not saved."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

GOOD = """scenario x {
  data users "users.csv"
  job a { payload { to: "${users.email}" } }
  traffic { steady 10/s over 5s }
  guardrails { max_rate 20/s max_total_jobs 100 max_duration 1m }
  expect { errors == 0 }
}
"""


@pytest.fixture
def typed(run, here, monkeypatch):
    """Lints a text as if it were typed: ``typed(text, *words)``."""

    def lint(text: str | bytes, *words: str):
        data = text.encode() if isinstance(text, str) else text
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return run("lint", "--stdin", *words)

    return lint


def test_a_text_is_looked_at_where_its_file_lies(typed, here) -> None:
    Path("deep").mkdir()
    Path("deep/users.csv").write_text("email\na@example.com\n")
    assert typed(GOOD, "deep/new.plg").code == 0
    assert not Path("deep/new.plg").exists()
    missing = typed(GOOD, "other.plg", "--format", "json")
    assert missing.code == 2
    [fault] = json.loads(missing.out)
    assert (fault["file"], fault["line"]) == ("other.plg", 2)


def test_faults_stand_at_their_place(typed) -> None:
    done = typed(GOOD.replace('data users "users.csv"', "").replace("over", "ovr"), "--format", "json")
    assert done.code == 2
    place = {fault["code"]: (fault["file"], fault["line"], fault["column"]) for fault in json.loads(done.out)}
    assert place["unknown-key"] == ("stdin.plg", 4, 25)


def test_its_name_says_what_it_is_written_in(typed) -> None:
    assert typed("name: x\n", "a.yaml").code == 2
    done = typed("name: x\n", "a.txt")
    assert done.code == 2
    assert "a.txt is not the name of a scenario file" in done.said


@pytest.mark.parametrize(
    ("data", "said"), [(b"a\0b", "binary data"), (b"\xff", "not UTF-8"), (b" " * (2**24 + 1), "larger than 16 MiB")]
)
def test_what_is_no_text_is_refused(typed, data: bytes, said: str) -> None:
    done = typed(data)
    assert done.code == 2
    assert said in done.said


@pytest.mark.parametrize("words", [(), ("--stdin", "a.plg", "b.plg")])
def test_nothing_or_too_much_to_look_at_is_a_usage_error(run, here, words: tuple[str, ...]) -> None:
    assert run("lint", *words).code == 2
