"""Ask AMC about runs that are there, many of an instance with one call, and cancel those that are not wanted."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from django.utils import timezone

from amchelper.exceptions import AmcHelperError
from amchelper.leases import LeaseLostError
from executions.errors import ErrorCode
from executions.models import Execution, ExecutionStatus
from executions.services.claims import ExecutionClaim, claim_execution
from executions.services.queue import send_steps
from executions.services.timing import MAX_DELAY, backoff, delay_after, has_overrun, poll_delay, times_at_amc
from instances.amc.calls import PAGE_SIZE
from instances.amc.client import AmcClient
from instances.amc.errors import AmcError, AmcNotFoundError, AmcNotVisibleError
from instances.amc.executions import AmcExecution

# Runs that are due within this time are asked about together with those that are due now.
_TOGETHER = timedelta(seconds=10)
_MAX_TOGETHER = 50
# From so many on one list is cheaper than single questions.
_WORTH_A_LIST = 3
# A list begins this long before the oldest of our runs: clocks differ.
_LIST_BACK = timedelta(hours=1)
# AMC may disagree with itself for a while; then a run that it does not know is lost there.
_MAX_NOT_FOUND, _LOST_AFTER = 6, timedelta(minutes=10)
_NO_END = "AMC did not report an end of this run in time. Look for it in the AMC console before you run it again."
_ENDS = {
    "FAILED": ExecutionStatus.FAILED,
    "DELETED": ExecutionStatus.FAILED,
    "REJECTED": ExecutionStatus.REJECTED,
    "CANCELLED": ExecutionStatus.CANCELLED,
}


def poll(claim: ExecutionClaim, client: AmcClient) -> bool:
    """Ask about a run and about others of its instance that are due; returns whether more is due for this one."""
    others = _claim_others(claim)
    try:
        return _poll_together(client, claim, others)
    finally:
        # Left over by a bug or a lost lease: they must not stay held, and it is no try of theirs.
        for other in others:
            with suppress(LeaseLostError):
                other.defer(backoff(other.row.step_attempts), counts=False)


def polling_failed(claim: ExecutionClaim, error: AmcHelperError) -> bool:
    """Ask again later, whatever went wrong: the run goes on at AMC. Only time or AMC ends it. Returns False."""
    execution, now = claim.row, timezone.now()
    if isinstance(error, AmcNotFoundError) and _is_lost(execution, now):
        return claim.fail(ErrorCode.LOST, f"AMC does not know this run any more. {error.message}")
    is_patient = isinstance(error, AmcError) and error.transient
    if has_overrun(execution, now, patiently=is_patient):
        return claim.fail(ErrorCode.NO_END, f"{_NO_END} {error.message}")
    delay = delay_after(error, execution.step_attempts)
    if not is_patient:
        delay = min(max(delay, poll_delay(execution.polls)), MAX_DELAY)
    return claim.reschedule(error, delay, counts=not isinstance(error, AmcNotVisibleError))


def _poll_together(client: AmcClient, claim: ExecutionClaim, others: list[ExecutionClaim]) -> bool:
    """Do what `poll` does; takes those it is done with out of `others`, all unless something breaks."""
    try:
        listed = _list(client, claim, others)
    except AmcHelperError as error:
        # It is the same for all of them.
        for other in others:
            _let_go(other, error)
        others.clear()
        raise
    try:
        claim.heartbeat()
        return _apply(claim, _ask(client, claim, listed))
    finally:
        # Last, and whatever became of this one: what goes wrong at another run, a bug too, must not count here.
        moved = [other for other in others if _poll_other(client, other, listed)]
        others.clear()
        send_steps(other.row.pk for other in moved)


def _claim_others(claim: ExecutionClaim) -> list[ExecutionClaim]:
    execution, within = claim.row, min(_TOGETHER, poll_delay(0) / 2)
    others = (
        Execution.objects.due(timezone.now(), within=within)
        .filter(status__in=[ExecutionStatus.PENDING, ExecutionStatus.RUNNING], instance_id=execution.instance_id)
        .exclude(pk=execution.pk)
        .values_list("pk", flat=True)
    )
    pks = list(others[:_MAX_TOGETHER])
    if len(pks) + 1 < _WORTH_A_LIST:
        return []
    claims = (claim_execution(pk, worker=claim.worker, within=within) for pk in pks)
    return [other for other in claims if other is not None]


def _list(client: AmcClient, claim: ExecutionClaim, others: Sequence[ExecutionClaim]) -> dict[str, AmcExecution]:
    """Return what one list tells about these runs; those it does not hold are asked about one by one."""
    claims = [claim, *others]
    if len(claims) < _WORTH_A_LIST:
        return {}
    now = timezone.now()
    wanted = {each.row.amc_execution_id for each in claims}
    since = min(each.row.submitted_at or now for each in claims) - _LIST_BACK
    found: dict[str, AmcExecution] = {}
    # As many rows as single questions would pay for.
    max_rows = PAGE_SIZE * (len(claims) - 1)
    # Not whole: what it lacks is asked about, never taken for gone.
    listed = client.list_executions(claim.row.ref, created_since=since, whole=False)
    for row, answer in enumerate(listed, start=1):
        if answer.execution_id in wanted:
            found[answer.execution_id] = answer
        if len(found) == len(wanted) or row >= max_rows:
            break
        if row % PAGE_SIZE == 0:
            claim.heartbeat()
            for other in others:
                # One that another worker has now concerns only itself.
                with suppress(LeaseLostError):
                    other.heartbeat()
    return found


def _poll_other(client: AmcClient, claim: ExecutionClaim, listed: dict[str, AmcExecution]) -> bool:
    """Bring another run up to date; returns whether its next step is due. What goes wrong concerns it alone."""
    try:
        claim.heartbeat()
        return _apply(claim, _ask(client, claim, listed), is_sent=True)
    except AmcHelperError as error:
        _let_go(claim, error)
    except LeaseLostError:
        pass  # another worker has it
    return False


def _let_go(claim: ExecutionClaim, error: AmcHelperError) -> None:
    with suppress(LeaseLostError):
        polling_failed(claim, error)


def _ask(client: AmcClient, claim: ExecutionClaim, listed: dict[str, AmcExecution]) -> AmcExecution:
    execution = claim.row
    if execution.cancel_requested_at is not None and execution.cancel_sent_at is None:
        answer = client.cancel_execution(execution.ref, execution.amc_execution_id)
        claim.heartbeat(cancel_sent_at=timezone.now())
        return answer
    known = listed.get(execution.amc_execution_id)
    if known is not None:
        return known
    return client.get_execution(execution.ref, execution.amc_execution_id, created_at=execution.submitted_at)


def _apply(claim: ExecutionClaim, answer: AmcExecution, *, is_sent: bool = False) -> bool:
    """Write what AMC answered; returns whether a step is due at once, which the caller may be about to send."""
    execution, now = claim.row, timezone.now()
    if answer.has_succeeded:
        _begin_to_fetch(claim, answer, is_sent=is_sent)
        return True
    if answer.status in _ENDS:
        return claim.finish_from_amc(_ENDS[answer.status], answer)
    if has_overrun(execution, now):
        return claim.fail(ErrorCode.NO_END, _NO_END, amc_status=answer.status[:40])
    # An undocumented status says only that the run has not ended.
    is_running = execution.status == ExecutionStatus.RUNNING or answer.status not in ("PENDING", "")
    claim.finish(
        status=ExecutionStatus.RUNNING if is_running else ExecutionStatus.PENDING,
        amc_status=answer.status[:40],
        started_at=execution.started_at or (now if is_running else None),
        waiting_for="",
        polls=execution.polls + 1,
        next_step_at=claim.after(poll_delay(execution.polls + 1)),
    )
    return False


def _begin_to_fetch(claim: ExecutionClaim, answer: AmcExecution, *, is_sent: bool) -> None:
    now = timezone.now()
    claim.finish(
        status=ExecutionStatus.FETCHING,
        amc_status=answer.status[:40],
        **times_at_amc(claim.row, answer.updated_at, now),
        output_columns=[
            {"name": column.name, "data_type": column.data_type, "column_type": column.column_type}
            for column in answer.output_columns
        ],
        waiting_for="",
        fetch_failures=0,
        next_step_at=now,
        sent_at=now if is_sent else None,
    )


def _is_lost(execution: Execution, now: datetime) -> bool:
    return execution.step_attempts >= _MAX_NOT_FOUND and (
        execution.submitted_at is None or now > execution.submitted_at + _LOST_AFTER
    )
