"""Gauges come from one table: what it names is sampled, kept, and shown in its column."""

from __future__ import annotations

import numpy as np
from support.judged import Glance, record, steady

from plg.clock import MonotonicClock
from plg.judge.series import series
from plg.measures import GAUGES, MEASURES, QUEUE_GAUGES
from plg.runner.sampler import Sample, SampleLog, ThreadSampler
from plg.targets.base import Depth


class Probe:
    def look(self) -> Depth:
        return Depth(7, 1.5, in_flight=3, delayed=4, workers=frozenset({"a", "b"}))

    def close(self) -> None:
        pass


def test_a_sampler_measures_every_gauge_of_the_table() -> None:
    clock = MonotonicClock()
    sampler = ThreadSampler(Probe(), clock, interval=0.01)
    sampler.start(clock.now())
    samples: list[Sample] = []
    while not samples:
        clock.sleep_until(clock.now() + 0.01)
        samples = sampler.poll(0.0)
    sampler.stop()
    assert samples[0].gauges.keys() == GAUGES.keys()
    assert samples[0]["queue_age"] == 1.5
    assert [samples[0][name] for name in ("in_flight", "delayed", "workers")] == [3, 4, 2]


def test_a_log_keeps_each_gauge_by_its_name_and_what_is_missing_as_missing() -> None:
    log = SampleLog()
    log.add(Sample(1.0, {name: float(place) for place, name in enumerate(GAUGES)}))
    log.add(Sample(2.0, {}))
    times, columns = log.columns()
    assert times.tolist() == [1.0, 2.0]
    assert {name: column[0] for name, column in columns.items()} == {name: place for place, name in enumerate(GAUGES)}
    assert all(np.isnan(column[1]) for column in columns.values())


def test_each_gauge_has_its_column_in_the_series() -> None:
    shown = series(record(steady(10), [Glance(0.1, 3.0, 2.0, 0.5, 4e6, 5, 6, 7)]))
    assert [shown[gauge.column][0] for gauge in GAUGES.values()] == [3, 2.0, 50.0, 4.0, 5, 6, 7]


def test_every_gauge_is_a_measure_and_no_other_is() -> None:
    assert {name for name, measure in MEASURES.items() if measure.kind == "gauge"} == set(GAUGES)
    assert set(QUEUE_GAUGES) == {"queue_depth", "queue_age", "in_flight", "delayed", "workers"}
