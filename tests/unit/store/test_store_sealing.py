"""Secrets of a profile: sealed before a store has them, opened with their key at their place alone."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from support.stores import DOCUMENT, KEYS, OTHER, Opened, draft

from plg.redaction import HIDDEN
from plg.store.base import Profile, Query
from plg.store.errors import BadValue, NoKey, Unsealable
from plg.store.keys import Keys
from plg.store.sealing import is_sealed, places, value_at, with_values
from plg.store.store import Store

PLACES = {
    ("scenario", "jobs", 0, "payload"), ("scenario", "jobs", 1, "args"), ("scenario", "jobs", 1, "kwargs"),
    ("scenario", "target"), ("scenario", "guardrails", "emergency", "webhook"), ("files",),
    ("scenario", "params", "token"), ("metadata", "custom_fields", "owner"),
}  # fmt: skip


def test_every_secret_place_is_sealed(store: Store) -> None:
    made = store.create(draft(), "ann")
    kept = store.backend.profile(made.id)
    assert set(places(kept)) == PLACES
    assert all(is_sealed(value_at(kept, place)) for place in PLACES)
    assert "CANARY" not in json.dumps([kept.scenario, kept.metadata, dict(kept.files)])
    assert "CANARY" not in repr(store.profile(made.id)) + repr(store.versions(made.id)) + repr(store.look_up("sale"))
    assert store.profile(made.id).scenario["jobs"][0]["payload"] == HIDDEN
    assert kept.scenario["jobs"][0]["queue"] == "orders"


@pytest.mark.parametrize(
    ("target", "sealed"),
    [
        ("embedded", []), ("fake", []), ({"env": "X"}, []), ("redis://h/0", ["target"]),
        ({"env": "X", "default": "redis://h/0"}, ["target", "default"]), ({"env": "X", "default": "embedded"}, []),
        ({"url": "redis://h/0"}, ["target", "url"]),
        ({"url": {"env": "X", "default": "r"}}, ["target", "url", "default"]),
    ],
)  # fmt: skip
def test_the_url_of_a_target_is_a_secret_and_a_variable_is_none(alone: Store, target: Any, sealed: list[str]) -> None:
    document = {**DOCUMENT, "target": target, "jobs": [], "guardrails": {"max_rate": 1, "max_total_jobs": 1,
                "max_duration": 1}}  # fmt: skip
    made = alone.create(draft(scenario=document, files={}, secret=()), "ann")
    assert places(made) == ([("scenario", *sealed)] if sealed else [])
    assert alone.opened(made.id).scenario == document


def test_one_secret_is_never_sealed_alike_twice(alone: Store) -> None:
    made = alone.create(draft(), "ann")
    alone.save(made.id, draft(), "ann")
    first, second = (alone.backend.profile(made.id, version) for version in (1, 2))
    for place in PLACES:
        assert value_at(first, place) != value_at(second, place)


def test_without_a_key_a_secret_is_refused_and_nothing_is_kept(place: Opened) -> None:
    bare = place(Keys({}))
    with pytest.raises(NoKey, match="there is no key to seal it with: nothing was saved"):
        bare.create(draft(), "ann")
    made = place().create(draft(), "ann")
    with pytest.raises(NoKey, match="no key"):
        bare.save(made.id, draft(), "ann")
    assert [each.version for each in bare.versions(made.id)] == [1]
    with pytest.raises(NoKey, match="sealed with the key 'k1', which is not here"):
        bare.opened(made.id)
    plain = {name: value for name, value in DOCUMENT.items() if name not in ("jobs", "target")}
    plain["guardrails"] = {"max_rate": 1, "max_total_jobs": 1, "max_duration": 1}
    open_ = bare.create(draft("open", scenario=plain, files={}, secret=()), "ann")
    assert bare.opened(open_.id).scenario == plain


def test_another_key_with_the_same_id_opens_nothing(place: Opened) -> None:
    made = place().create(draft(), "ann")
    with pytest.raises(Unsealable, match="cannot be opened"):
        place(OTHER).opened(made.id)


def put(store: Store, kept: Profile, values: dict[Any, Any]) -> None:
    """As whoever can write to the database would."""
    store.backend.replace(with_values(kept, values))


def test_what_is_sealed_opens_at_its_own_place_alone(store: Store) -> None:
    one = store.create(draft(), "ann")
    two = store.create(draft("two"), "ann")
    store.save(one.id, draft(), "ann")
    first, second = (store.backend.profile(one.id, version) for version in (1, 2))
    other = store.backend.profile(two.id)
    payload, params = ("scenario", "jobs", 0, "payload"), ("scenario", "params", "token")
    for swapped in (
        {payload: value_at(other, payload)}, {payload: value_at(first, payload)}, {payload: value_at(second, params)},
        {params: value_at(second, payload)}, {("files",): value_at(other, ("files",))},
    ):  # fmt: skip
        put(store, second, swapped)
        with pytest.raises(Unsealable, match="was moved there from elsewhere"):
            store.opened(one.id)
    put(store, second, {})
    assert store.opened(one.id).scenario == DOCUMENT
    put(store, first, {payload: value_at(second, payload)})
    with pytest.raises(Unsealable):
        store.opened(one.id, 1)


def test_no_part_of_a_sealed_value_can_be_changed(alone: Store) -> None:
    made = alone.create(draft(), "ann")
    kept = alone.backend.profile(made.id)
    place = ("scenario", "jobs", 0, "payload")
    sealed = value_at(kept, place)
    body = sealed.rindex(":") + 1
    changed = [sealed[:cut] for cut in range(body, len(sealed), 7)]
    changed += [
        sealed[:at] + ("A" if sealed[at] != "A" else "B") + sealed[at + 1 :] for at in range(body, len(sealed) - 4, 5)
    ]
    changed += [sealed + "AAAA", sealed[:body] + "ü", sealed + "\n"]
    for value in changed:
        put(alone, kept, {place: value})
        with pytest.raises(Unsealable, match=r"jobs\.0\.payload of the profile 'sale', version 1, cannot be opened"):
            alone.opened(made.id)
        assert alone.profile(made.id) == made, "what is shown needs no key, and is there"


def test_what_a_reader_sends_back_keeps_the_secrets(store: Store) -> None:
    made = store.create(draft(), "ann")
    shown = store.profile(made.id)
    again = draft(scenario=shown.scenario, metadata=shown.metadata, files={}, description="other")
    with pytest.raises(BadValue, match="which stands for a secret"):
        store.create(replace(again, name="new"), "ann")
    document = copy.deepcopy({**DOCUMENT, "data": {"users": "users.csv"}})
    store.save(made.id, draft(scenario=document), "ann")
    shown = store.profile(made.id)
    store.save(made.id, draft(scenario=shown.scenario, metadata=shown.metadata, files={}), "ann")
    found = store.opened(made.id)
    assert (found.version, found.scenario, found.files) == (3, document, draft().files)
    assert found.metadata == draft().metadata


def test_a_sealed_value_cannot_be_brought_in_from_outside(alone: Store) -> None:
    made = alone.create(draft(), "ann")
    with pytest.raises(BadValue, match="sealed already"):
        alone.create(draft("copy", scenario=alone.backend.profile(made.id).scenario), "ann")


@pytest.mark.parametrize(
    "field", ["name", "tags", "nothing", "params.other", "guardrails.max_rate", "metadata", "metadata.environment",
              "jobs.0.queue", "params", "", "metadata.custom_fields.x", "pattern"],
)  # fmt: skip
def test_what_cannot_be_marked_secret(alone: Store, field: str) -> None:
    with pytest.raises(BadValue, match="marked secret"):
        alone.create(draft(secret=(field,)), "ann")


def test_a_description_can_be_secret(store: Store) -> None:
    document = {**DOCUMENT, "description": "CANARYone"}
    made = store.create(draft(scenario=document, description="CANARYtwo", secret=("description",)), "ann")
    assert "CANARYone" not in repr(store.backend.profile(made.id))
    assert "CANARYtwo" not in repr(store.backend.profile(made.id)) + repr(store.find(Query()))
    found = store.opened(made.id)
    assert (found.description, found.scenario["description"]) == ("CANARYtwo", "CANARYone")


def test_rekey_seals_every_version_anew(place: Opened) -> None:
    store = place()
    made = store.create(draft(), "ann")
    store.save(made.id, draft(), "ann")
    new = Keys.read("k2:" + "3d" * 32)
    both = Keys({**new.by_id, **KEYS.by_id})
    assert place(both).rekey() == 2
    assert place(both).rekey() == 0
    renewed = place(new)
    for version in (1, 2):
        assert renewed.opened(made.id, version).scenario == DOCUMENT
    assert renewed.profile(made.id, 1).etag == made.etag
    with pytest.raises(NoKey):
        place().opened(made.id)
    with pytest.raises(NoKey, match="k2"):
        place(KEYS).rekey()
    with pytest.raises(NoKey):
        place(Keys({})).rekey()


def test_keys_come_from_the_keyring_where_no_variable_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring
    from keyring.backend import KeyringBackend

    # Before there are others to choose from: each class of this kind is one.
    before = keyring.get_keyring()

    class Kept(KeyringBackend):
        priority = 1.0

        def get_password(self, service: str, username: str) -> str | None:
            return {("plg", "PLG_KEYS"): "k7:" + "ab" * 32}.get((service, username))

        def set_password(self, service: str, username: str, password: str) -> None:
            raise NotImplementedError

    class Locked(Kept):
        def get_password(self, service: str, username: str) -> str | None:
            raise RuntimeError("the keyring is locked")

    try:
        keyring.set_keyring(Kept())
        assert dict(Keys.of_environment({}).by_id) == {"k7": bytes.fromhex("ab" * 32)}
        assert list(Keys.of_environment({"PLG_KEYS": "k1:" + "1f" * 32}).by_id) == ["k1"]
        keyring.set_keyring(Locked())
        assert dict(Keys.of_environment({}).by_id) == {}
    finally:
        keyring.set_keyring(before)
