"""Durable work: rows that workers advance step by step, each step under a lease.

A row says when its next step is due. A worker claims it with one conditional UPDATE, works outside any transaction,
and writes what came of it only while it still holds the lease. A worker that dies loses its lease, and the next one
goes on from the row. Messages only say that it may be time; a tick sends again what is due and not on its way.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, Self, TypeVar

from django.db import models, transaction
from django.db.models import BooleanField, Case, ExpressionWrapper, F, Q
from django.utils import timezone

from amchelper.bulk import ROWS_WITH_TEXT, batches

# Nothing is planned further ahead than this: a time beyond it was written by a clock that was wrong.
CLOCK_SKEW_LIMIT = timedelta(hours=1)
# A message that brought nothing for so long is taken for lost.
RESEND_AFTER = timedelta(seconds=30)
# A heartbeat writes once this share of the lease has passed.
_HEARTBEAT_SHARE = 1 / 6


class LeaseLostError(Exception):
    """Another worker took over, or the row is gone: whatever this one found out is of no use."""


class LeasedModel(models.Model):
    """A row with steps to do. `next_step_at` is for waiting only, `lease_until` for holding only."""

    next_step_at = models.DateTimeField(default=timezone.now)
    lease_until = models.DateTimeField(null=True, blank=True)
    leased_by = models.CharField(max_length=100, blank=True, default="")
    # When a message about the present step went out.
    sent_at = models.DateTimeField(null=True, blank=True)
    # Claims in a row that brought nothing.
    step_attempts = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True


M = TypeVar("M", bound=LeasedModel)


class LeasedQuerySet(models.QuerySet[M]):
    """Rows with steps to do, by what is due and who holds them."""

    # Longer than a step takes between two heartbeats.
    lease: ClassVar[timedelta] = timedelta(minutes=1)

    def unfinished(self) -> Self:
        """Return the rows that have steps left; each model says which those are."""
        raise NotImplementedError

    def due(self, now: datetime, *, within: timedelta = timedelta()) -> Self:
        """Return unfinished rows whose next step is due, now or `within` a time, and that no worker holds.

        Whatever was written under a clock that was wrong is due too.
        """
        return self.unfinished().filter(
            Q(next_step_at__lte=now + within) | Q(next_step_at__gt=now + CLOCK_SKEW_LIMIT),
            Q(lease_until=None) | Q(lease_until__lte=now) | Q(lease_until__gt=now + self.lease + CLOCK_SKEW_LIMIT),
        )

    def to_send(self, now: datetime) -> Self:
        """Return due rows whose message never went out or is taken for lost, the longest due first."""
        return self.due(now).exclude(_on_the_way(now)).order_by("next_step_at", "pk")

    def take_to_send(self, now: datetime, *, limit: int) -> list[Any]:
        """Note that messages about due rows are on their way and return their keys; of two callers one gets a row.

        Only the `limit` rows that have been due longest are looked at, with messages or without: no more than that
        are ever on their way, however many are due.
        """
        if not self.to_send(now).exists():
            # Without this every tick would take SQLite's write lock.
            return []
        is_on_the_way = ExpressionWrapper(_on_the_way(now), output_field=BooleanField())
        window = self.due(now).order_by("next_step_at", "pk").values_list("pk", is_on_the_way)[:limit]
        taken: list[Any] = []
        for batch in batches([pk for pk, is_sent in window if not is_sent], ROWS_WITH_TEXT):
            with transaction.atomic():
                rows = self.filter(pk__in=batch).to_send(now).select_for_update(skip_locked=True)
                pks = list(rows.values_list("pk", flat=True))
                self.filter(pk__in=pks).update(sent_at=now)
            taken += pks
        return taken

    def claim(self, pks: Iterable[Any], *, token: str, now: datetime, within: timedelta = timedelta()) -> Self:
        """Hold those of the rows that are due for a lease; returns the rows held now, by `token`.

        One statement decides: of two workers that ask for the same row one gets it.
        """
        wanted = list(pks)
        self.filter(pk__in=wanted).due(now, within=within).update(
            lease_until=now + self.lease, leased_by=token, step_attempts=F("step_attempts") + 1
        )
        return self.filter(pk__in=wanted, leased_by=token)


class Claim(Generic[M]):
    """One row, held by a token that exists once; what it says was true when it was claimed."""

    def __init__(self, row: M, token: str) -> None:
        self.row, self._token = row, token
        self._beat_at = time.monotonic()

    @property
    def _lease(self) -> timedelta:
        return self._rows().lease

    def heartbeat(self, *, always: bool = False, **fields: Any) -> None:
        """Hold on for another lease and write `fields`; raises LeaseLostError. Cheap to call often."""
        passed = time.monotonic() - self._beat_at
        if always or fields or passed >= self._lease.total_seconds() * _HEARTBEAT_SHARE:
            self._hold(timezone.now() + self._lease, fields)

    def finish(self, **fields: Any) -> None:
        """Write what a step brought and let go; raises LeaseLostError."""
        self._release({"step_attempts": 0, **fields})

    def defer(self, delay: timedelta, *, counts: bool = True, **fields: Any) -> None:
        """Let go until later, keeping the status; a try that does not count is taken back. Raises LeaseLostError."""
        if not counts:
            fields["step_attempts"] = max(0, self.row.step_attempts - 1)
        self._release({"next_step_at": self.after(delay), **fields})

    def after(self, delay: timedelta) -> datetime | Case:
        """Return when a step is due that waits for `delay`."""
        return timezone.now() + delay

    def _rows(self) -> LeasedQuerySet[M]:
        """Return the QuerySet in which the row may be written; subclasses narrow it to what must not have changed."""
        rows: LeasedQuerySet[M] = type(self.row)._default_manager.all()  # type: ignore[assignment]  # its manager
        return rows

    def _hold(self, until: datetime, fields: dict[str, Any]) -> None:
        self._write({**fields, "lease_until": until})
        self._beat_at = time.monotonic()

    def _release(self, fields: dict[str, Any]) -> None:
        # `sent_at` belongs to the step that ends here, unless the caller sends a message about the next one.
        self._write({"sent_at": None, **fields, "lease_until": None, "leased_by": ""})

    def _write(self, fields: dict[str, Any]) -> None:
        mine = self._rows().filter(pk=self.row.pk, leased_by=self._token).exclude(lease_until=None)
        if not mine.update(**fields):
            raise LeaseLostError(str(self.row.pk))
        for name, value in fields.items():
            setattr(self.row, name, value)


def _on_the_way(now: datetime) -> Q:
    # Clocks of two machines differ by less; a message from further ahead was sent under a clock that was wrong.
    return Q(sent_at__gt=now - RESEND_AFTER, sent_at__lte=now + RESEND_AFTER)


def new_token(worker: str) -> str:
    """Return a name for one claim by `worker`: each claim has its own, so that no two are taken for one."""
    return f"{worker[:80]}/{secrets.token_hex(8)}"
