"""plg: patterned load for Redis-backed job queues, judged in CI.

``plg.run("sale.plg")`` runs a scenario and returns its judged outcome; see docs/python.md. Each name is loaded when it
is first used, so that ``import plg`` costs nothing.
"""

__version__ = "0.2.0"

__all__ = [
    "Handle", "NoOutcome", "Order", "Outcome", "ScenarioError", "Stop", "__version__", "launch", "order",
    "plan_document", "read_outcome", "run",
]  # fmt: skip

# Not from `typing`, which loads a good part of the library: the working folder may still be on the path.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from plg.api import launch, order, plan_document, run
    from plg.diagnostics import ScenarioError
    from plg.outcome import Outcome
    from plg.outcome_io import read_outcome
    from plg.runs.launcher import Handle, NoOutcome
    from plg.runs.order import Order
    from plg.stop import Stop

_HOMES = {
    "Handle": "runs.launcher", "NoOutcome": "runs.launcher", "Order": "runs.order", "Outcome": "outcome",
    "ScenarioError": "diagnostics", "Stop": "stop", "launch": "api", "order": "api", "plan_document": "api",
    "read_outcome": "outcome_io", "run": "api",
}  # fmt: skip
"""The module of each public name."""


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'plg' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"plg.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *_HOMES]
