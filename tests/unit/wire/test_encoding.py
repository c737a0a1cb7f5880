"""Jobs made many at once are, byte for byte, the jobs made one by one."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.spelled import commands, kind_of

from plg.queues.base import Job, Queue
from plg.queues.lists import MOST_JOBS_A_COMMAND
from plg.targets.encoding import JobEncoder, parcels

words = ["a", "é", '"', "\\", "$", " ", "${seq}", "${uuid}", "${now_ms}", "${job}", "${run}"]
text = st.lists(st.sampled_from(words), max_size=6).map("".join)
payload = st.recursive(
    text | st.integers(-5, 5) | st.booleans() | st.none() | st.floats(-1, 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
start = st.integers(0, 3_000_000_000) | st.sampled_from([0, 1, 5, 9, 95, 995, 9_995, 999_995, 9_999_999_995])


def one(encoder, seq, wall):
    """The job's own words as made by itself: all of them for a list, the last of XADD for a stream."""
    made = encoder._kinds[0].encode(seq, wall, "")
    return commands(made)[0][-1] if made.startswith(b"*") else commands(b"*1\r\n" + made)[0][0]


@settings(deadline=None, max_examples=150)
@given(
    payload,
    start,
    st.integers(1, 40) | st.integers(500, 1300),
    st.integers(1, 7),
    st.sampled_from(["json", "raw"]),
    st.booleans(),
    st.integers(1, 600),
)
def test_rows_equal_jobs_made_one_by_one(payload, first, count, step, how, stream, portion):
    job = Job('j"é', queue=Queue("stream" if stream else "list", "q"), encoding=how, payload=payload)
    encoder = JobEncoder([kind_of(job)], step)
    seq = np.arange(first, first + count * step, step)
    due, kind = np.linspace(0, 1, count), np.zeros(count, dtype=np.intp)
    sent = []
    for at in range(0, count, portion):
        part = slice(at, at + portion)
        size = len(seq[part])
        wall = 1_700_000_000.123456 + at
        [commands_of] = parcels(encoder.encode(seq[part], due[part], kind[part], [size], [wall], [""] * size))
        sent += commands_of
    assert np.concatenate([c.due for c in sent]).tolist() == due.tolist()
    argvs = commands(b"".join(c.data for c in sent))
    values = [value for argv in argvs for value in (argv[2:] if argv[0] == b"LPUSH" else argv[-1:])]
    one_by_one = [one(encoder, int(s), 1_700_000_000.123456 + i // portion * portion) for i, s in enumerate(seq)]
    assert values == one_by_one
    if how == "json":
        assert [json.loads(value)["seq"] for value in values] == seq.tolist()


@given(st.integers(1, 3000))
@settings(deadline=None, max_examples=20)
def test_several_queues_keep_due_order_and_lose_nothing(count):
    jobs = [
        Job("a", queue=Queue("list", "x"), payload="${seq}"),
        Job("b", queue=Queue("list", "y")),
        Job("c", queue=Queue("list", "x")),
        Job("d", queue=Queue("stream", "z", {"max_len": 9})),
    ]
    encoder = JobEncoder([kind_of(job) for job in jobs])
    seq = np.arange(count)
    due = seq / 1000
    [sent] = parcels(encoder.encode(seq, due, seq % 4, [count], [1.7e9], [""] * count))
    for command in sent:
        argvs = commands(command.data)
        variadic = command.replies == 0
        assert variadic == (argvs[0][0] == b"LPUSH")
        values = [v for argv in argvs for v in (argv[2:] if variadic else argv[-1:])]
        assert len(values) == len(command.due) <= max(MOST_JOBS_A_COMMAND, 0 if variadic else count)
        assert [json.loads(v)["seq"] / 1000 for v in values] == command.due.tolist()
    assert sorted(np.concatenate([c.due for c in sent]).tolist()) == due.tolist()
    assert b"MAXLEN" not in b"".join(c.data for c in sent if not c.replies)


@settings(deadline=None, max_examples=100)
@given(
    payload,
    start,
    st.lists(st.integers(1, 40), min_size=1, max_size=12) | st.lists(st.integers(100, 700), min_size=2, max_size=4),
    st.booleans(),
    st.sampled_from(["json", "raw"]),
    st.floats(1_699_999_999.5, 1_700_000_001),
    st.floats(0, 0.2),
)
def test_groups_made_together_are_those_made_one_by_one(payload, first, sizes, stream, how, wall, apart):
    """Also where a group passes a thousand, a power of ten or a full second."""
    job = Job("j", queue=Queue("stream" if stream else "list", "q"), encoding=how, payload=payload)
    count, ends = sum(sizes), np.cumsum(sizes).tolist()
    seq, due, kind = np.arange(first, first + count), np.linspace(0, 1, count), np.zeros(count, dtype=np.intp)
    walls = [round(wall + apart * i, 6) for i in range(len(sizes))]
    together = list(parcels(JobEncoder([kind_of(job)]).encode(seq, due, kind, ends, walls, [""] * count)))
    assert len(together) == len(sizes)
    alone = JobEncoder([kind_of(job)])
    for group, size, end, moment in zip(together, sizes, ends, walls, strict=True):
        part = slice(end - size, end)
        assert np.concatenate([c.due for c in group]).tolist() == due[part].tolist()
        argvs = commands(b"".join(c.data for c in group))
        values = [value for argv in argvs for value in (argv[2:] if argv[0] == b"LPUSH" else argv[-1:])]
        assert values == [one(alone, int(s), moment) for s in seq[part]]
