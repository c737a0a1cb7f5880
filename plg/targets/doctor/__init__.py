"""What is at a target: the server, the queues in it, and what would surprise. Only reads, and never without a bound."""
