"""Outcomes made readable: one module a format, each a function from an outcome (or several) to text or bytes."""
