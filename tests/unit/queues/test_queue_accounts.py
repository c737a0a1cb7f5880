"""What became of jobs between two looks, told from answers as servers of several versions give them."""

from __future__ import annotations

import pytest

from plg.queues.list_account import ListAccount
from plg.queues.stream_account import StreamAccount
from plg.queues.stream_state import Book, Group, StreamEnds, StreamState
from plg.runner.merge import _lost

CLIENTS = b"# Clients\r\nblocked_clients:0\r\n"
NO_KEY = Exception("no such key")


def stats(look: int, **calls: int) -> bytes:
    lines = {"info": look, **{name.replace("_of_", "|"): count for name, count in calls.items()}}
    return b"".join(b"cmdstat_%b:calls=%d,usec=9,rejected_calls=1\r\n" % (n.encode(), c) for n, c in lines.items())


class Lists:
    """Looks at a list, of such a length when the server had been given such commands."""

    def __init__(self) -> None:
        self.account, self.looks = ListAccount("q"), 0

    def __call__(self, length, told=None, *, left=-1, at=0.0, **calls):
        self.looks += 1
        told = stats(self.looks, **calls) if told is None else told
        answers = {("LLEN", "q"): length, ("PTTL", "q"): left}
        questions = dict(zip(self.account.questions, (told, CLIENTS, left), strict=True))
        return self.account.read(answers | questions, at)

    def lost(self, *arguments, **calls) -> int:
        return sum(loss.jobs for loss in self(*arguments, **calls).losses)


def test_a_list_is_worked_off_by_as_many_commands_as_jobs_went():
    look = Lists()
    look(100)
    assert look.lost(60, rpop=40) == 0
    assert look.lost(0, rpop=100, **{"del": 5}) == 0
    assert look(0, rpop=100, **{"del": 5}).taken is False


def test_workers_that_take_many_at_once_are_known_once_seen():
    look = Lists()
    look(1000)
    assert look.lost(900, lmpop=1) == 0, "no other command can have done it"
    assert look.lost(700, lmpop=3, **{"del": 1}) == 0
    assert look.lost(0, lmpop=4, **{"del": 2}) == 600


def test_a_server_that_counts_anew_tells_nothing_of_what_went():
    look = Lists()
    look(100, rpop=7, llen=50)
    changed = look(3, told=stats(1, llen=1))
    assert (changed.losses, changed.taken) == ((), False)
    assert look(2, told=stats(2, llen=2, rpop=1)).taken is True


@pytest.mark.parametrize("told", [NO_KEY, b"", b"# Commandstats\r\n", 7])
def test_a_server_that_does_not_count_leaves_it_open(told):
    look = Lists()
    look(100, told=told, left=900)
    changed = look(0, told=told, left=-2, at=0.5)
    assert (changed.losses, changed.taken) == ((), None)
    look(100, told=told, left=900, at=1.0)
    assert look.lost(0, told=told, left=-2, at=2.0) == 100, "the key's time had run out"


class Old:
    """Looks at a stream of ten entries and its group ``g``, as Redis 6.2 tells of them."""

    def __init__(self) -> None:
        self.account, self.looks = StreamAccount("s"), 0

    def __call__(self, group=(0, 0), *, consumers=1, first=1, last=10, **calls):
        self.looks += 1
        groups, held, ahead = (), {}, {}
        if group is not None:
            delivered, pending = group
            groups = (Group(b"g", (delivered, 0), pending, None, consumers=consumers),)
            held = {b"g": (delivered - pending + 1, 0)} if pending else {}
            ahead = {b"g": (max(delivered + 1, first), 0)} if delivered < last else {}
        ends = StreamEnds("s", last - first + 1, (first, 0), (last, 0))
        state = StreamState(ends, Book(True, (last, 0)), groups, held, ahead)
        return self.account.look(state, (stats(self.looks, **calls), CLIENTS, -1))

    def lost(self, *arguments, **calls) -> list[tuple[int, str]]:
        return [(loss.jobs, loss.words.partition(" ")[0]) for loss in self(*arguments, **calls).losses]


def test_before_redis_7_a_group_that_is_set_past_jobs_has_skipped_them():
    look = Old()
    look((0, 0))
    changed = look((10, 0), xgroup=1)
    assert (changed.losses[0].jobs, changed.taken) == (10, False)
    assert "skipped by the group 'g' of 's'" in changed.losses[0].words


def test_before_redis_7_a_group_that_reads_beside_another_that_is_made_is_believed():
    look = Old()
    look((0, 0), xreadgroup=1)
    changed = look((10, 6), xgroup=1, xreadgroup=2, xack=4)
    assert (changed.losses, changed.taken) == ((), True)


def test_before_redis_7_a_group_that_begins_behind_jobs_has_skipped_them():
    look = Old()
    look(None)
    assert look.lost((10, 0), xgroup=1) == [(10, "skipped")]
    look = Old()
    look(None)
    assert look.lost((10, 10), xgroup=1, xreadgroup=1) == []


def test_before_redis_7_entries_that_went_ahead_of_a_group_were_trimmed():
    look = Old()
    look((2, 2))
    assert look.lost((2, 2), first=6) == [(1, "trimmed")]
    assert look.lost((8, 8), first=8, xreadgroup=1) == []


def test_a_consumer_that_is_deleted_beside_workers_that_acknowledge_many_at_once():
    look = Old()
    look((10, 10), consumers=2)
    assert look.lost((10, 6), consumers=2, xack=1) == []
    assert look.lost((10, 2), consumers=1, xack=2, xgroup=1) == [], "one command acknowledged four before"
    look = Old()
    look((10, 10), consumers=2)
    assert look.lost((10, 2), consumers=1, xack=1, xgroup=1) == [(7, "given")]


def test_shards_that_tell_of_the_same_loss_are_told_once():
    seen = [
        "not all jobs were seen to be taken: 47 jobs",
        "the server was restarted",
        "not all jobs were seen to be taken: 5",
    ]
    assert sorted(_lost(seen).split("; ")) == [
        "not all jobs were seen to be taken: 47 jobs",
        "the server was restarted",
    ]
