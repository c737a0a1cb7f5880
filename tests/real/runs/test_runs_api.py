"""The public names of plg: few, pinned, loaded when they are used, and as the page on Python shows them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.checked import environment

import plg

PAGE = (Path(__file__).parents[3] / "docs" / "python.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NAMES = [
    "Handle", "NoOutcome", "Order", "Outcome", "ScenarioError", "Stop", "__version__", "launch", "order",
    "plan_document", "read_outcome", "run",
]  # fmt: skip


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(PAGE) if name == language]


def test_the_public_names_are_these_and_each_is_there() -> None:
    assert plg.__all__ == NAMES
    for name in NAMES:
        assert getattr(plg, name) is not None
        assert name in dir(plg)
    with pytest.raises(AttributeError, match="module 'plg' has no attribute 'attack'"):
        plg.attack  # type: ignore[attr-defined]  # noqa: B018


def test_the_page_names_them_all() -> None:
    for name in NAMES:
        assert name == "__version__" or f"plg.{name}" in PAGE, name


def test_importing_plg_loads_nothing_else() -> None:
    code = (
        "import sys, plg; print(*[m for m in sys.modules if m.startswith('plg.') or m in ('numpy', 'lark', 'redis')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_the_examples_of_the_page_run(number: int, tmp_path: Path) -> None:
    (scenario,) = blocks("plg")
    (tmp_path / "sale.plg").write_text(scenario, encoding="utf-8")
    example = blocks("python")[number]
    file = tmp_path / ("test_example.py" if "def test_" in example else "example.py")
    file.write_text(example, encoding="utf-8")
    how = ["-m", "pytest", "-q", "-p", "no:cacheprovider"] if "def test_" in example else []
    for _ in range(6):  # on a machine that is busy with other things a run is INVALID, and the examples say so
        command = [sys.executable, *how, str(file)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment(), timeout=60)
        if done.returncode == 0:
            break
    assert done.returncode == 0, done.stdout + done.stderr


def test_an_order_says_all_itself(tmp_path: Path) -> None:
    (tmp_path / "sale.plg").write_text(blocks("plg")[0], encoding="utf-8")
    order = plg.order(tmp_path / "sale.plg", target="fake", params={"peak": "50/s"}, seed=3)
    again = plg.Order.from_json(order.to_json())
    assert again == order
    assert plg.plan_document(again)["planned"] == 50
    assert json.loads(order.to_json())["overrides"] == {"peak": "50/s"}
    with pytest.raises(TypeError, match="seed cannot be given beside it"):
        plg.plan_document(order, seed=4)


def test_a_policy_beside_the_scenario_holds_for_python_too(tmp_path: Path) -> None:
    (tmp_path / "sale.plg").write_text(blocks("plg")[0], encoding="utf-8")
    (tmp_path / "plg-policy.yaml").write_text("ceilings: {max_rate: 20/s}\n")
    assert plg.plan_document(tmp_path / "sale.plg", target="fake")["sent_estimate"] == 20


def test_a_scenario_with_faults_raises_them_all(tmp_path: Path) -> None:
    (tmp_path / "s.plg").write_text('scenario "s" { nonsense }')
    with pytest.raises(plg.ScenarioError) as refused:
        plg.run(tmp_path / "s.plg")
    assert isinstance(refused.value, plg.NoOutcome)
    assert refused.value.code == 2
