"""What is posted becomes an order that sees nothing of the server, or a problem that says what is wrong."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from plg.diagnostics import ScenarioError
from plg.server.posted import read_body, read_posted
from plg.server.problems import Problem

DOCUMENT = {"pattern": {"type": "steady", "base_rate": 1, "duration": "1s"}, "guardrails": {"max_rate": 2}}


def posted(body: dict[str, Any]) -> Any:
    return read_posted(body, [("p", "ceilings: {}")], "ann", "abc")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cannot be read"),
        (b"\xff{}", "UTF-8"),
        (b"NaN", "not JSON"),
        (b"[]", "object"),
        (b"[" * 100_000, "read"),
        (b'{"name": "\\ud800"}', "Unicode"),
    ],
)
def test_a_body_that_is_no_object_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(Problem) as refused:
        read_body(data)
    assert refused.value.status == 400
    assert words in refused.value.detail


def test_letters_of_two_halves_are_text() -> None:
    assert read_body(b'{"name": "\\ud83d\\ude00"}') == {"name": "\U0001f600"}


def test_an_order_has_no_environment_and_no_folder() -> None:
    order = posted(DOCUMENT).order
    assert (order.folder, order.environ, order.account, order.run_id) == (None, {}, "ann", "abc")
    assert order.policies == (("p", "ceilings: {}"),)


def test_tables_come_with_the_body() -> None:
    body = {"scenario": {"name": "x", **DOCUMENT}, "files": {"a/users.csv": "email\n"}, "params": {"n": 3}}
    order = posted(body).order
    assert base64.b64decode(order.files["a/users.csv"]) == b"email\n"
    assert order.overrides == {"n": "3"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"scenario": {}, "plg": ""}, "bad-body"),
        ({"plg": 1}, "bad-body"),
        ({"scenario": []}, "bad-body"),
        ({"plg": "", "colour": 1}, "unknown-key"),
        ({"plg": "", "seed": True}, "wrong-type"),
        ({"plg": "", "params": {"n": None}}, "wrong-type"),
        ({"plg": "", "files": {"../x": ""}}, "file-outside"),
        ({"plg": "", "files": {"/x": ""}}, "file-outside"),
        ({"plg": "", "files": {"x": "\ud800"}}, "not-text"),
        ({**DOCUMENT, "save_profile": True}, "missing-key"),
        ({**DOCUMENT, "save_profile": "yes"}, "wrong-type"),
    ],
)
def test_what_is_wrong_is_said(body: dict[str, Any], code: str) -> None:
    with pytest.raises(Problem) as refused:
        posted(body)
    assert (refused.value.status, refused.value.code) == (422, code)
    assert refused.value.faults


def test_an_order_without_a_folder_reads_no_file() -> None:
    document = {
        "name": "x", "target": "fake", "data": {"t": "pyproject.toml"},
        "pattern": {"type": "steady", "base_rate": 1, "duration": "1s"},
        "guardrails": {"max_rate": 2, "max_total_jobs": 3, "max_duration": "1m"},
    }  # fmt: skip
    with pytest.raises(ScenarioError) as refused, posted({"scenario": document}).order.prepared():
        pass
    assert [fault.code for fault in refused.value.diagnostics] == ["missing-file"]
