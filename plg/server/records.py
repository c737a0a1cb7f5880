"""What a server keeps of its tests in its data folder, so that the next one can tell of them."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from plg.diagnostics import Diagnostic, ScenarioError

OUTCOME = "outcome.json"
_STATE = "test.json"
_KEPT = (
    "test_id", "name", "status", "verdict", "started_at", "started_by", "duration_s", "target", "planned", "acked",
    "exit_code", "reason", "planned_duration_s", "ledger", "expectations", "violations", "limits", "phases",
    "stopped_by", "warnings", "faults",
)  # fmt: skip


class Records:
    """A folder for each test below ``data``: its state as last written, its outcome, what was made of that.

    Raises `ScenarioError` where another server has the folder, or it cannot be used.
    """

    def __init__(self, data: Path) -> None:
        self.folder = data / "tests"
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = os.open(data / "server.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _unusable(f"another server uses the data folder {data}", "name another one with --data") from None
        except OSError as error:
            raise _unusable(
                f"the data folder {data} cannot be used: {(error.strerror or str(error)).lower()}"
            ) from None

    def of(self, test_id: str) -> Path:
        """The folder of one test."""
        return self.folder / test_id

    def open(self, test_id: str) -> Path:
        """Make the folder of a test."""
        folder = self.of(test_id)
        folder.mkdir(mode=0o700)
        return folder

    def save(self, report: Mapping[str, Any], **more: Any) -> None:
        """Write the state of a test: whole, or not at all."""
        folder = self.of(report["test_id"])
        draft = folder / f"{_STATE}.draft"
        draft.write_text(json.dumps({**{name: report[name] for name in _KEPT}, **more}), encoding="utf-8")
        draft.replace(folder / _STATE)

    def saved(self) -> Iterator[dict[str, Any]]:
        """The states that were written, the oldest test first; one that is damaged is passed over."""
        found = []
        for folder in self.folder.iterdir():
            with suppress(OSError, ValueError):
                state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
                if isinstance(state, dict) and set(_KEPT) <= set(state):
                    found.append(state)
        return iter(sorted(found, key=lambda state: str(state["started_at"])))

    def close(self) -> None:
        """Let another server have the folder."""
        os.close(self._lock)


def _unusable(message: str, help: str = "") -> ScenarioError:
    return ScenarioError([Diagnostic("usage", message, "<command line>", help=help)])


def process_mark(pid: int) -> str | None:
    """What tells the process ``pid`` from a later one of that number; None where there is none."""
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return None if fields[0] in "ZX" else fields[19]
    return None


def summary(outcome: Any) -> dict[str, Any]:
    """What is shown of an outcome; to be called beside the thread that serves."""
    from dataclasses import asdict

    from plg.server.load_test import judgement

    recording = outcome.recording
    return {
        "status": _status(recording.stop, recording.ended_s, recording.duration),
        "verdict": outcome.verdict,
        "exit_code": outcome.exit_code,
        "reason": outcome.reason,
        "duration_s": outcome.duration_s,
        "ledger": asdict(outcome.ledger),
        "stopped_by": recording.stop_by or None,
        "expectations": [
            {"text": r.text, "level": r.level, **judgement(r), "turned_s": r.first_breach_s}
            for r in outcome.expectations
        ],
    }


def _status(stop: str | None, ended: float, duration: float) -> str:
    if stop == "signal" and ended >= duration:
        return "completed"  # all of its plan was sent
    return {None: "completed", "signal": "interrupted", "target": "failed"}.get(stop, "stopped")
