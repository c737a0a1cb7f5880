"""``plg profile``: scenarios that are kept, with all their versions."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from plg.cli.console import Console
from plg.cli.stores import columns, store_named
from plg.guardrails.policy import account_name
from plg.store.base import Profile, Query
from plg.store.errors import NotFound, changed
from plg.store.store import Store


def run(options: argparse.Namespace, console: Console) -> int:
    """Do one action."""
    with store_named(options) as store:
        actions = {"save": _save, "list": _list, "show": _show, "delete": _delete, "history": _history}
        return actions[options.action](options, console, store)


def as_document(profile: Profile) -> dict[str, Any]:
    """The profile as JSON has it: its fields, and its ETag."""
    document = asdict(profile)
    for name in ("files", "edited"):
        del document[name]
    return {**document, "files": sorted(profile.files), "etag": profile.etag}


def _save(options: argparse.Namespace, console: Console, store: Store) -> int:
    from pathlib import Path

    from plg.store.drafts import draft_of

    environment = {} if options.environment is None else {"environment": options.environment}
    draft = draft_of(
        Path(options.file), name=options.name, description=options.description, tags=options.tag,
        metadata=environment, secret=options.secret,
    )  # fmt: skip
    try:
        present = store.backend.named(draft.name)
    except NotFound:
        if options.if_version is not None:
            raise
        saved = store.create(draft, account_name())
    else:
        saved = store.save(present.id, draft, account_name(), _etag(present, options.if_version))
    console.print(f"saved {saved.name}, version {saved.version} ({saved.id}), in {store.place}")
    return 0


def _etag(present: Profile, version: int | None) -> str | None:
    """The ETag to ask for. Raises `Changed` where another version is wanted than there is."""
    if version is None:
        return None
    if present.version != version:
        raise changed(present.name)
    return present.etag


def _list(options: argparse.Namespace, console: Console, store: Store) -> int:
    page = store.find(
        Query(tuple(options.tag), options.name, options.environment, limit=options.limit, cursor=options.cursor)
    )
    if options.json:
        console.raw(json.dumps({"items": [asdict(each) for each in page.items], "next": page.next}, indent=2) + "\n")
        return 0
    rows: list[tuple[str, ...]] = [("name", "version", "environment", "tags", "updated", "id")]
    rows += [
        (each.name, str(each.version), each.environment or "-", ", ".join(each.tags) or "-", each.updated_at, each.id)
        for each in page.items
    ]
    for line in columns(rows) if page.items else ["no profiles"]:
        console.print(line)
    if page.next:
        console.print(f"there are more: --cursor {page.next}")
    return 0


def _show(options: argparse.Namespace, console: Console, store: Store) -> int:
    from plg.language.write import write_json, write_plg, write_yaml

    profile = store.look_up(options.profile, options.version)
    if options.json:
        console.raw(json.dumps(as_document(profile), indent=2, ensure_ascii=False) + "\n")
        return 0
    console.raw({"plg": write_plg, "yaml": write_yaml, "json": write_json}[options.to](profile.scenario))
    return 0


def _delete(options: argparse.Namespace, console: Console, store: Store) -> int:
    profile = store.look_up(options.profile)
    store.delete(profile.id, _etag(profile, options.if_version))
    console.print(f"deleted {profile.name} and its {profile.version} versions")
    return 0


def _history(options: argparse.Namespace, console: Console, store: Store) -> int:
    versions = store.versions(store.look_up(options.profile).id)
    if options.json:
        console.raw(json.dumps([as_document(each) for each in versions], indent=2, ensure_ascii=False) + "\n")
        return 0
    rows: list[tuple[str, ...]] = [("version", "saved", "by", "name", "description")]
    rows += [
        (str(each.version), each.updated_at, each.updated_by, each.name, each.description or "-") for each in versions
    ]
    for line in columns(rows):
        console.print(line)
    return 0
