"""What a worker adds so that plg learns when it started and finished each job of a run, and how it ended: one line.

    import plg.worker; plg.worker.celery(app)          # Celery: in the module of the app
    plg.worker.dramatiq(broker)                        # dramatiq: after the broker is made
    plg.worker.huey(huey)                              # huey: after the instance is made
    plg.worker.taskiq(broker)                          # taskiq: after the broker is made
    settings = plg.worker.saq({...})                   # SAQ: around the settings
    WorkerSettings = plg.worker.arq(WorkerSettings)    # arq: after the class
    rq worker --job-class plg.worker.RqJob             # RQ: an option of the worker

This file needs nothing but Python's own library and the Redis client that the worker has already. It can be copied.
Only jobs of plg are told of, known by their ids; a worker never waits for it and never fails by it. Records are kept
back for some hundredths of a second and sent together, by a thread of their own. Of more than 10,000 that wait the
oldest are given up, as those are that cannot be sent: the next record says how many (``lost``).

A record is an entry of the stream ``plg:far:HEAD``. HEAD is the id of the job without its last twelve characters::

    XADD plg:far:HEAD NOMKSTREAM * id ID s STARTED f FINISHED end done n 1 w HOST:PID t NOW

``s``, ``f`` and ``t`` (the moment of sending) are seconds since the epoch by the worker's clock: plg compares ``t``
with the id of the entry, which is the server's time, and so knows how far the two clocks are apart. ``end`` is
``done``, ``failed`` (for good), ``retry``, or ``dropped``, not run and given up, with the reason in ``why``; an entry
without ``f`` and ``end`` says that the job was started. ``n`` is the number of the run of the job, from 1. With
NOMKSTREAM nothing is written where no run of plg has made the stream.
"""

from __future__ import annotations

import atexit
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any

PREFIX = "plg:far:"
_KEPT = 10_000
_PAUSE = 0.03
_BATCH = 500
_AT_THE_END = 1.0
"""Seconds that a process which ends gives its last records."""
_TAIL, _UUID = 12, 36
_DRAMATIQ_RETRIES = 20
"""What dramatiq gives an actor that says nothing."""
_CAP = "1000000"  # entries of a stream that nobody reads any more


def head_of(number: str) -> str | None:
    """What the ids of all jobs of one kind and run begin with; None where it is no id that plg made."""
    if len(number) == _UUID and number[14:15] == "4" and number[19:20] == "8":
        mark = sha256(number[:18].encode()).digest()[7]
        return number[:-_TAIL] if number[21:23] == f"{mark:02x}" else None
    if number.startswith("plg-"):  # huey: the run, the number, the moment of sending
        return number[:17]
    return None


class Recorder:
    """Sends what happens to jobs to the Redis that ``connect`` gives a client of (redis-py, 4 or later)."""

    def __init__(self, connect: Callable[[], Any], *, at_once: bool = False) -> None:
        self._connect, self._at_once = connect, at_once
        self._client: Any = None
        self._process = self._given_up = 0
        self._lock = threading.Lock()
        self._waiting: deque[dict[str, str]] = deque()
        self._running: dict[str, tuple[float, dict[str, str]]] = {}
        self._wake, self._last, self._name = threading.Event(), False, ""
        self._thread: threading.Thread | None = None

    def started(self, number: object, attempt: int = 1) -> None:
        """A worker begins with the job of this id, for the ``attempt``-th time."""
        number = str(number)
        if head_of(number) is None:
            return
        now = time.time()
        record = {"id": number, "s": f"{now:.6f}", "n": str(attempt)}
        if len(self._running) < _KEPT:
            self._running[number] = now, record
        self._put(record)

    def ended(self, number: object, end: str, attempt: int = 1, finished: float | None = None, why: str = "") -> None:
        """It is done with it, now or when it was ``finished``: ``end`` is done, failed, retry or dropped, ``why``."""
        number, now = str(number), finished or time.time()
        if head_of(number) is None:
            return
        began, first = self._running.pop(number, (None, None))
        if first is not None:
            first["gone"] = "1"  # where it was not sent yet, this record says it all
        more = ({} if began is None else {"s": f"{began:.6f}"}) | ({"why": why} if why else {})
        self._put({"id": number, **more, "f": f"{now:.6f}", "end": end, "n": str(attempt)})

    def _put(self, record: dict[str, str]) -> None:
        if self._process != os.getpid():
            self._begin()
        self._waiting.append(record)
        if len(self._waiting) > _KEPT:
            self._given_up += "gone" not in self._waiting.popleft()
        if self._at_once and "end" in record:
            self.flush()

    def _begin(self) -> None:
        """In each process anew: threads and connections do not outlive a fork."""
        with self._lock:
            if self._process == os.getpid():
                return
            self._process, self._client, self._last, self._given_up = os.getpid(), None, False, 0
            self._waiting.clear()
            self._wake, self._name = threading.Event(), f"{socket.gethostname()}:{self._process}"
            if not self._at_once:
                self._thread = threading.Thread(target=self._run, name="plg-worker", daemon=True)
                self._thread.start()
                atexit.register(self._end)

    def _run(self) -> None:
        last = False
        while not last:
            last = self._last
            self._wake.wait(_PAUSE)
            self.flush()

    def _end(self) -> None:
        """Send the rest, at the end of the process, which does not wait long for that."""
        if self._process == os.getpid() and self._thread is not None:
            self._last = True
            self._wake.set()
            self._thread.join(_AT_THE_END)

    def flush(self) -> None:
        """Send all that waits. What cannot be sent is given up."""
        with self._lock:
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                batch = [record for record in batch if "gone" not in record]
                try:
                    self._send(batch)
                except Exception:  # whatever it is, the worker's own work goes on
                    self._client = None
                    self._given_up += len(batch)
                    time.sleep(0 if self._at_once else _PAUSE)

    def _send(self, records: list[dict[str, str]]) -> None:
        self._client = self._client or self._connect()
        pipeline, lost, told = self._client.pipeline(transaction=False), self._given_up, set[str]()
        for record in records:
            key = PREFIX + str(head_of(record["id"]))
            more = {"lost": str(lost)} if lost and key not in told else {}
            told.add(key)
            fields = {**record, **more, "w": self._name, "t": f"{time.time():.6f}"}
            words = [word for pair in fields.items() for word in pair]
            pipeline.execute_command("XADD", key, "NOMKSTREAM", "MAXLEN", "~", _CAP, "*", *words)
        pipeline.execute()
        self._given_up -= lost


def _quiet(call: Callable[..., Any]) -> Callable[..., None]:
    """The call, and nothing of what goes wrong in it."""

    def quietly(*given: Any, **named: Any) -> None:
        with suppress(Exception):
            call(*given, **named)

    return quietly


def _client(redis: Any, otherwise: Callable[[], Any]) -> Callable[[], Any]:
    """Makes the client: from what the caller gives, a URL or a client, or as the framework has it."""
    return otherwise if redis is None else lambda: _library().Redis.from_url(redis) if isinstance(redis, str) else redis


def _library() -> Any:
    import redis

    return redis


def celery(app: Any, redis: Any = None) -> Recorder:
    """Tell of the tasks of a Celery app; by its broker's connection, or by a ``redis`` client or URL."""
    from celery import signals  # type: ignore[import-not-found, unused-ignore]  # in the workers alone

    recorder = Recorder(_client(redis, lambda: app.connection_for_write().default_channel.client))

    def attempt(task: Any) -> int:
        return int(task.request.retries or 0) + 1

    def before(task_id: Any = None, task: Any = None, **_: Any) -> None:
        recorder.started(task_id, attempt(task))

    def after(task_id: Any = None, task: Any = None, state: Any = None, **_: Any) -> None:
        end = {"SUCCESS": "done", "RETRY": "retry"}.get(str(state), "failed")
        recorder.ended(task_id, end, attempt(task))

    def failed(task_id: Any = None, exception: Any = None, **_: Any) -> None:
        if type(exception).__name__ in ("WorkerLostError", "TimeLimitExceeded"):  # the process that had it is gone
            recorder.ended(task_id, "failed")

    def dropped(request: Any = None, expired: Any = None, id: Any = None, **_: Any) -> None:
        why = "unknown" if request is None else "expired" if expired else "revoked"
        recorder.ended(id if request is None else request.id, "dropped", why=why)

    calls: tuple[Callable[..., None], ...] = (before, after, failed, dropped, dropped)
    for name, call in zip(("prerun", "postrun", "failure", "revoked", "unknown"), calls, strict=True):
        getattr(signals, f"task_{name}").connect(_quiet(call), weak=False)
    return recorder


def dramatiq(broker: Any, redis: Any = None) -> Recorder:
    """Tell of the messages of a dramatiq broker, by its own connections, or by a ``redis`` client or URL."""
    from dramatiq import Middleware  # type: ignore[import-not-found, unused-ignore]  # in the workers alone

    recorder = Recorder(_client(redis, lambda: broker.client))

    def attempt(message: Any) -> int:
        return int(message.options.get("retries", 0) or 0) + 1

    def ended(message: Any, exception: Any) -> None:
        actor = broker.get_actor(message.actor_name).options
        most = message.options.get("max_retries", actor.get("max_retries", _DRAMATIQ_RETRIES))
        throws = message.options.get("throws") or actor.get("throws")
        final = attempt(message) > int(most) or bool(throws and isinstance(exception, throws))
        end = "done" if exception is None else "failed" if final else "retry"
        recorder.ended(message.message_id, end, attempt(message))

    class Told(Middleware):  # type: ignore[misc, unused-ignore]  # a class of another package
        def before_process_message(self, _: Any, message: Any) -> None:
            _quiet(recorder.started)(message.message_id, attempt(message))

        def after_process_message(self, _: Any, message: Any, *, result: Any = None, exception: Any = None) -> None:
            _quiet(ended)(message, exception)

        def after_skip_message(self, _: Any, message: Any) -> None:
            # One that its middleware failed, as one too old, is kept with the dead ones.
            end, why = ("failed", "") if message.failed else ("dropped", "skipped")
            _quiet(recorder.ended)(message.message_id, end, attempt(message), why=why)

    broker.add_middleware(Told())
    return recorder


def huey(instance: Any, redis: Any = None) -> Recorder:
    """Tell of the tasks of a huey instance, by its storage's connections, or by a ``redis`` client or URL."""
    recorder = Recorder(_client(redis, lambda: instance.storage.conn))
    tries: dict[str, int] = {}

    def told(signal: str, task: Any, *_: Any) -> None:
        number = str(task.id)
        if signal == "executing":
            tries[number] = tries.get(number, 0) + 1
            recorder.started(number, tries[number])
        elif signal == "complete":
            recorder.ended(number, "done", tries.pop(number, 1))
        else:
            again = bool(getattr(task, "retries", 0)) and signal in ("error", "timeout", "locked", "rate-limited")
            why = "" if again or signal in ("error", "timeout", "interrupted") else signal
            recorder.ended(number, "retry" if again else "dropped" if why else "failed", tries.get(number, 1), why=why)
            if not again or len(tries) > _KEPT:
                tries.pop(number, None)

    def quietly(signal: str, task: Any, *more: Any) -> None:
        if head_of(str(task.id)) is not None:
            _quiet(told)(signal, task, *more)

    ends = ("error", "timeout", "interrupted", "locked", "rate-limited", "revoked", "expired", "canceled")
    for name in ("executing", "complete", *ends):
        instance.signal(name)(quietly)
    return recorder


def taskiq(broker: Any, redis: Any = None) -> Recorder:
    """Tell of the tasks of a taskiq broker; its pool's settings make the connection, or a ``redis`` client or URL."""
    from taskiq import TaskiqMiddleware  # type: ignore[import-not-found, unused-ignore]  # in the workers alone

    recorder = Recorder(_client(redis, lambda: _from_pool(broker.connection_pool)))

    runs: dict[int, int] = {}

    def started(message: Any) -> None:
        runs[id(message)] = int(message.labels.get("_retries", 0)) + 1  # which SimpleRetryMiddleware adds to in the run
        recorder.started(message.task_id, runs[id(message)])

    def ended(message: Any, result: Any) -> None:
        run, labels = runs.pop(id(message), 1), message.labels
        again = run < int(labels.get("max_retries", 0)) and str(labels.get("retry_on_error")).lower() == "true"
        recorder.ended(message.task_id, "done" if not result.is_err else "retry" if again else "failed", run)

    class Told(TaskiqMiddleware):  # type: ignore[misc, unused-ignore]  # a class of another package
        def pre_execute(self, message: Any) -> Any:
            _quiet(started)(message)
            return message

        def post_execute(self, message: Any, result: Any) -> None:
            _quiet(ended)(message, result)

    broker.add_middlewares(Told())
    return recorder


def _from_pool(pool: Any) -> Any:
    """A client that waits, made with the settings of a pool for asyncio."""
    known = ("host", "port", "db", "username", "password", "path", "ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile")
    given = {name: value for name, value in pool.connection_kwargs.items() if name in known and value is not None}
    socket_path = {"unix_socket_path": given.pop("path")} if "path" in given else {}
    return _library().Redis(**given, **socket_path, ssl="SSL" in pool.connection_class.__name__)


def saq(settings: dict[str, Any], redis: Any = None) -> dict[str, Any]:
    """The settings of a SAQ worker with two hooks more, by its queue's connection or a ``redis`` client or URL."""
    recorder = Recorder(_client(redis, lambda: _from_pool(settings["queue"].redis.connection_pool)))

    def before(context: Any) -> None:
        recorder.started(context["job"].key, int(context["job"].attempts))

    def after(context: Any) -> None:
        job = context["job"]
        status = getattr(job.status, "value", job.status)
        end = {"complete": "done", "queued": "retry", "new": "retry"}.get(str(status), "failed")
        # SAQ has written the end down by now, which may have taken a while.
        recorder.ended(job.key, end, int(job.attempts), job.completed / 1000 if job.completed else None)

    def also(hooks: Any, call: Callable[[Any], None]) -> list[Any]:
        async def quietly(context: Any) -> None:
            _quiet(call)(context)

        return [*(hooks if isinstance(hooks, (list, tuple)) else [hooks] if hooks else []), quietly]

    found = {"before_process": before, "after_process": after}
    return {**settings, **{name: also(settings.get(name), call) for name, call in found.items()}}


def arq(settings: Any, redis: Any = None) -> Any:
    """The settings class of an arq worker, each of its functions told of; may stand above it as a decorator."""
    from functools import wraps

    def connect() -> Any:
        told = settings.redis_settings
        names = ("host", "port", "username", "password", "unix_socket_path", "ssl")
        known = {name: getattr(told, name) for name in names if getattr(told, name, None) is not None}
        return _library().Redis(db=told.database, **known)

    recorder = Recorder(_client(redis, connect))

    def wrapped(function: Any) -> Any:
        if isinstance(function, str):  # where it can be imported from
            from arq.utils import import_string  # type: ignore[import-not-found, unused-ignore]  # in the workers alone

            function = import_string(function)
        coroutine = getattr(function, "coroutine", None)
        if coroutine is not None:  # made by arq.worker.func
            function.coroutine = wrapped(coroutine)
            return function

        @wraps(function)
        async def told(context: Any, *given: Any, **named: Any) -> Any:
            number, attempt = context.get("job_id"), context.get("job_try", 1)
            _quiet(recorder.started)(number, attempt)
            end = "failed"
            try:
                found = await function(context, *given, **named)
                end = "done"
                return found
            except BaseException as fault:
                end = "retry" if type(fault).__name__ in ("Retry", "RetryJob", "CancelledError") else "failed"
                raise
            finally:
                _quiet(recorder.ended)(number, end, attempt)

        return told

    settings.functions = [wrapped(function) for function in settings.functions]
    return settings


def __getattr__(name: str) -> Any:
    """``RqJob``, the class of jobs for ``rq worker --job-class plg.worker.RqJob``."""
    if name != "RqJob":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rq.job import Job  # type: ignore[import-not-found, unused-ignore]  # in the workers alone

    class RqJob(Job):  # type: ignore[misc, unused-ignore]  # a class of another package
        """A job that tells of itself. Its process may end right after it, so it sends its record itself."""

        def perform(self) -> Any:
            recorder = Recorder(lambda: self.connection, at_once=True)
            attempt = int(getattr(self, "number_of_retries", 0) or 0) + 1
            _quiet(recorder.started)(self.id, attempt)
            try:
                found = super().perform()
            except BaseException:
                _quiet(recorder.ended)(self.id, "retry" if self.retries_left else "failed", attempt)
                raise
            _quiet(recorder.ended)(self.id, "done", attempt)
            return found

    globals()[name] = RqJob
    return RqJob
