"""``plg profile`` and ``plg history``, and ``plg check --record``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from plg.store.errors import Unavailable
from plg.store.store import Store

QUICK = ("--reports", "json")
"""Nothing is drawn."""
RAN = (0, 5)
"""Whether a busy machine held the schedule is not what is asked here."""


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
    assert run("check", "sale.plg", *QUICK).code == 0
    assert run("history").out == "no runs\n"
    first = run("check", "sale.plg", "--record", "--run-id", "first", *QUICK)
    assert first.code == 0, first.said
    assert "recorded as first" in first.out
    (here / "fails.plg").write_text(
        (here / "sale.plg").read_text().replace('"sale"', '"fails"').replace("errors ==", "acked ==")
    )
    assert run("check", "fails.plg", "sale.plg", "--record", "--parallel", "2", *QUICK).code == 3
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


def test_a_profile_runs_as_its_file_does(run: Any, here: Path) -> None:
    assert run("profile", "save", "sale.plg", "--secret", "params.token").code == 0
    (here / "sale.plg").unlink()
    done = run("profile", "run", "sale", "--record", "--run-id", "of-profile", "--set", "token=CANARYother", *QUICK)
    assert done.code in RAN, done.said
    outcome = json.loads((here / "plg-report/sale.outcome.json").read_text())
    assert outcome["scenario"]["jobs"][0]["payload"] == "***"
    assert outcome["ledger"]["acked"] == 10
    recorded = json.loads(run("history", "of-profile", "--json").out)
    assert recorded["profile_version"] == 1
    assert recorded["profile_id"] == json.loads(run("profile", "show", "sale", "--json").out)["id"]
    assert [each["id"] for each in json.loads(run("history", "--profile", "sale", "--json").out)["items"]] == [
        "of-profile"
    ]
    again = run("check", "plg-report/sale.scenario.yaml", "--out", "again")
    assert (again.code, "withheld-value" in again.err) == (2, True)


def test_a_profile_brings_its_tables(run: Any, here: Path) -> None:
    text = (here / "sale.plg").read_text().replace('"${seq}"', '"x"').replace("card:", 'who: "${users.email}", card:')
    (here / "users.csv").write_text("email\nann@example.org\n")
    (here / "sale.plg").write_text(text.replace("target", 'data users "users.csv"\n  target'))
    assert run("profile", "save", "sale.plg").code == 0
    assert run("profile", "save", "sale.plg", "--name", "other").code == 0
    (here / "users.csv").unlink()
    for arguments in ((), ("--parallel", "2")):
        done = run("profile", "run", "other", *arguments, *QUICK)
        assert done.code in RAN, done.said
    assert run("profile", "export", "sale", "--out", "e.json").code == 0
    assert json.loads((here / "e.json").read_text())["files"] == {}
    assert run("profile", "import", "e.json").code == 2, "the tables are secrets, and were left out"


def test_export_and_import(run: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("profile", "save", "sale.plg", "--secret", "params.token", "--environment", "staging").code == 0
    assert run("profile", "export", "sale", "--out", "open.json").code == 0
    refused = run("profile", "export", "sale", "--secrets")
    assert (refused.code, "PLG_PASSPHRASE" in refused.err) == (2, True)
    monkeypatch.setenv("PLG_PASSPHRASE", "a passphrase")
    assert run("profile", "export", "sale", "--secrets", "--out", "sealed.json").code == 0
    said = (here / "sealed.json").read_text() + (here / "open.json").read_text()
    assert "CANARY" not in said
    assert run("profile", "import", "open.json", "--name", "new").code == 2, "there is no secret to take"
    assert "version 2" in run("profile", "import", "open.json").out
    assert "new, version 1" in run("profile", "import", "sealed.json", "--name", "new").out
    shown = [json.loads(run("profile", "show", name, "--json").out) for name in ("sale", "new")]
    assert shown[0]["scenario"] == shown[1]["scenario"]
    assert shown[1]["metadata"] == {"environment": "staging"}
    assert run("profile", "run", "new", *QUICK).code in RAN
    monkeypatch.setenv("PLG_PASSPHRASE", "another one")
    wrong = run("profile", "import", "sealed.json", "--name", "third")
    assert (wrong.code, "another passphrase" in wrong.err) == (2, True)
    damaged = json.loads((here / "sealed.json").read_text())
    for name, value in (("memory", 1 << 30), ("iterations", 1000), ("kdf", "none"), ("data", "AAAA"), ("salt", 7)):
        (here / "bad.json").write_text(json.dumps({**damaged, "sealed": {**damaged["sealed"], name: value}}))
        done = run("profile", "import", "bad.json", "--name", "fourth")
        assert (done.code, done.err.startswith("error[")) == (2, True), done.said


def test_rekey(run: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("profile", "save", "sale.plg").code == 0
    assert run("profile", "save", "sale.plg").code == 0
    old, new = "k1:" + "1f" * 32, "k2:" + "2e" * 32
    monkeypatch.setenv("PLG_KEYS", f"{new},{old}")
    assert run("profile", "run", "sale", *QUICK).code in RAN
    assert "sealed 2 versions anew" in run("profile", "rekey").out
    assert "sealed 0 versions anew" in run("profile", "rekey").out
    monkeypatch.setenv("PLG_KEYS", new)
    assert run("profile", "run", "sale", *QUICK).code in RAN
    assert run("profile", "run", "sale", "--version", "1", *QUICK).code in RAN
    monkeypatch.setenv("PLG_KEYS", old)
    lost = run("profile", "run", "sale", *QUICK)
    assert lost.code == 2
    assert "is sealed with the key 'k2', which is not here" in lost.err
    assert run("profile", "show", "sale").code == 0, "what is hidden needs no key"


def test_share(run: Any) -> None:
    assert run("profile", "save", "sale.plg").code == 0
    done = run("profile", "share", "sale", "--private", "--user", "bob", "--role", "viewer")
    assert done.out == "sale is private, shared with role viewer (read), user bob (read)\n"
    assert "user bob (write)" in run("profile", "share", "sale", "--user", "bob", "--may", "write").out
    done = run("profile", "share", "sale", "--user", "bob", "--role", "viewer", "--remove", "--public")
    assert done.out == "sale is public, shared with nobody in particular\n"


def test_profiles_in_a_folder_of_files(run: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", f"folder:{here / 'profiles'}")
    place = ("--database", "env WHERE")
    assert run("profile", "save", "sale.plg", *place).code == 0
    assert "CANARYpayload" not in (here / "profiles/sale.plg").read_text()
    assert run("lint", "profiles/sale.plg").code == 0
    (here / "profiles/by-hand.plg").write_text((here / "sale.plg").read_text())
    (here / "profiles/broken.plg").write_text("scenario {")
    listed = json.loads(run("profile", "list", "--json", *place).out)["items"]
    assert [each["name"] for each in listed] == ["by-hand", "sale"]
    edited = (here / "profiles/sale.plg").read_text().replace("50/s", "100/s")
    (here / "profiles/sale.plg").write_text(edited)
    done = run("profile", "run", "sale", *place, "--record", *QUICK)
    assert done.code in RAN, done.said
    assert json.loads((here / "plg-report/sale.outcome.json").read_text())["ledger"]["acked"] == 20
    assert json.loads(run("history", "--json", *place).out)["items"][0]["profile_version"] == 2
    assert "version 3" in run("profile", "save", "sale.plg", *place).out
    versions = json.loads(run("profile", "history", "sale", "--json", *place).out)
    assert [(each["version"], each["scenario"]["pattern"]["base_rate"]) for each in versions] == [
        (3, 50),
        (2, 100),
        (1, 50),
    ]
    assert run("profile", "run", "sale", "--version", "2", *place, *QUICK).code in RAN
    (here / "profiles/sale.plg").unlink()
    assert [each["name"] for each in json.loads(run("profile", "list", "--json", *place).out)["items"]] == ["by-hand"]


@pytest.mark.parametrize("url", ["mysql://u:CANARYpass@h/x", "postgresql://u:CANARYpass@127.0.0.1:1/x", "nothing"])
def test_a_database_that_is_none(run: Any, url: str) -> None:
    done = run("profile", "list", "--database", url)
    assert done.code == 2
    assert "CANARY" not in done.said


def test_what_is_not_installed_is_told(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith(("plg.store.engine", "plg.store.sql"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    done = run("profile", "list")
    assert (done.code, "pip install 'patterned-load[store]'" in done.err) == (2, True)
    assert run("check", "sale.plg", *QUICK).code == 0, "nothing else needs it"


def test_a_run_that_could_not_be_recorded_is_no_pass(run: Any, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise Unavailable("the history cannot be written: no space left on the disk")

    monkeypatch.setattr(Store, "record", full)
    done = run("check", "sale.plg", "--record", *QUICK)
    assert done.code == 2
    assert "no space left on the disk" in done.err
    assert done.out.splitlines()[-1].startswith("exit 2: the history of runs could not be written")
    assert json.loads((here / "plg-report/sale.outcome.json").read_text())["verdict"] == "pass"
