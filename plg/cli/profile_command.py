"""``plg profile``: scenarios that are kept, with all their versions."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plg.cli.console import Console
from plg.cli.files import usage_error
from plg.cli.stores import columns, store_named
from plg.dataclass import dataclass
from plg.guardrails.policy import account_name
from plg.store.base import Draft, Grant, Profile, Query
from plg.store.errors import NotFound, changed
from plg.store.store import Store

if TYPE_CHECKING:
    from plg.prepare import Request
    from plg.runs.order import Order


def run(options: argparse.Namespace, console: Console) -> int:
    """Do one action."""
    if options.action == "run":
        return _run(options, console)
    actions = {
        "save": _save, "list": _list, "show": _show, "delete": _delete, "history": _history, "export": _export,
        "import": _import, "share": _share, "rekey": _rekey,
    }  # fmt: skip
    with store_named(options) as store:
        return actions[options.action](options, console, store)


@dataclass(frozen=True, slots=True)
class Chosen:
    """The profile that a check runs in place of files."""

    profile: Profile = field(repr=False)

    @property
    def id(self) -> str:
        return self.profile.id

    @property
    def version(self) -> int:
        return self.profile.version

    @property
    def label(self) -> Path:
        """What it is called where a file is named otherwise."""
        from plg.runs.profiles import label

        return label(self.profile)

    def order(self, asked: Request) -> Order:
        """Its order."""
        from plg.runs.profiles import order_of_profile

        return order_of_profile(self.profile, asked)


def _run(options: argparse.Namespace, console: Console) -> int:
    from plg.cli import check_command

    with store_named(options) as store:
        found = store.look_up(options.profile, options.version)
        chosen = Chosen(store.opened(found.id, found.version))
    options.command, options.profile, options.files = "check", chosen, [str(chosen.label)]
    return check_command.run(options, console)


def as_document(profile: Profile) -> dict[str, Any]:
    """The profile as JSON has it: its fields, and its ETag."""
    document = asdict(profile)
    for name in ("files", "edited"):
        del document[name]
    return {**document, "files": sorted(profile.files), "etag": profile.etag}


def _save(options: argparse.Namespace, console: Console, store: Store) -> int:
    from plg.store.drafts import draft_of

    environment = {} if options.environment is None else {"environment": options.environment}
    draft = draft_of(
        Path(options.file), name=options.name, description=options.description, tags=options.tag,
        metadata=environment, secret=options.secret,
    )  # fmt: skip
    return _keep(draft, console, store, options.if_version)


def _keep(draft: Draft, console: Console, store: Store, over: int | None = None) -> int:
    try:
        present = store.backend.named(draft.name)
    except NotFound:
        if over is not None:
            raise
        saved = store.create(draft, account_name())
    else:
        saved = store.save(present.id, draft, account_name(), _etag(present, over))
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


def _passphrase(*, twice: bool) -> str:
    """That of ``PLG_PASSPHRASE``, else typed in at a terminal. Raises `ScenarioError` where there is neither."""
    given = os.environ.get("PLG_PASSPHRASE")
    if given:
        return given
    if not sys.stdin.isatty():
        raise usage_error("a passphrase is needed", "set PLG_PASSPHRASE, or run plg at a terminal")
    import getpass

    typed = getpass.getpass("passphrase: ")
    if twice and getpass.getpass("once more: ") != typed:
        raise usage_error("the two passphrases are not alike")
    return typed


def _export(options: argparse.Namespace, console: Console, store: Store) -> int:
    from plg.store.export import exported

    found = store.look_up(options.profile, options.version)
    profile = store.opened(found.id, found.version) if options.secrets else found
    document = exported(profile, _passphrase(twice=True) if options.secrets else None)
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if options.out == "-":
        console.raw(text)
        return 0
    Path(options.out).write_text(text, encoding="utf-8")
    console.print(
        f"wrote {options.out}, {'secrets sealed by the passphrase' if options.secrets else 'without secrets'}"
    )
    return 0


def _import(options: argparse.Namespace, console: Console, store: Store) -> int:
    from plg.store.drafts import check_draft
    from plg.store.export import imported, is_locked, read_export

    if options.file == "-":
        document = read_export(sys.stdin.buffer.read(), "standard input")
    else:
        from plg.language.source import read_bytes

        document = read_export(read_bytes(Path(options.file), "profile"), options.file)
    draft = imported(document, _passphrase(twice=False) if is_locked(document) else None)
    check_draft(draft)
    return _keep(replace(draft, name=options.name or draft.name), console, store)


def _share(options: argparse.Namespace, console: Console, store: Store) -> int:
    profile = store.look_up(options.profile)
    named = [("user", name) for name in options.user] + [("role", name) for name in options.role]
    grants = [grant for grant in profile.grants if (grant.kind, grant.name) not in named]
    if not options.remove:
        grants += [Grant(kind, name, options.may) for kind, name in named]  # type: ignore[arg-type]  # one of the two
    private = options.private or (profile.private and not options.public)
    profile = store.share(profile.id, private=private, grants=grants)
    who = ", ".join(f"{grant.kind} {grant.name} ({grant.may})" for grant in profile.grants) or "nobody in particular"
    console.print(f"{profile.name} is {'private' if profile.private else 'public'}, shared with {who}")
    return 0


def _rekey(options: argparse.Namespace, console: Console, store: Store) -> int:
    count = store.rekey()
    id, _ = store.keys.sealing("rekey")
    console.print(f"sealed {count:,} versions anew; all secrets in {store.place} are sealed with the key {id!r}")
    return 0
