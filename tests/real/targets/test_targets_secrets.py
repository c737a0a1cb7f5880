"""A server never makes plg repeat a secret of the target's URL, whatever it says, when, and in which spelling."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plg import session
from plg.outcome_io import to_json
from plg.prepare import Request, prepare
from plg.queues.base import Job, Queue
from plg.redaction import HIDDEN, hide, redact
from plg.targets.address import parse_address, secrets_of
from plg.targets.base import TargetError
from plg.targets.open import open_target

SCENARIO = """
scenario "s" {
  job a { queue "q" }
  traffic { steady 50/s over 200ms }
  guardrails { max_rate 500/s max_total_jobs 200 max_duration 1m }
}
"""
SECRETS = ["hunter2", "hunt er2", "h/u?n#t@e:r", "übergeheim", "back\\slash'n\"quote", "x" * 90 + "-the-end"]


def lowered(text: str) -> str:
    return re.sub("%..", lambda found: found[0].lower(), text)


def spelled(secret: str) -> list[str]:
    """How a server or what stands before it may repeat a password."""
    return [
        secret, quote(secret, safe=""), lowered(quote(secret, safe="")), json.dumps(secret), repr(secret),
        base64.b64encode(secret.encode()).decode(), base64.b64encode(f"app:{secret}".encode()).decode(),
    ]  # fmt: skip


def repeating(*words: str, to: bytes = b"AUTH"):
    """Answers as a server that is content, but repeats ``words`` in an error to the command ``to``."""

    def handle(connection) -> None:
        while heard := connection.recv(65536):
            answer = b"-ERR what is " + " ".join(words).encode() + b"\r\n" if to in heard else b"+OK\r\n"
            connection.sendall(answer)

    return handle


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("form", ["redis://app:{}@{}", "redis://:{}@{}", "redis://{1}?username=app&password={0}"])
def test_an_error_of_the_handshake(scripted, secret: str, form: str) -> None:
    for spelling in spelled(secret):
        server = scripted(repeating("'app'", spelling, "in", spelling))
        with pytest.raises(TargetError) as refusal:
            open_target(form.format(quote(secret, safe=""), f"127.0.0.1:{server.port}"), ())
        rest = str(refusal.value).replace(HIDDEN, "")
        assert not [again for again in spelled(secret) if again.strip("'\"") in rest]
        assert "what is" in rest


def test_a_lone_name_is_a_secret(scripted) -> None:
    server = scripted(repeating("t0ken%20x", "t0ken x"))
    with pytest.raises(TargetError) as refusal:
        open_target(f"redis://t0ken%20x@127.0.0.1:{server.port}", ())
    assert "t0ken" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "said", "shown"),
    [
        ("user", "this user has no username", "this user has no username"),
        ("default", "the default is by default", "the default is by default"),
        ("app", "app may not apply: 'app'", f"{HIDDEN} may not apply: '{HIDDEN}'"),
        ("worker", "worker and co-worker and workers", f"{HIDDEN} and co-{HIDDEN} and workers"),
        ("abcdef0123456789", "xabcdef0123456789x", f"x{HIDDEN}x"),
    ],
)
def test_a_lone_name_is_not_hidden_in_other_words(name: str, said: str, shown: str) -> None:
    assert parse_address(f"redis://{name}@h").hide(said) == shown


def test_a_password_that_is_an_ordinary_word_takes_no_advice_away(scripted) -> None:
    def handle(connection) -> None:
        connection.recv(65536)
        connection.sendall(b"-WRONGPASS invalid username-password pair or user is disabled.\r\n")

    with pytest.raises(TargetError, match=r"check user and password: redis://USER:PASSWORD@HOST"):
        open_target(f"redis://app:WRONGPASS@127.0.0.1:{scripted(handle).port}", ())


@pytest.mark.parametrize("room", [128, 60, 30])
def test_a_secret_that_the_server_cuts_off(scripted, room: int) -> None:
    secret = "".join(f"{n:03}-" for n in range(60))
    server = scripted(repeating(f"'{secret[:room]}'"))
    with pytest.raises(TargetError) as refusal:
        open_target(f"redis://:{secret}@127.0.0.1:{server.port}", ())
    assert "000-" not in str(refusal.value)


@pytest.mark.parametrize("to", [b"PING", b"INFO", b"TYPE", b"LPUSH", b"LLEN"])
def test_an_error_at_any_other_time(scripted, tmp_path, to: bytes) -> None:
    """During the look round and during the run: in no line of what is saved."""
    info = b"redis_version:7.hunter2\r\n"
    answers = {
        b"AUTH": b"+OK\r\n", b"PING": b"+PONG\r\n", b"INFO": b"$%d\r\n%b\r\n" % (len(info), info),
        b"TYPE": b"+none\r\n", b"LPUSH": b":1\r\n", b"LLEN": b":0\r\n", b"LINDEX": b"$-1\r\n",
    }  # fmt: skip

    def handle(connection) -> None:
        with contextlib.suppress(OSError):  # plg hangs up as soon as it has heard enough
            while heard := connection.recv(65536):
                for command in heard.split(b"\r\n*"):
                    name = command.split(b"\r\n")[2]
                    refused = b"-ERR upstream refused hunter2 for app\r\n"
                    connection.sendall(refused if name == to else answers.get(name, b"-ERR unknown command\r\n"))

    server = scripted(lambda connection: threading.Thread(target=handle, args=(connection,), daemon=True).start())
    url = f"redis://app:hunter2@127.0.0.1:{server.port}"
    file = tmp_path / "s.plg"
    file.write_text(SCENARIO)
    outcome = session.run(prepare(file, Request({}, target=url)), session.Observer())
    said = to_json(outcome)
    assert "hunter2" not in said
    assert (f"refused {HIDDEN} for app" in said) == (to in (b"PING", b"LPUSH", b"LLEN"))
    assert outcome.target.version == ("" if to in (b"PING", b"INFO") else f"7.{HIDDEN}")


@pytest.mark.parametrize("info", [b"role:slave\r\nmaster_host:hunter2\r\nmaster_port:1", b"redis_mode:standalone"])
def test_an_answer_that_is_no_error(scripted, info: bytes) -> None:
    def handle(connection) -> None:
        while heard := connection.recv(65536):
            answer = b"$%d\r\n%b\r\n" % (len(info), info) if b"INFO" in heard else b"+hunter2\r\n"
            answer = b"+PONG\r\n" if b"PING" in heard else answer
            connection.sendall(b"+OK\r\n" if b"AUTH" in heard else answer)

    with pytest.raises(TargetError) as refusal:
        open_target(f"redis://app:hunter2@127.0.0.1:{scripted(handle).port}", (Job("a", queue=Queue("list", "q")),))
    assert "hunter2" not in str(refusal.value)
    assert HIDDEN in str(refusal.value).partition("@")[2]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://h/0?passwort=hunter2&db=1", "redis://h/0?passwort=***&db=1"),
        ("redis://h/0?PASSWORD=hunter2", "redis://h/0?PASSWORD=***"),
        ("redis://h/0?pass%77ord=hunter2", "redis://h/0?pass%77ord=***"),
        ("redis://h?db=1;password=hunter2", "redis://h?db=***"),
        ("redis://h?db=1%26password=hunter2", "redis://h?db=***"),
        ("redis://app:hunter2", "redis://app:***"),
        ("redis://:hunter2/0", "redis://:***/0"),
        ("redis://app:hunter2:h:6379/0", "redis://app:***/0"),
        (
            "redis://[::1]:6379/0?timeout=3&ssl_ca_certs=/a/b.crt",
            "redis://[::1]:6379/0?timeout=3&ssl_ca_certs=/a/b.crt",
        ),
        ("redis://h:6379", "redis://h:6379"),
        ("unix:///run/a:b.sock?db=1", "unix:///run/a:b.sock?db=1"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert redact(url) == shown
    assert redact(shown) == shown
    try:
        told = repr(parse_address(url))
    except TargetError as error:
        told = str(error)
    assert "hunter2" not in told


def test_the_secrets_of_a_target() -> None:
    assert set(secrets_of("redis://app:hunt%2Fer2@h")) == {"hunt/er2", "hunt%2Fer2", "app:hunt/er2"}
    assert set(secrets_of("redis://tok%40en@h")) == {"tok@en", "tok%40en"}
    assert set(secrets_of("rediss://h?password=abcd&ssl_password=efgh")) == {"abcd", ":abcd", "efgh"}
    assert secrets_of("embedded") == secrets_of("redis://h:x") == secrets_of("redis://h/3?db=1") == ()


@given(st.text(min_size=4, max_size=12).filter(lambda text: HIDDEN not in text and text.strip("*")))
def test_a_secret_is_hidden_in_every_spelling(secret: str) -> None:
    secret = secret.encode("utf-8", "replace").decode()
    for spelling in [*spelled(secret)[:-1], json.dumps(secret)[1:-1], repr(secret)[1:-1]]:
        assert spelling not in hide(f"a {spelling} b", [secret]).replace(HIDDEN, "")


def test_a_short_secret_does_not_eat_the_words_around_it() -> None:
    assert hide("1 of 11 jobs, 'a' and a1", ["1", "a"]) == f"{HIDDEN} of 11 jobs, '{HIDDEN}' and a1"


ESCAPES = {
    "octal": lambda byte: f"\\{byte:03o}", "escaped octal": lambda byte: f"\\\\{byte:03o}",
    "hexadecimal": lambda byte: f"\\x{byte:02x}", "capital hexadecimal": lambda byte: f"\\x{byte:02X}",
    "percent": lambda byte: f"%{byte:02x}",
}  # fmt: skip
CHARACTERS = {
    "JSON": lambda sign: f"\\u{ord(sign):04x}", "HTML": lambda sign: f"&#{ord(sign)};",
    "hexadecimal HTML": lambda sign: f"&#x{ord(sign):X};",
}  # fmt: skip


def respelled(secret: str) -> dict[str, str]:
    """How else a program may say a secret: all of it, or any part of it, as numbers; in capitals; backwards."""
    raw = secret.encode()
    whole = {name: "".join(map(escape, raw)) for name, escape in ESCAPES.items()}
    whole |= {name: "".join(map(escape, secret)) for name, escape in CHARACTERS.items()}
    parts = {f"{name}, in part": "".join(map(escape, raw[:1])) + secret[1:] for name, escape in ESCAPES.items()}
    parts |= {
        f"{name}, in the middle": secret[:3] + escape(secret[3]) + secret[4:] for name, escape in CHARACTERS.items()
    }
    dumps = {f"hex with {sign!r}": raw.hex(sign) for sign in " :-"}
    return {
        **whole, **parts, **dumps, "hex": raw.hex(), "capital hex": raw.hex().upper(), "capitals": secret.upper(),
        "title": secret.title(), "backwards": secret[::-1], "capitals backwards": secret[::-1].upper(),
    }  # fmt: skip


@pytest.mark.parametrize("secret", ["hunter2", "Tr0ub4dor&3", "a longer pass/phrase of many words", "x7$k"])
def test_a_secret_is_hidden_however_its_characters_are_written(secret: str) -> None:
    for name, spelling in respelled(secret).items():
        assert (
            hide(f"ERR what is '{spelling}', again {spelling}?", [secret]) == f"ERR what is '{HIDDEN}', again {HIDDEN}?"
        ), name


def test_an_error_of_the_handshake_in_numbers_or_capitals(scripted) -> None:
    for name, spelling in respelled("hunter2").items():
        server = scripted(repeating("'app'", spelling, "in", spelling))
        with pytest.raises(TargetError) as refusal:
            open_target(f"redis://app:hunter2@127.0.0.1:{server.port}", ())
        assert str(refusal.value).count(HIDDEN) >= 2, name
        assert spelling not in str(refusal.value), name


def test_long_texts_and_many_beginnings_take_no_time_to_speak_of() -> None:
    secret = "hunter2secret"
    for text in (f"{secret[:12]} " * 40_000, "%68%75" * 80_000, "\\150" * 100_000, "h" * 500_000, secret * 40_000):
        begun = time.thread_time()  # of this thread alone: another one's work is no fault of it
        hide(text, [secret])
        assert time.thread_time() - begun < 3


@pytest.mark.parametrize("secret", ["a", "1", "61", "é"])
def test_a_short_secret_is_no_number_and_no_letter_elsewhere(secret: str) -> None:
    text = "1 of 61 jobs at 1.61/s: \\x61 %61 YQ== A"
    assert re.sub(rf"(?<!\w){secret}(?!\w)", HIDDEN, text) == hide(text, [secret])
    assert hide("cafés take 610 jobs", [secret]) == "cafés take 610 jobs"


def test_what_only_begins_like_a_secret_is_let_be() -> None:
    assert hide("password refused", ["password123"]) == "password refused"


def test_a_short_secret_is_hidden_where_a_text_was_cut_off() -> None:
    secret = "S3cretPw9876"
    for length in range(4, len(secret)):
        for rest in ("", "…", '"', "..."):
            assert hide(f'rejected {{"k":"{secret[:length]}{rest}', [secret]) == f'rejected {{"k":"***{rest}'
    assert hide("the S3cr of others stays", [secret]) == "the S3cr of others stays"
