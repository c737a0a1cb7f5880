"""Runs the steps of a composite GitHub action as a runner would: expressions filled in, each script under bash."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "plg-check" / "action.yml"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
_EXPRESSION = re.compile(r"\$\{\{\s*(.+?)\s*\}\}")


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


@dataclass
class Runner:
    """One run of the action with ``inputs``; ``folder`` is the workspace, ``temp`` the runner's temporary folder.

    ``action`` is the folder that the action lies in: this checkout's own, or a copy in another project.
    """

    inputs: dict[str, str]
    folder: Path
    temp: Path
    outputs: dict[str, dict[str, str]] = field(default_factory=dict)
    action: Path = ACTION.parent

    def __post_init__(self) -> None:
        declared = read(ACTION)["inputs"]
        assert set(self.inputs) <= set(declared), "an input the action does not have"
        self.inputs = {name: str(each.get("default", "")) for name, each in declared.items()} | self.inputs

    def value(self, expression: str) -> str:
        """What stands for an expression; only the plain ones that the action uses are known."""
        if expression == "github.action_path":
            return str(self.action)
        parts = expression.split(".")
        if parts[0] == "inputs":
            return self.inputs[parts[1]]
        if parts[0] == "steps":
            return self.outputs.get(parts[1], {}).get(parts[3], "")
        raise AssertionError(f"no value for {expression}")

    def fill(self, text: str) -> str:
        return _EXPRESSION.sub(lambda match: self.value(match[1]), text)

    def step(self, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the step with the id ``name``; its outputs are kept for later steps."""
        step = next(s for s in read(ACTION)["runs"]["steps"] if s.get("id") == name)
        assert step["shell"] == "bash"
        written = self.temp / f"output-{name}"
        written.touch()
        # As the runner starts `shell: bash`: from a file, stopping at the first failure, pipes included.
        script = self.temp / f"{name}.sh"
        script.write_text(step["run"], encoding="utf-8")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(script)],
            cwd=self.folder,
            env={
                **{k: v for k, v in os.environ.items() if not k.startswith(("PLG_", "REDIS_"))},
                "RUNNER_TEMP": str(self.temp),
                "GITHUB_OUTPUT": str(written),
                **{key: self.fill(value) for key, value in step.get("env", {}).items()},
                **environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        pairs = (line.split("=", 1) for line in written.read_text(encoding="utf-8").splitlines())
        self.outputs[name] = dict(pairs)
        return done
