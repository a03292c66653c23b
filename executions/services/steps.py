"""One step of an execution after the other, and the tick that sends again what is due.

A worker that comes twice or too early finds nothing to do; any number of beats may tick.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from amchelper.busy import is_busy
from amchelper.exceptions import AmcHelperError
from amchelper.leases import LeaseLostError
from executions.errors import ErrorCode
from executions.models import Execution, ExecutionStatus
from executions.services.claims import ExecutionClaim, claim_execution
from executions.services.fetching import fetch, fetching_failed
from executions.services.polling import poll, polling_failed
from executions.services.queue import accounts_with_waiting, send_admission, send_steps
from executions.services.submission import submission_failed, submit
from executions.services.timing import backoff
from instances.amc.client import AmcClient

logger = logging.getLogger(__name__)

# Messages about steps that are on their way at most, and accounts that one tick looks after; the next one follows in
# seconds.
MAX_STEPS, MAX_ACCOUNTS = 500, 100
# A step that fails for reasons of ours is not repeated for ever.
_MAX_CRASHES = 10

# What is done in a status, and what an error of Amazon's or of the login means there.
_Do = Callable[[ExecutionClaim, AmcClient], bool]
_OnError = Callable[[ExecutionClaim, AmcHelperError], bool]
_STEPS: dict[str, tuple[_Do, _OnError]] = {
    ExecutionStatus.SUBMITTING: (submit, submission_failed),
    ExecutionStatus.PENDING: (poll, polling_failed),
    ExecutionStatus.RUNNING: (poll, polling_failed),
    ExecutionStatus.FETCHING: (fetch, fetching_failed),
}


def send_due(now: datetime) -> int:
    """Send what is due and not on its way, the longest due first; returns how many rows and accounts that were."""
    pks = Execution.objects.take_to_send(now, limit=MAX_STEPS)
    send_steps(pks)
    accounts = accounts_with_waiting(now, limit=MAX_ACCOUNTS)
    for account in accounts:
        send_admission(account)
    if pks or accounts:
        logger.info("executions due steps=%s accounts=%s", len(pks), len(accounts))
    return len(pks) + len(accounts)


def run_steps(pk: UUID) -> None:
    """Do all steps that are due at once."""
    worker = f"{socket.gethostname()}:{os.getpid()}:{threading.get_native_id()}"
    while advance(pk, worker):
        pass


def advance(pk: UUID, worker: str) -> bool:
    """Do the next step of an admitted execution if it is due and not taken; returns whether more is due at once."""
    claim = claim_execution(pk, worker=worker)
    if claim is None:
        return False
    try:
        return _step(claim)
    except LeaseLostError:
        # Its writes would have undone another worker's; what it did at AMC the other one finds.
        logger.warning("execution lease lost id=%s status=%s", pk, claim.row.status)
        return False
    # A bug or a database in trouble: the row must not stay held, nor be tried without end.
    except Exception as error:
        if is_busy(error):
            # Not even the end of the lease could be written; the tick sends the row again after it.
            raise
        logger.exception("execution step failed id=%s status=%s", pk, claim.row.status)
        return _recover(claim)


def _step(claim: ExecutionClaim) -> bool:
    do, on_error = _STEPS[claim.row.status]
    try:
        with claim.client() as client:
            return do(claim, client)
    except AmcHelperError as error:
        return on_error(claim, error)


def _recover(claim: ExecutionClaim) -> bool:
    attempts = claim.row.step_attempts
    try:
        if attempts >= _MAX_CRASHES:
            return claim.fail(ErrorCode.INTERNAL, "Internal error. Ask your administrator for the log.")
        claim.defer(backoff(attempts))
    except LeaseLostError:
        pass  # the step had ended before it failed
    return False
