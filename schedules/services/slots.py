"""Due slots become rows: the worker that inserts one has claimed it, so any number of beats may tick."""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from django.db import transaction
from django.db.models import Case, DateTimeField, Value, When
from django.utils import timezone

from amchelper.bulk import weighed
from schedules.models import (
    MissedPolicy,
    PauseCode,
    Schedule,
    ScheduleQuerySet,
    ScheduleSlot,
    ScheduleStatus,
    SlotReason,
    SlotStatus,
)

logger = logging.getLogger(__name__)

# Schedules that are read and decided together, outside any transaction.
BATCH = 250
# Slots per transaction: short enough that no page waits for the tick on SQLite.
MAX_STORED = 250
# A slot that is found this late is on time; later it was missed.
ON_TIME = dt.timedelta(minutes=10)
# What "run all" may start at once, and how many rows tell about slots that never ran.
MAX_RUNS, MAX_SKIPPED = 10, 100
MISSED = "Missed: nothing was running at that time."
PAUSED = "Missed: the schedule was paused."
UNREADABLE = "Its days and time cannot be read any more. Edit the schedule, then resume it."


@dataclass
class Decision:
    """What becomes of a schedule's slots up to a moment, and when the next one is."""

    schedule: Schedule
    runs: list[dt.datetime] = field(default_factory=list)
    skipped: list[tuple[dt.datetime, str]] = field(default_factory=list)
    # Why all of `skipped` were.
    code: SlotReason = SlotReason.MISSED
    next_run_at: dt.datetime | None = None

    def rows(self, now: dt.datetime) -> Iterable[ScheduleSlot]:
        """Return the slots to insert."""
        for at in self.runs:
            yield ScheduleSlot(schedule=self.schedule, scheduled_for=at, next_step_at=at)
        for at, reason in self.skipped:
            yield ScheduleSlot(
                schedule=self.schedule,
                scheduled_for=at,
                next_step_at=at,
                status=SlotStatus.SKIPPED,
                reason_code=self.code,
                reason=reason,
                finished_at=now,
            )


def claim_due(now: dt.datetime | None = None) -> int:
    """Claim every due slot and move the plans on; returns how many will run. A few statements per batch."""
    now = now or timezone.now()
    claimed = 0
    while decisions := _claim_batch(now):
        claimed += sum(len(decision.runs) for decision in decisions)
    if claimed:
        logger.info("slots claimed count=%s", claimed)
    return claimed


def decide(schedule: Schedule, now: dt.datetime) -> Decision:
    """Say what becomes of the slots up to `now` by the schedule's policy, in bounded time however many there are."""
    recurrence, first = schedule.recurrence, schedule.next_run_at
    following = recurrence.next_slot(first) if first else None
    if first and first <= now and (following is None or following > now):
        # Nearly always: one slot is due.
        newest, count = [first], 1
    else:
        newest = recurrence.latest_slots(schedule.planned_until, now, MAX_RUNS + MAX_SKIPPED)
        count = recurrence.count_slots(schedule.planned_until, now)
        following = recurrence.next_slot(now)
    runs = _slots_to_run(schedule.missed_policy, newest, now)
    missed = newest[len(runs) :]
    return Decision(schedule, runs, _skipped(missed, count - len(runs), MISSED), next_run_at=following)


def decide_paused(schedule: Schedule, now: dt.datetime) -> Decision:
    """Skip all slots up to `now`."""
    recurrence = schedule.recurrence
    newest = recurrence.latest_slots(schedule.planned_until, now, MAX_SKIPPED)
    count = recurrence.count_slots(schedule.planned_until, now)
    return Decision(
        schedule,
        skipped=_skipped(newest, count, PAUSED),
        code=SlotReason.PAUSED,
        next_run_at=recurrence.next_slot(now),
    )


def store(decisions: list[Decision], now: dt.datetime) -> None:
    """Insert the slots, in the transaction that moves the plan; those that exist are another worker's."""
    rows = [row for decision in decisions for row in decision.rows(now)]
    ScheduleSlot.objects.bulk_create(rows, batch_size=1000, ignore_conflicts=True)


def close_past_slots(schedule: Schedule, now: dt.datetime) -> None:
    """Decide the slots up to `now` by the plan as it is, before it changes. Call it in the changing transaction.

    Of a plan that cannot be read any more nobody knows which they were.
    """
    if schedule.readable_recurrence is None:
        return
    decision = decide(schedule, now) if schedule.status == ScheduleStatus.ACTIVE else decide_paused(schedule, now)
    store([decision], now)


def _claim_batch(now: dt.datetime) -> list[Decision]:
    """Decide one batch of due schedules; empty when there are none, or others hold them."""
    schedules = Schedule.objects.due(now).order_by("next_run_at", "pk")[:BATCH]
    decisions = [decision for schedule in schedules if (decision := _decide_safely(schedule, now))]
    stored: list[Decision] = []
    # The years of a schedule that ran nowhere are decided without a lock and stored in parts.
    for part in weighed(decisions, _slots_of, MAX_STORED):
        with transaction.atomic():
            current = _still_due(part, now)
            store(current, now)
            _move_on(Schedule.objects.due(now), current, now)
        stored += current
    return stored


def _slots_of(decision: Decision) -> int:
    return len(decision.runs) + len(decision.skipped)


def _still_due(decisions: list[Decision], now: dt.datetime) -> list[Decision]:
    """Lock the schedules and return the decisions that are about their plans as they are."""
    seen = {decision.schedule.pk: decision for decision in decisions}
    # Skipping what others hold lets two workers share the work; SQLite lets one transaction in at a time. What keeps
    # a slot from running twice is its unique row.
    rows = Schedule.objects.due(now).filter(pk__in=seen).select_for_update(skip_locked=True).order_by("pk")
    plans = rows.values_list("pk", "updated_at", "planned_until", "next_run_at")
    return [seen[pk] for pk, *plan in plans if plan == _plan_of(seen[pk].schedule)]


def _plan_of(schedule: Schedule) -> list[dt.datetime | None]:
    """Return what is another one after each change of the plan."""
    return [schedule.updated_at, schedule.planned_until, schedule.next_run_at]


def _decide_safely(schedule: Schedule, now: dt.datetime) -> Decision | None:
    """Decide; a plan that cannot be read any more is paused, so that it does not stop all others."""
    try:
        return decide(schedule, now)
    except (ValueError, OverflowError):
        logger.exception("schedule unreadable schedule=%s", schedule.schedule_id)
        # As it was read: somebody may be mending it. The next tick has its owner told.
        Schedule.objects.active().filter(pk=schedule.pk, updated_at=schedule.updated_at).update(
            status=ScheduleStatus.PAUSED,
            pause_code=PauseCode.UNREADABLE,
            status_reason=UNREADABLE,
            next_run_at=None,
            owner_told=False,
        )
        return None


def _move_on(due: ScheduleQuerySet, decisions: list[Decision], now: dt.datetime) -> int:
    """Move the plans on in one statement; many schedules share their next moment."""
    following: defaultdict[dt.datetime, list[UUID]] = defaultdict(list)
    for decision in decisions:
        if decision.next_run_at is not None:
            following[decision.next_run_at].append(decision.schedule.pk)
    whens = [When(pk__in=pks, then=Value(moment)) for moment, pks in following.items()]
    # Without a single moment PostgreSQL would not know that the case is one.
    moments = Case(*whens, default=None, output_field=DateTimeField()) if whens else None
    decided = due.filter(pk__in=[decision.schedule.pk for decision in decisions])
    return decided.update(planned_until=now, next_run_at=moments)


def _slots_to_run(policy: str, newest: list[dt.datetime], now: dt.datetime) -> list[dt.datetime]:
    """Return those of the slots, the newest first, that run."""
    if policy == MissedPolicy.ALL:
        return newest[:MAX_RUNS]
    if policy == MissedPolicy.SKIP:
        return [at for at in newest[:1] if at >= now - ON_TIME]
    return newest[:1]


def _skipped(newest: list[dt.datetime], count: int, reason: str) -> list[tuple[dt.datetime, str]]:
    """Return the rows of `count` skipped slots: the newest ones each, the last row speaks for all before it."""
    shown = newest[:MAX_SKIPPED]
    rows = [(at, reason) for at in shown]
    if rows and (untold := count - len(shown)) > 0:
        rows[-1] = (shown[-1], f"{reason} So were {untold:,} runs before it.")
    return rows
