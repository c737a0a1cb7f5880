"""The workers of frameworks that can work in a cluster do plg's jobs there, each once."""

from __future__ import annotations

import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from support.frameworks import FRAMEWORKS, TAKES, Framework, working

from plg import session
from plg.outcome import Outcome
from plg.prepare import Request, prepare
from plg.targets.leftovers import Leftovers
from plg.targets.open import open_target

pytestmark = [pytest.mark.slow, pytest.mark.framework, pytest.mark.install, pytest.mark.timeout(300)]
SCENARIO = """
scenario "cluster" {{
  job work {{ queue {queue}  call "{call}"  {takes} }}
  traffic {{ ramp 20/s -> 80/s over 2s }}
  guardrails {{ max_rate 500/s  max_total_jobs 1_000  max_duration 1m }}
  watch 20s
  expect {{ errors == 0  drain_time < 20s }}
}}
"""
JOBS = 100


def run(framework: Framework, queue: str, folder: Path, url: str) -> Outcome:
    text = SCENARIO.format(queue=queue, call=framework.call, takes=TAKES[framework.takes])
    (folder / "c.plg").write_text(text)
    return session.run(prepare(folder / "c.plg", Request({}, target=url, run_id="clustered")), session.Observer())


def prove(framework: Framework, bin: Path, queue: str, folder: Path, target: str, worker_at: str) -> None:
    """The worker does each job once, the run is green, and `plg clean` leaves nothing of it."""
    with working(framework, bin, folder, worker_at) as worker:
        outcome = run(framework, queue, folder, target)
        seen = worker.waits_for(JOBS)
    assert (outcome.verdict, outcome.target.kind) == ("pass", "cluster"), (outcome.reason, worker.log())
    assert Counter(job["seq"] for job in seen) == Counter(range(JOBS))
    assert all(job["text"] == f"é {job['seq']}" for job in seen)
    with open_target(target, ()) as opened, Leftovers(opened) as leftovers:
        assert leftovers.clean(leftovers.known()["clustered"]).left.jobs == 0


def test_asynq_by_its_client_for_clusters(made, cluster, tmp_path: Path) -> None:
    """Its client writes asynq:queues wherever that lies, and its server reads it there."""
    bin, plain = made("asynq"), FRAMEWORKS["asynq"]
    queue = next(
        name for name in ("shop", "mail", "pay", "low") if cluster.place(f"{{{name}}}") != cluster.place("asynq:queues")
    )
    (bin / "clustered").mkdir(exist_ok=True)
    own = (
        plain.files["main.go"]
        .replace(
            'opt, err := asynq.ParseRedisURI(os.Getenv("REDIS"))',
            'seed, err := asynq.ParseRedisURI(os.Getenv("REDIS"))\n'
            "\topt := asynq.RedisClusterClientOpt{Addrs: []string{seed.(asynq.RedisClientOpt).Addr}}",
        )
        .replace('"shop": 1', f'"{queue}": 1')
    )
    assert own.count("RedisClusterClientOpt") == own.count(f'"{queue}": 1') == 1
    (bin / "clustered" / "main.go").write_text(own)
    subprocess.run(["go", "build", "-o", "cluster-worker", "./clustered"], cwd=bin, check=True, capture_output=True)
    framework = replace(plain, command=lambda bin: [str(bin / "cluster-worker")], files={})
    node = cluster.nodes[(cluster.place(f"{{{queue}}}") + 1) % 3]
    prove(framework, bin, f'asynq "{queue}"', tmp_path, node.url(), node.url())


def test_bullmq_under_a_prefix_in_braces(made, cluster, tmp_path: Path) -> None:
    plain = FRAMEWORKS["bullmq"]
    own = plain.files["worker.js"].replace(
        "{ connection: { host: url.hostname, port: Number(url.port) },",
        '{ prefix: "{bull}", connection: new (require("ioredis").Cluster)([{ host: url.hostname, port: '
        "Number(url.port) }], { redisOptions: { maxRetriesPerRequest: null } }),",
    )
    assert own != plain.files["worker.js"]
    framework = replace(plain, files={"worker.js": own})
    url = cluster.nodes[0].url()
    prove(framework, made("bullmq"), 'bullmq "shop" { prefix: "{bull}" }', tmp_path, url, url)


def test_celery_under_a_prefix_in_braces_at_the_node_that_holds_it(made, cluster, tmp_path: Path) -> None:
    plain = FRAMEWORKS["celery"]
    text = plain.files["shop.py"].replace(
        "app.conf.worker_prefetch_multiplier = 1",
        'app.conf.worker_prefetch_multiplier = 1\napp.conf.broker_transport_options = {"global_keyprefix": "{shop}:"}',
    )
    framework = replace(plain, files={"shop.py": text})
    holder = cluster.nodes[cluster.place("{shop}:")].url()
    other = cluster.nodes[(cluster.place("{shop}:") + 1) % 3].url()
    prove(framework, made("celery"), 'celery "shop" { prefix: "{shop}:" }', tmp_path, other, holder)
