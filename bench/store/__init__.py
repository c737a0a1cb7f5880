"""How long a store takes with many profiles and runs in it."""
