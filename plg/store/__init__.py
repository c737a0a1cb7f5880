"""Profiles and runs that last: one interface over SQLite, PostgreSQL and a folder of scenario files."""
