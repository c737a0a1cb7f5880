"""Where jobs go: a Redis by URL, a private embedded server, or an in-process fake."""
