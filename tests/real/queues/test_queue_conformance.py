"""What every queue format has to keep, on a model of Redis and on a real server."""

from __future__ import annotations

import importlib.util
import re
import time

import numpy as np
import pytest
from support.spelled import kind_of

from plg.queues.base import Format, Job, Queue, Retry, Survey
from plg.queues.recipe import Recipe
from plg.queues.registry import GROUP, SHIPPED, UnknownFormat, format_of, names
from plg.queues.use import KeyConflict, queues_of
from plg.targets.encoding import JobEncoder, parcels
from plg.targets.open import open_target

COUNT = 700
"""More jobs than one command takes."""


def job_of(form: Format, name: str = "work", but: tuple[str, ...] = ("delay",)) -> Job:
    """A job that uses all that the format can express, ``but`` for some fields."""
    given: dict[str, object] = {}
    if "payload" in form.expresses:
        given["payload"] = {"n": "${seq}", "u": "${uuid}"}
    if "args" in form.expresses:
        given |= {"call": "shop.work", "args": ["${seq}", "é\n"], "kwargs": {"u": "${uuid}"}}
    for field, value in (("timeout", 30.0), ("priority", 3), ("delay", 2.0)):
        if field in form.expresses and field not in but:
            given[field] = value
    if "retry" in form.expresses:
        given["retry"] = Retry(2, 1.0 if "backoff" in form.expresses else 0.0)
    return Job(name, Queue(form.name, "conformance"), **given)  # type: ignore[arg-type]


@pytest.fixture(params=["fake", "real"])
def target_url(request):
    if request.param == "real":
        return request.getfixturevalue("server").url()
    if importlib.util.find_spec("fakeredis") is None:
        pytest.skip("fakeredis is not installed")
    return "fake"


@pytest.mark.parametrize("but", [("delay",), ("delay", "priority"), ()], ids=["all", "plain", "delayed"])
@pytest.mark.parametrize("name", names())
def test_jobs_are_taken_counted_and_dated(name: str, but: tuple[str, ...], target_url: str) -> None:
    form = format_of(name)
    if not but and "delay" not in form.expresses:
        pytest.skip(f"{name} has no delay")
    job = job_of(form, but=but)
    [queue] = queues_of([job])
    kind = kind_of(job, "run")
    with open_target(target_url, [job]) as target:
        target.announce()
        probe, line = target.probe(), target.connect()
        try:
            assert probe.look().waiting == 0
            commands = [
                command
                for group in parcels(
                    JobEncoder([kind]).encode(
                        np.arange(COUNT), np.zeros(COUNT), np.zeros(COUNT, dtype=np.intp), [COUNT], [time.time()],
                        [""] * COUNT,
                    )
                )
                for command in group
            ]  # fmt: skip
            assert sum(len(command.due) for command in commands) == COUNT
            line.settimeout(10)
            line.sendall(b"".join(command.data for command in commands))
            wanted, answered = sum(command.expected for command in commands), b""
            while len(re.findall(rb"^[:$+-]", answered, re.MULTILINE)) < wanted or not answered.endswith(b"\n"):
                answered += line.recv(1 << 16)
            assert b"\n-" not in b"\n" + answered, "no command is refused"
            seen = probe.look()
            # A delayed job of these waits in the queue itself, until a worker has looked at it.
            apart = not but and name not in ("celery", "huey")
            assert seen.waiting == (0 if apart else COUNT)
            assert seen.oldest_age is not None
            assert 0 <= seen.oldest_age < 10
        finally:
            probe.close()
            line.close()
        from plg.targets.client import Client

        client = Client(target.address, connect_timeout=5, answer_timeout=5)
        types = client.ask([("TYPE", key) for key in queue.keys])
        client.close()
    found = {key: answer.decode() for key, answer in zip(queue.keys, types, strict=True)}
    # The queue itself is not there where all jobs are delayed, or have a priority whose jobs have a list of their own.
    assert all(found[key] in (kind, "none") for key, kind in queue.keys.items()), found
    assert list(found.values()).count("none") <= 2 * apart + bool(job.priority)


@pytest.mark.parametrize("name", names())
def test_a_format_says_all_that_others_read_of_it(name: str) -> None:
    form = format_of(name)
    job = job_of(form)
    assert form.name == name
    assert form.meaning
    assert form.taken in ("pop", "group", None)
    recipe = form.recipe(job, "run")
    assert isinstance(recipe, Recipe)
    assert sum(recipe.settles) == 1
    assert len(recipe.settles) == len(recipe.commands)
    assert len(recipe.commands) == 1 or recipe.jobs_a_command == 1
    assert isinstance(form.survey([job]), Survey)
    # What is rehearsed before a run names each command that will be given, with its key.
    given = {command[0][0] for command in recipe.commands}
    assert given <= {words[0] for words in queues_of([job])[0].rehearsal()}


@pytest.mark.parametrize("name", names())
def test_jobs_that_differ_in_their_delay_go_to_one_queue(name: str) -> None:
    """Or its jobs would be counted twice."""
    form = format_of(name)
    assert len(queues_of([job_of(form), job_of(form, but=()), job_of(form, but=("delay", "priority"))])) == 1


@pytest.mark.parametrize("name", names())
def test_jobs_of_two_runs_and_two_kinds_are_told_apart(name: str) -> None:
    form = format_of(name)
    made = {
        kind_of(job_of(form, kind), run).encode(seq, 1.8e9, "")
        for kind in ("a", "b") for run in ("r", "s") for seq in (0, 1)
    }  # fmt: skip
    assert len(made) == 8


def test_a_key_of_two_types_is_a_conflict() -> None:
    with pytest.raises(KeyConflict, match="'conformance' is a list to one job and a stream to another"):
        queues_of([job_of(format_of("list")), job_of(format_of("stream"))])


def test_a_package_may_bring_a_format(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installed distribution with an entry point would."""
    from importlib.metadata import EntryPoint, EntryPoints

    from plg.queues import registry

    entry = EntryPoint("mine", "plg.queues.lists:ListFormat", GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda **asked: EntryPoints([entry]).select(**asked))
    format_of.cache_clear()
    try:
        assert names() == (*SHIPPED, "mine")
        assert format_of("mine").name == "list"
        with pytest.raises(UnknownFormat):
            format_of("other")
    finally:
        format_of.cache_clear()
