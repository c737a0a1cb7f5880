"""A pattern turned into due times, and what can be known of a run before it starts."""

from plg.plan.arrivals import Chunk
from plg.plan.plan import Clip, PhasePlan, Plan, PlanWarning
from plg.plan.planner import make_plan

__all__ = ["Chunk", "Clip", "PhasePlan", "Plan", "PlanWarning", "make_plan"]
