"""The routes of profiles."""

from __future__ import annotations

import uuid
from dataclasses import asdict, replace
from typing import Any

from starlette.responses import JSONResponse, Response

from plg.access.roles import READ_PROFILES, RUN_PROFILES, WRITE_PROFILES
from plg.diagnostics import ScenarioError
from plg.server.posted import Posted, read_body
from plg.server.problems import Problem, diagnostic_fault
from plg.server.profiles import changeable, draft_in, grants_in, kept, order_of, reader_of, seen, shown
from plg.server.route import Call, Route, whole
from plg.server.schemas import reference
from plg.server.starting import started
from plg.store.base import Draft, Profile, Query
from plg.store.errors import StoreError

BASE = "/api/v1/load-test/profiles"


def _id(call: Call) -> str:
    return str(call.request.path_params["profile_id"])


def _answer(profile: Profile, status: int = 200) -> Response:
    headers = {"ETag": profile.etag} | ({"Location": f"{BASE}/{profile.id}"} if status == 201 else {})
    return JSONResponse(shown(profile), status, headers)


async def profiles(call: Call) -> Response:
    """``GET /profiles``."""
    query = Query(
        tuple(call.request.query_params.getlist("tag")), call.query("name", str, ""),
        call.query("environment", str, ""), reader_of(call.caller), call.query("limit", whole(1, 500), 50),
        call.query("cursor", str, ""),
    )  # fmt: skip
    page = await call.service.profiles.do(lambda store: store.find(query))
    return JSONResponse({"items": [asdict(each) for each in page.items], "next": page.next or None})


async def create(call: Call) -> Response:
    """``POST /profiles``."""
    body = read_body(await call.body())
    draft = await _checked(call, draft_in(body))
    return _answer(await _saved(call, draft, private=body.get("private", False)), 201)


async def _checked(call: Call, draft: Draft) -> Draft:
    """The draft, once it was planned: what could never run is not kept. Raises `Problem`."""
    tests = call.service.tests
    body = {"scenario": draft.scenario, "target": "embedded"}
    posted = tests.read(body, call.caller)
    await tests.planning.plan(Posted(replace(posted.order, files=draft.files), ("scenario",)))
    return draft


async def _saved(call: Call, draft: Draft, *, private: bool = False) -> Profile:
    await _note(call, "profile.create", name=draft.name)
    return await call.service.profiles.do(lambda store: store.create(draft, call.caller.name, private=private))


async def _note(call: Call, event: str, **what: Any) -> None:
    await call.service.access.record(event, call.caller.name, what, call.origin)


async def profile(call: Call) -> Response:
    """``GET /profiles/{profile_id}``."""
    return _answer(await call.service.profiles.do(lambda store: seen(store, _id(call), call.caller)))


async def save(call: Call) -> Response:
    """``PUT /profiles/{profile_id}``."""
    draft = draft_in(read_body(await call.body()))
    etag = call.request.headers.get("if-match")
    before = await call.service.profiles.do(lambda store: changeable(store, _id(call), call.caller))
    if "***" not in str(draft.scenario):
        draft = await _checked(call, draft)
    await _note(call, "profile.save", profile=before.id, name=draft.name)
    return _answer(
        await call.service.profiles.do(
            lambda store: store.save(before.id, draft, call.caller.name, None if etag == "*" else etag)
        )
    )


async def delete(call: Call) -> Response:
    """``DELETE /profiles/{profile_id}``."""
    etag = call.request.headers.get("if-match")
    before = await call.service.profiles.do(lambda store: changeable(store, _id(call), call.caller, keeping=True))
    await _note(call, "profile.delete", profile=before.id, name=before.name)
    await call.service.profiles.do(lambda store: store.delete(before.id, None if etag == "*" else etag))
    return Response(status_code=204)


async def run(call: Call) -> Response:
    """``POST /profiles/{profile_id}/run``."""
    body = read_body(await call.body())
    overrides, target = body.get("overrides", {}), body.get("target")
    if set(body) - {"overrides", "target"} or not isinstance(overrides, dict) or not isinstance(target, str | None):
        raise Problem(422, "bad-body", "a run takes `overrides`, an object of params, and a `target`")
    if any(isinstance(each, bool) or not isinstance(each, str | int | float) for each in overrides.values()):
        raise Problem(422, "wrong-type", "`overrides` holds texts and numbers")
    given = {name: str(value) for name, value in overrides.items()}

    def ordered(store: Any) -> Any:
        found = seen(store, _id(call), call.caller)
        return found, order_of(store.opened(found.id), given, target)

    try:
        found, order = await call.service.profiles.do(ordered)
    except StoreError:
        raise
    except ScenarioError as error:
        faults = [diagnostic_fault(each) for each in error.diagnostics]
        raise Problem(422, str(faults[0]["code"]), str(faults[0]["message"]), faults=faults) from None
    order = replace(
        order,
        policies=call.service.tests.policies,
        account=call.caller.name,
        role=call.caller.role,
        run_id=uuid.uuid4().hex[:12],
    )
    test = await call.service.tests.start(Posted(order), call.caller.name, call.origin)
    answer = {**started(call, test), "profile_id": found.id, "profile_version": found.version}
    return JSONResponse(answer, 202, {"Location": f"/api/v1/load-test/patterns/{test.id}/status"})


async def versions(call: Call) -> Response:
    """``GET /profiles/{profile_id}/versions``."""

    def found(store: Any) -> Any:
        seen(store, _id(call), call.caller)
        return store.versions(_id(call))

    return JSONResponse({"items": [shown(each) for each in await call.service.profiles.do(found)]})


async def version(call: Call) -> Response:
    """``GET /profiles/{profile_id}/versions/{version}``."""
    text = str(call.request.path_params["version"])
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Problem(404, "not-found", "versions are whole numbers from 1")
    return _answer(await call.service.profiles.do(lambda store: seen(store, _id(call), call.caller, int(text))))


async def export(call: Call) -> Response:
    """``GET /profiles/{profile_id}/export``: without its secrets."""
    from plg.store.export import exported

    found = await call.service.profiles.do(lambda store: seen(store, _id(call), call.caller))
    await _note(call, "profile.export", profile=found.id, name=found.name)
    return JSONResponse(exported(found, None))


async def import_(call: Call) -> Response:
    """``POST /profiles/import``."""
    from plg.store.export import imported, read_export

    data = await call.body()
    draft = await call.service.profiles.do(lambda store: imported(read_export(data, "the body")))
    if "***" not in str(draft.scenario):  # what stands for a secret that is known here
        draft = await _checked(call, draft)
    await _note(call, "profile.import", name=draft.name)
    return _answer(await call.service.profiles.do(lambda store: kept(store, draft, call.caller)), 201)


async def share(call: Call) -> Response:
    """``POST /profiles/{profile_id}/share``."""
    private, grants = grants_in(read_body(await call.body()))
    before = await call.service.profiles.do(lambda store: changeable(store, _id(call), call.caller, keeping=True))
    about = [f"{grant.kind}:{grant.name}:{grant.may}" for grant in grants]
    await _note(call, "profile.share", profile=before.id, private=private, grants=about)
    return _answer(await call.service.profiles.do(lambda store: store.share(before.id, private=private, grants=grants)))


_ONE = f"{BASE}/{{profile_id}}"
_TEXT = {"type": "string"}
_OBJECT = {"type": "object"}
_PROFILE = reference("Profile")
PROFILE_ROUTES = (
    Route(
        "GET", BASE, profiles, READ_PROFILES, "The profiles, by name.", {200: reference("Profiles")}, (422,),
        {
            "tag": _TEXT, "name": _TEXT, "environment": _TEXT, "cursor": _TEXT,
            "limit": {"type": "integer", "minimum": 1, "maximum": 500},
        },
    ),
    Route("POST", BASE, create, WRITE_PROFILES, "Keep a profile.", {201: _PROFILE}, (409,), body=_OBJECT),
    Route(
        "POST", f"{BASE}/import", import_, WRITE_PROFILES, "Keep an exported profile.", {201: _PROFILE}, (409,),
        body=_OBJECT,
    ),
    Route("GET", _ONE, profile, READ_PROFILES, "A profile.", {200: _PROFILE}),
    Route("PUT", _ONE, save, WRITE_PROFILES, "A new version.", {200: _PROFILE}, (409, 412), body=_OBJECT),
    Route("DELETE", _ONE, delete, WRITE_PROFILES, "Forget a profile.", {204: {}}, (409, 412)),
    Route(
        "POST", f"{_ONE}/run", run, RUN_PROFILES, "Start a test of it.", {202: reference("Started")}, (409,),
        body=_OBJECT,
    ),
    Route("GET", f"{_ONE}/versions", versions, READ_PROFILES, "Its versions.", {200: reference("Versions")}),
    Route("GET", f"{_ONE}/versions/{{version}}", version, READ_PROFILES, "One version.", {200: _PROFILE}),
    Route("GET", f"{_ONE}/export", export, READ_PROFILES, "It as a file, without secrets.", {200: _OBJECT}),
    Route("POST", f"{_ONE}/share", share, WRITE_PROFILES, "Who may see it.", {200: _PROFILE}, (409,), body=_OBJECT),
)  # fmt: skip
