"""Bring a run to AMC exactly once, through answers that got lost and workers that died.

The row decides. `attempted_at` is written before a POST and taken back when AMC surely created nothing. While it is
set nothing is posted: the run is looked for, until it is found or AMC must have shown it.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.utils import timezone

from amchelper.exceptions import AmcHelperError
from executions.errors import ErrorCode
from executions.models import Execution, ExecutionStatus
from executions.services.claims import ExecutionClaim
from executions.services.timing import MAX_DELAY, delay_after, has_overrun, poll_delay
from instances.amc.client import AmcClient
from instances.amc.errors import AmcError, AmcLimitError, AmcNotFoundError, AmcOutcomeUnknownError
from instances.amc.executions import AmcExecution, ExecutionRequest
from instances.amc.reporting import SEND_WITHIN, VISIBILITY
from instances.models import Status

logger = logging.getLogger(__name__)

# A workflow ID exists once, so it is looked for far back: a clock that was wrong must not hide the run.
_SEARCHED_BACK = timedelta(days=30)
# Where AMC put an ID of its own in its place, all runs from this long before the attempt on are compared.
_COMPARED_BACK = timedelta(hours=1)
_MIN_LOOKUP_DELAY, _MAX_LOOKUP_DELAY = timedelta(seconds=15), timedelta(seconds=45)
_LIMIT_DELAY = timedelta(minutes=5)
_DISABLED = "The instance is disabled. Enable it and run this again."
_UNKNOWN = (
    "It could not be found out whether AMC ran this, so it was not started again. Look for {workflow_id} in the "
    "AMC console before you run it again."
)


def submit(claim: ExecutionClaim, client: AmcClient) -> bool:
    """Do the next step of a run that is not known to be at AMC; returns whether more is due at once."""
    if claim.row.attempted_at is not None:
        return _resolve_unknown_outcome(claim, client)
    if _is_called_off(claim):
        return False
    return _adopt(claim, _post(claim, client))


def submission_failed(claim: ExecutionClaim, error: AmcHelperError) -> bool:
    """Write on the row what an error means for a run that is not known to be at AMC; returns False."""
    execution = claim.row
    if execution.attempted_at is not None:
        return _still_unknown(claim, error)
    if isinstance(error, AmcLimitError):
        return _back_to_queue(claim, error)
    if _is_called_off(claim):
        return False
    if isinstance(error, AmcError) and error.transient:
        return claim.reschedule(error, delay_after(error, execution.step_attempts))
    code = error.reason if isinstance(error, AmcError) else error.code
    return claim.fail(ErrorCode(code), error.message)


def request_of(execution: Execution) -> ExecutionRequest:
    """Return what AMC is asked to run."""
    window = execution.window
    return ExecutionRequest(
        workflow_id=execution.workflow_id,
        sql=execution.sql_query,
        window_start=window.starts_at,
        window_end=window.ends_at,
        time_zone=window.zone,
        require_synthetic_data=execution.requires_synthetic_data,
    )


def _is_called_off(claim: ExecutionClaim) -> bool:
    """End a run that must not be posted any more; returns whether it did."""
    if claim.row.cancel_requested_at is not None:
        claim.finish(status=ExecutionStatus.CANCELLED)
        return True
    if claim.row.instance.status == Status.INACTIVE:
        claim.fail(ErrorCode.INSTANCE_DISABLED, _DISABLED)
        return True
    return False


def _post(claim: ExecutionClaim, client: AmcClient) -> AmcExecution:
    execution = claim.row
    exclude_ids, now = _ids_of_others(execution), timezone.now()
    # From here on a crash leaves a mark, and no other worker may post while this lease lasts.
    claim.heartbeat(attempted_at=now, lookups=0)
    try:
        # Sent later, it could appear at AMC only after looking for it has ended.
        return client.create_execution(
            execution.ref, request_of(execution), send_before=now + SEND_WITHIN, exclude_ids=exclude_ids
        )
    except AmcOutcomeUnknownError:
        raise
    except AmcHelperError:
        # All others say for certain that nothing was created.
        claim.heartbeat(attempted_at=None)
        raise


def _resolve_unknown_outcome(claim: ExecutionClaim, client: AmcClient) -> bool:
    """Find out what became of an attempt; only when it surely made nothing the next step may post again."""
    execution, now = claim.row, timezone.now()
    found = _look_up(client, claim, now)
    if found is not None:
        logger.info("execution found at AMC id=%s", execution.pk)
        return _adopt(claim, found)
    attempted_at = execution.attempted_at or now
    if attempted_at > now:
        # The clock was wrong then or is now: wait anew from here.
        claim.defer(_MAX_LOOKUP_DELAY, counts=False, attempted_at=now, lookups=0)
        return False
    left = attempted_at + VISIBILITY - now
    if left > timedelta() or execution.lookups == 0:
        # One look is not enough however late it is: the clock may have jumped.
        delay = min(max(left, _MIN_LOOKUP_DELAY), _MAX_LOOKUP_DELAY)
        claim.defer(delay, counts=False, lookups=execution.lookups + 1)
        return False
    if execution.cancel_requested_at is not None:
        claim.finish(status=ExecutionStatus.CANCELLED, attempted_at=None)
        return False
    claim.finish(attempted_at=None, lookups=0, next_step_at=now)
    return True


def _still_unknown(claim: ExecutionClaim, error: AmcHelperError) -> bool:
    """Look again later, until AMC must have ended whatever the attempt made."""
    execution = claim.row
    if has_overrun(execution, timezone.now(), patiently=True):
        unknown = _UNKNOWN.format(workflow_id=execution.workflow_id)
        return claim.fail(ErrorCode.OUTCOME_UNKNOWN, f"{unknown} {error.message}")
    # The POST itself is no try to look.
    counts = not isinstance(error, AmcOutcomeUnknownError)
    return claim.reschedule(error, delay_after(error, execution.step_attempts), counts=counts)


def _look_up(client: AmcClient, claim: ExecutionClaim, now: datetime) -> AmcExecution | None:
    """Return the run of an earlier attempt, None when AMC shows none; raises AmcError."""
    execution = claim.row
    try:
        rows = client.list_executions(
            execution.ref, created_since=now - _SEARCHED_BACK, workflow_id=execution.workflow_id
        )
        exact = [found for found in rows if found.workflow_id == execution.workflow_id]
    except AmcNotFoundError:
        exact = []
    if exact:
        # Newest first: of several, which only a fault of ours could make, the first one counts.
        return exact[-1]
    claim.heartbeat()
    since = min(execution.attempted_at or now, now) - _COMPARED_BACK
    return client.find_execution(
        execution.ref, request_of(execution), attempted_at=since, exclude_ids=_ids_of_others(execution)
    )


def _adopt(claim: ExecutionClaim, found: AmcExecution) -> bool:
    """Write down which of AMC's runs is this one; from here on it is only asked about."""
    execution, now = claim.row, timezone.now()
    is_urgent = found.is_final or execution.cancel_requested_at is not None
    is_running = found.status == "RUNNING"
    claim.finish(
        status=ExecutionStatus.RUNNING if is_running else ExecutionStatus.PENDING,
        amc_execution_id=found.execution_id,
        amc_status=found.status[:40],
        submitted_at=execution.attempted_at or now,
        started_at=now if is_running else None,
        waiting_for="",
        polls=0,
        next_step_at=claim.after(timedelta() if is_urgent else poll_delay(0)),
    )
    logger.info("execution submitted id=%s amc_id=%s", execution.pk, found.execution_id)
    return is_urgent


def _back_to_queue(claim: ExecutionClaim, error: AmcLimitError) -> bool:
    """Wait in our own queue, at the old position, because AMC is full with runs that are not ours."""
    delay = _LIMIT_DELAY if error.retry_after is None else min(timedelta(seconds=error.retry_after), MAX_DELAY)
    claim.finish(
        status=ExecutionStatus.QUEUED, waiting_for=error.message[:200], next_step_at=timezone.now() + delay
    )
    # Asked for while AMC was asked: in the queue nothing would look at it before capacity is free.
    Execution.objects.filter(
        pk=claim.row.pk, status=ExecutionStatus.QUEUED, cancel_requested_at__isnull=False
    ).update(status=ExecutionStatus.CANCELLED, finished_at=timezone.now(), waiting_for="")
    return False


def _ids_of_others(execution: Execution) -> list[str]:
    """Return the AMC runs that belong to other executions of the same instance."""
    since = (execution.attempted_at or timezone.now()) - _COMPARED_BACK - timedelta(hours=1)
    others = Execution.objects.filter(
        instance__instance_id=execution.instance.instance_id, submitted_at__gte=since
    )
    return list(
        others.exclude(pk=execution.pk).exclude(amc_execution_id="").values_list("amc_execution_id", flat=True)
    )
