"""The pages hold together: links lead somewhere, commands exist, examples are scenarios, tables tell the truth."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from plg.cli.main import main
from plg.cli.program import build_parser
from plg.guardrails.policy_file import CEILINGS, read_policy
from plg.targets.hosts import names_of

ROOT = Path(__file__).parents[3]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [text for name, text in BLOCK.findall(page.read_text(encoding="utf-8")) if name == language]


def commands(page: Path) -> list[str]:
    """What the page tells people to type."""
    lines = "\n".join(blocks(page, "console")).splitlines()
    return [line.removeprefix("$ ").split("  #")[0].strip() for line in lines if line.startswith("$ ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)\s]*)?\)", prose):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    parser = build_parser()
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in commands(page):
        words = shlex.split(command.split(" > ")[0].split(" | ")[0])
        if words[0] == "plg":
            parser.parse_args(words[1:])  # exits where an argument is not known
        elif words[0] == "make":
            assert words[1] in targets, command


def scenarios() -> list[tuple[str, str]]:
    return [
        (f"{page.name}-{index}", text)
        for page in PAGES
        for index, text in enumerate(blocks(page, "plg"))
        if re.search(r"^scenario ", text, re.MULTILINE) and page.stem not in ("diagnostics", "language", "howto")
    ]


@pytest.mark.parametrize(("name", "text"), scenarios(), ids=lambda value: value if "\n" not in value else "")
def test_scenarios_lint_clean(name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "example.plg"
    path.write_text(text, encoding="utf-8")
    assert main(["lint", str(path)]) == 0, capsys.readouterr().out


def test_the_faults_in_the_readme_are_what_plg_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    [shown] = [block for block in blocks(ROOT / "README.md", "console") if "plg lint" in block]
    lines = dict(re.findall(r"^(\d) \| (.*)$", shown, re.MULTILINE))
    text = f'scenario "sale" {{\n  traffic {{\n{lines["3"]}\n{lines["4"]}\n  }}\n'
    text += "  guardrails { max_rate 500/s  max_total_jobs 20_000  max_duration 2m }\n}\n"
    (tmp_path / "sale.plg").write_text(text, encoding="utf-8")
    assert main(["lint", str(tmp_path / "sale.plg")]) == 2
    said = capsys.readouterr().out.replace(f"{tmp_path}/", "")
    assert said.startswith(shown.split("\n", 1)[1].rstrip("\n"))


def test_the_plan_in_the_readme_is_what_plg_draws(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [shown] = [block for block in blocks(ROOT / "README.md", "console") if "plg plan" in block]
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(ROOT)
    assert main(["plan", "scenarios/flash-sale.plg"]) == 0
    assert capsys.readouterr().out.rstrip("\n") == shown.split("\n", 1)[1].rstrip("\n")


def test_the_verdict_in_the_readme_judges_the_shipped_scenario() -> None:
    from plg.language.load import load

    [shown] = [block for block in blocks(ROOT / "README.md", "console") if "--set peak=900/s" in block]
    said = re.findall(r"^  [✓✗!?] (.*?)  +\S", shown, re.MULTILINE)
    expect = load(ROOT / "scenarios" / "flash-sale.plg", overrides={}, target="embedded").scenario.expect
    assert said == [e.text if e.text.startswith(e.level) or e.level == "expect" else f"warn {e.text}" for e in expect]


def test_the_policy_page_holds_a_policy_and_names_every_ceiling(tmp_path: Path) -> None:
    page = ROOT / "docs" / "policy.md"
    path = tmp_path / "plg-policy.yaml"
    path.write_text(blocks(page, "yaml")[0], encoding="utf-8")
    policy = read_policy(path)
    assert [rule.name for rule in policy.environments] == ["production", "payments", "private", "elsewhere"]
    for ceiling in (*CEILINGS, "max_error_rate"):
        assert f"`{ceiling}`" in page.read_text(encoding="utf-8")


def test_the_spellings_of_a_host_on_the_policy_page_are_one_host() -> None:
    rows = re.findall(r"^\| (`redis://.*`) \|", (ROOT / "docs" / "policy.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 6
    for row in rows:
        found = {names_of(target) for target in re.findall(r"`([^`]+)`", row)}
        assert len(found) == 1, row


def test_the_guardrails_page_names_every_guardrail() -> None:
    schema = json.loads((ROOT / "schemas" / "scenario.schema.json").read_text(encoding="utf-8"))
    text = (ROOT / "docs" / "guardrails.md").read_text(encoding="utf-8")
    for name in schema["$defs"]["guardrails"]["properties"]:
        assert f"`{name}" in text, name


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    built = {path.stem for path in (tmp_path / "site").glob("*.html")}
    assert built >= {page.stem for page in (ROOT / "docs").glob("*.md")}
    # A reader without a network gets the whole page.
    for page in (tmp_path / "site").glob("*.html"):
        assert not re.search(r'(?:src|href)="(?:https?:)?//[^"]+\.(?:js|css|woff2?)"', page.read_text(encoding="utf-8"))


def test_the_fault_on_the_page_of_diagnostics_is_what_plg_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = blocks(ROOT / "docs" / "diagnostics.md", "text")[0]
    [line] = re.findall(r"^2 \| (.*)$", shown, re.MULTILINE)
    guardrails = "guardrails { max_rate 500/s  max_total_jobs 20_000  max_duration 2m }"
    monkeypatch.chdir(tmp_path)
    Path("checkout.plg").write_text(f'scenario "checkout" {{\n{line}\n{guardrails}\n}}\n', encoding="utf-8")
    assert main(["lint", "checkout.plg"]) == 2
    assert capsys.readouterr().out.startswith(shown)


def test_no_example_starts_at_a_moment_that_will_be_over() -> None:
    """A start in the past is refused: pages compute theirs, and the help names one far ahead."""
    for page in PAGES:
        assert not [command for command in commands(page) if re.search(r"--start-at \d{4}-", command)], page
    sources = [ROOT / "plg" / "cli" / name for name in ("options.py", "files.py")]
    moments = [year for path in sources for year in re.findall(r"\b(20\d\d)-\d\d-\d\dT", path.read_text())]
    assert moments
    assert {*moments} == {"2040"}
