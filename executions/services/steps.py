"""One step of an execution after the other; whoever comes twice or too early finds nothing to do."""

from __future__ import annotations

import logging
import os
import socket
import threading
from uuid import UUID

from executions.models import Execution, ExecutionStatus
from executions.services.claims import Claim, LeaseLostError, claim_execution
from executions.services.endings import end
from executions.services.fetching import fetch
from executions.services.polling import poll
from executions.services.queue import admit
from executions.services.submission import submit
from executions.services.timing import backoff

logger = logging.getLogger(__name__)

# A step that fails for reasons of ours is not repeated for ever.
_MOST_CRASHES = 10


def run_steps(pk: UUID) -> None:
    """Do all steps that are due at once."""
    worker = f"{socket.gethostname()}:{os.getpid()}:{threading.get_native_id()}"
    while advance(pk, worker):
        pass


def advance(pk: UUID, worker: str) -> bool:
    """Do the next step of an execution if it is due and nobody else does; returns whether more is due at once."""
    execution = Execution.objects.select_related("instance__account").filter(pk=pk).first()
    if execution is None:
        return False
    if execution.status == ExecutionStatus.QUEUED:
        return admit(execution)
    claim = claim_execution(pk, worker=worker)
    if claim is None:
        return False
    try:
        return _step(claim, worker)
    except LeaseLostError:
        # Its writes would have undone another worker's; what it did at AMC the other one finds.
        logger.warning("execution lease lost id=%s status=%s", pk, claim.execution.status)
        return False
    # A bug or a database in trouble: the row must not stay held, nor be tried without end.
    except Exception:
        logger.exception("execution step failed id=%s status=%s", pk, claim.execution.status)
        return _recover(claim)


def _step(claim: Claim, worker: str) -> bool:
    status = claim.execution.status
    if status == ExecutionStatus.SUBMITTING:
        return submit(claim)
    if status == ExecutionStatus.FETCHING:
        return fetch(claim)
    return poll(claim, worker=worker)


def _recover(claim: Claim) -> bool:
    attempts = claim.execution.step_attempts
    try:
        if attempts >= _MOST_CRASHES:
            return end(
                claim,
                ExecutionStatus.FAILED,
                error="Internal error. Ask your administrator for the log.",
                code="internal",
            )
        claim.put_off(backoff(attempts))
    except LeaseLostError:
        pass  # the step had ended before it failed
    return False
