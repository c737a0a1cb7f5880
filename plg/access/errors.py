"""How access fails, in words for people."""

from __future__ import annotations


class AccessError(Exception):
    """Something about tokens or the audit log is wrong; ``help`` says what to do."""

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message, self.help = message, help


class Unauthorized(AccessError):
    """Who asks could not show who it is (HTTP 401)."""


class Forbidden(AccessError):
    """Who asks is known, and may not do this (HTTP 403)."""


class TooManyAttempts(AccessError):
    """Too many sign-ins have failed (HTTP 429); the next one may come in ``retry_after`` seconds."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"too many sign-ins have failed: try again in {retry_after:.0f} s")
        self.retry_after = retry_after


def not_installed(library: str) -> AccessError:
    """That a library which tokens and roles need is missing."""
    return AccessError(
        f"tokens and roles need {library}, which is not installed", "pip install 'patterned-load[server]'"
    )
