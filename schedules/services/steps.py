"""The steps of slots: a claimed one becomes an execution, exactly once, and then follows it to its end."""

from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Case, Exists, OuterRef, UUIDField, Value, When
from django.utils import timezone

from amchelper.bulk import BATCH_BYTES, update_rows, weighed
from amchelper.busy import is_busy
from amchelper.leases import new_token
from executions.errors import ErrorCode, NotRunnableError
from executions.models import Execution, ExecutionStatus, Trigger
from executions.services.readiness import StartAction, blocking_verdict
from executions.services.start import make_execution, queue_executions
from instances.amc.errors import (
    AmcLimitError,
    AmcNotReadyError,
    AmcNotVisibleError,
    AmcSlowError,
    AmcThrottledError,
    AmcTimeoutError,
    AmcUnavailableError,
)
from instances.models import Health
from planning.windows import Window, WindowError, check_window
from schedules.models import (
    MAX_REASON,
    MissedPolicy,
    ScheduleSlot,
    ScheduleSlotQuerySet,
    SlotReason,
    SlotStatus,
    WindowKind,
)
from schedules.services.failures import count_failures, forget_failures_before_success, pause_failing
from schedules.services.schedules import ScheduleValues
from schedules.services.slots import MISSED, ON_TIME, claim_due

logger = logging.getLogger(__name__)

# Slots that a worker holds together.
BATCH = 250
# Slots per transaction, with their runs: short enough that no page waits for the tick on SQLite.
MAX_STORED = 50
# A slot that could not be started for a reason of ours is given up after this long.
GIVE_UP_AFTER = dt.timedelta(hours=1)
# Each shorter than the leases' CLOCK_SKEW_LIMIT: a time beyond that counts as due.
BACKOFF = (dt.timedelta(minutes=5), dt.timedelta(minutes=15), dt.timedelta(minutes=45))
_PASSING_ERRORS = (
    AmcLimitError,
    AmcNotReadyError,
    AmcNotVisibleError,
    AmcSlowError,
    AmcThrottledError,
    AmcTimeoutError,
    AmcUnavailableError,
)
# What goes away by itself: trouble on the way, and runs that AMC failed for no reason it could name. Not among them:
# an outcome that is not known, because AMC may have the run already.
TRANSIENT_CODES = frozenset({ErrorCode.AMC_FAILED.value, *(error.default_reason for error in _PASSING_ERRORS)})
_CHANGING = (
    "status",
    "reason_code",
    "reason",
    "attempts",
    "next_step_at",
    "finished_at",
    "lease_until",
    "leased_by",
    "step_attempts",
)
_KEYS = uuid.UUID("6f1d1c5e-6c0e-4d51-9a56-51a7c9e0f0a4")


@dataclass(frozen=True)
class SlotBatch:
    """Slots that one worker holds for a lease, by a token that exists once."""

    token: str
    pks: Sequence[int]

    def held(self) -> ScheduleSlotQuerySet:
        """Return those that are still this worker's, and still to be started."""
        return ScheduleSlot.objects.unfinished().filter(pk__in=self.pks, leased_by=self.token)

    def load(self) -> list[ScheduleSlot]:
        """Return them with all that decides whether they may start, the oldest first. A few statements."""
        newer = ScheduleSlot.objects.filter(
            schedule=OuterRef("schedule"), scheduled_for__gt=OuterRef("scheduled_for")
        ).exclude(status=SlotStatus.SKIPPED)
        # Not joined: many slots share few templates, creators and instances, and SQL can be long.
        slots = self.held().annotate(has_newer=Exists(newer)).prefetch_related(
            "schedule__created_by",
            "schedule__template",
            "schedule__instance__account__connection",
            "schedule__instance__brands",
        )  # fmt: skip
        return list(slots.order_by("scheduled_for", "pk"))


def run_due_slots(now: dt.datetime | None = None) -> None:
    """Do what is due of all schedules: slots follow their runs, due ones are claimed, claimed ones start.

    In this order, so that a schedule that has just failed once too often starts no other run. A tick that dies
    anywhere, or ticks together with others, loses and doubles nothing: each step begins from the rows.
    """
    # A step that fails must not keep the next ones from running, nor go unnoticed.
    try:
        sync_slots(now)
    finally:
        try:
            claim_due(now)
        finally:
            start_claimed(now)


def start_claimed(now: dt.datetime | None = None) -> int:
    """Start every claimed slot that waits for it, retries and those left behind by a crash too; returns how many.

    A batch costs as many statements as one slot.
    """
    started = 0
    # Each batch by its own clock: a lease that was counted from the first one would be over when it is given.
    while batch := _claim_batch(moment := now or timezone.now()):
        started += _start_safely(batch, moment)
    if started:
        logger.info("slots started count=%s", started)
    return started


def sync_slots(now: dt.datetime | None = None) -> int:
    """Let started slots follow their executions, pause schedules that keep failing; returns how many ended."""
    now = now or timezone.now()
    forget_failures_before_success()
    synced = 0
    while count := _sync_batch(now):
        synced += count
    if synced:
        # A success by hand that came after the failures of this very tick counts too.
        forget_failures_before_success()
        logger.info("slots synced count=%s", synced)
    pause_failing()
    return synced


def submission_key(slot: ScheduleSlot) -> uuid.UUID:
    """Return the key of the slot's present attempt: the same in every process and after every crash."""
    moment = slot.scheduled_for.astimezone(dt.UTC).isoformat()
    return uuid.uuid5(_KEYS, f"{slot.schedule_id}/{moment}/{slot.attempts}")


def _claim_batch(now: dt.datetime) -> SlotBatch | None:
    """Hold a batch of due slots for one lease; None when there are none, or other workers hold them."""
    due = ScheduleSlot.objects.due(now)
    if not due.exists():
        # Without this every tick would take SQLite's write lock.
        return None
    token = new_token(f"{socket.gethostname()}:{os.getpid()}")
    with transaction.atomic():
        # Skipping what others are about to claim lets workers share the work; the claim itself decides.
        rows = due.select_for_update(skip_locked=True).order_by("scheduled_for", "pk")
        pks = list(rows.values_list("pk", flat=True)[:BATCH])
        ScheduleSlot.objects.claim(pks, token=token, now=now)
    return SlotBatch(token, pks) if pks else None


def _start_safely(batch: SlotBatch, now: dt.datetime) -> int:
    """Start slots together, or one by one when that fails: a bug at one must not keep the others from running."""
    slots = batch.load()
    try:
        return _start(batch, slots, now)
    # Whatever it was, it must not keep the others from running.
    except Exception as error:
        if is_busy(error):
            # One by one would wait for the database as often as there are slots. They stay held, and come again.
            raise
        if isinstance(error, NotRunnableError) and len(slots) == 1:
            # Its template was put away since it was judged; when it comes again it is judged as it is then.
            logger.info("slot not started slot=%s why=%s", batch.pks[0], error.message)
            return 0
        if len(slots) > 1:
            logger.warning("slots not started together count=%s", len(slots), exc_info=True)
            return sum(_start_safely(SlotBatch(batch.token, [slot.pk]), now) for slot in slots)
        logger.exception("slot not started slot=%s", batch.pks[0])
        # What was planned for it was not written. It stays held, so that it is tried again only after the lease.
        if given_up := [slot for slot in batch.load() if _give_up(slot, now)]:
            _store(batch, given_up, {})
        return 0


def _start(batch: SlotBatch, slots: list[ScheduleSlot], now: dt.datetime) -> int:
    """Write what becomes of slots, each with its run or not at all; returns how many were started."""
    decided, wanted = [], {}
    for slot in slots:
        try:
            execution = _judge(slot, now)
        # One slot that cannot be judged stays held until the lease ends; the others start.
        except Exception as error:
            if is_busy(error):
                raise
            logger.exception("slot not started schedule=%s slot=%s", slot.schedule.schedule_id, slot.pk)
            execution = None
            if not _give_up(slot, now):
                continue
        decided.append(slot)
        if execution is not None:
            wanted[slot.pk] = execution

    def bytes_of(slot: ScheduleSlot) -> int:
        return wanted[slot.pk].text_length if slot.pk in wanted else 0

    parts = weighed(decided, bytes_of, BATCH_BYTES, MAX_STORED)
    return sum(_store(batch, part, {s.pk: wanted[s.pk] for s in part if s.pk in wanted}) for part in parts)


def _store(batch: SlotBatch, slots: list[ScheduleSlot], wanted: dict[int, Execution]) -> int:
    """Write decided slots and the executions of those that start, by slot; returns how many those were."""
    with transaction.atomic():
        # A worker whose lease ran out meanwhile finds another one's token, or the slots decided.
        mine = set(batch.held().select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
        wanted = _queue({pk: execution for pk, execution in wanted.items() if pk in mine})
        if wanted:
            tied = Case(
                *(When(pk=pk, then=Value(execution.pk)) for pk, execution in wanted.items()),
                output_field=UUIDField(),
            )
            ScheduleSlot.objects.filter(pk__in=wanted).update(
                status=SlotStatus.STARTED, execution=tied, reason_code="", reason="", lease_until=None,
                leased_by="", step_attempts=0,
            )  # fmt: skip
        if others := [slot for slot in slots if slot.pk in mine and slot.pk not in wanted]:
            update_rows(others, _CHANGING)
            count_failures(others)
    return len(wanted)


def _queue(wanted: dict[int, Execution]) -> dict[int, Execution]:
    """Write the executions that do not exist yet; returns, by slot, those that count."""
    keys = [execution.submission_key for execution in wanted.values()]
    if not keys:
        return {}
    found = Execution.objects.filter(submission_key__in=keys).only("pk", "submission_key")
    made = {execution.submission_key: execution for execution in found}
    if new := [execution for execution in wanted.values() if execution.submission_key not in made]:
        queue_executions(new, actor=None)
    return {pk: made.get(execution.submission_key, execution) for pk, execution in wanted.items()}


def _judge(slot: ScheduleSlot, now: dt.datetime) -> Execution | None:
    """Say in the slot what becomes of it, and return the execution it is to have; nothing is written."""
    schedule = slot.schedule
    if skip := _why_skip(slot, now):
        # While no check could find out how a new instance is, it is worth another try.
        is_unknown = skip[0] == ErrorCode.INSTANCE_PENDING and schedule.instance.health_status == Health.ERROR
        if not (is_unknown and _try_again(slot, *skip, now)):
            slot.finish(SlotStatus.SKIPPED, *skip, now)
        return None
    template = schedule.template
    # The same one, with its account, login and brands.
    template.instance = schedule.instance
    try:
        execution = make_execution(
            created_by=schedule.created_by,
            template=template,
            window=_window(slot, now),
            trigger=Trigger.SCHEDULE,
            schedule_id=schedule.pk,
        )
    except WindowError as error:
        # Fixed dates need a change by hand; a rolling window is only too old because the slot is so late.
        status = SlotStatus.FAILED if schedule.window_kind == WindowKind.FIXED else SlotStatus.SKIPPED
        slot.finish(status, ErrorCode.WINDOW_REFUSED, str(error), now)
    except NotRunnableError as error:
        slot.finish(SlotStatus.FAILED, error.reason, error.message, now)
    else:
        execution.submission_key = submission_key(slot)
        return execution
    return None


def _why_skip(slot: ScheduleSlot, now: dt.datetime) -> tuple[str, str] | None:
    """Return code and sentence of what skips a slot, or None: things may have changed since it was planned."""
    schedule = slot.schedule
    instance, template = schedule.instance, schedule.template
    # What only concerns schedules; all else is the same for every run.
    reasons = (
        (schedule.deleted_at is not None, SlotReason.DELETED, "The schedule was deleted."),
        (not schedule.is_active, SlotReason.PAUSED, "The schedule was paused."),
        (_is_left_behind(slot, now), SlotReason.MISSED, MISSED),
        (not schedule.created_by.is_active, SlotReason.OWNER_DISABLED, "Its owner's account is disabled."),
        (
            instance.user_id != schedule.created_by_id,
            SlotReason.INSTANCE_GIVEN_AWAY,
            "The instance belongs to another user now.",
        ),
        (
            template.instance_id != schedule.instance_id,
            SlotReason.TEMPLATE_MOVED,
            "The template belongs to another instance.",
        ),
    )
    for applies, code, reason in reasons:
        if applies:
            return code, reason
    verdict = blocking_verdict(instance, template, now=now, is_planned=True)
    if verdict is not None and verdict.action is StartAction.SKIP:
        return verdict.code, verdict.message
    return None


def _give_up(slot: ScheduleSlot, now: dt.datetime) -> bool:
    """End a slot that could not be started for a reason of ours, once that has been so for long."""
    if slot.created_at > now - GIVE_UP_AFTER:
        return False
    slot.finish(
        SlotStatus.FAILED,
        ErrorCode.INTERNAL,
        "Internal error. The administrator finds it in the log.",
        now,
    )
    return True


def _window(slot: ScheduleSlot, now: dt.datetime) -> Window:
    """Return the window of the planned time, not of now; raises WindowError."""
    window = ScheduleValues.of(slot.schedule).window_at(slot.scheduled_for)
    verdict = check_window(window, now)
    if not verdict.is_ok:
        raise WindowError(" ".join(error.message for error in verdict.errors))
    return window


def _is_left_behind(slot: ScheduleSlot, now: dt.datetime) -> bool:
    """Return whether a slot claimed long ago and never started is too late for its policy."""
    if slot.attempts or slot.created_at > now - ON_TIME:
        return False
    policy = slot.schedule.missed_policy
    return policy == MissedPolicy.SKIP or (policy == MissedPolicy.LATEST and getattr(slot, "has_newer", False))


def _sync_batch(now: dt.datetime) -> int:
    ended = ScheduleSlot.objects.to_sync()
    if not ended.exists():
        return 0
    with transaction.atomic():
        rows = ended.select_for_update(of=("self",), skip_locked=True).select_related("execution")
        rows = rows.defer("execution__source_sql", "execution__sql_query", "execution__parameter_values")
        slots = list(rows.order_by("execution__finished_at", "pk")[:BATCH])
        for slot in slots:
            _follow(slot, now)
        update_rows(slots, _CHANGING)
        count_failures(slots)
    return len(slots)


def _follow(slot: ScheduleSlot, now: dt.datetime) -> None:
    """Give the slot the status its execution stands for; not saved."""
    execution = slot.execution
    if execution is None:
        slot.finish(SlotStatus.FAILED, SlotReason.RUN_DELETED, "Its run was deleted before it ended.", now)
    elif execution.status == ExecutionStatus.SUCCEEDED:
        slot.finish(SlotStatus.SUCCEEDED, "", "", execution.finished_at)
    elif execution.status == ExecutionStatus.CANCELLED:
        # A user's wish, not a failure that needs a look.
        slot.finish(SlotStatus.SKIPPED, SlotReason.RUN_CANCELLED, "Its run was cancelled.", execution.finished_at)
    else:
        error = execution.error or execution.get_status_display()
        if not (_is_transient(execution) and _try_again(slot, execution.error_code, error, now)):
            slot.finish(SlotStatus.FAILED, execution.error_code, error, execution.finished_at)


def _is_transient(execution: Execution) -> bool:
    return execution.status == ExecutionStatus.FAILED and execution.error_code in TRANSIENT_CODES


def _try_again(slot: ScheduleSlot, code: str, error: str, now: dt.datetime) -> bool:
    """Plan the next attempt of a slot, not saved; returns False after the last one."""
    if slot.attempts >= len(BACKOFF):
        return False
    slot.next_step_at = now + BACKOFF[slot.attempts]
    slot.attempts += 1
    slot.status, slot.reason_code = SlotStatus.CLAIMED, code
    slot.reason = f"Try {slot.attempts + 1} of {len(BACKOFF) + 1} follows. {error}"[:MAX_REASON]
    slot.release()
    return True
