"""Schemas and readers give one answer at every bound: for scenarios and for policies.

A pattern cannot weigh a quantity that is written as text, so one text is left to the readers: an amount that is more
than nothing and too small, or too large.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from support.language_documents import UNHURRIED

from plg.diagnostics import ScenarioError
from plg.guardrails import policy_file
from plg.guardrails.policy_file import read_policy
from plg.language.kinds import KINDS, fault_of
from plg.language.load import load_document
from plg.language.validate import schema
from plg.resources import read_text
from plg.units import DURATION_UNITS

DEFS = schema()["$defs"]
POLICY = json.loads(read_text("schemas", "policy.schema.json"))
UNITS = ["/s", "/m", "/h", "%", *DURATION_UNITS, ""]


def bounds_in(node: Any) -> Iterator[float]:
    """Every number that a schema compares with."""
    if isinstance(node, dict):
        for name in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minLength", "maxLength"):
            if name in node:
                yield node[name]
        for child in node.values():
            yield from bounds_in(child)
    elif isinstance(node, list):
        for child in node:
            yield from bounds_in(child)


def around(bounds: set[float]) -> st.SearchStrategy[Any]:
    """Numbers at and beside the bounds, as integers and as floats, and the ends of what a float holds."""
    found: list[float] = [
        8e-126,
        5e-324,
        2.2e-308,
        1e-9,
        9.999e-10,
        1e-10,
        sys.float_info.max,
        -sys.float_info.max,
        -0.0,
    ]
    for bound in sorted(bounds):
        found += [bound, float(bound), math.nextafter(bound, math.inf), math.nextafter(bound, -math.inf)]
        found += [bound + 1, bound - 1, -bound, bound + 0.5]
    return st.sampled_from(found) | st.floats(allow_nan=False, allow_infinity=False) | st.integers()


def texts() -> st.SearchStrategy[str]:
    """Quantities as text, at zero and at every scale."""
    amounts = st.sampled_from(
        [
            "0",
            "00",
            "0.0",
            "0_0",
            "0e5",
            "0.000001",
            "0.0000000001",
            "1",
            "1e-9",
            "1e-400",
            "1e9",
            "1000000001",
            "1e400",
        ]
    )
    amounts |= st.integers(0, 10**12).map(str) | st.floats(0, 1e12).map("{:.12f}".format)
    return st.builds("{}{}{}".format, amounts, st.sampled_from(["", " "]), st.sampled_from(UNITS))


EDGES = around({*bounds_in(schema()), *bounds_in(POLICY)}) | texts()


def only_weighed(value: Any, codes: set[str]) -> bool:
    """Whether a refusal is the one that a pattern cannot give: of a text whose amount is not zero."""
    return (
        isinstance(value, str)
        and codes == {"out-of-range"}
        and any(digit in value.split("e")[0] for digit in "123456789")
    )


@pytest.mark.parametrize("kind", KINDS)
@settings(parent=UNHURRIED, max_examples=60)
@given(value=EDGES)
@example(value=8e-126)
@example(value="0s")
@example(value="0us")
@example(value="0.0/s")
def test_a_kind_has_the_bounds_of_its_schema(kind: str, value: Any) -> None:
    by_schema = not list(Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": DEFS}).iter_errors(value))
    fault = fault_of(kind, value)
    if by_schema and fault is not None:
        assert only_weighed(value, {fault.code}), (kind, value, fault)
    else:
        assert by_schema == (fault is None), (kind, value, fault)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("policies")


@pytest.mark.parametrize("name", [*policy_file.CEILINGS, "percent", "over"])
@settings(parent=UNHURRIED, max_examples=50)
@given(value=EDGES)
@example(value=8e-126)
@example(value="0s")
@example(value="0%")
def test_a_ceiling_has_the_bounds_of_its_schema(scratch: Path, name: str, value: Any) -> None:
    rate = {"percent": 5, "over": "1s", name: value}
    document = {"ceilings": {"max_error_rate": rate} if name in ("percent", "over") else {name: value}}
    path = scratch / "plg-policy.yaml"
    path.write_text(json.dumps(document), encoding="utf-8")
    codes: set[str] = set()
    try:
        read_policy(path)
    except ScenarioError as error:
        codes = {fault.code for fault in error.diagnostics}
    by_schema = not list(Draft202012Validator(POLICY).iter_errors(document))
    if by_schema and codes:
        assert only_weighed(value, codes), (name, value, codes)
    else:
        assert by_schema == (not codes), (name, value, codes)


PLAIN: dict[str, Any] = {
    "name": "x",
    "pattern": {"type": "steady", "base_rate": 1, "duration": 1},
    "jobs": [{"name": "a"}],
    "workers": {"count": 1, "each": 0},
    "target": "fake",
    "guardrails": {"max_rate": 10, "max_total_jobs": 10, "max_duration": 31_622_400, "max_error_rate": {"percent": 5}},
}
FIELDS: list[tuple[Any, ...]] = [
    ("max_lag",), ("watch",), ("connections",), ("workers", "count"), ("workers", "each"), ("jobs", 0, "weight"),
    ("jobs", 0, "priority"), ("jobs", 0, "timeout"), ("jobs", 0, "retry"), ("arrivals", "seed"),
    ("pattern", "base_rate"), ("pattern", "duration"), ("pattern", "max_rate"),
    *(("guardrails", name) for name in ("max_rate", "max_total_jobs", "max_duration", "max_memory_mb",
                                       "max_cpu_percent",
                                       "max_queue_depth", "max_queue_age", "warn_at", "rate_limit_window")),
    ("guardrails", "max_error_rate", "percent"), ("guardrails", "max_error_rate", "over"),
]  # fmt: skip


@pytest.mark.parametrize("path", FIELDS, ids=lambda path: ".".join(map(str, path)))
@settings(parent=UNHURRIED, max_examples=25)
@given(value=EDGES)
@example(value=8e-126)
@example(value="0s")
def test_a_field_of_a_scenario_has_the_bounds_of_the_schema(path: tuple[Any, ...], value: Any) -> None:
    document = json.loads(json.dumps({**PLAIN, "arrivals": {}}))
    node = document
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    codes: set[str] = set()
    try:
        load_document(document)
    except ScenarioError as error:
        codes = {fault.code for fault in error.diagnostics}
    by_schema = not list(Draft202012Validator(schema()).iter_errors(document))
    # Traffic of more jobs than can be planned, a window wider than the run and patience below a tick of the pacing
    # are not a matter of one field.
    windows = path[-1] in ("max_duration", "rate_limit_window", "max_lag") and codes == {"out-of-range"}
    if by_schema and codes:
        assert only_weighed(value, codes) or windows or "too-large" in codes, (path, value, codes)
    else:
        assert by_schema == (not codes), (path, value, codes)
