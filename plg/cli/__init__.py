"""The command line: arguments in, session calls, text out. No logic of its own."""
