"""Whose a queue is: how the queues of each framework are recognised in Redis, also those of a framework that plg does
not write to. One file a framework, one line in the registry."""
