"""Pipes, terminals narrow and wide, colour asked for and refused, and locales that know ASCII alone."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys

import pytest
from support.checked import environment, outcome_in, plg
from support.cli_scenarios import QUICK, quick

ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
REDRAW = "\r\x1b[2K"


def in_terminal(*arguments: str, cwd, columns: int = 80, **variables: str) -> tuple[int, str]:
    """Run ``plg`` on a terminal of its own; its exit code and every byte it wrote there."""
    ours, theirs = pty.openpty()
    subprocess.run(["stty", "cols", str(columns), "rows", "24", "-opost"], stdin=theirs, check=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "plg", *arguments], cwd=cwd, stdin=theirs, stdout=theirs, stderr=theirs,
        env=environment(**{"TERM": "xterm", **variables}),
    )  # fmt: skip
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:  # how Linux says that the other side has gone
        pass
    os.close(ours)
    return process.wait(60), written.decode()


def screen(written: str) -> str:
    """What is left to see on a screen wide enough that nothing wraps."""
    assert written.count("\r") == written.count(REDRAW), "a carriage return without a line erased"
    return "\n".join(line.rpartition(REDRAW)[2] for line in written.split("\n"))


LONG = quick(traffic="one: steady 100/s over 1s then two: steady 50/s over 500ms").replace(
    "acked == 20", "acked == 125"
)


@pytest.mark.parametrize("columns", [40, 80])
def test_the_live_line_leaves_nothing_behind(here, columns):
    (here / "a.plg").write_text(LONG, encoding="utf-8")
    code, written = in_terminal("check", "a.plg", cwd=here, columns=columns, NO_COLOR="1")
    assert code in (0, 5), written
    drawn = [piece.partition("\n")[0] for piece in written.split(REDRAW)[1:]]
    live = [line for line in drawn if re.match(r"\d+:\d\d/", line)]
    assert len(live) >= 4, drawn
    assert max(map(len, live)) < columns
    assert not ESCAPE.search(written.replace(REDRAW, ""))
    seen = screen(written)
    assert not any(line in seen for line in live)
    lines = seen.rstrip("\n").splitlines()
    assert lines[-1].startswith(f"exit {code}: ")
    assert "125 planned = 125 sent" in seen


def test_a_fault_in_a_terminal_is_coloured_and_whole(here):
    (here / "a.plg").write_text(QUICK.replace("steady", "stedy"), encoding="utf-8")
    code, written = in_terminal("check", "a.plg", cwd=here)
    assert code == 2
    assert "\x1b[" in written
    plain = ESCAPE.sub("", written)
    assert "error[" in plain
    assert "a.plg:3:" in plain
    assert plain.rstrip().splitlines()[-1].strip() == "exit 2: a.plg has 1 fault: there is no phase `stedy` (line 3)"


def test_a_dumb_terminal_gets_lines(here):
    (here / "a.plg").write_text(LONG, encoding="utf-8")
    code, written = in_terminal("check", "a.plg", cwd=here, TERM="dumb")
    assert code in (0, 5)
    assert "\x1b" not in written
    assert "\r" not in written


COMMANDS = (("plan", "a.plg"), ("lint", "b.plg"), ("check", "a.plg"))


@pytest.mark.parametrize("command", COMMANDS)
def test_colour_only_where_it_is_wanted(here, command):
    (here / "a.plg").write_text(quick(acked=21), encoding="utf-8")
    (here / "b.plg").write_text(QUICK.replace("errors", "erors"), encoding="utf-8")
    assert "\x1b" not in plg(*command, cwd=here).said
    forced = plg(*command, cwd=here, FORCE_COLOR="1").out
    assert "\x1b[" in forced
    assert REDRAW not in forced, "a pipe is no place to redraw"
    assert "\x1b" not in plg(*command, cwd=here, FORCE_COLOR="1", NO_COLOR="1").said


ASCII = (
    {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""},
    {"PYTHONIOENCODING": "latin-1"},
)


@pytest.mark.parametrize("locale", ASCII, ids=["asked for", "of the locale", "latin-1"])
def test_a_locale_without_unicode(here, locale):
    """The files are UTF-8 all the same; what cannot be shown is replaced, and nothing breaks."""
    text = quick("größe").replace('n: "${seq}"', 'n: "→ ${seq}"').replace("errors == 0", "erörs == 0")
    (here / "o.plg").write_text(text, encoding="utf-8")
    (here / "a.plg").write_text(text.replace("erörs", "errors"), encoding="utf-8")
    faulty = plg("lint", "o.plg", cwd=here, **locale)
    assert faulty.code == 2
    assert "error[" in faulty.out
    checked = plg("check", "a.plg", "--target", "fake", cwd=here, **locale)
    assert checked.code in (0, 5), checked.said
    assert checked.out.isascii() or locale["PYTHONIOENCODING"] == "latin-1"
    (saved,) = checked.report.glob("*.outcome.json")
    assert outcome_in(saved)["scenario"]["jobs"][0]["payload"] == {"n": "→ ${seq}"}
    for line in ("plan a.plg", "convert a.plg --to json", "convert a.plg --to plg", "schema"):
        done = plg(*line.split(), cwd=here, **locale)
        assert done.code == 0, done.said
        assert line.startswith("plan") or "\ufffd" not in done.out, "what programs read is UTF-8 everywhere"
    assert plg("report", saved.relative_to(here), cwd=here, **locale).code == 0


@pytest.mark.parametrize("columns", ["1", "40", "80", "500", "x", "0", "-5"])
def test_drawings_keep_to_the_columns_there_are(run, here, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    (here / "a.plg").write_text(LONG, encoding="utf-8")
    done = run("plan", "a.plg")
    assert done.code == 0
    widest = max(map(len, done.out.splitlines()))
    if columns in ("40", "80"):
        assert widest <= int(columns)
    assert widest <= 140
