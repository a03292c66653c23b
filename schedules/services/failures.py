"""Failures of schedules: counted, forgotten after a success, and too many in a row pause the schedule."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from smtplib import SMTPException
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.db.models import Exists, F, OuterRef, Subquery

from executions.models import Execution, ExecutionStatus
from schedules.models import MAX_REASON, PauseCode, Schedule, ScheduleSlot, ScheduleStatus, SlotStatus

logger = logging.getLogger(__name__)

FAILURES_TO_PAUSE = 5


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


def forget_failures_before_success() -> None:
    """Set the count of schedules back that were run by hand with success after their last failed slot."""
    last_failure = (
        ScheduleSlot.objects.filter(schedule=OuterRef("schedule"), status=SlotStatus.FAILED)
        .order_by("-finished_at")
        .values("finished_at")[:1]
    )
    success = Execution.objects.filter(
        schedule=OuterRef("pk"), status=ExecutionStatus.SUCCEEDED, finished_at__gt=Subquery(last_failure)
    )
    Schedule.objects.filter(Exists(success), consecutive_failures__gt=0).update(consecutive_failures=0)


def pause_failing() -> int:
    """Pause schedules whose slots failed too often in a row, and tell their owners; returns how many."""
    failing = Schedule.objects.active().filter(consecutive_failures__gte=FAILURES_TO_PAUSE)
    paused = 0
    for schedule in failing.with_relations():
        reason = f"Paused after {schedule.consecutive_failures} failed runs in a row. {_last_words(schedule)}"
        changed = failing.filter(pk=schedule.pk).update(
            status=ScheduleStatus.PAUSED,
            pause_code=PauseCode.FAILURES,
            status_reason=reason[:MAX_REASON],
            next_run_at=None,
        )
        if changed:
            # One of several that tick gets here.
            paused += 1
            schedule.status_reason = reason
            logger.warning("schedule paused schedule=%s failures=%s", schedule.schedule_id, FAILURES_TO_PAUSE)
            _tell_owner(schedule)
    return paused


def _last_words(schedule: Schedule) -> str:
    failed = ScheduleSlot.objects.filter(schedule=schedule, status=SlotStatus.FAILED).order_by("-finished_at")
    return failed.values_list("reason", flat=True).first() or ""


def _tell_owner(schedule: Schedule) -> None:
    """Write to the owner; the page and Home say it too, so a mail that cannot be sent loses nothing."""
    owner = schedule.created_by
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
