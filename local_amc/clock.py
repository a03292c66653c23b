"""The server's own clock, which the control routes can move."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

_FIRST_YEAR, _LAST_YEAR = 2000, 2099


class Clock:
    """Real time plus an offset."""

    def __init__(self) -> None:
        self._offset = timedelta()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the server's time, aware, in UTC."""
        return datetime.now(UTC) + self._offset

    def timestamp(self) -> float:
        """Return the server's time in seconds since 1970."""
        return self.now().timestamp()

    def advance(self, seconds: float) -> None:
        """Move the clock on (or back); raises ValueError and OverflowError."""
        with self._lock:
            self._offset = _checked(self._offset + timedelta(seconds=seconds))

    def set(self, moment: datetime) -> None:
        """Make it `moment` now; a moment without a zone is UTC. Raises ValueError and OverflowError."""
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        with self._lock:
            self._offset = _checked(aware - datetime.now(UTC))

    def reset(self) -> None:
        """Go back to real time."""
        with self._lock:
            self._offset = timedelta()


def _checked(offset: timedelta) -> timedelta:
    """Return an offset that leaves all of a run's times inside the calendar; raises ValueError and OverflowError."""
    moved = datetime.now(UTC) + offset
    if not _FIRST_YEAR <= moved.year <= _LAST_YEAR:
        raise ValueError(f"the clock stays between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return offset
