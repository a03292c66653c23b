"""Schedules: make, change, pause and delete them, and run one by hand. What becomes of their slots is elsewhere."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.utils import timezone

from amchelper.access import MissingRowError, get_to_edit, get_to_run, get_visible, pk_of
from amchelper.exceptions import InvalidStateError
from amchelper.models import User
from executions.errors import ErrorCode, NotRunnableError
from executions.models import Execution, Trigger
from executions.services.readiness import ensure_startable, gone_error, hold_for_start
from executions.services.start import start_execution
from planning.recurrence import Recurrence, RecurrenceError
from planning.windows import DEFAULT_LAG_DAYS, Window, WindowError, check_window, rolling_window
from schedules.errors import DeletedScheduleError, StaleScheduleError
from schedules.models import (
    MissedPolicy,
    PauseCode,
    Schedule,
    ScheduleQuerySet,
    ScheduleStatus,
    WindowKind,
)
from schedules.services.slots import UNREADABLE, close_past_slots
from templates_app.models import InstanceTemplate

logger = logging.getLogger(__name__)

STALE = (
    "This schedule was saved again after you opened it. Compare yours with its page, then save again to put it "
    "on top of it."
)
PAUSED_BY_HAND = "Paused by hand."
MAX_NAME = 255
_NOUN = "schedule"


@dataclass(frozen=True)
class ScheduleValues:
    """What a user says about a schedule. Without `window_days` the window is the fixed dates."""

    name: str
    recurrence: Recurrence
    window_days: int | None
    lag_days: int = DEFAULT_LAG_DAYS
    fixed_start: dt.date | None = None
    fixed_end: dt.date | None = None
    missed_policy: str = MissedPolicy.LATEST

    @classmethod
    def of(cls, schedule: Schedule) -> ScheduleValues:
        """Return what is saved; raises RecurrenceError."""
        is_rolling = schedule.has_rolling_window
        return cls(
            name=schedule.name,
            recurrence=schedule.recurrence,
            window_days=schedule.window_days if is_rolling else None,
            lag_days=schedule.lag_days,
            fixed_start=None if is_rolling else schedule.fixed_start,
            fixed_end=None if is_rolling else schedule.fixed_end,
            missed_policy=schedule.missed_policy,
        )

    def window_at(self, at: dt.datetime) -> Window:
        """Return the window of the slot at `at`; raises WindowError."""
        zone = self.recurrence.zone
        if self.window_days is not None:
            today = self.recurrence.local(at).date()
            return rolling_window(days=self.window_days, lag_days=self.lag_days, today=today, zone=zone)
        if self.fixed_start is None or self.fixed_end is None:
            raise WindowError("Choose the first and the last day of the window.")
        return Window(self.fixed_start, self.fixed_end, zone)

    def fields(self) -> dict[str, Any]:
        """Return the columns of a schedule."""
        recurrence = self.recurrence
        is_rolling = self.window_days is not None
        return {
            "name": self.name,
            "kind": recurrence.kind,
            "time": recurrence.time,
            "zone": recurrence.zone,
            "weekday": recurrence.weekday,
            "day_of_month": recurrence.day_of_month,
            "starts_on": recurrence.start,
            "ends_on": recurrence.end,
            "window_kind": WindowKind.ROLLING if is_rolling else WindowKind.FIXED,
            **({"window_days": self.window_days} if is_rolling else {}),
            "lag_days": self.lag_days,
            "fixed_start": self.fixed_start,
            "fixed_end": self.fixed_end,
            "missed_policy": self.missed_policy,
        }


def get_schedule(user: User, schedule_id: str) -> Schedule:
    """Return a schedule, also a deleted one, to look at, with instance and template; it knows the user's rights.

    Raises Http404.
    """
    return get_visible(Schedule.objects.with_relations().with_rights(user), user, _NOUN, schedule_id=schedule_id)


def get_schedule_to_edit(user: User, schedule_id: str) -> Schedule:
    """Return a schedule to change; raises Http404, DeletedScheduleError, PermissionDenied for who may only look."""
    return _present(get_to_edit, user, schedule_id)


def get_schedule_to_run(user: User, schedule_id: str) -> Schedule:
    """Return a schedule to run by hand; raises as `get_schedule_to_edit`."""
    return _present(get_to_run, user, schedule_id)


def create_schedule(
    *, actor: User | None, template: InstanceTemplate, values: ScheduleValues, submission_key: UUID | None = None
) -> Schedule:
    """Plan a template; the same submission twice gives the first schedule.

    Its slots start runs for `actor`; what the system plans runs for the instance's owner. Raises Http404 for a
    template the actor does not see, PermissionDenied for one that is only visible, NotRunnableError.
    """
    key = submission_key or uuid4()
    creator = actor or template.instance.user
    made = Schedule.objects.filter(submission_key=key, created_by=creator).first()
    if made is not None:
        return made
    current = _plannable_template(creator, template.pk)
    now = timezone.now()
    first, problem = _plan(values, now)
    # What could not run now is not planned either.
    ensure_startable(current.instance, current, now=now, also=problem)
    schedule = Schedule(
        created_by=creator,
        instance=current.instance,
        template=current,
        submission_key=key,
        planned_until=now,
        next_run_at=first,
        **values.fields(),
    )
    try:
        with transaction.atomic():
            hold_for_start(schedule, [current])
            schedule.save(force_insert=True)
    except (IntegrityError, NotRunnableError) as error:
        # The same submission arrived at the same moment, and the other one was first.
        made = Schedule.objects.filter(submission_key=key, created_by=creator).first()
        if made is not None:
            return made
        if isinstance(error, IntegrityError) and (gone := gone_error(schedule)):
            raise gone from None
        raise
    _log("created", schedule, actor)
    return schedule


def update_schedule(
    *, schedule: Schedule, actor: User | None, values: ScheduleValues, seen: dt.datetime
) -> Schedule:
    """Change a schedule as it was saved at `seen`; returns it as it is then.

    Slots up to now belong to the old plan, the new one starts now. A paused schedule stays paused. Raises
    StaleScheduleError, DeletedScheduleError, NotRunnableError, Http404.
    """
    now = timezone.now()
    with transaction.atomic():
        current = _lock(actor, schedule)
        if current.updated_at != seen:
            raise StaleScheduleError(STALE)
        first, problem = _plan(values, now)
        if problem is not None:
            raise problem
        close_past_slots(current, now)
        changed = {
            **values.fields(),
            "planned_until": now,
            "next_run_at": first if current.status == ScheduleStatus.ACTIVE else None,
            # Two saves in the same microsecond are still two.
            "updated_at": max(now, seen + dt.timedelta(microseconds=1)),
        }
        if not _editable(actor).filter(pk=current.pk, updated_at=seen).update(**changed):
            raise StaleScheduleError(STALE)
        saved = _editable(actor).with_relations().get(pk=current.pk)
    _log("updated", schedule, actor)
    return saved


def pause(*, schedule: Schedule, actor: User | None) -> None:
    """Start no more slots until `resume`, claimed ones neither.

    Raises InvalidStateError, DeletedScheduleError and Http404.
    """
    rows = _editable(actor).filter(pk=schedule.pk)
    # `planned_until` stays: resuming records what was missed since.
    if rows.active().update(
        status=ScheduleStatus.PAUSED,
        pause_code=PauseCode.BY_HAND,
        status_reason=PAUSED_BY_HAND,
        next_run_at=None,
    ):
        _log("paused", schedule, actor)
        return
    if not rows.exists():
        raise _gone(actor, schedule)
    raise InvalidStateError("This schedule is paused already.")


def resume(*, schedule: Schedule, actor: User | None) -> None:
    """Go on from now: what was missed meanwhile is recorded, not run.

    Raises InvalidStateError, DeletedScheduleError, Http404, and NotRunnableError while its runs would only be skipped.
    """
    now = timezone.now()
    with transaction.atomic():
        current = _lock(actor, schedule)
        if current.status != ScheduleStatus.PAUSED:
            raise InvalidStateError("This schedule is active already.")
        first, problem = _plan(_readable_values(current), now)
        ensure_startable(current.instance, current.template, now=now, also=problem)
        close_past_slots(current, now)
        Schedule.objects.filter(pk=current.pk).update(
            status=ScheduleStatus.ACTIVE,
            pause_code="",
            status_reason="",
            consecutive_failures=0,
            planned_until=now,
            next_run_at=first,
        )
    _log("resumed", schedule, actor)


def delete_schedule(*, schedule: Schedule, actor: User | None) -> None:
    """Take a schedule away; its slots and runs stay. Raises DeletedScheduleError, Http404."""
    if not _editable(actor).filter(pk=schedule.pk).update(deleted_at=timezone.now(), next_run_at=None):
        raise _gone(actor, schedule)
    _log("deleted", schedule, actor)


def run_now(*, actor: User, schedule: Schedule, submission_key: UUID | None = None) -> Execution:
    """Run a schedule once by hand, with today's window; the plan stays.

    Raises what `start_execution` raises, and InvalidStateError for a plan that cannot be read any more.
    """
    now = timezone.now()
    try:
        window = _readable_values(schedule).window_at(now)
    except WindowError as error:
        problem = NotRunnableError(str(error), reason=ErrorCode.WINDOW_REFUSED)
        ensure_startable(schedule.instance, schedule.template, now=now, also=problem)
        raise problem from error
    return start_execution(
        actor=actor,
        template=schedule.template,
        window=window,
        trigger=Trigger.MANUAL,
        submission_key=submission_key,
        schedule_id=schedule.pk,
    )


def _readable_values(schedule: Schedule) -> ScheduleValues:
    try:
        return ScheduleValues.of(schedule)
    except RecurrenceError as error:
        raise InvalidStateError(UNREADABLE) from error


def _present(get: Callable[..., Schedule], user: User, schedule_id: str) -> Schedule:
    rows = Schedule.objects.with_relations()
    try:
        return get(rows, user, _NOUN, schedule_id=schedule_id)
    except PermissionDenied:
        # Seen, but not to be changed: the reason may be that nobody can any more.
        if deleted := rows.visible_to(user).deleted().filter(schedule_id=schedule_id).first():
            raise DeletedScheduleError(deleted) from None
        raise


def _editable(actor: User | None) -> ScheduleQuerySet:
    """Return the schedules the actor may change: the system every one that is not deleted."""
    return Schedule.objects.not_deleted() if actor is None else Schedule.objects.editable_by(actor)


def _lock(actor: User | None, schedule: Schedule) -> Schedule:
    """Read the schedule as it is, for a change in this transaction; raises DeletedScheduleError, Http404."""
    found = _editable(actor).select_for_update(of=("self",)).filter(pk=schedule.pk).first()
    if found is None:
        raise _gone(actor, schedule)
    return found


def _gone(actor: User | None, schedule: Schedule) -> Exception:
    """Return the error for a schedule that the actor may not, or no longer, change."""
    rows = Schedule.objects.with_relations()
    seen = rows if actor is None else rows.visible_to(actor)
    deleted = seen.deleted().filter(pk=schedule.pk).first()
    return DeletedScheduleError(deleted) if deleted is not None else MissingRowError(_NOUN)


def _log(done: str, schedule: Schedule, actor: User | None) -> None:
    logger.info("schedule %s schedule=%s actor=%s", done, schedule.schedule_id, pk_of(actor))


def _plannable_template(creator: User, pk: UUID) -> InstanceTemplate:
    """Read the template again, with what decides whether it may run; raises Http404, PermissionDenied."""
    rows = InstanceTemplate.objects.select_related("instance__account__connection")
    return get_to_run(rows, creator, "template", pk=pk)


def _plan(values: ScheduleValues, now: dt.datetime) -> tuple[dt.datetime | None, NotRunnableError | None]:
    """Return the first slot of a schedule that can be saved, and else all that is wrong with it."""
    problems = []
    if not values.name.strip():
        problems.append("Give the schedule a name.")
    if len(values.name) > MAX_NAME:
        problems.append(f"The name has {len(values.name)} characters; the most is {MAX_NAME}.")
    if values.lag_days < 0 or values.missed_policy not in MissedPolicy.values:
        problems.append("Choose a lag of 0 days or more, and what happens to missed runs.")
    first = None
    try:
        first = plan_first_slot(values, now)
    except NotRunnableError as error:
        problems.append(error.message)
    return first, NotRunnableError(" ".join(problems)) if problems else None


def plan_first_slot(values: ScheduleValues, now: dt.datetime) -> dt.datetime:
    """Return the first slot after `now`, when it will have something to run; raises NotRunnableError."""
    first = values.recurrence.next_slot(now)
    if first is None:
        raise NotRunnableError("No run would ever come: the last day has passed. Choose a later one, or none.")
    try:
        verdict = check_window(values.window_at(first), first, values.lag_days)
    except WindowError as problem:
        raise NotRunnableError(str(problem)) from problem
    if not verdict.is_ok:
        raise NotRunnableError(" ".join(error.message for error in verdict.errors))
    return first
