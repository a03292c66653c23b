"""When a piece of work at Amazon must be over, whatever the server does.

A socket's timeout begins anew with every byte, so a server that sends one now and then can hold a call for hours. A
time limit is for the whole: it holds for everything that is asked inside `time_limit`, the waits between tries, the
token and each single read of the socket (`adapter`) included. It lies in a context variable, because it must cross
what knows nothing of it: `requests`, urllib3's retries, a token that is refreshed by the way. Work that is handed to
another thread takes it along with `contextvars.copy_context().run`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from instances.amc.errors import AmcSlowError

# In all, for a page whose reader waits: a connection test, a check, a login, a dry run.
PAGE_SECONDS = 20.0
# The same for reading every account of a login, of which a page says that it can take a minute.
DISCOVERY_SECONDS = 45.0


@dataclass(frozen=True, slots=True)
class TimeLimit:
    """When something must be over, on the monotonic clock, and how many seconds it had."""

    ends_at: float
    seconds: float

    @classmethod
    def after(cls, seconds: float) -> TimeLimit:
        """Return a limit of so many seconds from now; where the one that holds already ends sooner, that one."""
        limit, outer = cls(time.monotonic() + seconds, seconds), _current.get()
        return outer if outer is not None and outer.ends_at < limit.ends_at else limit

    def error(self) -> AmcSlowError:
        """Return what to raise when it has run out."""
        return AmcSlowError(
            f"Amazon did not finish its answer in {self.seconds:.0f} s. Try again in a few minutes."
        )


_current: ContextVar[TimeLimit | None] = ContextVar("time_limit", default=None)


@contextmanager
def limited_to(limit: TimeLimit) -> Iterator[None]:
    """Let a limit hold for what is asked inside; a generator must not yield inside of it."""
    token = _current.set(limit)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Give what is asked inside so many seconds in all; raises AmcSlowError when there is no time left at all."""
    with limited_to(TimeLimit.after(seconds)):
        ensure_time()
        yield


def seconds_left(at_most: float) -> float:
    """Return the seconds that something may take now, `at_most` so many; never below 0."""
    limit = _current.get()
    return at_most if limit is None else max(0.0, min(at_most, limit.ends_at - time.monotonic()))


def overrun() -> AmcSlowError | None:
    """Return the error of the limit that holds, when it has run out."""
    limit = _current.get()
    return limit.error() if limit is not None and time.monotonic() >= limit.ends_at else None


def ensure_time() -> None:
    """Raise AmcSlowError when the limit that holds has run out."""
    if (error := overrun()) is not None:
        raise error
