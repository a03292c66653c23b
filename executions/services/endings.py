"""How runs end, and what an end lets others do."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Any

from django.utils import timezone

from amchelper.exceptions import AmcHelperError
from executions.models import Execution, ExecutionStatus
from executions.services.claims import Claim
from executions.services.queue import fill_places
from executions.services.timing import STEP
from instances.amc.client import AmcClient
from instances.amc.executions import AmcExecution
from instances.services.amazon import amc_client

logger = logging.getLogger(__name__)

_WORDLESS = {
    ExecutionStatus.FAILED: "AMC says that the run failed, without a reason. Run it again.",
    ExecutionStatus.REJECTED: "AMC rejected the run without a reason. Check the SQL.",
    ExecutionStatus.CANCELLED: "",
}
_LONGEST_WAITING_FOR = 200


def step_client(execution: Execution) -> AbstractContextManager[AmcClient]:
    """Open a client for a step of this execution; raises what `amc_client` raises."""
    account = execution.instance.account
    return amc_client(account.connection, account.region, policy=STEP)


def end(claim: Claim, status: ExecutionStatus, *, error: str = "", code: str = "", **fields: Any) -> bool:
    """Write how a run ended and let the next one go; returns False, for nothing is left to do."""
    claim.finish(
        status=status, error=error, error_code=code[:40], waiting_for="", finished_at=timezone.now(), **fields
    )
    logger.info("execution finished id=%s status=%s code=%s", claim.execution.pk, status, code)
    leave_amc(claim.execution)
    return False


def end_as_told(claim: Claim, status: ExecutionStatus, answer: AmcExecution) -> bool:
    """Write the end that AMC reported, with its words."""
    words = _WORDLESS[status]
    if status == ExecutionStatus.CANCELLED and claim.execution.cancel_requested_at is None:
        words = "Somebody cancelled this at AMC, not here. Run it again if that was a mistake."
    return end(
        claim,
        status,
        error=answer.status_reason or words,
        code=answer.reason_code or ("" if status == ExecutionStatus.CANCELLED else f"amc_{answer.status.lower()}"),
        amc_status=answer.status[:40],
        amc_finished_at=answer.updated_at or timezone.now(),
    )


def leave_amc(execution: Execution) -> None:
    """Give the place of a run that AMC is done with to whoever waits for it."""
    now = timezone.now()
    same_instance = Execution.objects.waiting().filter(
        instance__instance_id=execution.instance.instance_id, next_step_at__gt=now
    )
    # Told that AMC is full: with this place free it is worth asking again.
    Execution.objects.filter(pk__in=same_instance.order_by().values("pk"), status=ExecutionStatus.QUEUED).update(
        next_step_at=now
    )
    fill_places(execution.instance.account.ref)


def wait_for(claim: Claim, error: AmcHelperError, delay: timedelta, *, counts: bool = True, **fields: Any) -> bool:
    """Keep the status and try again later, saying why; returns False."""
    execution = claim.execution
    logger.warning(
        "execution step put off id=%s status=%s code=%s seconds=%.0f",
        execution.pk, execution.status, error.code, delay.total_seconds(),
    )  # fmt: skip
    claim.put_off(delay, counts=counts, waiting_for=error.message[:_LONGEST_WAITING_FOR], **fields)
    return False
