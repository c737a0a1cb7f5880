"""plg: patterned load for Redis-backed job queues, judged in CI."""

__version__ = "0.2.0"
