"""The hold a worker has on an execution: every write happens under it, or not at all."""

from __future__ import annotations

import logging
import secrets
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Case, DateTimeField, Value, When
from django.utils import timezone

from executions.models import LEASE, Execution

logger = logging.getLogger(__name__)

# A lease is kept when it has been running for this long.
_KEEP_AFTER_SECONDS = LEASE.total_seconds() / 6
_LONGEST_EXTENSION = timedelta(minutes=50)


class LeaseLostError(Exception):
    """Another worker took over, or the execution is gone: whatever this one found out is of no use."""


class Claim:
    """One execution, held by a token that exists once; what it says was true when it was claimed."""

    def __init__(self, execution: Execution, token: str) -> None:
        self.execution, self._token = execution, token
        self._kept_at = time.monotonic()

    def keep(self, *, always: bool = False, **fields: Any) -> None:
        """Hold on for another lease and write `fields`; raises LeaseLostError. Cheap to call often."""
        if not (always or fields) and time.monotonic() - self._kept_at < _KEEP_AFTER_SECONDS:
            return
        self._hold(timezone.now() + LEASE, fields)

    def extend(self, duration: timedelta) -> None:
        """Hold on for a long piece of work that cannot say it is alive; raises LeaseLostError."""
        self._hold(timezone.now() + LEASE + min(duration, _LONGEST_EXTENSION), {})

    def finish(self, **fields: Any) -> None:
        """Write what a step brought and let go; raises LeaseLostError."""
        self._release({"step_attempts": 0, **fields})

    def put_off(self, delay: timedelta, *, counts: bool = True, **fields: Any) -> None:
        """Let go until later, keeping the status; a try that does not count is taken back. Raises LeaseLostError."""
        if not counts:
            fields["step_attempts"] = max(0, self.execution.step_attempts - 1)
        self._release({"next_step_at": self.after(delay), **fields})

    def after(self, delay: timedelta) -> datetime | Case:
        """Return when the next step is due: after `delay`, at once when somebody asked to cancel since the claim."""
        now = timezone.now()
        if self.execution.cancel_requested_at is not None:
            return now + delay
        is_cancelled = When(cancel_requested_at__isnull=False, then=Value(now))
        return Case(is_cancelled, default=Value(now + delay), output_field=DateTimeField())

    def _hold(self, until: datetime, fields: dict[str, Any]) -> None:
        self._write({**fields, "lease_until": until})
        self._kept_at = time.monotonic()

    def _release(self, fields: dict[str, Any]) -> None:
        # `sent_at` belongs to the step that ends here.
        self._write({**fields, "lease_until": None, "leased_by": "", "sent_at": None})

    def _write(self, fields: dict[str, Any]) -> None:
        mine = Execution.objects.filter(
            pk=self.execution.pk, leased_by=self._token, status=self.execution.status
        ).exclude(lease_until=None)
        if not mine.update(**fields):
            raise LeaseLostError(str(self.execution.pk))
        for name, value in fields.items():
            setattr(self.execution, name, value)


def claim_execution(pk: UUID, *, worker: str, within: timedelta = timedelta()) -> Claim | None:
    """Claim an execution that is due; each claim has a token of its own, so that no two are taken for one."""
    token = f"{worker[:80]}/{secrets.token_hex(8)}"
    mine = Execution.objects.claim(pk, token=token, now=timezone.now(), within=within)
    execution = mine.select_related("instance__account__connection").first()
    return Claim(execution, token) if execution is not None else None
