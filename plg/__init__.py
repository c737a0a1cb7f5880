"""plg: patterned load for Redis-backed job queues, judged in CI."""

__version__ = "0.1.0"
