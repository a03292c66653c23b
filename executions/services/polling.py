"""Ask AMC about runs that are there, many of an instance with one call, and cancel those nobody wants any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from django.utils import timezone

from amchelper.exceptions import AmcHelperError
from executions.models import Execution, ExecutionStatus
from executions.services.claims import Claim, LeaseLostError, claim_execution
from executions.services.endings import end, end_as_told, leave_amc, step_client, wait_for
from executions.services.messages import send_steps
from executions.services.timing import LONGEST, delay_after, has_overrun, poll_delay
from instances.amc.calls import PAGE_SIZE
from instances.amc.client import AmcClient
from instances.amc.errors import AmcError, AmcNotFoundError, AmcNotVisibleError
from instances.amc.executions import AmcExecution

# Who is due within this time is asked about together with those that are due now.
_TOGETHER = timedelta(seconds=10)
_MOST_TOGETHER = 50
# From so many on one list is cheaper than single questions.
_WORTH_A_LIST = 3
# A list begins this long before the oldest of our runs: clocks differ.
_LIST_BACK = timedelta(hours=1)
# AMC may disagree with itself for a while; then a run that it does not know is lost there.
_MOST_NOT_FOUND, _LOST_AFTER = 6, timedelta(minutes=10)
_NO_END = "AMC did not report an end of this run in time. Look for it in the AMC console before you run it again."
_ENDS = {
    "FAILED": ExecutionStatus.FAILED,
    "DELETED": ExecutionStatus.FAILED,
    "REJECTED": ExecutionStatus.REJECTED,
    "CANCELLED": ExecutionStatus.CANCELLED,
}


def poll(claim: Claim, *, worker: str) -> bool:
    """Ask about a run and about others of its instance that are due; returns whether more is due for this one."""
    claims = [claim, *_claim_others(claim.execution, worker)]
    moved: list[Claim] = []
    try:
        with step_client(claim.execution) as client:
            listed = _list(client, claims)
            moved = [one for one in claims if _step(one, partial(_ask, client, one, listed))]
    except AmcHelperError as error:
        # No client or no list: it is the same for all of them. Who was done before is not held any more.
        for one in claims:
            _step(one, partial(_fail, error))
    send_steps(one.execution.pk for one in moved if one is not claim)
    return claim in moved


def _claim_others(execution: Execution, worker: str) -> list[Claim]:
    within = min(_TOGETHER, poll_delay(0) / 2)
    others = (
        Execution.objects.due(timezone.now(), within=within)
        .filter(status__in=[ExecutionStatus.PENDING, ExecutionStatus.RUNNING], instance_id=execution.instance_id)
        .exclude(pk=execution.pk)
        .values_list("pk", flat=True)
    )
    pks = list(others[:_MOST_TOGETHER])
    if len(pks) + 1 < _WORTH_A_LIST:
        return []
    claims = (claim_execution(pk, worker=worker, within=within) for pk in pks)
    return [claim for claim in claims if claim is not None]


def _list(client: AmcClient, claims: Sequence[Claim]) -> dict[str, AmcExecution]:
    """Return what one list tells about these runs; those it does not hold are asked about one by one."""
    if len(claims) < _WORTH_A_LIST:
        return {}
    now = timezone.now()
    wanted = {claim.execution.amc_execution_id for claim in claims}
    since = min(claim.execution.submitted_at or now for claim in claims) - _LIST_BACK
    found: dict[str, AmcExecution] = {}
    # As many rows as single questions would pay for.
    most = PAGE_SIZE * (len(claims) - 1)
    for row, answer in enumerate(client.list_executions(claims[0].execution.ref, created_since=since), start=1):
        if answer.execution_id in wanted:
            found[answer.execution_id] = answer
        if len(found) == len(wanted) or row >= most:
            break
        if row % PAGE_SIZE == 0:
            for claim in claims:
                claim.keep()
    return found


def _step(claim: Claim, ask: Callable[[], AmcExecution]) -> bool:
    """Bring one run up to date; returns whether its next step is due. What goes wrong concerns this run only."""
    try:
        try:
            claim.keep()
            return _apply(claim, ask())
        except AmcHelperError as error:
            return _postpone(claim, error)
    except LeaseLostError:
        return False


def _fail(error: AmcHelperError) -> AmcExecution:
    raise error


def _ask(client: AmcClient, claim: Claim, listed: dict[str, AmcExecution]) -> AmcExecution:
    execution = claim.execution
    if execution.cancel_requested_at is not None and execution.cancel_sent_at is None:
        answer = client.cancel_execution(execution.ref, execution.amc_execution_id)
        claim.keep(cancel_sent_at=timezone.now())
        return answer
    known = listed.get(execution.amc_execution_id)
    if known is not None:
        return known
    return client.get_execution(execution.ref, execution.amc_execution_id, created_at=execution.submitted_at)


def _apply(claim: Claim, answer: AmcExecution) -> bool:
    execution, now = claim.execution, timezone.now()
    if answer.has_succeeded:
        return _begin_to_fetch(claim, answer)
    if answer.status in _ENDS:
        return end_as_told(claim, _ENDS[answer.status], answer)
    if has_overrun(execution, now):
        return end(claim, ExecutionStatus.FAILED, error=_NO_END, code="no_end", amc_status=answer.status[:40])
    # A status nobody documented says only that the run has not ended.
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


def _begin_to_fetch(claim: Claim, answer: AmcExecution) -> bool:
    now = timezone.now()
    claim.finish(
        status=ExecutionStatus.FETCHING,
        amc_status=answer.status[:40],
        amc_finished_at=answer.updated_at or now,
        started_at=claim.execution.started_at or now,
        output_columns=[
            {"name": column.name, "data_type": column.data_type, "column_type": column.column_type}
            for column in answer.output_columns
        ],
        waiting_for="",
        polls=0,
        next_step_at=now,
    )
    leave_amc(claim.execution)
    return True


def _postpone(claim: Claim, error: AmcHelperError) -> bool:
    """Ask again later, whatever went wrong: the run goes on at AMC. Only time or AMC ends it."""
    execution, now = claim.execution, timezone.now()
    is_hidden = isinstance(error, AmcNotVisibleError)
    if isinstance(error, AmcNotFoundError) and _is_lost(execution, now):
        return end(
            claim,
            ExecutionStatus.FAILED,
            error=f"AMC does not know this run any more. {error.message}",
            code="lost",
        )
    is_patient = isinstance(error, AmcError) and error.transient
    if has_overrun(execution, now, patiently=is_patient):
        return end(claim, ExecutionStatus.FAILED, error=f"{_NO_END} {error.message}", code="no_end")
    delay = delay_after(error, execution.step_attempts)
    if not is_patient:
        delay = min(max(delay, poll_delay(execution.polls)), LONGEST)
    return wait_for(claim, error, delay, counts=not is_hidden)


def _is_lost(execution: Execution, now: datetime) -> bool:
    return execution.step_attempts >= _MOST_NOT_FOUND and (
        execution.submitted_at is None or now > execution.submitted_at + _LOST_AFTER
    )
