"""TLS: agreed where certificates fit, and told in plain words where they do not."""

from __future__ import annotations

import pytest
from support.real_servers import answering, free_port

from plg.queues.base import Job, Queue
from plg.targets.base import TargetError
from plg.targets.faults import explain
from plg.targets.open import open_target

JOBS = (Job("a", queue=Queue("list", "orders")),)


@pytest.fixture(scope="module")
def tls(module_servers, certificates):
    """Finds a server program that speaks TLS and starts it: (TLS port, plain port, folder of certificates)."""
    from support.real_servers import server_programs

    for program in filter(None, server_programs().values()):
        for clients in ("no", "yes"):
            port = free_port()
            try:
                server = module_servers(
                    program, "--tls-port", str(port), "--tls-cert-file", str(certificates / "server.crt"),
                    "--tls-key-file", str(certificates / "server.key"),
                    "--tls-ca-cert-file", str(certificates / "ca.crt"), "--tls-auth-clients", clients,
                )  # fmt: skip
            except AssertionError:
                break  # built without TLS: it ends at its start
            if clients == "no":
                open_to_all = (port, server.port)
            else:
                return {"open": open_to_all[0], "plain": open_to_all[1], "closed": port, "files": certificates}
    pytest.skip("no server program here was built with TLS")


def refusal(url, timeout=3.0):
    with pytest.raises(TargetError) as caught:
        open_target(url, JOBS, connect_timeout=timeout).close()
    return caught.value


def test_a_known_authority(tls):
    with open_target(f"rediss://localhost:{tls['open']}/0?ssl_ca_certs={tls['files']}/ca.crt", JOBS) as target:
        raw = target.connect()
        raw.settimeout(5)
        raw.sendall(b"*1\r\n$4\r\nPING\r\n")
        assert raw.recv(64) == b"+PONG\r\n"
        raw.close()
        probe = target.probe()
        assert probe.look().waiting == 0
        probe.close()


def test_an_unknown_authority(tls):
    error = refusal(f"rediss://localhost:{tls['open']}/0")
    assert error.kind == "refused"
    assert "ssl_ca_certs" in str(error)


def test_any_certificate_where_asked(tls):
    open_target(f"rediss://127.0.0.1:{tls['open']}/0?ssl_cert_reqs=none", JOBS).close()


def test_a_certificate_for_another_name(tls):
    error = refusal(f"rediss://127.0.0.1:{tls['open']}/0?ssl_ca_certs={tls['files']}/ca.crt")
    assert error.kind == "refused"
    assert "ssl_check_hostname" in str(error)
    open_target(
        f"rediss://127.0.0.1:{tls['open']}/0?ssl_ca_certs={tls['files']}/ca.crt&ssl_check_hostname=false", JOBS
    ).close()


def test_a_server_that_asks_for_a_certificate(tls):
    place = f"rediss://localhost:{tls['closed']}/0?ssl_ca_certs={tls['files']}/ca.crt"
    error = refusal(place)
    assert error.kind == "refused"
    assert "ssl_certfile" in str(error)
    open_target(f"{place}&ssl_certfile={tls['files']}/client.crt&ssl_keyfile={tls['files']}/client.key", JOBS).close()


@pytest.mark.parametrize("hang_up", [ConnectionResetError, BrokenPipeError])
def test_a_server_that_hangs_up_before_it_can_say_why(hang_up):
    error = explain(hang_up(104, "Connection reset by peer"), "rediss://host")
    assert (error.kind, "ssl_certfile" in str(error)) == ("refused", True)
    assert explain(hang_up(104, "Connection reset by peer"), "redis://host").kind == "unreachable"
    assert explain(hang_up(104, "Connection reset by peer"), "rediss://host", lost=True).kind == "lost"


def test_tls_to_a_plain_port(tls):
    error = refusal(f"rediss://localhost:{tls['plain']}/0?ssl_cert_reqs=none", timeout=0.5)
    assert error.kind == "unreachable"
    assert "write redis://" in str(error)


def test_tls_to_a_listener_that_answers_in_the_clear(scripted):
    web = scripted(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"))
    error = refusal(f"rediss://localhost:{web.port}/0?ssl_cert_reqs=none")
    assert error.kind == "refused"
    assert "redis:// instead" in str(error)


def test_no_tls_to_a_tls_port(tls):
    error = refusal(f"redis://localhost:{tls['open']}/0")
    assert error.kind == "unreachable"
    assert "rediss://" in str(error)


def test_a_missing_file_is_named(tls):
    error = refusal(f"rediss://localhost:{tls['open']}/0?ssl_ca_certs=/no/such/file.crt")
    assert "No such file" in str(error)
