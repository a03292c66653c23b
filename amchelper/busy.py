"""When the database has no time: what that is, and the error of ours that means the same."""

from __future__ import annotations

from django.db import OperationalError

# After so many seconds it is worth another try.
RETRY_AFTER_SECONDS = 5
# Nobody gave the lock back in time, two waited for each other, or a statement took longer than it may.
_SQLITE_NAMES = ("SQLITE_BUSY", "SQLITE_LOCKED")
_POSTGRES_STATES = frozenset({"55P03", "40P01", "40001", "57014"})


class BusyError(Exception):
    """Another one is at work on the same; the same attempt in a moment may succeed. `message` is for people."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def is_busy(error: BaseException) -> bool:
    """Return whether an error means that the same attempt may succeed in a moment."""
    if isinstance(error, BusyError):
        return True
    cause = error.__cause__
    is_locked = str(getattr(cause, "sqlite_errorname", "")).startswith(_SQLITE_NAMES)
    return isinstance(error, OperationalError) and (
        is_locked or getattr(cause, "sqlstate", None) in _POSTGRES_STATES
    )
