"""What can be wrong with a store, in words: each is a `ScenarioError` with one fault, so every exit tells it."""

from __future__ import annotations

from plg.diagnostics import Diagnostic, ScenarioError


class StoreError(ScenarioError):
    """Something the store cannot do. ``code`` is a stable word, ``help`` what to do about it."""

    code = "store"

    def __init__(self, message: str, help: str = "", *, place: str = "<store>") -> None:
        super().__init__([Diagnostic(self.code, message, place, help=help)])
        self.message, self.help = message, help


class NotFound(StoreError):
    """There is no such profile, version or run."""

    code = "not-found"


class NameTaken(StoreError):
    """Another profile has the name."""

    code = "name-taken"


class Changed(StoreError):
    """The profile is not the one that the ETag was given for: somebody saved it since."""

    code = "changed"


class BadValue(StoreError):
    """A value that no profile or query takes."""

    code = "bad-profile"


class Unavailable(StoreError):
    """The database is locked, gone, full or damaged. Nothing was changed."""

    code = "store-unavailable"


class TooOld(StoreError):
    """The database was written by a later plg than this one."""

    code = "store-version"


class NoKey(StoreError):
    """There is no key to seal or to open a secret with."""

    code = "no-key"


class Unsealable(StoreError):
    """A sealed secret cannot be opened: another key, damaged, or moved from another profile or version."""

    code = "sealed"


def no_profile(name: str) -> NotFound:
    """There is no such profile."""
    return NotFound(f"there is no profile {name!r}", "plg profile list shows those that there are")


def no_version(id: str, version: int | None) -> NotFound:
    """There is no such version."""
    return NotFound(f"the profile {id} has no version {version}", "plg profile history shows its versions")


def no_run(id: str) -> NotFound:
    """There is no such run."""
    return NotFound(f"there is no run {id!r}", "plg history shows those that are kept")


def changed(name: str) -> Changed:
    """Somebody else was first."""
    return Changed(f"the profile {name!r} has been changed since", "look at its present version, then save again")


def name_taken(name: str) -> NameTaken:
    """Another profile has the name."""
    return NameTaken(f"there is a profile {name!r} already", "save a new version of it, or choose another name")
