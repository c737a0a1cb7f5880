"""Numbers are written with the digits 0 to 9: those of other scripts are refused, with what to write instead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from plg.cli.program import build_parser
from plg.clock import MonotonicClock
from plg.language.load import lint
from plg.runner.start import read_start
from plg.target_url import url_fault

ARABIC, WIDE, BENGALI = (
    str.maketrans("0123456789", digits)
    for digits in ("٠١٢٣٤٥٦٧٨٩", "".join(chr(0xFF10 + i) for i in range(10)), "০১২৩৪৫৬৭৮৯")
)
SCENARIO = (
    'scenario "digits" {\n  param peak = 20/s\n  job j { weight 3 timeout 30s }\n'
    "  traffic { steady 10/s over 1m30s then ramp 10/s -> $peak over 2.5s }\n"
    "  guardrails { max_rate 1_000/s max_total_jobs 20_000 max_duration 10m max_memory 512MB }\n"
    "  expect { p99(latency) < 250ms in every 10s errors == 0 error_rate < 5% }\n}\n"
)
WRITTEN = [
    "20/s", "weight 3", "30s", "10/s", "1m30s", "2.5s", "1_000/s", "20_000", "10m", "512MB", "250ms", "10s", "== 0",
    "5%",
]  # fmt: skip


def faults(tmp_path: Path, text: str, name: str = "digits.plg") -> list[tuple[str, str]]:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return [(d.message, d.help) for d in lint(file).diagnostics if d.severity == "error"]


def test_with_its_own_digits_it_is_right(tmp_path: Path) -> None:
    assert faults(tmp_path, SCENARIO) == []


@pytest.mark.parametrize("digits", [ARABIC, WIDE, BENGALI], ids=["arabic", "wide", "bengali"])
@pytest.mark.parametrize("written", WRITTEN)
def test_each_number_of_the_dsl(tmp_path: Path, written: str, digits: dict[int, int]) -> None:
    wrong = written.translate(digits)
    found = faults(tmp_path, SCENARIO.replace(written, wrong, 1))
    word = written.split()[-1]
    assert found == [
        (f"`{wrong.split()[-1]}` has digits that are not read: numbers are written with 0 to 9", f"write {word}")
    ]


@pytest.mark.parametrize(
    ("wrong", "right"), [("1٣/s", "13/s"), ("1m٣0s", "1m30s"), ("10/s ٢٤", ""), ("٢.٤/s", "2.4/s"), ("-٣/s", "-3/s")]
)  # fmt: skip
def test_digits_of_two_kinds_are_one_number(tmp_path: Path, wrong: str, right: str) -> None:
    found = faults(tmp_path, SCENARIO.replace("steady 10/s", f"steady {wrong}"))
    assert found[0][1] == f"write {right or '24'}"


def test_all_are_told_at_once(tmp_path: Path) -> None:
    numbers = ["20/s", "3", "30s", "10/s", "1m30s", "10/s", "2.5s", "1_000/s", "20_000", "10m", "512MB", "250ms", "10s"]
    wanted = [f"write {number}" for number in (*numbers, "0", "5%")]
    wanted.insert(11, "did you mean p99? the aggregates are p50, p75, p90, p95, p99, p99.9, min, max, mean")
    assert [help for _, help in faults(tmp_path, SCENARIO.translate(ARABIC))] == wanted


YAML = """\
name: digits
jobs: [{name: j, weight: 2}]
pattern: {type: steady, base_rate: 10/s, duration: 30s}
guardrails: {max_rate: 100/s, max_total_jobs: 100, max_duration: 2m, max_cpu_percent: 80%}
expect: ["errors < 5"]
"""
JSON = """\
{"name": "digits", "jobs": [{"name": "j", "weight": 2}],
"pattern": {"type": "steady", "base_rate": "10/s", "duration": "30s"},
"guardrails": {"max_rate": "100/s", "max_total_jobs": 100, "max_duration": "2m", "max_cpu_percent": "80%"},
"expect": ["errors < 5"]}
"""


@pytest.mark.parametrize("written", ["10/s", "30s", "100/s", "100", "2m", "2", "80%", "5"])
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_each_number_of_a_document(tmp_path: Path, form: str, written: str) -> None:
    text = YAML if form == "yaml" else JSON
    assert faults(tmp_path, text, f"digits.{form}") == []
    wrong, changes = re.subn(rf"(?<=[ \"]){written}(?=[,}}\"\]])", written.translate(ARABIC), text)
    assert changes == 1
    assert [help for _, help in faults(tmp_path, wrong, f"digits.{form}")] == [f"write {written}"]


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["--seed", "٤٢"], "42"), (["--connections", "٤"], "4"), (["--parallel", "٢"], "2"), (["--wait", "٣٤s"], "34s"),
        (["--shard", "٢/٣"], "2/3"),
    ],
)  # fmt: skip
def test_options(arguments: list[str], written: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args(["check", "a.plg", *arguments])
    assert ended.value.code == 2
    assert f"write {written}\n" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["+٣s", "202٦-11-23T18:30:05Z"])
def test_a_start(text: str) -> None:
    with pytest.raises(ValueError, match=r"write (\+3s|2026-11-23T18:30:05Z)$"):
        read_start(text, MonotonicClock())


@pytest.mark.parametrize("option", ["max_connections=٣", "socket_timeout=٣", "wait=٣s", "db=٣"])
def test_options_of_a_target(option: str) -> None:
    assert url_fault(f"redis://localhost/0?{option}")
    assert url_fault(f"redis://localhost/0?{option.replace('٣', '3')}") is None


def test_a_param_from_outside(tmp_path: Path) -> None:
    from plg.diagnostics import ScenarioError
    from plg.language.load import load

    file = tmp_path / "digits.plg"
    file.write_text(SCENARIO, encoding="utf-8")
    with pytest.raises(ScenarioError) as error:
        load(file, overrides={"peak": "٢٤/s"}, target="fake")
    assert error.value.diagnostics[0].help == "write 24/s"
