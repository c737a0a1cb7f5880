"""plg token and plg audit, as their users call them."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path

import pytest

from plg.access import roles
from plg.access.audit import AuditLog, anchor_of
from plg.access.errors import AccessError
from plg.access.tokens import FILE, Tokens
from plg.cli.main import main


@pytest.fixture
def plg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """A command in this process with a data folder of the test's own: (exit code, standard output, standard error)."""
    monkeypatch.setenv("PLG_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def call(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main([*arguments])
        except SystemExit as end:
            code = int(str(end.code))
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_a_token_goes_alone_to_standard_output_and_opens(plg, tmp_path: Path) -> None:
    code, out, err = plg("token", "create", "ci", "--role", "operator", "--expires", "30d")
    assert code == 0
    assert out.count("\n") == 1
    account = Tokens(tmp_path / "data").recognise(out.strip())
    assert account is not None
    assert (account.name, account.role) == ("ci", "operator")
    assert "not shown again" in err
    secret = out.strip().rpartition("_")[2]
    for file in (tmp_path / "data").iterdir():
        assert secret not in file.read_text(), file
    code, out, _ = plg("token", "list")
    assert [line.split()[:3] for line in out.splitlines()[1:]] == [["ci", "operator", "valid"]]
    assert plg("token", "revoke", "ci")[:2] == (0, f"revoked: ci (operator, {account.token})\n")
    assert json.loads(plg("token", "list", "--json")[1])["tokens"][0]["state"] == "revoked"
    assert Tokens(tmp_path / "data").all()[0].revoked_at is not None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("token", "create", "ci"), "--role"),
        (("token", "create", "ci", "--role", "root"), "viewer"),
        (("token", "create", "ci", "--role", "viewer", "--expires", "soon"), "a time such as 12h or 30d, or never"),
        (("token", "create", "ci", "--role", "viewer", "--expires", "0d"), "a time above 0"),
        (("token", "create", " ", "--role", "viewer"), "the name of a token"),
        (("token", "revoke", "nobody"), "no token 'nobody'"),
        (("audit", "verify", "--head", "x"), "--head takes NUMBER:HASH"),
        (("audit", "tail", "-n", "0"), "a whole number from 1"),
    ],
)
def test_a_misuse_is_said_and_changes_nothing(plg, tmp_path: Path, arguments, words) -> None:
    code, out, err = plg(*arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert not (tmp_path / "data" / FILE).exists()


def test_what_was_done_to_tokens_is_in_the_log_which_is_verified_shown_and_handed_on(plg, tmp_path: Path) -> None:
    token = plg("token", "create", "ci", "--role", "operator")[1].strip()
    plg("token", "create", "=cmd", "--role", "viewer", "--expires", "never")
    plg("token", "revoke", "ci")
    log = AuditLog(tmp_path / "data")
    assert [record.document["event"] for record in log.records()] == ["token.create", "token.create", "token.revoke"]
    code, out, _ = plg("audit", "verify")
    assert code == 0
    head = out.split("head ")[1].strip()
    assert plg("audit", "verify", "--head", head)[0] == 0
    tail = plg("audit", "tail", "-n", "1")[1]
    assert "token.revoke" in tail
    assert 'role="operator"' in tail
    exported = plg("audit", "export", "--since", "1")[1]
    assert [json.loads(line)["seq"] for line in exported.splitlines()] == [2, 3]
    rows = list(csv.reader(io.StringIO(plg("audit", "export", "--format", "csv")[1])))
    assert [row[2] for row in rows[1:]] == ["token.create", "token.create", "token.revoke"]
    assert token.rpartition("_")[2] not in exported + tail + log.path.read_text()
    log.path.write_bytes(log.path.read_bytes().replace(b"operator", b"admin"))
    code, out, _ = plg("audit", "verify")
    assert code == 3
    assert "record 1 at byte 0 is not as it was written" in out
    assert "exit 3: " in out
    told = json.loads(plg("audit", "verify", "--json")[1])
    assert (told["sound"], told["anchor"]) == (False, str(anchor_of(tmp_path / "data")))
    assert {fault["code"] for fault in told["faults"]} == {"changed"}


def test_a_token_that_cannot_be_written_down_is_not_made(plg, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "state").write_text("a file where the folder of the anchor would be")
    code, out, err = plg("token", "create", "ci", "--role", "operator")
    assert (code, out) == (2, "")
    assert "anchor" in err
    assert Tokens(tmp_path / "data").all() == []


@pytest.mark.parametrize("module", ["cryptography.hazmat.primitives.kdf.argon2", "casbin"])
def test_a_library_that_is_missing_is_named_with_what_brings_it(plg, monkeypatch, module) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    if module == "casbin":
        roles._granted.cache_clear()
        with pytest.raises(AccessError, match="need casbin, which is not installed"):
            roles.allowed(roles.Account("kim", "admin"), roles.TOKENS)
        return
    code, out, err = plg("token", "create", "ci", "--role", "operator")
    assert (code, out) == (2, "")
    assert "cryptography, which is not installed" in err
    assert "pip install 'patterned-load[server]'" in err
