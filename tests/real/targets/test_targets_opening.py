"""Opening says who answers and refuses what cannot take jobs, in the server's own words and without writing."""

from __future__ import annotations

import os
import socket
import time

import pytest
from support.real_servers import answering, free_port

from plg.queues.base import Job, Queue
from plg.targets.base import TargetError
from plg.targets.open import open_target

JOBS = (Job("a", queue=Queue("list", "orders")), Job("b", queue=Queue("stream", "events")))


def refusal(where, *, jobs=JOBS, timeout=3.0):
    with pytest.raises(TargetError) as caught:
        open_target(where, jobs, connect_timeout=timeout).close()
    return caught.value


def test_says_who_answers(servers, binary):
    server = servers(binary)
    with open_target(server.url(), JOBS) as target:
        seen = target.server
    name = "valkey" if server.fact("valkey_version") else "redis"
    assert (seen.kind, seen.name, seen.version) == ("url", name, server.fact(f"{name}_version"))
    assert seen.url == server.url()
    assert target.notes == ()


def test_opening_writes_nothing(servers, binary):
    server = servers(binary)
    with open_target(server.url(), JOBS) as target:
        target.connect().close()
        probe = target.probe()
        probe.look()
        probe.close()
    assert server.number("DBSIZE") == 0
    assert server.fact("rdb_changes_since_last_save") == "0"


def test_a_connection_is_ready_for_commands_and_outlives_the_target(servers, any_binary):
    server = servers(any_binary, "--requirepass", "s3cret")
    with open_target(server.url(":s3cret", database=3), JOBS) as target:
        raw = target.connect()
    raw.settimeout(5)
    raw.sendall(b"*3\r\n$5\r\nLPUSH\r\n$1\r\nq\r\n$1\r\nx\r\n")
    assert raw.recv(64) == b":1\r\n"
    raw.close()
    inside = server.ask("AUTH", "s3cret")
    assert inside == b"+OK\r\n"
    with open_target(server.url(":s3cret", database=3), (Job("q", queue=Queue("list", "q")),)) as target:
        probe = target.probe()
        assert probe.look().waiting == 1
        probe.close()


def test_unix_socket(servers, binary):
    server = servers(binary)
    with open_target(f"unix://{server.path}?db=2", JOBS) as target:
        raw = target.connect()
        assert raw.family == socket.AF_UNIX
        raw.close()


@pytest.mark.parametrize(
    ("userinfo", "words"),
    [(":wrong", "WRONGPASS|invalid password|invalid username-password"), ("", "(?i)authentication required")],
)
def test_password_wrong_or_missing(servers, binary, userinfo, words):
    server = servers(binary, "--requirepass", "s3cret")
    error = refusal(server.url(userinfo))
    assert error.kind == "refused"
    pytest.raises(TargetError, match=words).matches(error)
    assert "redis://" in str(error)
    assert "wrong" not in str(error).replace("WRONGPASS", "")


def test_password_where_there_is_none(servers, any_binary):
    error = refusal(servers(any_binary).url(":s3cret"))
    assert error.kind == "refused"
    assert "no password" in str(error)
    assert "s3cret" not in str(error)


def test_database_out_of_range(servers, binary):
    error = refusal(servers(binary).url(database=99))
    assert (error.kind, "out of range" in str(error)) == ("refused", True)


def test_user_without_permission_to_write(servers, binary):
    server = servers(binary)
    server.ask("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all", "-lpush")
    error = refusal(server.url("ann:pw"))
    assert error.kind == "refused"
    assert "NOPERM" in str(error)
    assert "orders" in str(error)
    assert "lpush" in str(error).lower()


def test_user_without_permission_for_the_key(servers, binary):
    server = servers(binary)
    server.ask("ACL", "SETUSER", "ann", "on", ">pw", "~events", "+@all")
    error = refusal(server.url("ann:pw"))
    assert (error.kind, "NOPERM" in str(error)) == ("refused", True)
    open_target(server.url("ann:pw"), (Job("b", queue=Queue("stream", "events")),)).close()


@pytest.mark.parametrize(
    "denied", [["-info"], ["-multi"], ["-type"], ["-info", "-multi", "-type", "-discard"], ["-client"]]
)
def test_a_user_who_may_ask_little_may_still_send(servers, any_binary, denied):
    server = servers(any_binary)
    server.ask("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all", *denied)
    with open_target(server.url("ann:pw"), JOBS) as target:
        assert target.server.version == ("" if "-info" in denied else target.server.version)
        assert bool(target.server.version) == ("-info" not in denied)
    assert server.number("DBSIZE") == 0


def test_nobody_listens():
    error = refusal(f"redis://127.0.0.1:{free_port()}/0")
    assert error.kind == "unreachable"
    assert os.strerror(111) in str(error) or "refused" in str(error).lower()


def test_unknown_host():
    error = refusal("redis://no-such-host.invalid/0")
    assert error.kind == "unreachable"
    assert "name of the host" in str(error)


def test_no_such_socket(tmp_path):
    error = refusal(f"unix://{tmp_path}/none.sock")
    assert (error.kind, "No such file" in str(error)) == ("unreachable", True)


def test_a_server_that_never_answers(scripted):
    silent = scripted(lambda connection: None)
    start = time.monotonic()
    error = refusal(silent.url, timeout=0.3)
    assert time.monotonic() - start < 2.0
    assert (error.kind, "no answer in time" in str(error)) == ("unreachable", True)


def test_a_unix_server_that_never_answers(tmp_path):
    path = f"/tmp/plgt-{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(1)
        try:
            assert refusal(f"unix://{path}", timeout=0.3).kind == "unreachable"
        finally:
            os.unlink(path)  # noqa: PTH108 - the name is a string throughout


def test_something_that_is_no_redis(scripted):
    web = scripted(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    error = refusal(web.url)
    assert (error.kind, "not the Redis protocol" in str(error)) == ("refused", True)


def test_a_listener_that_hangs_up(scripted):
    rude = scripted(lambda connection: connection.close())
    error = refusal(rude.url)
    assert error.kind == "unreachable"
    assert "rediss://" in str(error)


def test_a_loading_server_is_waited_for(scripted):
    loading = b"-LOADING Redis is loading the dataset in memory\r\n"
    heard = []

    def handle(connection):
        # redis-py drops the connection to a loading server, so each try is a new one.
        heard.append(connection)
        answering(loading if len(heard) < 3 else b"+PONG\r\n", b"+ok\r\n")(connection)

    server = scripted(handle)
    with open_target(server.url, (), connect_timeout=5) as target:
        assert target.server.version == ""
    assert len(heard) >= 3


def test_a_server_that_keeps_loading_is_refused(scripted):
    loading = scripted(answering(b"-LOADING Redis is loading the dataset in memory\r\n"))
    error = refusal(loading.url, timeout=0.3)
    assert (error.kind, "loading the dataset" in str(error)) == ("refused", True)


def test_protected_mode_words(scripted):
    words = b"-DENIED Redis is running in protected mode because protected mode is enabled. " + b"Long advice. " * 60

    def handle(connection):
        connection.sendall(words + b"\r\n")
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1024)

    server = scripted(handle)
    error = refusal(server.url)
    assert error.kind == "refused"
    assert "protected mode" in str(error)
    assert len(str(error)) < 500


def test_too_many_clients(servers, binary):
    server = servers(binary, "--maxclients", "3")
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(3)]
    try:
        error = refusal(server.url())
    finally:
        for connection in held:
            connection.close()
    assert (error.kind, "max number of clients" in str(error)) == ("refused", True)


def test_a_read_only_replica(servers, binary):
    master = servers(binary)
    replica = servers(binary, "--replicaof", f"127.0.0.1 {master.port}")
    error = refusal(replica.url())
    assert error.kind == "refused"
    assert "read-only replica" in str(error)
    assert str(master.port) in str(error)


def test_a_read_only_replica_that_hides_what_it_is(servers, any_binary):
    master = servers(any_binary)
    replica = servers(any_binary, "--replicaof", f"127.0.0.1 {master.port}", "--replica-serve-stale-data", "yes")
    replica.ask("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all", "-info")
    error = refusal(replica.url("ann:pw"))
    assert (error.kind, "READONLY" in str(error)) == ("refused", True)


def test_a_writable_replica_is_taken_with_a_remark(servers, any_binary):
    master = servers(any_binary)
    replica = servers(any_binary, "--replicaof", f"127.0.0.1 {master.port}", "--replica-read-only", "no")
    with open_target(replica.url(), JOBS) as target:
        assert any("replica" in note for note in target.notes)


def test_a_sentinel(servers, binary):
    sentinel = servers(binary, "--sentinel", config="sentinel resolve-hostnames no\n")
    error = refusal(sentinel.url())
    assert (error.kind, "Sentinel" in str(error)) == ("refused", True)


def test_a_cluster_without_slots(servers, any_binary):
    error = refusal(servers(any_binary, "--cluster-enabled", "yes").url())
    assert (error.kind, "CLUSTERDOWN" in str(error)) == ("refused", True)


def test_a_cluster_node_that_holds_the_queues(servers, any_binary):
    node = servers(any_binary, "--cluster-enabled", "yes")
    assert node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383) == b"+OK\r\n"
    deadline = time.monotonic() + 10
    while b"cluster_state:ok" not in node.ask("CLUSTER", "INFO") and time.monotonic() < deadline:
        time.sleep(0.05)
    with open_target(node.url(), JOBS) as target:
        assert (target.server.kind, target.server.nodes, target.notes) == ("cluster", 1, ())


def test_a_cluster_that_may_not_be_asked_for_its_nodes(servers, any_binary):
    node = servers(any_binary, "--cluster-enabled", "yes")
    assert node.ask("CLUSTER", "ADDSLOTSRANGE", 0, 16383) == b"+OK\r\n"
    deadline = time.monotonic() + 10
    while b"cluster_state:ok" not in node.ask("CLUSTER", "INFO") and time.monotonic() < deadline:
        time.sleep(0.05)
    node.ask("ACL", "SETUSER", "ann", "on", ">pw", "~*", "+@all", "-cluster|slots")
    with open_target(node.url("ann:pw"), JOBS) as target:
        assert target.cluster is None
        assert any("this node alone" in note for note in target.notes)


def test_a_key_on_another_node(scripted):
    moved = b"-MOVED 1234 10.0.0.7:6379\r\n"
    error = refusal(scripted(answering(b"+PONG\r\n", b"$0\r\n\r\n", moved)).url, jobs=JOBS[:1])
    assert error.kind == "refused"
    assert "10.0.0.7:6379" in str(error)


@pytest.mark.parametrize(
    ("make", "present", "wanted"),
    [
        (("SET", "orders", "x"), "string", "list"),
        (("HSET", "orders", "f", "x"), "hash", "list"),
        (("XADD", "orders", "*", "f", "x"), "stream", "list"),
        (("LPUSH", "events", "x"), "list", "stream"),
    ],
)
def test_a_key_of_another_type(servers, any_binary, make, present, wanted):
    server = servers(any_binary)
    server.ask(*make)
    error = refusal(server.url())
    assert error.kind == "refused"
    assert f"as a {present}" in str(error)
    assert f"a {wanted}" in str(error)


def test_queues_that_exist_already_are_fine(servers, any_binary):
    server = servers(any_binary)
    server.ask("LPUSH", "orders", "x")
    server.ask("XADD", "events", "*", "f", "x")
    open_target(server.url(), JOBS).close()
    assert (server.number("LLEN", "orders"), server.number("XLEN", "events")) == (1, 1)


def test_one_key_as_list_and_stream():
    error = refusal("fake", jobs=(Job("a", queue=Queue("list", "q")), Job("b", queue=Queue("stream", "q"))))
    assert (error.kind, "'q'" in str(error)) == ("refused", True)


def test_a_full_server_opens_with_a_remark(servers, binary):
    server = servers(binary, "--maxmemory", "1", "--maxmemory-policy", "noeviction")
    with open_target(server.url(), JOBS) as target:
        assert any("OOM" in note for note in target.notes)
        raw = target.connect()
        raw.settimeout(5)
        raw.sendall(b"*3\r\n$5\r\nLPUSH\r\n$6\r\norders\r\n$1\r\nx\r\n")
        assert raw.recv(256).startswith(b"-OOM ")
        raw.close()


def test_eviction_of_whole_queues_is_remarked(servers, any_binary):
    server = servers(any_binary, "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru")
    with open_target(server.url(), JOBS) as target:
        assert any("allkeys-lru" in note for note in target.notes)


def test_unknown_spelling():
    error = refusal("rabbit")
    assert error.kind == "refused"
    assert "redis://" in str(error)
