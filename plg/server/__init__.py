"""``plg serve``: load started, watched and stopped over REST and a stream of messages; each test is a child process."""
