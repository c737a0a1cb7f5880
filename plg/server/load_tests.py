"""All tests of a server: started, stopped, listed, and found again after a restart."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from plg.access.roles import Account
from plg.server.callers import Access
from plg.server.load_test import ENDED, LoadTest
from plg.server.planning import Planning
from plg.server.posted import Posted, read_posted
from plg.server.problems import Problem
from plg.server.records import OUTCOME, Records, process_mark, summary
from plg.stop import Stop

if TYPE_CHECKING:
    from plg.runs.process import RunProcess

EVERY = 0.1
"""Seconds between two rows of a running test."""
_IN_MEMORY = 20
"""Tests that have ended whose curves and messages are still at hand."""
_LOOK = 0.25
"""Seconds between looks at a process that an earlier server started."""


class LoadTests:
    """The tests below one data folder; at most ``most`` run at a time."""

    def __init__(
        self,
        records: Records,
        planning: Planning,
        access: Access,
        policies: tuple[tuple[str, str], ...],
        most: int,
        orphan_limit: float,
    ) -> None:
        self._records, self.planning, self.policies, self._access = records, planning, policies, access
        self.most, self._orphan_limit = most, orphan_limit
        from plg.guardrails.admission import Admission
        from plg.guardrails.policy import Policy
        from plg.guardrails.policy_file import read_policy_text

        self._admission = Admission(Policy(tuple(read_policy_text(text, file) for file, text in policies)))
        self.tests: dict[str, LoadTest] = {}
        self.saved: dict[str, dict[str, Any]] = {}
        self.draining = False
        self._starting = 0
        self._watchers: set[asyncio.Task[None]] = set()

    # -- starting -------------------------------------------------------------------------------------------------

    def read(self, body: Mapping[str, Any], caller: Account) -> Posted:
        """The order for a posted document. Raises `Problem`."""
        return read_posted(body, self.policies, caller.name, uuid.uuid4().hex[:12], caller.role)

    async def start(self, posted: Posted, account: str, origin: str) -> LoadTest:
        """Plan an order, write down who asked for it from where, and run it in a process. Raises `Problem`."""
        if self.draining:
            raise Problem(503, "draining", "the server is shutting down", headers={"Retry-After": "5"})
        if len(self.running()) + self._starting >= self.most:
            message = f"{self.most} tests run already, as many as this server allows"
            raise Problem(429, "too-many-tests", message, headers={"Retry-After": "5"})
        self._starting += 1
        try:
            planned = await self._planned(posted, account, origin)
            test = LoadTest(str(posted.order.run_id), planned, account, _now())
            await self._admit(test, posted, planned, origin)
            about = {"test": test.id, "name": test.name, "target": test.target, "rate": test.plan["peak_rate"]}
            try:
                await self._access.record("test.start", account, about, origin)
                await self._launch(test, posted)
            except BaseException:
                self._admission.end(test.id)
                raise
        finally:
            self._starting -= 1
        self.tests[test.id] = test
        self._forget()
        return test

    async def _admit(self, test: LoadTest, posted: Posted, planned: Mapping[str, Any], origin: str) -> None:
        """Count a test among those that run. Raises `Problem` 429 where the policy lets no more run beside them."""
        order, plan = posted.order, planned["plan"]
        rate = min(plan["peak_rate"], planned["limits"]["max_rate"])
        from plg.guardrails.terms import Asked

        asked = Asked(test.target, order.account, order.role, order.environment, rate=rate)
        why = await asyncio.to_thread(self._admission.begin, test.id, asked)
        if why is not None:
            await self._access.record("test.refused", order.account, {"why": why}, origin)
            raise Problem(429, "too-many-tests", f"not now: {why}", headers={"Retry-After": "5"})

    async def _planned(self, posted: Posted, account: str, origin: str) -> dict[str, Any]:
        try:
            return await self.planning.plan(posted)
        except Problem as problem:
            if problem.status == 403:
                await self._access.record("test.refused", account, {"why": problem.detail}, origin)
            raise

    async def _launch(self, test: LoadTest, posted: Posted) -> None:
        launched: Future[RunProcess] = Future()
        hear = partial(self._heard, asyncio.get_running_loop(), test, launched)
        try:
            await asyncio.to_thread(self._launch_process, test, posted, launched, hear)
        except OSError as error:
            words = f"the test could not be started: {(error.strerror or str(error)).lower()}"
            raise Problem(503, "no-room", words, headers={"Retry-After": "5"}) from None

    def _launch_process(self, test: LoadTest, posted: Posted, launched: Future[RunProcess], hear: Any) -> None:
        from plg.runs.process import ProcessLauncher

        folder = self._records.open(test.id)
        launcher = ProcessLauncher(folder, every=EVERY, orphan_limit=self._orphan_limit)
        handle = launcher.launch(posted.order, hear, folder / OUTCOME)
        test.handle, test.pid = handle, handle.process.pid
        launched.set_result(handle)
        self._save(test)

    def _heard(self, loop: asyncio.AbstractEventLoop, test: LoadTest, launched: Future[RunProcess], event: Any) -> None:
        """An event of the process, in the thread that reads what it says."""
        if event.kind == "ready":
            launched.result().begin()
            loop.call_soon_threadsafe(test.began)
        elif event.kind == "finished":
            found = summary(launched.result().outcome())
            loop.call_soon_threadsafe(self._finish, test, found)
        elif event.kind == "refused":
            loop.call_soon_threadsafe(self._fail, test, event)
        else:
            loop.call_soon_threadsafe(self._hear, test, event)

    def _finish(self, test: LoadTest, found: Mapping[str, Any]) -> None:
        test.stopped_by = found["stopped_by"]
        test.finish(found)
        self._closed(test)

    def _fail(self, test: LoadTest, event: Any) -> None:
        test.fail(event.faults["diagnostics"], event.exit_code)
        self._closed(test)

    def _closed(self, test: LoadTest) -> None:
        self._admission.end(test.id)
        self._save(test)
        about = {"test": test.id, "status": test.status, "verdict": test.verdict, "exit_code": test.exit_code}
        self._later("test.end", test, about)

    def _hear(self, test: LoadTest, event: Any) -> None:
        test.hear(event)
        if event.kind == "hit" and event.action in ("stop", "clip"):
            about = {"test": test.id, "guardrail": event.guardrail, "requested": event.requested, "at_s": event.at_s}
            self._later("emergency.stop" if event.action == "stop" else "guardrail.violation", test, about)

    def _later(self, event: str, test: LoadTest, about: dict[str, Any]) -> None:
        """Write down what has happened already."""
        task = asyncio.get_running_loop().create_task(self._noted(event, test, about))
        self._watchers.add(task)
        task.add_done_callback(self._watchers.discard)

    async def _noted(self, event: str, test: LoadTest, about: dict[str, Any]) -> None:
        try:
            await self._access.record(event, test.account, about)
        except Problem as problem:
            test.warnings = [*test.warnings, {"code": "not-audited", "message": problem.detail}]

    def _save(self, test: LoadTest) -> None:
        try:
            self._records.save(test.report(), pid=test.pid, mark=process_mark(test.pid) if test.pid else None)
        except OSError as error:
            test.warnings = [
                *test.warnings,
                {"code": "not-kept", "message": f"the state is not kept: {error.strerror}"},
            ]

    def _forget(self) -> None:
        """Leave of the tests that ended long ago only their last state in memory."""
        ended = [test for test in self.tests.values() if test.ended and not test.listeners]
        for test in ended[:-_IN_MEMORY]:
            self.saved[test.id] = test.report()
            del self.tests[test.id]

    # -- stopping -------------------------------------------------------------------------------------------------

    def stop(self, test: LoadTest, account: str, why: str = "") -> bool:
        """End a test; whether it had been asked before. Raises `Problem` 409 where it is over."""
        if test.ended:
            raise Problem(409, "already-ended", f"the test is over: {test.status}")
        before, test.stop_asked = test.stop_asked, True
        if not before and test.handle is not None:
            test.handle.stop(Stop("user", why, by=account))
        return before

    async def drain(self, patience: float) -> None:
        """Start no more, end those that run and wait for them."""
        self.draining = True
        running = self.running()
        for test in running:
            if not test.stop_asked:
                self.stop(test, "the server", "it is shutting down")
        await asyncio.wait([asyncio.create_task(t.over.wait()) for t in running], timeout=patience) if running else None
        for test in running:
            if test.handle is not None:
                await asyncio.to_thread(test.handle.abandon, 1.0)
        if self._watchers:
            await asyncio.wait(set(self._watchers), timeout=1.0)
        for watcher in self._watchers:
            watcher.cancel()

    # -- asking ---------------------------------------------------------------------------------------------------

    def running(self) -> list[LoadTest]:
        """Those that are not over."""
        return [test for test in self.tests.values() if not test.ended]

    def get(self, test_id: str) -> LoadTest:
        """A test that has curves and messages. Raises `Problem` 404."""
        test = self.tests.get(test_id)
        if test is None:
            raise _unknown(test_id)
        return test

    def report(self, test_id: str) -> Mapping[str, Any]:
        """The state of any test. Raises `Problem` 404."""
        if test_id in self.tests:
            return self.tests[test_id].report()
        if test_id not in self.saved:
            raise _unknown(test_id)
        return self.saved[test_id]

    def items(self, state: str | None) -> list[Mapping[str, Any]]:
        """The entries of all tests, the newest first."""
        found = [*map(_item, self.saved.values()), *(test.item() for test in self.tests.values())]
        found.sort(key=lambda item: (str(item["started_at"]), str(item["test_id"])), reverse=True)
        return [item for item in found if state is None or item["status"] == state]

    # -- after a restart ------------------------------------------------------------------------------------------

    async def restore(self) -> None:
        """Find the tests of earlier servers; those whose processes go on are watched until they end."""
        for state in await asyncio.to_thread(lambda: list(self._records.saved())):
            self.saved[state["test_id"]] = state
            if state["status"] not in ENDED:
                state["status"] = "running"
                state["reason"] = "the server that started it died; its own process ends it"
                task = asyncio.create_task(self._await_orphan(state))
                self._watchers.add(task)
                task.add_done_callback(self._watchers.discard)

    async def _await_orphan(self, state: dict[str, Any]) -> None:
        while state["pid"] is not None and process_mark(state["pid"]) == state["mark"] and state["mark"] is not None:
            await asyncio.sleep(_LOOK)
        found = await asyncio.to_thread(self._left, state["test_id"])
        state.update(found)
        state["acked"] = state["ledger"]["acked"]
        await asyncio.to_thread(partial(self._records.save, state, pid=None, mark=None))

    def _left(self, test_id: str) -> Mapping[str, Any]:
        from plg.diagnostics import ScenarioError
        from plg.outcome_io import read_outcome

        try:
            return summary(read_outcome(self._records.of(test_id) / OUTCOME))
        except ScenarioError:
            reason = "the server that started it died, and its own process left no outcome"
            return {"status": "interrupted", "verdict": "interrupted", "exit_code": 143, "reason": reason}


def _item(state: Mapping[str, Any]) -> Mapping[str, Any]:
    names = (
        "test_id", "name", "status", "verdict", "started_at", "started_by", "duration_s", "target", "planned", "acked",
    )  # fmt: skip
    return {name: state[name] for name in names}


def _unknown(test_id: str) -> Problem:
    return Problem(404, "unknown-test", f"there is no test {test_id[:64]!r}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
