"""``--reports``: the files that are asked for are written, and nothing is started or loaded for the others."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from support.cli_scenarios import quick

from plg.reports.registry import REPORTS, USUAL, named


def check(run, *more: str):
    Path("a.plg").write_text(quick("a"), encoding="utf-8")
    return run("check", "a.plg", *more, "--quiet")


def written() -> set[str]:
    return {path.name for path in Path("plg-report").iterdir()}


def test_without_a_word_it_is_the_usual(run) -> None:
    assert check(run).code == 0
    assert written() == {"junit.xml", "a.outcome.json", "a.scenario.yaml", "a.html"}


@pytest.mark.parametrize(
    ("asked", "files"),
    [
        ("junit", {"junit.xml"}),
        ("json", {"a.outcome.json", "a.scenario.yaml"}),
        ("markdown, junit", {"junit.xml", "a.md"}),
        ("html", {"a.html"}),
    ],
)
def test_what_is_asked_for_is_written_and_nothing_else(run, asked, files) -> None:
    assert check(run, "--reports", asked).code == 0
    assert written() == files


def test_what_an_earlier_check_left_of_other_reports_is_not_taken_for_this_one(run) -> None:
    check(run)
    assert check(run, "--reports", "markdown").code == 0
    assert written() == {"a.md"}


def test_files_of_others_under_the_names_of_reports_are_let_be(run) -> None:
    Path("plg-report").mkdir()
    own = {"a.md": "# About a\n", "a.html": "<h1>About a</h1>", "a.png": "PNG", "junit.xml": "<testsuites name='x'/>"}
    for name, text in own.items():
        (Path("plg-report") / name).write_text(text)
    for _ in range(2):
        assert check(run, "--reports", "json").code == 0
        assert {name: (Path("plg-report") / name).read_text() for name in own} == own
        assert written() == {*own, "a.outcome.json", "a.scenario.yaml"}


def test_a_report_without_an_outcome_is_set_aside_too_when_a_check_of_its_scenario_begins(run) -> None:
    assert check(run, "--reports", "markdown,html").code == 0
    Path("a.plg").write_text(quick("a").replace("steady", "stedy"), encoding="utf-8")
    assert run("check", "a.plg", "--quiet").code == 2
    assert {path.name for path in Path("plg-report").iterdir()} == {"junit.xml", "a.md.earlier", "a.html.earlier"}


def test_a_picture_is_known_again_as_one_of_plg() -> None:
    from plg.reports.png import _signed

    def chunk(kind: bytes, data: bytes = b"") -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    begin, end = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(b"\0\0")) + chunk(b"IEND")
    assert _signed(begin + end) == begin + chunk(b"tEXt", b"Software\0plg") + end
    assert re.search(REPORTS["png"].sign.encode(), _signed(begin + end))


def test_several_at_once_write_what_is_asked_for(run) -> None:
    Path("b.plg").write_text(quick("b"), encoding="utf-8")
    assert check(run, "b.plg", "--parallel", "2", "--reports", "markdown").code == 0
    assert written() == {"a.md", "b.md"}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("htlm", "there is no report 'htlm'; did you mean html?"),
        ("JUnit", "there is no report 'JUnit'; did you mean junit?"),
        ("zebra", f"there is no report 'zebra'; known: {', '.join(REPORTS)}"),
        ("", "there is no report ''"),
    ],
)
def test_an_unknown_name_is_an_error_of_usage(run, asked, told) -> None:
    done = check(run, "--reports", asked)
    assert done.code == 2
    assert told in done.err
    assert not Path("plg-report").exists()


def test_png_is_a_short_form(run, monkeypatch) -> None:
    from plg.reports import artifacts

    drawn = []
    monkeypatch.setattr(artifacts, "render", lambda saved, form, _: drawn.append((form, json.loads(saved))) or b"PNG")
    assert check(run, "--reports", "junit", "--png").code == 0
    assert written() == {"junit.xml", "a.png"}
    check(run, "--png")
    assert written() == {"junit.xml", "a.outcome.json", "a.scenario.yaml", "a.html", "a.png"}
    assert [form for form, _ in drawn] == ["png", "png"]


PROBE = """
import subprocess, sys
began = []
kept = subprocess.Popen.__init__
def note(self, *arguments, **more):
    began.append(arguments[0])
    kept(self, *arguments, **more)
subprocess.Popen.__init__ = note
from plg.cli.main import main
code = main(sys.argv[1:])
loaded = sorted(name for name in sys.modules if name.startswith(("plotly", "kaleido", "plg.reports.html")))
print("PROBE", code, sum("plg.reports.render" in str(each) for each in began), loaded)
"""


@pytest.mark.parametrize(("asked", "processes"), [("junit,json,markdown", 0), ("junit,html", 1)])
def test_a_check_without_a_page_starts_no_drawing_process_and_loads_no_plotly(here, asked, processes) -> None:
    Path("a.plg").write_text(quick("a"), encoding="utf-8")
    given = ["check", "a.plg", "--quiet", "--reports", asked]
    done = subprocess.run([sys.executable, "-c", PROBE, *given], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == f"PROBE 0 {processes} []", done.stderr


def test_every_report_of_the_registry_can_be_made_again(run) -> None:
    check(run)
    for report in REPORTS.values():
        if not report.needs:
            assert run("report", "plg-report/a.outcome.json", f"--{report.name}", f"again.{report.suffix}").code == 0
            assert Path(f"again.{report.suffix}").stat().st_size > 100
    assert Path("again.outcome.json").read_text() == Path("plg-report/a.outcome.json").read_text()
    assert Path("again.scenario.yaml").read_text() == Path("plg-report/a.scenario.yaml").read_text()


def test_the_names_are_put_in_order_each_once() -> None:
    assert named("html,json,html") == ("json", "yaml", "html")
    assert named("junit,json,html") == USUAL
