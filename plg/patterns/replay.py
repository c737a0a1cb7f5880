"""A recorded curve, played again."""

from __future__ import annotations

from plg.patterns.points import Points


def replay(rows: tuple[tuple[float, float], ...], scale: float = 1.0, speed: float = 1.0) -> Points:
    """The recorded curve with straight lines between its rows, rates times ``scale``, time over ``speed``::

    rate(t) = scale · recorded(t · speed),  duration = recorded duration / speed
    """
    return Points(tuple((second / speed, rate * scale) for second, rate in rows), "linear")
