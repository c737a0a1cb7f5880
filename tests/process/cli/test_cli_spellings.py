"""``fmt``, ``convert``, ``lint``, ``new`` and ``schema``: files in, files out, nothing sent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from support.cli_scenarios import QUICK
from support.shipped import SHIPPED

from plg.cli.options import TEMPLATES

CASES = [
    path
    for path in sorted((Path(__file__).parents[2] / "cases" / "valid").iterdir())
    if path.suffix in (".plg", ".yaml", ".json") and ".expected" not in path.name
]


def test_fmt_checks_and_lays_out(run, here):
    tidy, untidy = QUICK, QUICK.replace("\n", " ").replace("  ", " ") + "\n"
    (here / "tidy.plg").write_text(tidy, encoding="utf-8")
    run("fmt", "tidy.plg")
    (here / "untidy.plg").write_text("# kept\n" + untidy, encoding="utf-8")
    before = (here / "untidy.plg").read_text()
    checked = run("fmt", "--check", "tidy.plg", "untidy.plg")
    assert (checked.code, checked.out) == (3, "would lay out untidy.plg\n")
    assert (here / "untidy.plg").read_text() == before
    assert run("fmt", "*.plg").out == "laid out untidy.plg\n"
    after = (here / "untidy.plg").read_text()
    assert after.startswith("# kept\n")
    assert after != before
    assert (run("fmt", "*.plg").out, run("fmt", "--check", "*.plg").code) == ("", 0)


def test_fmt_leaves_what_it_cannot_read_and_goes_on(run, here):
    (here / "a.plg").write_text("scenario {{{", encoding="utf-8")
    (here / "b.plg").write_text(QUICK.replace("  job", "      job"), encoding="utf-8")
    done = run("fmt", "a.plg", "b.plg")
    assert done.code == 2
    assert "error[" in done.err
    assert (here / "a.plg").read_text() == "scenario {{{"
    assert done.out == "laid out b.plg\n"
    assert run("fmt", "missing.plg").code == 2
    (here / "x.yaml").write_text("name: x")
    assert run("fmt", "x.yaml").code == 2


@pytest.mark.parametrize("path", [*SHIPPED, *CASES], ids=lambda path: f"{path.parent.name}-{path.name}")
def test_convert_goes_round(run, here, path):
    """The DSL of a file says it all: back from YAML and from JSON it is the same text, and they the same document."""
    folder = here / "beside"
    shutil.copytree(path.parent, folder)

    def convert(name, spelling):
        done = run("convert", folder / name, "--to", spelling)
        assert (done.code, done.err) == (0, "")
        return done.out

    text = convert(path.name, "plg")
    (folder / "again.plg").write_text(text, encoding="utf-8")
    document = json.loads(convert("again.plg", "json"))
    for spelling in ("yaml", "json"):
        (folder / f"again.{spelling}").write_text(convert("again.plg", spelling), encoding="utf-8")
        assert convert(f"again.{spelling}", "plg") == text
        assert json.loads(convert(f"again.{spelling}", "json")) == document


def test_convert_refuses_what_lint_refuses(run, here):
    (here / "a.plg").write_text(QUICK.replace("steady", "stedy"), encoding="utf-8")
    done = run("convert", "a.plg", "--to", "yaml")
    assert (done.code, done.out) == (2, "")
    assert "error[" in done.err


def test_lint_in_all_formats(run, here):
    quick = QUICK.replace("acked == 20", "acked == 20  queue_depth < 1_000")
    (here / "bad.plg").write_text(
        quick.replace("over 100ms", "over 100fortnights").replace("errors ==", "erors =="), encoding="utf-8"
    )
    (here / "good.plg").write_text(quick, encoding="utf-8")
    text = run("lint", "good.plg", "bad.plg")
    assert text.code == 2
    assert text.out.endswith("2 files checked: 2 errors, no warnings\n")
    found = json.loads(run("lint", "*.plg", "--format", "json").out)
    assert [(f["code"], f["file"], f["line"]) for f in found] == [
        ("unknown-unit", "bad.plg", 3),
        ("unknown-measure", "bad.plg", 6),
    ]
    github = run("lint", "bad.plg", "--format", "github").out.splitlines()
    assert [line.partition(",")[0] for line in github] == ["::error file=bad.plg"] * 2
    assert run("lint", "good.plg", "--format", "json").out == "[]\n"
    assert run("lint", "good.plg").code == 0


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", ["sale", "with space", "größe", "it's"])
def test_new_writes_what_lint_takes(run, here, template, name):
    done = run("new", name, "--template", template, "--github")
    assert (done.code, done.err) == (0, "")
    assert f"wrote {name}.plg" in done.out
    linted = run("lint", f"{name}.plg")
    assert linted.out == "1 file checked: no errors, no warnings\n"
    assert run("fmt", "--check", f"{name}.plg").code == 0
    assert json.loads(run("plan", f"{name}.plg", "--json").out)["scenario"] == name
    assert (here / ".github" / "workflows" / "plg.yml").is_file()


@pytest.mark.parametrize("name", ["", "..", "/", 'a"b', "a\tb", "a:b", "?", ".hidden", "x" * 101])
def test_new_refuses_a_name_that_lint_would_refuse(run, here, name):
    done = run("new", "--", name)
    assert done.code == 2
    assert "error[usage]" in done.err
    assert list(here.iterdir()) == []


def test_new_overwrites_nothing_unasked(run, here):
    (here / "sale.plg").write_text("mine")
    done = run("new", "sale", "--github")
    assert done.code == 2
    assert "sale.plg is there already" in done.err
    assert (here / "sale.plg").read_text() == "mine"
    assert not (here / ".github").exists()
    assert run("new", "sale", "--force").code == 0
    assert "scenario" in (here / "sale.plg").read_text()
    assert run("new", "below/there/sale").code == 0
    assert run("lint", "below/there/sale.plg").code == 0


@pytest.mark.parametrize("which", ["scenario", "outcome"])
def test_schemas_are_schemas(run, which):
    from jsonschema import Draft202012Validator

    done = run("schema", which)
    assert done.code == 0
    Draft202012Validator.check_schema(json.loads(done.out))
    if which == "scenario":
        assert run("schema").out == done.out
