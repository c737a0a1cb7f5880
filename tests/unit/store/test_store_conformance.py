"""What every store does, whatever it keeps things in."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from support.stores import DOCUMENT, Opened, draft

from plg.store.base import Draft, Grant, Profile, Query, Reader, Retention, Run, RunQuery
from plg.store.errors import BadValue, Changed, NameTaken, NotFound
from plg.store.store import Store, moment

PLAIN = {
    "name": "plain",
    "pattern": {"type": "steady", "base_rate": 1, "duration": 1},
    "guardrails": {"max_rate": 1, "max_total_jobs": 1, "max_duration": 1},
}


def names(store: Store, **asked: object) -> list[str]:
    return [each.name for each in store.find(Query(**asked)).items]  # type: ignore[arg-type]


def test_a_profile_comes_back_as_it_was_saved(place: Opened) -> None:
    made = place().create(draft(), "ann")
    again = place()
    found = again.opened(made.id)
    wanted = draft()
    assert {
        name: getattr(found, name) for name in ("name", "scenario", "description", "tags", "metadata", "files")
    } == {name: getattr(wanted, name) for name in ("name", "scenario", "description", "tags", "metadata", "files")}
    assert (found.version, found.created_by, found.updated_by, found.private) == (1, "ann", "ann", False)
    assert found.created_at == found.updated_at
    assert again.look_up("sale") == again.look_up(made.id) == again.profile(made.id) == made


def test_every_change_keeps_the_old_version(place: Opened) -> None:
    store = place()
    first = store.create(draft(), "ann")
    other = {**DOCUMENT, "jobs": [{"name": "a", "queue": "q", "payload": "second"}]}
    second = store.save(first.id, draft(scenario=other, description="later", tags=("x",)), "bob")
    assert (second.version, second.created_by, second.updated_by) == (2, "ann", "bob")
    assert second.created_at == first.created_at < second.updated_at
    again = place()
    assert again.opened(first.id, 1).scenario == DOCUMENT
    assert again.opened(first.id).scenario == again.opened(first.id, 2).scenario == other
    assert again.profile(first.id, 1) == replace(first, edited="")
    assert [each.version for each in again.versions(first.id)] == [2, 1]
    assert [each.description for each in again.versions(first.id)] == ["later", "doors open"]
    assert names(again, tags=("x",)) == ["sale"]
    assert names(again, tags=("shop",)) == []


def test_an_etag_holds_back_who_comes_second(store: Store) -> None:
    first = store.create(draft(), "ann")
    second = store.save(first.id, draft(description="b"), "ann", first.etag)
    assert first.etag != second.etag
    with pytest.raises(Changed, match="changed since"):
        store.save(first.id, draft(description="c"), "bob", first.etag)
    with pytest.raises(Changed):
        store.delete(first.id, first.etag)
    assert store.profile(first.id) == second
    store.delete(first.id, second.etag)
    with pytest.raises(NotFound):
        store.profile(first.id)


def test_a_name_is_one_profiles(store: Store) -> None:
    store.create(draft(), "ann")
    other = store.create(draft("other"), "ann")
    with pytest.raises(NameTaken):
        store.create(draft(), "ann")
    with pytest.raises(NameTaken):
        store.save(other.id, draft("sale"), "ann")
    assert names(store) == ["other", "sale"]
    assert store.save(other.id, draft("renamed"), "ann").name == "renamed"
    assert names(store) == ["renamed", "sale"]
    assert store.look_up("renamed").id == other.id
    with pytest.raises(NotFound):
        store.look_up("other")


def test_what_is_not_there_is_told(store: Store) -> None:
    made = store.create(draft(), "ann")
    for missing in (
        lambda: store.profile("none"), lambda: store.profile(made.id, 2), lambda: store.look_up("none"),
        lambda: store.look_up("sale", 7), lambda: store.versions("none"), lambda: store.delete("none"),
        lambda: store.save("none", draft(), "ann"), lambda: store.share("none", private=True, grants=()),
        lambda: store.run("none"), lambda: store.outcome("none"), lambda: store.star("none"),
        lambda: store.profile("../sale"), lambda: store.run("../../etc/passwd"),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            missing()


def test_deleted_is_deleted_with_all_versions(store: Store) -> None:
    made = store.create(draft(), "ann")
    store.save(made.id, draft(description="b"), "ann")
    store.delete(made.id)
    assert names(store) == []
    new = store.create(draft(), "ann")
    assert new.version == 1
    assert [each.version for each in store.versions(new.id)] == [1]


def test_search_by_tag_name_and_environment(store: Store) -> None:
    for name, tags, environment in (
        ("Sale A", ("sale", "web"), "staging"), ("sale b", ("sale",), "production"), ("100% soak_1", ("soak",), ""),
        ("grüße 🎉", ("sale", "web"), "staging"),
    ):  # fmt: skip
        metadata = {"environment": environment} if environment else {}
        store.create(draft(name, scenario=PLAIN, tags=tags, metadata=metadata, files={}, secret=()), "ann")
    assert sorted(names(store)) == sorted(["Sale A", "sale b", "100% soak_1", "grüße 🎉"])
    assert sorted(names(store, tags=("sale",))) == sorted(["Sale A", "sale b", "grüße 🎉"])
    assert sorted(names(store, tags=("sale", "web"))) == sorted(["Sale A", "grüße 🎉"])
    assert names(store, name="SALE") == ["Sale A", "sale b"]
    assert names(store, name="%") == names(store, name="_") == ["100% soak_1"]
    assert names(store, environment="production") == ["sale b"]
    assert names(store, environment="production", tags=("web",)) == []
    [found] = store.find(Query(name="soak")).items
    assert (found.version, found.tags, found.environment, found.created_by) == (1, ("soak",), "", "ann")


def test_pages_follow_each_other(store: Store) -> None:
    for number in range(7):
        store.create(draft(f"p{number}", scenario=PLAIN, files={}, secret=()), "ann")
    seen: list[str] = []
    cursor = ""
    for _ in range(4):
        page = store.find(Query(limit=2, cursor=cursor))
        seen += [each.name for each in page.items]
        cursor = page.next
    assert (seen, cursor) == ([f"p{number}" for number in range(7)], "")
    for wrong in ("x", "e30", store.runs(RunQuery()).next or "WzEsMl0"):
        with pytest.raises(BadValue):
            store.find(Query(cursor=wrong))
    for limit in (0, -1, 501):
        with pytest.raises(BadValue):
            store.find(Query(limit=limit))


def test_who_sees_a_private_profile(store: Store) -> None:
    made = store.create(draft(), "ann", private=True)
    ann, bob, eve = Reader("ann", "author"), Reader("bob", "author"), Reader("eve", "viewer")

    def seeing() -> list[bool]:
        return [bool(names(store, reader=reader)) for reader in (ann, bob, eve, Reader(everything=True))]

    def of(profile: Profile) -> list[tuple[bool, bool]]:
        return [(profile.seen_by(reader), profile.changed_by(reader)) for reader in (ann, bob, eve)]

    assert seeing() == [True, False, False, True]
    assert of(made) == [(True, True), (False, False), (False, False)]
    grants = [Grant("user", "bob", "write"), Grant("role", "viewer", "read")]
    shared = store.share(made.id, private=True, grants=grants)
    assert set(shared.grants) == set(grants)
    assert shared.version == 1
    assert seeing() == [True, True, True, True]
    assert of(shared) == [(True, True), (True, True), (True, False)]
    kept = store.save(made.id, draft(description="b"), "bob")
    assert (kept.private, set(kept.grants)) == (True, set(grants))
    store.share(made.id, private=False, grants=[])
    assert seeing() == [True, True, True, True]
    for wrong in (Grant("user", ""), Grant("group", "x"), Grant("user", "x", "own")):  # type: ignore[arg-type]
        with pytest.raises(BadValue):
            store.share(made.id, private=False, grants=[wrong])


def test_names_and_tags_have_bounds(store: Store) -> None:
    for file in ("/etc/passwd", "../x", "a/../../x", ""):
        with pytest.raises(BadValue):
            store.create(draft(files={file: "QUJD"}), "ann")
    for wrong in (draft(""), draft("x" * 201), draft("a\nb"), draft(tags=("",)), draft(tags=("t",) * 1 + ("x" * 201,))):
        with pytest.raises(BadValue):
            store.create(wrong, "ann")
    assert names(store) == []


def test_savers_at_once_each_have_a_version(place: Opened) -> None:
    store = place()
    made = store.create(draft(scenario=PLAIN, files={}, secret=()), "ann")
    failed: list[Exception] = []

    def save(who: str) -> None:
        try:
            mine = place()
            for number in range(5):
                mine.save(made.id, Draft("sale", PLAIN, description=f"{who} {number}"), who)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=save, args=(f"w{number}",)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    versions = store.versions(made.id)
    assert [each.version for each in versions] == list(range(16, 0, -1))
    said = [each.description for each in reversed(versions)]
    for who in ("w0", "w1", "w2"):
        assert [text for text in said if text.startswith(who)] == [f"{who} {number}" for number in range(5)]


def run(number: int, **changed: object) -> Run:
    given: dict[str, object] = {
        "verdict": "pass", "exit_code": 0, "started_at": moment(1_800_000_000 + number), "duration_s": 1.5,
        "target": "redis://h:6379/0", "server": "redis 7", "machine": "m", "commit": "abc", "branch": "main",
        "who": "ann", "plan_digest": "d1", "scenario_hash": "h", "planned": 10, "acked": 9,
    }  # fmt: skip
    return Run(f"r{number}", "sale", **{**given, **changed})  # type: ignore[arg-type]


def test_a_run_comes_back_as_it_was_recorded(place: Opened) -> None:
    first = run(1, profile_id="p", profile_version=3, reason="grüße")
    place().record(first, b"\0outcome")
    store = place()
    assert store.run("r1") == first
    assert store.outcome("r1") == b"\0outcome"
    begun = run(2, status="running", verdict="", exit_code=None, planned=None, acked=None)
    store.record(begun)
    assert (store.run("r2"), store.outcome("r2")) == (begun, None)
    ended = replace(begun, status="completed", verdict="fail", exit_code=3)
    store.record(ended, b"x")
    store.star("r2")
    store.record(ended)
    assert store.run("r2") == replace(ended, starred=True)
    assert store.outcome("r2") == b"x"
    assert [each.id for each in store.runs(RunQuery()).items] == ["r2", "r1"]


def test_runs_are_found_by_what_they_are(store: Store) -> None:
    for each in (
        run(1), run(2, verdict="fail", branch="dev"), run(3, commit="def", who="bob"),
        run(4, plan_digest="d2", profile_id="p"), run(5, status="running", verdict=""),
    ):  # fmt: skip
        store.record(each)

    def found(**asked: object) -> list[str]:
        return [each.id for each in store.runs(RunQuery(**asked)).items]  # type: ignore[arg-type]

    assert found() == ["r5", "r4", "r3", "r2", "r1"]
    assert found(verdict="fail") == found(branch="dev") == ["r2"]
    assert found(commit="def") == found(who="bob") == ["r3"]
    assert found(plan_digest="d2") == found(profile_id="p") == ["r4"]
    assert found(status="running") == ["r5"]
    assert found(name="other") == []
    store.star("r3")
    assert found(starred=True) == ["r3"]
    assert found(starred=False, branch="main") == ["r5", "r4", "r1"]
    page = store.runs(RunQuery(limit=2))
    seen = [each.id for each in page.items]
    page = store.runs(RunQuery(limit=3, cursor=page.next))
    assert (seen + [each.id for each in page.items], page.next) == (["r5", "r4", "r3", "r2", "r1"], "")


def test_runs_of_one_moment_have_one_order(store: Store) -> None:
    for number in range(6):
        store.record(replace(run(1), id=f"r{number}"))
    first = store.runs(RunQuery(limit=4))
    rest = store.runs(RunQuery(limit=4, cursor=first.next))
    assert [each.id for each in [*first.items, *rest.items]] == ["r5", "r4", "r3", "r2", "r1", "r0"]


def test_runs_are_kept_by_count_and_starred_ones_for_ever(store: Store) -> None:
    assert store.retention == Retention()
    for number in range(6):
        store.record(run(number), b"x")
    store.star("r0")
    store.record(run(7, status="running"))
    assert store.keep(Retention(3)) == 2
    assert [each.id for each in store.runs(RunQuery()).items] == ["r7", "r5", "r4", "r3", "r0"]
    with pytest.raises(NotFound):
        store.outcome("r1")
    store.record(run(8))
    assert [each.id for each in store.runs(RunQuery()).items] == ["r8", "r7", "r5", "r4", "r0"]
    assert store.outcome("r0") == b"x"
    store.star("r0", False)
    store.prune()
    assert [each.id for each in store.runs(RunQuery()).items] == ["r8", "r7", "r5", "r4"]
    assert store.keep(Retention(0)) == 3
    assert [each.id for each in store.runs(RunQuery()).items] == ["r7"]


def test_runs_are_kept_by_age(place: Opened) -> None:
    store = place()
    for number in range(5):
        store.record(run(number))
    store.star("r1")
    place.clock.now = 1_800_000_000 + 100
    assert store.keep(Retention(None, 97.5)) == 2
    assert place().retention == Retention(None, 97.5)
    assert [each.id for each in store.runs(RunQuery()).items] == ["r4", "r3", "r1"]
