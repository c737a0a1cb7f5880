"""The example of the documentation is a queue format that works."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
import redis

import plg
from plg import session
from plg.diagnostics import ScenarioError
from plg.prepare import Request, prepare
from plg.queues import registry

PAGE = Path(plg.__file__).parent.parent / "docs" / "extending-queues.md"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The blocks of the page by their language, with its class installed as the page says."""
    if not PAGE.exists():
        pytest.skip("the documentation does not travel with an installed package")
    blocks = re.findall(r"```(\w+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    found = {"plg" if text.startswith("scenario") else language: text for language, text in blocks}
    [(group, entries)] = tomllib.loads(found["toml"])["project"]["entry-points"].items()
    module = tmp_path / "my_package" / "resque.py"
    module.parent.mkdir()
    module.write_text(found["python"])
    monkeypatch.syspath_prepend(tmp_path)
    points = EntryPoints([EntryPoint(name, value, group) for name, value in entries.items()])
    monkeypatch.setattr(registry, "entry_points", lambda **asked: points.select(**asked))
    registry.format_of.cache_clear()
    yield found
    registry.format_of.cache_clear()


def test_the_jobs_are_those_of_the_framework(page: dict[str, str], server, tmp_path: Path) -> None:
    file = tmp_path / "signups.plg"
    file.write_text(page["plg"])
    prepared = prepare(file, Request({}, target=f"unix://{server.path}"))
    outcome = session.run(prepared, session.Observer())
    assert (outcome.exit_code, outcome.ledger.acked) == (0, 50)
    with redis.Redis(unix_socket_path=str(server.path)) as client:
        assert client.smembers("resque:queues") == {b"mail"}
        jobs = [json.loads(job) for job in client.lrange("resque:queue:mail", 0, -1)]
    assert jobs == [{"class": "WelcomeMail", "args": [seq, "en"]} for seq in range(50)]
    assert outcome.queue.end == 50


def test_what_it_cannot_express_is_refused_by_its_name(page: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "signups.plg"
    file.write_text(page["plg"].replace('"en"]', '"en"] timeout 3s'))
    with pytest.raises(ScenarioError, match="resque"):
        prepare(file, Request({}))
