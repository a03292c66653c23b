"""How long runs wait: between two questions to AMC, after a failure, and until we give up."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from django.conf import settings

from amc_facts.limits import DEFAULT_TIMEOUT_SECONDS
from amchelper.exceptions import AmcHelperError
from executions.models import Execution
from instances.amc.client import RetryPolicy
from instances.amc.errors import AmcLaterError

# Every call of a step ends well within a lease, and a POST soon enough for AMC to show what it made.
STEP = RetryPolicy(tries=3, max_wait_seconds=15, connect_timeout=5, read_timeout=30)
# Nothing waits longer; far beyond it a time counts as written by a wrong clock.
MAX_DELAY = timedelta(minutes=30)

_POLL_SECONDS = (30.0, 60.0, 90.0, 135.0, 200.0, 300.0)
_FETCH_SECONDS = (60.0, 240.0, 960.0, 1800.0)
_MAX_BACKOFF_SECONDS = 300.0
# Somebody has to make room on the disk: the longer that takes, the rarer it is tried.
_LEAST_SPACE_SECONDS = 60.0
_SPACE_SHARE = 0.1
# AMC ends a run after its timeout; this long it may take to say so.
_GRACE = timedelta(hours=1)
# While AMC cannot be asked or refuses us, a run that may have ended well is not given up so soon.
_PATIENT_GRACE = timedelta(hours=24)
_random = random.SystemRandom()


def poll_delay(polls: int) -> timedelta:
    """Return the wait before the next question to AMC, after so many answers."""
    return _scaled(_POLL_SECONDS[min(polls, len(_POLL_SECONDS) - 1)])


def backoff(attempts: int) -> timedelta:
    """Return the wait after so many tries in a row that failed, with jitter."""
    ceiling = min(_MAX_BACKOFF_SECONDS, 5.0 * 2 ** min(attempts, 10))
    return _scaled(_random.uniform(ceiling / 2, ceiling))


def fetch_delay(attempts: int) -> timedelta:
    """Return the wait before a result is fetched again."""
    return _scaled(_FETCH_SECONDS[min(max(attempts, 1), len(_FETCH_SECONDS)) - 1])


def space_delay(waited: timedelta) -> timedelta:
    """Return the wait before a disk is tried again that has refused for so long: a minute, half an hour in the end."""
    return _scaled(max(_LEAST_SPACE_SECONDS, _SPACE_SHARE * waited.total_seconds()))


def delay_after(error: AmcHelperError, attempts: int) -> timedelta:
    """Return the wait that an error asks for, and else the usual one."""
    demanded = error.retry_after if isinstance(error, AmcLaterError) else None
    return backoff(attempts) if demanded is None else min(timedelta(seconds=demanded), MAX_DELAY)


def times_at_amc(execution: Execution, ended_at: datetime | None, now: datetime) -> dict[str, datetime | None]:
    """Return when a run started and ended at AMC as the row keeps them; AMC just told the end, or None.

    The start is when we first saw it running, by our clock; of a run that was never seen running none is known. AMC's
    clock may differ, so the end is brought between our submission and now, and the start before it.
    """
    ended = min(ended_at or now, now)
    if execution.submitted_at is not None:
        ended = max(ended, execution.submitted_at)
    started = execution.started_at
    return {"started_at": min(started, ended) if started else None, "amc_finished_at": ended}


def has_overrun(execution: Execution, now: datetime, *, patiently: bool = False) -> bool:
    """Return whether AMC should have told the end of this run by now."""
    began = execution.submitted_at or execution.attempted_at
    grace = _PATIENT_GRACE if patiently else _GRACE
    return began is not None and now > began + timedelta(seconds=DEFAULT_TIMEOUT_SECONDS) + grace


def _scaled(seconds: float) -> timedelta:
    return min(timedelta(seconds=seconds * settings.EXECUTION_POLL_SCALE), MAX_DELAY)
