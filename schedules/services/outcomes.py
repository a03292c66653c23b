"""What became of the executions that slots started: success, failure, another try; and when a schedule gives up."""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Iterable
from smtplib import SMTPException
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.utils import timezone

from executions.models import FINAL_STATUSES, Execution, ExecutionStatus
from instances.amc.errors import (
    AmcLimitError,
    AmcNotReadyError,
    AmcNotVisibleError,
    AmcThrottledError,
    AmcTimeoutError,
    AmcUnavailableError,
)
from schedules.models import Schedule, ScheduleSlot, ScheduleStatus, SlotStatus

logger = logging.getLogger(__name__)

BATCH = 500
_PASSING_ERRORS = (
    AmcLimitError,
    AmcNotReadyError,
    AmcNotVisibleError,
    AmcThrottledError,
    AmcTimeoutError,
    AmcUnavailableError,
)
# What goes away by itself: trouble on the way, and runs that AMC failed for no reason it could name. Not among them:
# an outcome nobody knows, because AMC may have the run already.
TRANSIENT_CODES = frozenset({"amc_failed", *(error.default_reason for error in _PASSING_ERRORS)})
BACKOFF = (dt.timedelta(minutes=5), dt.timedelta(minutes=15), dt.timedelta(minutes=45))
FAILURES_TO_PAUSE = 5
REASON_LENGTH = 300


def settle_slots(now: dt.datetime | None = None) -> int:
    """Let started slots follow their executions, pause schedules that keep failing; returns how many were settled."""
    now = now or timezone.now()
    _reset_after_manual_success()
    settled = 0
    while count := _settle_batch(now):
        settled += count
    if settled:
        # A success by hand that came after the failures of this very tick counts too.
        _reset_after_manual_success()
        logger.info("slots settled count=%s", settled)
    pause_failing()
    return settled


def pause_failing() -> int:
    """Pause schedules whose slots failed too often in a row, and tell their owners; returns how many."""
    failing = Schedule.objects.active().filter(consecutive_failures__gte=FAILURES_TO_PAUSE)
    paused = 0
    for schedule in failing.with_relations():
        reason = f"Paused after {schedule.consecutive_failures} failed runs in a row. {_last_words(schedule)}"
        changed = failing.filter(pk=schedule.pk).update(
            status=ScheduleStatus.PAUSED, status_reason=reason[:REASON_LENGTH], next_run_at=None
        )
        if changed:
            # One of several that tick gets here.
            paused += 1
            schedule.status_reason = reason
            logger.warning("schedule paused schedule=%s", schedule.schedule_id)
            _tell_owner(schedule)
    return paused


def _settle_batch(now: dt.datetime) -> int:
    finished = ScheduleSlot.objects.filter(status=SlotStatus.STARTED).filter(
        Q(execution=None) | Q(execution__status__in=FINAL_STATUSES)
    )
    if not finished.exists():
        return 0
    with transaction.atomic():
        rows = finished.select_for_update(of=("self",), skip_locked=True).select_related("execution")
        slots = list(rows.order_by("execution__finished_at", "pk")[:BATCH])
        for slot in slots:
            _follow(slot, now)
        ScheduleSlot.objects.filter(status=SlotStatus.STARTED).bulk_update(
            slots, ["status", "reason", "attempts", "retry_at", "finished_at"]
        )
        count_failures(slots)
    return len(slots)


def _follow(slot: ScheduleSlot, now: dt.datetime) -> None:
    """Give the slot the status its execution stands for."""
    execution = slot.execution
    if execution is None:
        slot.status, slot.reason, slot.finished_at = SlotStatus.FAILED, "Its run was deleted before it ended.", now
        return
    if execution.status == ExecutionStatus.SUCCEEDED:
        slot.status, slot.reason, slot.finished_at = SlotStatus.SUCCEEDED, "", execution.finished_at
        return
    if execution.status == ExecutionStatus.CANCELLED:
        # Somebody's wish, not a failure that needs a look.
        slot.status, slot.reason, slot.finished_at = (
            SlotStatus.SKIPPED,
            "Its run was cancelled.",
            execution.finished_at,
        )
        return
    error = execution.error or execution.get_status_display()
    if _is_transient(execution) and try_again(slot, error, now):
        return
    slot.status, slot.reason, slot.finished_at = SlotStatus.FAILED, error[:REASON_LENGTH], execution.finished_at


def try_again(slot: ScheduleSlot, error: str, now: dt.datetime) -> bool:
    """Plan the next attempt of a slot, not saved; False after the last one."""
    if slot.attempts >= len(BACKOFF):
        return False
    slot.retry_at = now + BACKOFF[slot.attempts]
    slot.attempts += 1
    slot.status = SlotStatus.CLAIMED
    slot.reason = f"Try {slot.attempts + 1} of {len(BACKOFF) + 1} follows. {error}"[:REASON_LENGTH]
    return True


def _is_transient(execution: Execution) -> bool:
    return execution.status == ExecutionStatus.FAILED and execution.error_code in TRANSIENT_CODES


def count_failures(slots: Iterable[ScheduleSlot]) -> None:
    """Count the failures since the last success; `slots` come in the order their executions ended."""
    failures: defaultdict[UUID, int] = defaultdict(int)
    succeeded = set()
    for slot in slots:
        if slot.status == SlotStatus.SUCCEEDED:
            succeeded.add(slot.schedule_id)
            failures[slot.schedule_id] = 0
        elif slot.status == SlotStatus.FAILED:
            failures[slot.schedule_id] += 1
    changes: defaultdict[tuple[bool, int], list[UUID]] = defaultdict(list)
    for schedule_id, count in failures.items():
        changes[schedule_id in succeeded, count].append(schedule_id)
    # A few statements: most schedules succeed, or fail once.
    for (has_success, count), schedule_ids in changes.items():
        value = count if has_success else F("consecutive_failures") + count
        Schedule.objects.filter(pk__in=schedule_ids).update(consecutive_failures=value)


def _reset_after_manual_success() -> None:
    """Forget the failures of schedules that were run by hand with success after the last of them."""
    last_failure = (
        ScheduleSlot.objects.filter(schedule=OuterRef("schedule"), status=SlotStatus.FAILED)
        .order_by("-finished_at")
        .values("finished_at")[:1]
    )
    success = Execution.objects.filter(
        schedule=OuterRef("pk"), status=ExecutionStatus.SUCCEEDED, finished_at__gt=Subquery(last_failure)
    )
    Schedule.objects.filter(Exists(success), consecutive_failures__gt=0).update(consecutive_failures=0)


def _last_words(schedule: Schedule) -> str:
    failed = ScheduleSlot.objects.filter(schedule=schedule, status=SlotStatus.FAILED).order_by("-finished_at")
    return failed.values_list("reason", flat=True).first() or ""


def _tell_owner(schedule: Schedule) -> None:
    """Write to the owner; the page and Home say it too, so a mail that cannot be sent loses nothing."""
    owner = schedule.user
    if not owner.is_active or not owner.email:
        return
    text = (
        f"The schedule “{schedule.name}” of {schedule.instance.name} starts no more runs.\n\n"
        f"{schedule.status_reason}\n\n"
        "Correct what is wrong, run it once by hand, and resume it:\n"
        f"{settings.SITE_URL}{schedule.get_absolute_url()}\n"
    )
    # A name is a line: a subject must not have a second one.
    subject = " ".join(f"AMC Helper: {schedule.name} is paused".split())
    try:
        send_mail(subject, text, None, [owner.email])
    except (SMTPException, OSError):
        logger.exception("mail not sent schedule=%s", schedule.schedule_id)
