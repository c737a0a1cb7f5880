"""What a queue format says of itself: how jobs are written, where they wait, and how to ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from plg.dataclass import dataclass
from plg.queues.recipe import Recipe
from plg.queues.tracing import Tracing

if TYPE_CHECKING:
    from plg.queues.traces import Traces

Question = tuple[str | bytes | int | float, ...]
"""A command that reads."""


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a job that failed is tried again, and how long (s) after each failure."""

    max: int = 0
    backoff: float = 0.0


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue of a scenario: its format, its name and the format's own settings (a prefix, say)."""

    kind: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Job:
    """One kind of job. ``call`` is the task, function or class that a framework's worker runs, with ``args`` and
    ``kwargs``; formats that pass one object take ``payload``. ``enqueued_at`` is where a raw payload holds its moment
    of enqueueing: ``payload.created``. Times in seconds."""

    name: str
    queue: Queue = Queue("list", "plg:jobs")
    weight: float = 1.0
    call: str | None = None
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    payload: Any = field(default_factory=dict)
    encoding: Literal["json", "raw"] = "json"
    priority: int = 0
    delay: float | None = None
    timeout: float | None = None
    retry: Retry | None = None
    enqueued_at: str | None = None


@dataclass(frozen=True, slots=True)
class Loss:
    """Jobs that left a queue though no worker was seen to take them: how many at least, and words that follow it."""

    jobs: int
    words: str


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a queue since the look before: the ``losses``, and whether a job was, or may have been, taken by a
    worker; None where that is not known. ``expires`` (s) is what the key has left to live; None: it stays. ``untold``
    where the server does not tell which commands it was given."""

    losses: tuple[Loss, ...] = ()
    taken: bool | None = None
    expires: float | None = None
    untold: bool = False

    @staticmethod
    def together(changes: Sequence[Change]) -> Change:
        """What became of several queues."""
        taken = any(change.taken for change in changes)
        unknown = not taken and any(change.taken is None for change in changes)
        return Change(
            tuple(loss for change in changes for loss in change.losses),
            None if unknown or not changes else taken,
            min((change.expires for change in changes if change.expires is not None), default=None),
            any(change.untold for change in changes),
        )


@dataclass(frozen=True, slots=True)
class Sight:
    """One queue as seen: jobs ``waiting``, ``in_flight`` with a worker, ``delayed`` and ``dead``, and the age (s) of
    the oldest waiting one; None where the format cannot tell.

    ``untaken``: those among the waiting that no worker has been given, where a job waits until it is acknowledged; None
    where all of them are.
    """

    waiting: int
    oldest_age: float | None
    in_flight: int | None = None
    delayed: int | None = None
    dead: int | None = None
    untaken: int | None = None
    change: Change = Change()


@dataclass(frozen=True, slots=True)
class Crew:
    """The names of the workers alive of one queue; None where they could not be told."""

    names: frozenset[str] | None


MOST_WORKERS = 1000
"""Workers of a queue that are counted; where more are registered, their number is not known."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Questions to ask of the server, and what their answers mean.

    ``read`` gets one answer a question (errors as exceptions) and the moment of the asking by this machine's clock (s
    since the epoch). It returns what is seen, or further questions whose answers it needs. ``later`` holds one question
    of each kind that may be among these, to be asked whether this user may. ``for_age`` names the commands that tell of
    the age alone: where this user may not give one, ``read`` gets the refusal as its answer. ``aside`` are asked with
    the questions, and their answers follow: what a server or a user need not have.
    """

    questions: Sequence[Question]
    read: Callable[[Sequence[Any], float], Sight | Crew | Survey]
    later: Sequence[Question] = ()
    for_age: frozenset[str] = frozenset()
    aside: Sequence[Question] = ()


Taking = Literal["pop", "pop_left", "group"]
"""How a worker takes jobs: from the right or the left end of a list, or as a consumer group of a stream."""


class Format(Protocol):
    """One framework's jobs. ``name`` is the kind that a scenario writes, ``meaning`` a sentence for people.

    ``settings`` are the keys that ``queue`` takes beside its name, ``expresses`` the fields of a job that mean
    something to the framework; others are refused by the format's name. ``taken`` tells how the reference workers
    usually take jobs; None where only the framework's own can. ``shared`` are those counts of a `Sight` that are of all
    queues of the framework together, ``gauges`` those of ``in_flight``, ``delayed`` and ``workers`` that it can tell.
    """

    name: str
    meaning: str
    settings: Mapping[str, str]
    expresses: frozenset[str]
    taken: Taking | None
    shared: frozenset[str]
    gauges: frozenset[str]

    def faults(self, queue: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Settings of a ``queue`` that hold what they cannot: the name of each, and words that follow it."""

    def job_faults(self, job: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        """Settings of a job, as a document has them, that mean nothing to the framework: the name of each, and words
        that follow it."""

    def taking(self, queue: Queue) -> Taking | None:
        """How the reference workers take jobs from this ``queue``; None where they cannot."""

    def keys(self, job: Job) -> Mapping[str, str]:
        """The keys that jobs of this kind share, with the type of the value each holds.

        The first is the one that workers take from.
        """

    def announcement(self, job: Job) -> Sequence[Question]:
        """Commands that a client of the framework gives once, before its first job: to register the queue, say."""

    def recipe(self, job: Job, run_id: str) -> Recipe:
        """The commands that enqueue one job."""

    def survey(self, jobs: Sequence[Job]) -> Survey:
        """What to ask to see how many jobs wait and how old the oldest is. ``jobs`` all go to the same queue.

        It remembers its last answers: each survey is for one who looks again and again.
        """

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces | None:
        """Where jobs of the run may lie, results included; None where the format cannot tell. ``jobs`` all go to the
        same queue."""

    def tracing(self, job: Job, run_id: str) -> Tracing | None:
        """How to ask what became of each job; None where the framework records nothing of a single job."""

    def census(self, jobs: Sequence[Job]) -> Survey | None:
        """What to ask to see who works at the queue: a survey whose questions are all ``aside``, and which reads a
        `Crew`; None where the framework does not register its workers in Redis."""


class Usual:
    """What most formats say of these: no settings, nothing to announce, and none but the framework's own workers."""

    settings: Mapping[str, str] = {}
    taken: Taking | None = None
    shared: frozenset[str] = frozenset()
    gauges: frozenset[str] = frozenset()
    apart: frozenset[str] = frozenset()
    """Keys that the framework's own client writes by commands of their own, in whatever slot of a cluster they lie."""
    in_cluster = ""
    """What keeps the other keys of a queue in one slot of a cluster, or that nothing does; "": a name in braces."""

    def faults(self, queue: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return ()

    def job_faults(self, job: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
        return ()

    def taking(self, queue: Queue) -> Taking | None:
        return self.taken

    def announcement(self, job: Job) -> Sequence[Question]:
        return ()

    def traces(self, jobs: Sequence[Job], run_id: str) -> Traces | None:
        return None

    def tracing(self, job: Job, run_id: str) -> Tracing | None:
        return None

    def census(self, jobs: Sequence[Job]) -> Survey | None:
        return None


def beyond(job: Mapping[str, Any], name: str, least: int, most: int, words: str) -> Iterable[tuple[str, str]]:
    """The fault of a whole number among the settings of a job that is not from ``least`` to ``most``; ``words`` say
    what may be written."""
    value = job.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and not least <= value <= most:
        yield name, f"must be from {least} to {most:,}, and is {value:,}: {words}"
