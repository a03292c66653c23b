"""Failures of schedules: counted, forgotten after a success, and too many in a row pause the schedule."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from smtplib import SMTPException
from uuid import UUID

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction
from django.db.models import Exists, F, OuterRef, Subquery

from amchelper.queue import send_task
from executions.models import Execution, ExecutionStatus
from schedules.models import MAX_REASON, PauseCode, Schedule, ScheduleSlot, ScheduleStatus, SlotStatus

logger = logging.getLogger(__name__)

FAILURES_TO_PAUSE = 5
# Schedules that one mail names.
MAX_TOLD = 20
_TELL_OWNER = "schedules.tasks.tell_owner"


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
    succeeded = Schedule.objects.filter(Exists(success), consecutive_failures__gt=0)
    # Without this every tick would take SQLite's write lock, while it looks for them.
    if pks := list(succeeded.values_list("pk", flat=True)):
        succeeded.filter(pk__in=pks).update(consecutive_failures=0)


def pause_failing() -> int:
    """Pause schedules whose slots failed too often in a row, and have their owners told; returns how many."""
    failing = Schedule.objects.active().filter(consecutive_failures__gte=FAILURES_TO_PAUSE)
    paused = 0
    for schedule in failing.only("schedule_id", "consecutive_failures"):
        reason = f"Paused after {schedule.consecutive_failures} failed runs in a row. {_last_words(schedule)}"
        changed = failing.filter(pk=schedule.pk).update(
            status=ScheduleStatus.PAUSED,
            pause_code=PauseCode.FAILURES,
            status_reason=reason[:MAX_REASON],
            next_run_at=None,
            owner_told=False,
        )
        if changed:
            # One of several that tick gets here.
            paused += 1
            logger.warning("schedule paused schedule=%s failures=%s", schedule.schedule_id, FAILURES_TO_PAUSE)
    # Mail takes its time, and many schedules of one owner fail together.
    for owner in Schedule.objects.to_tell().order_by().values_list("created_by", flat=True).distinct():
        send_task(_TELL_OWNER, str(owner))
    return paused


def tell_owner(owner: UUID) -> None:
    """Write to an owner which schedules stopped since the last mail, all in one.

    The pages and Home say it too, so a mail that cannot be sent is not tried again.
    """
    with transaction.atomic():
        rows = Schedule.objects.to_tell().filter(created_by=owner).with_relations()
        # Of two that tell at once the second waits, and finds nothing left: parts of the rows would be several mails.
        schedules = list(rows.select_for_update(of=("self",)))
        Schedule.objects.filter(pk__in=[schedule.pk for schedule in schedules]).update(owner_told=True)
    if not schedules:
        return
    user = schedules[0].created_by
    if not user.is_active or not user.email:
        return
    try:
        send_mail(_subject(schedules), _text(schedules), None, [user.email])
    except (SMTPException, OSError):
        logger.exception("mail not sent schedules=%s", len(schedules))


def _last_words(schedule: Schedule) -> str:
    failed = ScheduleSlot.objects.filter(schedule=schedule, status=SlotStatus.FAILED).order_by("-finished_at")
    return failed.values_list("reason", flat=True).first() or ""


def _subject(schedules: Sequence[Schedule]) -> str:
    which = schedules[0].name if len(schedules) == 1 else f"{len(schedules)} schedules"
    # A name is a line: a subject must not have a second one.
    return " ".join(f"AMC Helper: {which} {'is' if len(schedules) == 1 else 'are'} paused".split())


def _text(schedules: Sequence[Schedule]) -> str:
    told = [
        f"The schedule “{schedule.name}” of {schedule.instance.name} starts no more runs.\n"
        f"{schedule.status_reason}\n{settings.SITE_URL}{schedule.get_absolute_url()}"
        for schedule in schedules[:MAX_TOLD]
    ]
    if len(schedules) > MAX_TOLD:
        told.append(f"And {len(schedules) - MAX_TOLD} more; the page Schedules names all that stopped.")
    return "\n\n".join([*told, "Correct what is wrong, run it once by hand, and resume it.\n"])
