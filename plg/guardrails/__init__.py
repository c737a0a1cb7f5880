"""Limits that a run cannot be talked out of."""
