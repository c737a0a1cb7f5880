"""The routes. Each declares who may use it; `plg.server.app` holds all of them to that in one place."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response

from plg.access.errors import AccessError
from plg.access.roles import AUDIT, POLICY, READ_TESTS, START_TESTS, STOP_TESTS, WRITE_PROFILES, require
from plg.server.callers import COOKIE, problem_of
from plg.server.history import RESOLUTIONS
from plg.server.load_test import STATES, LoadTest
from plg.server.posted import Posted, read_body
from plg.server.problems import Problem
from plg.server.profile_routes import PROFILE_ROUTES
from plg.server.profiles import kept
from plg.server.prometheus import exposition
from plg.server.rendering import ARTIFACTS
from plg.server.route import Call, Route, whole
from plg.server.schemas import reference
from plg.server.starting import started
from plg.store.base import Draft

BASE = "/api/v1/load-test"
_CURSOR = "[0-9TZ:.-]{24}_[0-9a-f]{12}"
_PAGE = {"type": "integer", "minimum": 1, "maximum": 500}
_DRAWN = "sandbox allow-scripts allow-downloads; default-src 'none'; img-src data: blob:; font-src data:; "
_DRAWN += "style-src 'unsafe-inline'; script-src 'unsafe-inline'"


async def start(call: Call) -> Response:
    """``POST /patterns/start``."""
    data = await call.body()
    key = call.request.headers.get("idempotency-key")

    async def make() -> tuple[dict[str, Any], str]:
        posted = call.service.tests.read(read_body(data), call.caller)
        if posted.profile is not None:
            try:
                require(call.caller, WRITE_PROFILES)
            except AccessError as error:
                raise problem_of(error) from None
        test = await call.service.tests.start(posted, call.caller.name, call.origin)
        answer = started(call, test)
        if posted.profile is not None:
            try:
                answer["profile_id"] = await _kept(call, posted, test)
            except Problem as problem:
                told = {"code": problem.code, "message": f"the profile was not kept: {problem.detail}"}
                answer["warnings"] = [*answer["warnings"], told]
        return answer, f"{BASE}/patterns/{test.id}/status"

    answer, where = await call.service.repeats.once(call.caller.name, key, data, make)
    return JSONResponse(answer, 202, {"Location": where})


async def _kept(call: Call, posted: Posted, test: LoadTest) -> str:
    """The id of the profile that a document which was started is kept in: a new one, or a new version of one."""
    name = str(posted.profile)
    draft = Draft(name, dict(test.document), files=posted.order.files)
    who = call.caller
    await call.service.access.record("profile.save", who.name, {"name": name}, call.origin)
    return (await call.service.profiles.do(lambda store: kept(store, draft, who))).id


async def plan(call: Call) -> Response:
    """``POST /patterns/plan``."""
    posted = call.service.tests.read(read_body(await call.body()), call.caller)
    found = await call.service.tests.planning.plan(posted)
    names = ("name", "target", "type", "limits", "expectations", "curve")
    return JSONResponse({**found["plan"], **{name: found[name] for name in names}, "warnings": found["warnings"]})


async def tests(call: Call) -> Response:
    """``GET /patterns``."""
    state = call.query("state", _state)
    limit, before = call.query("limit", whole(1, 500), 50), call.query("cursor", _place)
    items = [each for each in call.service.tests.items(state) if before is None or _place_of(each) < before]
    more = len(items) > limit
    return JSONResponse({"items": items[:limit], "next": "_".join(_place_of(items[limit - 1])) if more else None})


def _place_of(item: Mapping[str, Any]) -> tuple[str, str]:
    """Where a test stands in the list, also once it is gone from it."""
    return str(item["started_at"]), str(item["test_id"])


def _place(text: str) -> tuple[str, str]:
    if not re.fullmatch(_CURSOR, text):
        raise ValueError("it must be what `next` said")
    when, _, test_id = text.partition("_")
    return when, test_id


async def status(call: Call) -> Response:
    """``GET /patterns/{test_id}/status``."""
    return JSONResponse(call.service.tests.report(call.test_id))


async def stop(call: Call) -> Response:
    """``POST /patterns/{test_id}/stop``."""
    found = call.service.tests.report(call.test_id)
    if call.test_id not in call.service.tests.tests:
        raise Problem(409, "already-ended", f"the test is not in the hands of this server: {found['status']}")
    test = call.service.tests.get(call.test_id)
    if not test.ended:
        await call.service.access.record("test.stop", call.caller.name, {"test": test.id}, call.origin)
    before = call.service.tests.stop(test, call.caller.name)
    return JSONResponse({"test_id": test.id, "status": test.status}, 200 if before else 202)


async def metrics(call: Call) -> Response:
    """``GET /patterns/{test_id}/metrics``."""
    since, resolution = call.query("since", whole(0, 2**53), 0), call.query("resolution", _resolution)
    report = call.service.tests.report(call.test_id)
    test = call.service.tests.tests.get(call.test_id)
    if test is None:
        from plg.server.past import past_metrics

        return JSONResponse(await past_metrics(call.service.records, report))
    row = test.row
    percentiles = {name: row.get(f"latency_{name}") for name in ("p50", "p95", "p99")}
    return JSONResponse(
        {
            "test_id": test.id, "seq": test.messages.seq, "ledger": test.ledger, "percentiles": percentiles,
            "violations": test.violations, **test.curves.document(since, resolution),
        }
    )  # fmt: skip


async def artifact(call: Call) -> Response:
    """``GET /patterns/{test_id}/report.html`` and the others."""
    report = call.service.tests.report(call.test_id)
    name = call.request.url.path.rpartition("/")[2]
    if report["status"] in ("queued", "running", "draining"):
        raise Problem(409, "still-running", "the test is not over, so there is no outcome yet")
    file = await call.service.rendering.artifact(call.service.records.of(call.test_id), name)
    headers = {"Content-Security-Policy": _DRAWN} if name == "report.html" else {}
    return FileResponse(file, media_type=ARTIFACTS[name][1], headers=headers)


async def audit(call: Call) -> Response:
    """``GET /audit``."""
    since, limit = call.query("since", whole(0, 2**53), 0), call.query("limit", whole(1, 500), 100)
    try:
        records = await asyncio.to_thread(lambda: list(islice(call.service.access.audit.records(since), limit + 1)))
    except AccessError as error:
        raise problem_of(error) from None
    shown = [record.document for record in records[:limit]]
    return JSONResponse({"items": shown, "next": records[limit - 1].seq if len(records) > limit else None})


async def policy(call: Call) -> Response:
    """``GET /policy``."""
    files = [{"file": file, "text": text} for file, text in call.service.tests.policies]
    return JSONResponse({"files": files, "max_tests": call.service.tests.most})


async def sign_in(call: Call) -> Response:
    """``GET /sign-in``: the one-time link."""
    code = call.query("code", str, "")
    try:
        session, _ = call.service.access.sign_in.redeem(code, origin=call.origin)
    except AccessError as error:
        raise problem_of(error) from None
    answer = RedirectResponse("/", 303)
    secure = call.request.url.scheme == "https"
    answer.set_cookie(COOKIE, session, httponly=True, samesite="strict", secure=secure, path="/")
    return answer


async def healthy(call: Call) -> Response:
    """``GET /healthz``."""
    return JSONResponse({"status": "ok"})


async def ready(call: Call) -> Response:
    """``GET /readyz``."""
    if call.service.tests.draining:
        raise Problem(503, "draining", "the server is shutting down")
    return JSONResponse({"status": "ready"})


async def prometheus(call: Call) -> Response:
    """``GET /metrics``."""
    return Response(exposition(call.service), media_type="text/plain; version=0.0.4; charset=utf-8")


def _state(text: str) -> str:
    if text not in STATES:
        raise ValueError(f"it must be one of {', '.join(STATES)}")
    return text


def _resolution(text: str) -> float:
    for step in RESOLUTIONS:
        if text in (f"{step:g}", f"{step:g}s", f"{step * 1000:g}ms", f"{step:.1f}"):
            return step
    raise ValueError(f"it must be one of {', '.join(f'{step:g}' for step in RESOLUTIONS)} (seconds)")


_TEST = f"{BASE}/patterns/{{test_id}}"
_ANY: Mapping[str, Any] = {}
ROUTES = (
    Route(
        "POST", f"{BASE}/patterns/start", start, START_TESTS, "Start a test.", {202: reference("Started")},
        body=reference("Posted"), headers=("Idempotency-Key",),
    ),
    Route(
        "POST", f"{BASE}/patterns/plan", plan, READ_TESTS, "What would be sent; sends nothing.",
        {200: reference("Planned")}, body=reference("Posted"),
    ),
    Route(
        "GET", f"{BASE}/patterns", tests, READ_TESTS, "The tests, the newest first.", {200: reference("Tests")},
        (422,),
        {
            "state": {"enum": list(STATES)}, "limit": _PAGE,
            "cursor": {"type": "string", "pattern": f"^{_CURSOR}$"},
        },
    ),
    Route("GET", f"{_TEST}/status", status, READ_TESTS, "How a test stands.", {200: reference("Status")}),
    Route(
        "POST", f"{_TEST}/stop", stop, STOP_TESTS, "End a test.",
        {202: reference("Stopping"), 200: reference("Stopping")}, (409,),
    ),
    Route(
        "GET", f"{_TEST}/metrics", metrics, READ_TESTS, "The curves of a test.", {200: reference("Metrics")}, (422,),
        {
            "since": {"type": "integer", "minimum": 0, "maximum": 2**53},
            "resolution": {"enum": [f"{step:g}" for step in RESOLUTIONS]},
        },
    ),
    *(
        Route(
            "GET", f"{_TEST}/{name}", artifact, READ_TESTS, f"The artifact {name}.", {200: _ANY}, (409,),
            media=media.partition(";")[0],
        )
        for name, (_, media) in ARTIFACTS.items()
    ),
    *PROFILE_ROUTES,
    Route(
        "GET", f"{BASE}/audit", audit, AUDIT, "What was done, the oldest first.", {200: reference("Audit")}, (422,),
        {"since": {"type": "integer", "minimum": 0, "maximum": 2**53}, "limit": _PAGE},
    ),
    Route("GET", f"{BASE}/policy", policy, POLICY, "The policies that hold.", {200: reference("Policy")}),
    Route(
        "GET", "/sign-in", sign_in, "", "The one-time link.", {303: _ANY}, (422,), {"code": {"type": "string"}},
        media="text/plain",
    ),
    Route("GET", "/healthz", healthy, "", "Whether the server lives.", {200: reference("Health")}),
    Route("GET", "/readyz", ready, "", "Whether it takes tests.", {200: reference("Health")}),
    Route("GET", "/metrics", prometheus, READ_TESTS, "Figures for Prometheus.", {200: _ANY}, media="text/plain"),
)  # fmt: skip
