"""``plg profile`` and ``plg history``, and ``plg check --record``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def test_a_profile_from_save_to_delete(run: Any, here: Path) -> None:
    done = run("profile", "save", "sale.plg", "--tag", "web", "--environment", "staging", "--secret", "params.token")
    assert done.code == 0, done.said
    assert done.out.startswith("saved sale, version 1 (")
    (here / "sale.plg").write_text((here / "sale.plg").read_text().replace("50/s", "60/s"))
    assert "version 2" in run("profile", "save", "sale.plg", "--environment", "staging", "--if-version", "1").out
    late = run("profile", "save", "sale.plg", "--if-version", "1")
    assert (late.code, "changed since" in late.err) == (2, True)
    listed = json.loads(run("profile", "list", "--environment", "staging", "--json").out)
    assert [(each["name"], each["version"], each["tags"]) for each in listed["items"]] == [("sale", 2, ["shop"])]
    assert "sale  2        staging" in run("profile", "list").out
    assert "60/s" in run("profile", "show", "sale").out
    old = run("profile", "show", "sale", "--version", "1", "--to", "json").out
    assert json.loads(old)["pattern"]["base_rate"] == 50
    assert json.loads(old)["jobs"][0]["payload"] == json.loads(old)["params"]["token"] == "***"
    versions = json.loads(run("profile", "history", "sale", "--json").out)
    assert [(each["version"], each["tags"]) for each in versions] == [(2, ["shop"]), (1, ["shop", "web"])]
    assert run("profile", "delete", "sale").code == 0
    assert run("profile", "list").out == "no profiles\n"
    gone = run("profile", "show", "sale")
    assert (gone.code, "there is no profile 'sale'" in gone.err) == (2, True)


def test_without_a_key_nothing_secret_is_saved(run: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLG_KEYS")
    done = run("profile", "save", "sale.plg")
    assert done.code == 2
    assert "jobs.0.payload is a secret and there is no key to seal it with: nothing was saved" in done.err
    assert "PLG_KEYS" in done.err
    assert run("profile", "list").out == "no profiles\n"
    text = (here / "sale.plg").read_text().replace('payload { card: "CANARYpayload-${seq}", token: token }', "")
    (here / "open.plg").write_text(text.replace('param token = "CANARYparam"', ""))
    assert run("profile", "save", "open.plg").code == 0


@pytest.mark.parametrize(
    "keys", ["k1", "k1:12", "k1:" + "g" * 64, "k1:" + "a" * 64 + ",k1:" + "b" * 64, "a b:" + "a" * 64]
)
def test_keys_that_cannot_be_read_are_told_without_them(run: Any, monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("PLG_KEYS", keys)
    done = run("profile", "save", "sale.plg")
    assert done.code == 2
    assert "PLG_KEYS" in done.err
    assert not any(part in done.said for part in ("g" * 20, "a" * 20, "b" * 20))


def test_what_cannot_run_is_not_saved(run: Any, here: Path) -> None:
    (here / "sale.plg").write_text((here / "sale.plg").read_text().replace("steady 50/s", "steady 50/fortnight"))
    done = run("profile", "save", "sale.plg")
    assert done.code == 2
    assert "fortnight" in done.err
    assert run("profile", "list").out == "no profiles\n"


def test_a_variable_that_is_not_set_here_is_no_fault(run: Any, here: Path) -> None:
    text = (here / "sale.plg").read_text().replace('"CANARYparam"', "env PLG_TEST_UNSET")
    (here / "sale.plg").write_text(text)
    assert run("profile", "save", "sale.plg").code == 0
    assert "env PLG_TEST_UNSET" in run("profile", "show", "sale").out


def test_checks_are_recorded_where_asked(run: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_SHA", "0123456789abcdef")
    monkeypatch.setenv("GITHUB_REF_NAME", "main")
    assert run("check", "sale.plg").code == 0
    assert run("history").out == "no runs\n"
    first = run("check", "sale.plg", "--record", "--run-id", "first")
    assert first.code == 0, first.said
    assert "recorded as first" in first.out
    (here / "fails.plg").write_text(
        (here / "sale.plg").read_text().replace('"sale"', '"fails"').replace("errors ==", "acked ==")
    )
    assert run("check", "fails.plg", "sale.plg", "--record", "--parallel", "2").code == 3
    [failed] = json.loads(run("history", "--verdict", "fail", "--json").out)["items"]
    assert (failed["name"], failed["exit_code"], failed["acked"]) == ("fails", 3, 10)
    assert (failed["commit"], failed["branch"]) == ("0123456789abcdef", "main")
    assert failed["machine"]
    assert failed["server"].startswith("fake")
    listed = json.loads(run("history", "--scenario", "sale", "--json").out)["items"]
    assert [each["id"] for each in listed][-1] == "first"
    assert len({each["plan_digest"] for each in listed}) == 1
    assert failed["plan_digest"] == listed[0]["plan_digest"]
    assert run("history", "first", "--outcome", "o.json").code == 0
    assert json.loads((here / "o.json").read_text())["scenario"]["jobs"][0]["payload"] == "***"
    assert run("judge", "o.json").code == 0
    assert run("history", "first", "--star").code == 0
    assert "2 forgotten" in run("history", "--keep", "0").out
    assert [each["id"] for each in json.loads(run("history", "--json").out)["items"]] == ["first"]


def test_a_run_that_cannot_be_recorded_is_not_begun(run: Any, here: Path) -> None:
    (here / "data").write_text("a file")
    done = run("check", "sale.plg", "--record")
    assert done.code == 2
    assert "cannot be opened" in done.err
    assert not (here / "plg-report/sale.outcome.json").exists()
