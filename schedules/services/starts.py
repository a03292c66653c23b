"""Claimed slots become executions, each exactly once, whoever dies in between."""

from __future__ import annotations

import datetime as dt
import logging
import uuid

from django.db import transaction
from django.db.models import Case, Exists, OuterRef, Q, UUIDField, Value, When
from django.utils import timezone

from amchelper.exceptions import AmcHelperError
from amchelper.models import User
from executions.errors import NotRunnableError
from executions.models import Execution, Trigger
from executions.services.start import make_execution, queue_executions, start_execution
from instances.models import Health
from instances.models.connection import AmazonConnection
from planning.windows import Window, WindowError, check_window
from schedules.models import MissedPolicy, Schedule, ScheduleSlot, SlotQuerySet, SlotStatus, WindowKind
from schedules.services.outcomes import REASON_LENGTH, count_failures, try_again
from schedules.services.schedules import ScheduleValues
from schedules.services.slots import MISSED, ON_TIME

logger = logging.getLogger(__name__)

BATCH = 250
# Far longer than a batch takes; a slot whose worker died is taken up again after it.
LEASE = dt.timedelta(minutes=3)
# A slot that could not be started for a reason of ours is given up after this long.
GIVE_UP_AFTER = dt.timedelta(hours=1)
_KEYS = uuid.UUID("6f1d1c5e-6c0e-4d51-9a56-51a7c9e0f0a4")


def start_claimed(now: dt.datetime | None = None) -> int:
    """Start every claimed slot that waits for it, retries and those left behind by a crash too; returns how many.

    A batch costs as many statements as one slot.
    """
    started = 0
    # Each batch by its own clock: a lease that was counted from the first one would be over when it is given.
    while pks := _take(moment := now or timezone.now()):
        started += _start_safely(pks, moment)
    if started:
        logger.info("slots started count=%s", started)
    return started


def run_now(*, user: User, schedule: Schedule, submission_key: uuid.UUID | None = None) -> Execution:
    """Run a schedule once by hand, with today's window; the plan stays. Raises what `start_execution` raises."""
    try:
        window = ScheduleValues.of(schedule).window_at(timezone.now())
    except WindowError as problem:
        raise NotRunnableError(str(problem)) from problem
    return start_execution(
        user=user,
        template=schedule.template,
        window=window,
        trigger=Trigger.MANUAL,
        submission_key=submission_key,
        schedule_id=schedule.pk,
    )


def submission_key(slot: ScheduleSlot) -> uuid.UUID:
    """Return the key of the slot's present attempt: the same in every process and after every crash."""
    moment = slot.scheduled_for.astimezone(dt.UTC).isoformat()
    return uuid.uuid5(_KEYS, f"{slot.schedule_id}/{moment}/{slot.attempts}")


def _take(now: dt.datetime) -> list[int]:
    """Reserve a batch of claimed slots for one lease."""
    waiting = ScheduleSlot.objects.filter(status=SlotStatus.CLAIMED).filter(
        Q(retry_at=None) | Q(retry_at__lte=now)
    )
    if not waiting.exists():
        return []
    with transaction.atomic():
        rows = waiting.select_for_update(skip_locked=True).order_by("scheduled_for", "pk")
        pks = list(rows.values_list("pk", flat=True)[:BATCH])
        # The reservation only spares work: a slot that two start at once still gets one execution, by its key.
        waiting.filter(pk__in=pks).update(retry_at=now + LEASE)
    return pks


def _with_all(slots: SlotQuerySet) -> SlotQuerySet:
    """Bring along all that decides whether a slot may start."""
    newer = ScheduleSlot.objects.filter(
        schedule=OuterRef("schedule"), scheduled_for__gt=OuterRef("scheduled_for")
    ).exclude(status=SlotStatus.SKIPPED)
    # Not joined: many slots share few templates, owners and instances, and SQL can be long.
    return slots.annotate(has_newer=Exists(newer)).prefetch_related(
        "schedule__user",
        "schedule__template",
        "schedule__instance__account__connection",
        "schedule__instance__brands",
    )


def _load(pks: list[int]) -> list[ScheduleSlot]:
    """Read slots that are still to be started, the oldest first."""
    slots = ScheduleSlot.objects.filter(pk__in=pks, status=SlotStatus.CLAIMED)
    return list(_with_all(slots).order_by("scheduled_for", "pk"))


def _start_safely(pks: list[int], now: dt.datetime) -> int:
    """Start slots together, or one by one when that fails: a bug at one must not keep the others from running."""
    slots = _load(pks)
    try:
        return _start(slots, now)
    except Exception:
        if len(slots) > 1:
            logger.warning("slots not started together count=%s", len(slots), exc_info=True)
            return sum(_start_safely([slot.pk], now) for slot in slots)
        logger.exception("slot not started slot=%s", pks[0])
        # What was planned for it was not written; read again, it is either left or given up.
        if given_up := [slot for slot in _load(pks) if _give_up(slot, now)]:
            _store(given_up, {})
        return 0


def _start(slots: list[ScheduleSlot], now: dt.datetime) -> int:
    """Write what becomes of slots, all or nothing; returns how many were started."""
    decided, wanted = [], {}
    for slot in slots:
        try:
            execution = _judge(slot, now)
        except Exception:
            logger.exception("slot not started schedule=%s slot=%s", slot.schedule.schedule_id, slot.pk)
            execution = None
            if not _give_up(slot, now):
                continue
        decided.append(slot)
        if execution is not None:
            wanted[slot.pk] = execution
    return _store(decided, wanted) if decided else 0


def _store(slots: list[ScheduleSlot], wanted: dict[int, Execution]) -> int:
    """Write decided slots and the executions of those that start, by slot; returns how many those were."""
    with transaction.atomic():
        waiting = ScheduleSlot.objects.filter(pk__in=[slot.pk for slot in slots], status=SlotStatus.CLAIMED)
        # Whoever holds the rows decides; a worker whose reservation ran out meanwhile finds them decided.
        mine = set(waiting.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
        wanted = _queue({pk: execution for pk, execution in wanted.items() if pk in mine})
        if wanted:
            tied = Case(
                *(When(pk=pk, then=Value(execution.pk)) for pk, execution in wanted.items()),
                output_field=UUIDField(),
            )
            ScheduleSlot.objects.filter(pk__in=wanted).update(
                status=SlotStatus.STARTED, execution=tied, reason="", retry_at=None
            )
        if others := [slot for slot in slots if slot.pk in mine and slot.pk not in wanted]:
            ScheduleSlot.objects.bulk_update(others, ["status", "reason", "attempts", "retry_at", "finished_at"])
            count_failures(others)
    return len(wanted)


def _queue(wanted: dict[int, Execution]) -> dict[int, Execution]:
    """Write the executions that do not exist yet; gives, by slot, those that count."""
    keys = [execution.submission_key for execution in wanted.values()]
    if not keys:
        return {}
    found = Execution.objects.filter(submission_key__in=keys).only("pk", "submission_key")
    made = {execution.submission_key: execution for execution in found}
    if new := [execution for execution in wanted.values() if execution.submission_key not in made]:
        queue_executions(new)
    return {pk: made.get(execution.submission_key, execution) for pk, execution in wanted.items()}


def _judge(slot: ScheduleSlot, now: dt.datetime) -> Execution | None:
    """Say in the slot what becomes of it, and give the execution it is to have; nothing is written."""
    schedule = slot.schedule
    if reason := _refusal(slot, now):
        _finish(slot, SlotStatus.SKIPPED, reason, now)
        return None
    template = schedule.template
    # The same one, with its account, login and brands.
    template.instance = schedule.instance
    try:
        execution = make_execution(
            user=schedule.user,
            template=template,
            window=_window(slot, now),
            trigger=Trigger.SCHEDULE,
            schedule_id=schedule.pk,
        )
    except WindowError as error:
        # Fixed dates need somebody to change them; a rolling window is only too old because the slot is so late.
        is_fixed = schedule.window_kind == WindowKind.FIXED
        _finish(slot, SlotStatus.FAILED if is_fixed else SlotStatus.SKIPPED, str(error), now)
    except AmcHelperError as error:
        _fail(slot, error.message, now)
    else:
        execution.submission_key = submission_key(slot)
        return execution
    return None


def _fail(slot: ScheduleSlot, error: str, now: dt.datetime) -> None:
    """End a slot that was refused, or try again while nobody could find out how its instance is."""
    if slot.schedule.instance.health_status != Health.ERROR or not try_again(slot, error, now):
        _finish(slot, SlotStatus.FAILED, error, now)


def _give_up(slot: ScheduleSlot, now: dt.datetime) -> bool:
    """End a slot that could not be started for a reason of ours, once that has been so for long."""
    if slot.created_at > now - GIVE_UP_AFTER:
        return False
    _finish(slot, SlotStatus.FAILED, "Internal error. The administrator finds it in the log.", now)
    return True


def _finish(slot: ScheduleSlot, status: str, reason: str, now: dt.datetime) -> None:
    slot.status, slot.reason, slot.finished_at, slot.retry_at = status, reason[:REASON_LENGTH], now, None


def _window(slot: ScheduleSlot, now: dt.datetime) -> Window:
    """Return the window of the planned time, not of now; raises WindowError."""
    window = ScheduleValues.of(slot.schedule).window_at(slot.scheduled_for)
    verdict = check_window(window, now)
    if not verdict.is_ok:
        raise WindowError(verdict.errors[0].message)
    return window


def _refusal(slot: ScheduleSlot, now: dt.datetime) -> str:
    """Say why a slot does not run: things may have changed since it was planned."""
    schedule = slot.schedule
    instance, template = schedule.instance, schedule.template
    login = instance.account.connection
    reasons = (
        (schedule.deleted_at is not None, "The schedule was deleted."),
        (not schedule.is_active, "The schedule was paused."),
        (_is_left_behind(slot, now), MISSED),
        (not schedule.user.is_active, "Its owner's account is disabled."),
        (instance.user_id != schedule.user_id, "The instance belongs to somebody else now."),
        (template.instance_id != schedule.instance_id, "The template belongs to another instance."),
        (template.is_archived, "The template is archived."),
        (not instance.is_active, "The instance is disabled."),
        (
            login.status != AmazonConnection.Status.CONNECTED,
            f"{login.label} is not connected. Reconnect it under Connections.",
        ),
        # ERROR means that we could not find out: such slots try.
        (
            instance.health_status == Health.UNHEALTHY,
            f"The instance is unhealthy: {instance.health_error or 'its last check failed.'}",
        ),
    )
    return next((reason for applies, reason in reasons if applies), "")


def _is_left_behind(slot: ScheduleSlot, now: dt.datetime) -> bool:
    """Return whether a slot claimed long ago and never started is too late for its policy."""
    if slot.attempts or slot.created_at > now - ON_TIME:
        return False
    policy = slot.schedule.missed_policy
    return policy == MissedPolicy.SKIP or (policy == MissedPolicy.LATEST and getattr(slot, "has_newer", False))
