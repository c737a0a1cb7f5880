"""The wheel that a project keeps for its workflow, and what is said where there is none to keep."""

from pathlib import Path

from plg import __version__
from plg.cli.vendoring import checkout, wheel_path, write_wheel

ROOT = Path(__file__).parents[3]


def test_the_wheel_has_the_name_that_pip_reads():
    name = wheel_path("1.2.3").name
    assert name == "patterned_load-1.2.3-py3-none-any.whl"


def test_links_to_a_checkout_are_no_files_to_pack(tmp_path):
    assert checkout() == ROOT
    assert not write_wheel(tmp_path / "x.whl")
    assert list(tmp_path.iterdir()) == []


def test_new_says_how_to_make_the_wheel(run, here):
    done = run("new", "sale", "--github")
    wheel = wheel_path(__version__)
    assert f'pip install "./{wheel}[embedded]"' in (here / ".github" / "workflows" / "plg.yml").read_text()
    assert f"--wheel-dir {wheel.parent} {ROOT}" in done.out
    assert not (here / wheel).exists()
