"""A worker's claim on an execution: the lease, and every way in which a step may leave the row."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Case, DateTimeField, Value, When
from django.utils import timezone

from amchelper.exceptions import AmcHelperError
from amchelper.leases import Claim, LeasedQuerySet, new_token
from executions.errors import ErrorCode
from executions.models import AT_AMC, FINAL_STATUSES, Execution, ExecutionStatus
from executions.services import queue
from executions.services.timing import STEP, times_at_amc
from instances.amc.client import AmcClient
from instances.amc.executions import AmcExecution
from instances.services.amazon import amc_client

logger = logging.getLogger(__name__)

_WORDLESS = {
    ExecutionStatus.FAILED: "AMC says that the run failed, without a reason. Run it again.",
    ExecutionStatus.REJECTED: "AMC rejected the run without a reason. Check the SQL.",
    ExecutionStatus.CANCELLED: "",
}
_CANCELLED_AT_AMC = "This was cancelled at AMC, not here. Run it again if that was a mistake."
_MAX_WAITING_FOR = 200


class ExecutionClaim(Claim[Execution]):
    """One claimed execution; it may be written only while its status is what it was."""

    def __init__(self, row: Execution, token: str, worker: str) -> None:
        super().__init__(row, token)
        self.worker = worker

    def client(self) -> AbstractContextManager[AmcClient]:
        """Open the client of a step; raises what `amc_client` raises."""
        account = self.row.instance.account
        return amc_client(account.connection, account.region, policy=STEP)

    def after(self, delay: timedelta) -> datetime | Case:
        """Return when the next step is due: after `delay`, at once when cancelling was asked for since the claim."""
        due = super().after(delay)
        if self.row.cancel_requested_at is not None:
            return due
        is_cancelled = When(cancel_requested_at__isnull=False, then=Value(timezone.now()))
        return Case(is_cancelled, default=Value(due), output_field=DateTimeField())

    def finish(self, **fields: Any) -> None:
        """Write what a step brought and let go; a run that has ended or left AMC makes way for the next one."""
        was_at_amc, status = self.row.status in AT_AMC, fields.get("status", self.row.status)
        if status in FINAL_STATUSES:
            fields = {"error": "", "error_code": "", "waiting_for": "", "finished_at": timezone.now(), **fields}
        super().finish(**fields)
        if status in FINAL_STATUSES:
            logger.info("execution finished id=%s status=%s code=%s", self.row.pk, status, self.row.error_code)
        if was_at_amc and status in (ExecutionStatus.FETCHING, *FINAL_STATUSES):
            queue.release(self.row)

    def fail(self, code: ErrorCode, message: str, **fields: Any) -> bool:
        """End the run as failed; returns False, for nothing is left to do."""
        self.finish(status=ExecutionStatus.FAILED, error=message, error_code=code, **fields)
        return False

    def finish_from_amc(self, status: ExecutionStatus, answer: AmcExecution) -> bool:
        """End the run as AMC reported, with its words; returns False, for nothing is left to do."""
        words, code = _WORDLESS[status], answer.reason_code or f"amc_{answer.status.lower()}"
        if status == ExecutionStatus.CANCELLED:
            words = "" if self.row.cancel_requested_at else _CANCELLED_AT_AMC
            code = answer.reason_code
        self.finish(
            status=status,
            error=answer.status_reason or words,
            error_code=code,
            amc_status=answer.status[:40],
            **times_at_amc(self.row, answer.updated_at, timezone.now()),
        )
        return False

    def reschedule(self, error: AmcHelperError, delay: timedelta, *, counts: bool = True, **fields: Any) -> bool:
        """Keep the status and try again later, saying why; returns False, for nothing is left to do now."""
        logger.warning(
            "execution step deferred id=%s status=%s code=%s seconds=%.0f",
            self.row.pk, self.row.status, error.code, delay.total_seconds(),
        )  # fmt: skip
        self.defer(delay, counts=counts, waiting_for=error.message[:_MAX_WAITING_FOR], **fields)
        return False

    def _rows(self) -> LeasedQuerySet[Execution]:
        return super()._rows().filter(status=self.row.status)


def claim_execution(pk: UUID, *, worker: str, within: timedelta = timedelta()) -> ExecutionClaim | None:
    """Claim an execution whose step is due, now or `within` a time; None when there is nothing to do with it."""
    token = new_token(worker)
    mine = Execution.objects.claim([pk], token=token, now=timezone.now(), within=within)
    row = mine.select_related("instance__account__connection").first()
    return ExecutionClaim(row, token, worker) if row is not None else None
