"""Why a run ends before its plan does: the name of the stop, what it is about, and who asked for it."""

from __future__ import annotations

from plg.dataclass import dataclass

STOPS = ("signal", "user", "target", "shard", "guardrail", "expectation")
"""The names of stops, the gravest first: a signal to the process; somebody who asked the run to stop; a target that
refuses or is lost; a shard of the run that is lost or late; a limit; an expectation marked ``or stop``."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop by its ``name``, one of `STOPS`.

    ``detail`` is the signal's name, the limit, the text of the expectation, or a sentence. ``by`` is who asked for it:
    an account, or another shard of the run (``shard 2 of 4``); empty where the run itself found the reason.
    """

    name: str
    detail: str
    by: str = ""

    @staticmethod
    def signal(name: str | None) -> Stop | None:
        """The stop that a signal (``SIGINT``) stands for; None for none."""
        return Stop("signal", name) if name else None
