"""Expectations + recording → verdicts.

`judge` gives each expectation its result, `EarlyStop` looks at a run that goes on (`first_breach` at all it recorded so
far), `decide` gives the run its verdict and exit code, `make_outcome` puts all of it together and `rejudge` does so
again for a saved run.
"""

from plg.judge.early_stop import EarlyStop
from plg.judge.expectations import judge
from plg.judge.outcome import make_outcome, rejudge
from plg.judge.stop_rules import first_breach
from plg.judge.verdict import Decision, decide, worst

__all__ = ["Decision", "EarlyStop", "decide", "first_breach", "judge", "make_outcome", "rejudge", "worst"]
