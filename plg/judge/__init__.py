"""Expectations + recording → verdicts.

`judge` gives each expectation its result, `EarlyStop` looks at a run that goes on (`first_breach` at all it recorded so
far), `decide` gives the run its verdict and exit code, `make_outcome` puts all of it together and `rejudge` does so
again for a saved run.
"""

from plg.judge.assemble import make_outcome, rejudge
from plg.judge.deciding import Decision, decide, worst
from plg.judge.early_stop import EarlyStop
from plg.judge.expectations import judge
from plg.judge.live import first_breach

__all__ = ["Decision", "EarlyStop", "decide", "first_breach", "judge", "make_outcome", "rejudge", "worst"]
