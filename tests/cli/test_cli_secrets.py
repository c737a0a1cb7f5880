"""A mistyped URL is told of without its password: in the terminal, in files and in annotations."""

from __future__ import annotations

import pytest
from cli_scenarios import QUICK

MISTYPED = [
    "redis:/:S3CRET@h:6379/0",
    "redis//:S3CRET@h",
    ":S3CRET@h:6379",
    "ann:S3CRET@h",
    "http://:S3CRET@h",
    "REDIS://:S3CRET@h",
    "redis://:S3CRET/x@h:1/0",
    "redis://:S3CRET@h:99999",
]


def files(folder):
    return "".join(path.read_text(encoding="utf-8") for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("url", MISTYPED)
@pytest.mark.parametrize("how", ["--target", "--set", "file", "environment"])
def test_a_mistyped_url_shows_no_password(run, here, monkeypatch, url, how):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("QUEUE_URL", url)
    target = {
        "--set": 'param u = "embedded" target u',
        "file": f'target "{url}"',
        "environment": "target env QUEUE_URL",
    }
    text = QUICK.replace("{", "{ " + target.get(how, "target embedded"), 1)
    given = {"--target": ["--target", url], "--set": ["--set", f"u={url}"]}.get(how, [])
    (here / "a.plg").write_text(text, encoding="utf-8")
    done = run("check", "a.plg", *given, "--out", "out")
    assert done.code in (2, 6), done.said
    assert "S3CRET" not in done.said + files(here / "out")


def test_a_fault_beside_the_url_shows_no_password(run, here):
    (here / "a.plg").write_text('scenario a { target "redis://:S3CRET@h" trafic { } }', encoding="utf-8")
    for form in ("text", "json", "github"):
        done = run("lint", "a.plg", "--format", form)
        assert done.code == 2
        assert "S3CRET" not in done.said


def test_what_is_no_setting_shows_no_password(run, here):
    (here / "a.plg").write_text(QUICK, encoding="utf-8")
    done = run("check", "a.plg", "--set", "redis://:S3CRET@h")
    assert done.code == 2
    assert "S3CRET" not in done.said
