"""Queue formats: how the jobs of each framework stand in Redis. One file a format, one line in the registry."""
