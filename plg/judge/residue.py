"""residue: of how many jobs something is left in the target when the run is over."""

from __future__ import annotations

import numpy as np

from plg.judge.breach import holds
from plg.judge.windows import NoData
from plg.runner.recording import Recording

UNSEEN = "nobody looked what the run left in the target"


def judge_residue(recording: Recording, op: str, bound: float) -> tuple[bool, float, str]:
    """Whether the line holds, what it reads, and a remark. Raises `NoData`."""
    if recording.residue is None:
        raise NoData(recording.residue_said or UNSEEN)
    value = float(recording.residue)
    return bool(holds(op, np.array([value]), bound)[0]), value, recording.residue_said
