"""One run by N shards elsewhere, against the same run by one generator: the same jobs, each once, and how well.

    python -m bench.shards --launch dask:local:4 --rate 200000 --seconds 5

Needs a private server (redis-server, or the one that plg embeds) and, for ``dask:…``, the extra ``dask``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import redis

import plg
from bench.server import QUEUE, Server, private_server
from plg.outcome import Outcome

SCENARIO = """scenario "shards" {{
  job job {{ queue "{queue}" payload {{ n: "${{seq}}" }} }}
  traffic {{ steady {rate}/s over {seconds}s }}
  guardrails {{ max_rate {limit}/s  max_total_jobs {total}  max_duration 5m }}
  watch 0s
  expect {{ errors == 0  deviation < 1% }}
}}
"""


def main() -> None:
    """Run both, hold the numbers of all jobs against one another, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.shards", description=__doc__)
    parser.add_argument("--launch", default="dask:local:4", help="where the shards run (default: dask:local:4)")
    parser.add_argument("--rate", type=int, default=200_000, help="jobs a second in all (default: 200000)")
    parser.add_argument("--seconds", type=int, default=5, help="length of the plan (default: 5)")
    asked = parser.parse_args()
    jobs = asked.rate * asked.seconds
    with private_server() as server, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "shards.plg"
        text = SCENARIO.format(
            queue=QUEUE, rate=asked.rate, seconds=asked.seconds, limit=2 * asked.rate, total=2 * jobs
        )  # fmt: skip
        file.write_text(text, encoding="utf-8")
        print("| generator | verdict | planned | acked | in the queue | each once | lag p99 | deviation |")
        print("|---|---|---:|---:|---:|---|---:|---:|")
        _row("one", plg.run(file, target=server.url), server, jobs)
        server.empty()
        handle = plg.launch(file, asked.launch, target=server.url)
        handle.begin()
        whole = handle.outcome()
        _row(asked.launch, whole, server, jobs)
        for shard in whole.shards:
            skew = "?" if shard.skew_s is None else f"{shard.skew_s * 1e6:.0f} us"
            print(f"shard {shard.part} on {shard.where}: {skew} after the first, {shard.acked} acked; {shard.reason}")


def _row(name: str, outcome: Outcome, server: Server, jobs: int) -> None:
    """What came of a run: its ledger against what the server holds, and whether each number is there once."""
    client = redis.Redis(unix_socket_path=str(server.socket_path))
    held, numbers = server.length(), bytearray(jobs)
    for start in range(0, held, 20_000):
        for job in client.lrange(QUEUE, start, start + 19_999):  # type: ignore[union-attr]  # redis-py gives one type to its blocking and asynchronous clients
            number = json.loads(job)["seq"]
            numbers[number] = min(2, numbers[number] + 1)
    ledger, lag = outcome.ledger, outcome.lag_s["p99"]
    once = "yes" if numbers.count(1) == jobs else f"{numbers.count(0)} missing, {numbers.count(2)} more than once"
    told = "?" if lag is None else f"{lag * 1000:.2f} ms"
    print(
        f"| {name} | {outcome.verdict} | {ledger.planned:,} | {ledger.acked:,} | {held:,} | {once} | {told}"
        f" | {outcome.deviation or 0:.4%} |"
    )
    client.close()


if __name__ == "__main__":
    main()
