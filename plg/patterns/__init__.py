"""Traffic patterns: mathematics only."""
