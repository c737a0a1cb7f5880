"""A wheel of the plg that runs, for a project that keeps it: pipelines then install it without an index."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

DISTRIBUTION = "patterned-load"
_FOLDER = ".github/plg"
_LEFT_OUT = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
"""What pip itself writes beside a distribution; the wheel it came from had none of it, or another RECORD."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time a zip file knows: the same plg makes the same wheel."""


def wheel_path(version: str) -> Path:
    """Where a project keeps the wheel, from its root."""
    return Path(_FOLDER, f"{DISTRIBUTION.replace('-', '_')}-{version}-py3-none-any.whl")


def write_wheel(path: Path) -> bool:
    """Pack the installed distribution into the wheel ``path``, whole or not at all.

    False where it was installed as links to a checkout, or not by pip at all: then there are no files to pack.
    """
    try:
        installed = metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return False
    files = [f for f in installed.files or () if _belongs(f)]
    if checkout(installed) is not None or not any(f.parts[0] == "plg" for f in files):
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with ZipFile(unfinished, "w", ZIP_DEFLATED) as archive:
        record = [_add(archive, f.as_posix(), Path(str(f.locate())).read_bytes()) for f in files]
        place = next(f.parent for f in files if f.name == "METADATA") / "RECORD"
        _add(archive, place.as_posix(), "".join([*record, f"{place.as_posix()},,\n"]).encode())
    unfinished.replace(path)
    return True


def checkout(installed: metadata.Distribution | None = None) -> Path | None:
    """The checkout that an editable installation reads its files from (PEP 610); None for any other."""
    try:
        installed = installed or metadata.distribution(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return None
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(origin["url"]).path))


def _belongs(file: metadata.PackagePath) -> bool:
    # Programs are made anew from entry_points.txt, and compiled files from their sources.
    return ".." not in file.parts and "__pycache__" not in file.parts and file.name not in _LEFT_OUT


def _add(archive: ZipFile, name: str, content: bytes) -> str:
    """Write one file of the wheel; its line of RECORD."""
    info = ZipInfo(name, _EPOCH)
    info.external_attr = 0o644 << 16
    info.compress_type = ZIP_DEFLATED
    archive.writestr(info, content)
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(content)}\n"
