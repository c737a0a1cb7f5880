"""The only floor that waits: pacing, sending, recording, guarding a live run."""
