"""Whatever a file holds, the answer is a scenario or a `ScenarioError`: never another exception, never a hang."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.language_documents import CASES, UNHURRIED

from plg.diagnostics import ScenarioError
from plg.diagnostics_render import render_github, render_json, render_text
from plg.language.format import format_text
from plg.language.load import SUFFIXES, lint, load

SEEDS = [path for path in sorted(CASES.glob("*/*")) if path.suffix in SUFFIXES and path.stat().st_size < 20_000]
PIECES = [
    "{",
    "}",
    '"',
    "#",
    "\n",
    "then",
    "and",
    "->",
    "..",
    "${",
    "}",
    "$",
    ":",
    "\\",
    "\0",
    "é",
    "in",
    "over",
    "- ",
    "&a",
    "*a",
    "<<: ",
]


def mutated(seed: bytes, rnd: random.Random) -> bytes:
    """A few cuts, doublings, swaps and insertions."""
    data = bytearray(seed)
    for _ in range(rnd.randint(1, 6)):
        start = rnd.randrange(len(data) + 1)
        end = min(len(data), start + rnd.choice([1, 1, 5, 40]))
        kind = rnd.randrange(4)
        if kind == 0:
            del data[start:end]
        elif kind == 1:
            data[start:start] = rnd.choice(PIECES).encode()
        elif kind == 2:
            data[start:start] = data[start:end]
        elif end > start:
            data[start] = rnd.randrange(256)
    return bytes(data)


def examine(path: Path) -> None:
    """Every entry to the language; anything but a `ScenarioError` is a failure of the test."""
    found, text = lint(path)
    render_text(found, {str(path): text}, colour=True)
    render_json(found)
    render_github(found)
    refused = any(diagnostic.severity == "error" for diagnostic in found)
    assert outcome_of(lambda: load(path, environ={}, sends=False)) is (None if refused else True)
    if path.suffix == ".plg":
        outcome_of(lambda: check_layout(text))


def outcome_of(action: Callable[[], object]) -> bool | None:
    """True where ``action`` succeeds, None where it refuses its input with at least one diagnostic."""
    try:
        action()
    except ScenarioError as error:
        return None if error.diagnostics else False
    return True


def check_layout(text: str) -> None:
    laid_out = format_text(text)
    assert format_text(laid_out) == laid_out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("fuzz")
    for name in ("users.csv", "traffic.csv"):
        (made / name).write_bytes((CASES / "valid" / name).read_bytes())
    return made


@settings(parent=UNHURRIED, max_examples=600)
@given(st.sampled_from(SEEDS), st.integers(0, 2**32))
def test_mutated_files(folder: Path, seed: Path, number: int) -> None:
    path = folder / f"fuzz{seed.suffix}"
    path.write_bytes(mutated(seed.read_bytes(), random.Random(number)))
    examine(path)


@settings(parent=UNHURRIED, max_examples=80)
@given(st.sampled_from(SUFFIXES), st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_arbitrary_files(folder: Path, suffix: str, data: bytes) -> None:
    path = folder / f"noise{suffix}"
    path.write_bytes(data)
    examine(path)


@settings(parent=UNHURRIED, max_examples=120)
@given(
    st.lists(
        st.sampled_from([*PIECES, "scenario", "x", "traffic", "steady", "5/s", "1s", "expect", "job", "<", "p99", "("])
    )
)
def test_shuffled_words(folder: Path, words: list[str]) -> None:
    path = folder / "words.plg"
    path.write_text("scenario x { " + " ".join(words), encoding="utf-8")
    examine(path)
