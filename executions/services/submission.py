"""Bring a run to AMC exactly once, through answers that got lost and workers that died.

`attempted_at` is written before a POST and taken back when AMC surely created nothing. While it is set nothing is
posted: the run is looked for, until it is found or AMC must have shown it.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.utils import timezone

from amchelper.exceptions import AmcHelperError
from executions.models import Execution, ExecutionStatus
from executions.services.claims import Claim
from executions.services.endings import end, step_client, wait_for
from executions.services.timing import LONGEST, delay_after, has_overrun, poll_delay
from instances.amc.client import AmcClient
from instances.amc.errors import AmcError, AmcLimitError, AmcNotFoundError, AmcOutcomeUnknownError
from instances.amc.executions import AmcExecution, ExecutionRequest
from instances.amc.reporting import VISIBILITY
from instances.models import Status

logger = logging.getLogger(__name__)

# A workflow ID exists once, so it is looked for far back: a clock that was wrong must not hide the run.
_SEARCHED_BACK = timedelta(days=30)
# Where AMC put an ID of its own in its place, all runs from this long before the attempt on are compared.
_COMPARED_BACK = timedelta(hours=1)
_SHORTEST_LOOK, _LONGEST_LOOK = timedelta(seconds=15), timedelta(seconds=45)
_LIMIT_DELAY = timedelta(minutes=5)
_DISABLED = "The instance is disabled. Enable it and run this again."
_UNKNOWN = (
    "It could not be found out whether AMC ran this, so it was not started again. Look for {workflow_id} in the "
    "AMC console before you run it again."
)


def submit(claim: Claim) -> bool:
    """Do the next step of a run that is not known to be at AMC; returns whether more is due at once."""
    execution = claim.execution
    if execution.attempted_at is not None:
        return _settle(claim)
    if execution.cancel_requested_at is not None:
        return end(claim, ExecutionStatus.CANCELLED)
    if execution.instance.status == Status.INACTIVE:
        return end(claim, ExecutionStatus.FAILED, error=_DISABLED, code="instance_disabled")
    return _post(claim)


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


def _post(claim: Claim) -> bool:
    execution = claim.execution
    request, taken = request_of(execution), _taken(execution)
    try:
        with step_client(execution) as client:
            # From here on a crash leaves a mark, and nobody else may post while this lease lasts.
            claim.keep(attempted_at=timezone.now(), polls=0)
            created = client.create_execution(execution.ref, request, taken=taken)
    except AmcOutcomeUnknownError as error:
        return wait_for(claim, error, delay_after(error, 0), counts=False)
    except AmcLimitError as error:
        return _back_to_queue(claim, error)
    except AmcHelperError as error:
        # All others say for certain that nothing was created.
        if isinstance(error, AmcError) and error.transient:
            return wait_for(claim, error, delay_after(error, execution.step_attempts), attempted_at=None)
        return end(claim, ExecutionStatus.FAILED, error=error.message, code=_code(error), attempted_at=None)
    return _adopt(claim, created)


def _settle(claim: Claim) -> bool:
    """Find out what became of an attempt; only when it surely made nothing the next step may post again."""
    execution, now = claim.execution, timezone.now()
    try:
        with step_client(execution) as client:
            found = _look(client, claim, now)
    except AmcHelperError as error:
        if has_overrun(execution, now, patiently=True):
            unknown = _UNKNOWN.format(workflow_id=execution.workflow_id)
            return end(claim, ExecutionStatus.FAILED, error=f"{unknown} {error.message}", code="outcome_unknown")
        return wait_for(claim, error, delay_after(error, execution.step_attempts))
    if found is not None:
        logger.info("execution found at AMC id=%s", execution.pk)
        return _adopt(claim, found)
    attempted_at = execution.attempted_at or now
    if attempted_at > now:
        # The clock was wrong then or is now: wait anew from here.
        claim.put_off(_LONGEST_LOOK, counts=False, attempted_at=now, polls=0)
        return False
    left = attempted_at + VISIBILITY - now
    if left > timedelta() or execution.polls == 0:
        # One look is not enough however late it is: the clock may have jumped.
        delay = min(max(left, _SHORTEST_LOOK), _LONGEST_LOOK)
        claim.put_off(delay, counts=False, polls=execution.polls + 1)
        return False
    if execution.cancel_requested_at is not None:
        return end(claim, ExecutionStatus.CANCELLED, attempted_at=None)
    claim.finish(attempted_at=None, polls=0, next_step_at=now)
    return True


def _look(client: AmcClient, claim: Claim, now: datetime) -> AmcExecution | None:
    """Return the run of an earlier attempt, None when AMC shows none; raises AmcError."""
    execution = claim.execution
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
    claim.keep()
    attempted_at = min(execution.attempted_at or now, now) - _COMPARED_BACK
    return client.find_execution(
        execution.ref, request_of(execution), attempted_at=attempted_at, taken=_taken(execution)
    )


def _adopt(claim: Claim, found: AmcExecution) -> bool:
    """Write down which of AMC's runs is this one; from here on it is only asked about."""
    execution, now = claim.execution, timezone.now()
    is_urgent = found.is_final or execution.cancel_requested_at is not None
    claim.finish(
        status=ExecutionStatus.RUNNING if found.status == "RUNNING" else ExecutionStatus.PENDING,
        amc_execution_id=found.execution_id,
        amc_status=found.status[:40],
        submitted_at=execution.attempted_at or now,
        started_at=now if found.status == "RUNNING" else None,
        waiting_for="",
        polls=0,
        next_step_at=claim.after(timedelta() if is_urgent else poll_delay(0)),
    )
    logger.info("execution submitted id=%s amc_id=%s", execution.pk, found.execution_id)
    return is_urgent


def _back_to_queue(claim: Claim, error: AmcLimitError) -> bool:
    """Wait in our own queue, at the old place, because AMC is full with runs that are not ours."""
    delay = _LIMIT_DELAY if error.retry_after is None else min(timedelta(seconds=error.retry_after), LONGEST)
    claim.finish(
        status=ExecutionStatus.QUEUED,
        attempted_at=None,
        waiting_for=error.message[:200],
        next_step_at=timezone.now() + delay,
    )
    # Asked for while AMC was asked: in the queue nobody would look at it before a place is free.
    Execution.objects.filter(
        pk=claim.execution.pk, status=ExecutionStatus.QUEUED, cancel_requested_at__isnull=False
    ).update(status=ExecutionStatus.CANCELLED, finished_at=timezone.now(), waiting_for="")
    return False


def _taken(execution: Execution) -> list[str]:
    """Return the AMC runs that belong to other executions of the same instance."""
    since = (execution.attempted_at or timezone.now()) - _COMPARED_BACK - timedelta(hours=1)
    others = Execution.objects.filter(
        instance__instance_id=execution.instance.instance_id, submitted_at__gte=since
    )
    return list(
        others.exclude(pk=execution.pk).exclude(amc_execution_id="").values_list("amc_execution_id", flat=True)
    )


def _code(error: AmcHelperError) -> str:
    return error.reason if isinstance(error, AmcError) else error.code
