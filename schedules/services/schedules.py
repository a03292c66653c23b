"""Schedules: make, change, pause and delete them, and run one by hand. What becomes of their slots is elsewhere."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.http import Http404
from django.utils import timezone

from amchelper.exceptions import InvalidStateError
from amchelper.models import User
from executions.errors import NotRunnableError
from executions.services.refusals import template_refusal
from planning.recurrence import Recurrence
from planning.windows import DEFAULT_LAG_DAYS, Window, WindowError, check_window, rolling_window
from schedules.errors import StaleScheduleError
from schedules.models import MissedPolicy, Schedule, ScheduleStatus, WindowKind
from schedules.services.slots import settle_plan
from templates_app.models import InstanceTemplate

STALE = (
    "Somebody saved this schedule after you opened it. Compare yours with its page, then save again to put it "
    "on top of it."
)
PAUSED_BY_USER = "Paused by hand."

NAME_LENGTH = 255


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
        """Return what is saved."""
        is_rolling = schedule.window_kind == WindowKind.ROLLING
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
    """Return the user's schedule with instance and template; raises Http404."""
    found = Schedule.objects.visible_to(user).with_relations().filter(schedule_id=schedule_id).first()
    if found is None:
        raise Http404("There is no such schedule.")
    return found


def create_schedule(
    *, user: User, template: InstanceTemplate, values: ScheduleValues, submission_key: UUID | None = None
) -> Schedule:
    """Plan a template; the same submission twice gives the first schedule. Raises NotRunnableError and Http404."""
    key = submission_key or uuid4()
    made = Schedule.objects.filter(submission_key=key, user=user).first()
    if made is not None:
        return made
    current = _plannable_template(user, template.pk)
    now = timezone.now()
    first = _first_slot(values, now)
    schedule = Schedule(
        user=user,
        instance=current.instance,
        template=current,
        submission_key=key,
        planned_until=now,
        next_run_at=first,
        **values.fields(),
    )
    try:
        with transaction.atomic():
            schedule.save(force_insert=True)
    except IntegrityError:
        # The same submission arrived at the same moment, and the other one was first.
        made = Schedule.objects.filter(submission_key=key, user=user).first()
        if made is None:
            raise
        return made
    return schedule


def update_schedule(*, schedule: Schedule, user: User, values: ScheduleValues, seen: dt.datetime) -> Schedule:
    """Change a schedule as it was saved at `seen`; raises StaleScheduleError, NotRunnableError and Http404.

    Slots up to now belong to the old plan, the new one starts now. A paused schedule stays paused.
    """
    now = timezone.now()
    with transaction.atomic():
        current = _locked(user, schedule)
        if current.updated_at != seen:
            raise StaleScheduleError(STALE)
        first = _first_slot(values, now)
        settle_plan(current, now)
        changed = {
            **values.fields(),
            "planned_until": now,
            "next_run_at": first if current.status == ScheduleStatus.ACTIVE else None,
            # Two saves in the same microsecond are still two.
            "updated_at": max(now, seen + dt.timedelta(microseconds=1)),
        }
        if not Schedule.objects.visible_to(user).filter(pk=current.pk, updated_at=seen).update(**changed):
            raise StaleScheduleError(STALE)
    return get_schedule(user, schedule.schedule_id)


def pause(*, schedule: Schedule, user: User) -> None:
    """Start no more slots until `resume`, claimed ones neither; raises InvalidStateError and Http404."""
    mine = Schedule.objects.visible_to(user).filter(pk=schedule.pk)
    # `planned_until` stays: resuming records what was missed since.
    if mine.active().update(status=ScheduleStatus.PAUSED, status_reason=PAUSED_BY_USER, next_run_at=None):
        return
    if not mine.exists():
        raise Http404("There is no such schedule.")
    raise InvalidStateError("This schedule is paused already.")


def resume(*, schedule: Schedule, user: User) -> None:
    """Go on from now: what was missed meanwhile is recorded, not run. Raises InvalidStateError and Http404."""
    now = timezone.now()
    with transaction.atomic():
        current = _locked(user, schedule)
        if current.status != ScheduleStatus.PAUSED:
            raise InvalidStateError("This schedule is active already.")
        first = _first_slot(ScheduleValues.of(current), now)
        settle_plan(current, now)
        Schedule.objects.filter(pk=current.pk).update(
            status=ScheduleStatus.ACTIVE,
            status_reason="",
            consecutive_failures=0,
            planned_until=now,
            next_run_at=first,
        )


def delete_schedule(*, schedule: Schedule, user: User) -> None:
    """Take a schedule away; its slots and runs stay. Raises Http404."""
    deleted = Schedule.objects.visible_to(user).filter(pk=schedule.pk)
    if not deleted.update(deleted_at=timezone.now(), next_run_at=None):
        raise Http404("There is no such schedule.")


def _locked(user: User, schedule: Schedule) -> Schedule:
    """Read the schedule as it is, for a change in this transaction; raises Http404."""
    found = Schedule.objects.visible_to(user).select_for_update(of=("self",)).filter(pk=schedule.pk).first()
    if found is None:
        raise Http404("There is no such schedule.")
    return found


def _plannable_template(user: User, pk: UUID) -> InstanceTemplate:
    """Read the template again: it may be archived or gone since the page was loaded."""
    template = InstanceTemplate.objects.visible_to(user).select_related("instance").filter(pk=pk).first()
    if template is None:
        raise Http404("There is no such template.")
    if refusal := template_refusal(template):
        raise NotRunnableError(refusal)
    return template


def _first_slot(values: ScheduleValues, now: dt.datetime) -> dt.datetime:
    """Return the first slot of a schedule that can be saved; raises NotRunnableError."""
    if not values.name.strip():
        raise NotRunnableError("Give the schedule a name.")
    if len(values.name) > NAME_LENGTH:
        raise NotRunnableError(f"The name has {len(values.name)} characters; the most is {NAME_LENGTH}.")
    if values.lag_days < 0 or values.missed_policy not in MissedPolicy.values:
        raise NotRunnableError("Choose a lag of 0 days or more, and what happens to missed slots.")
    return plan_first_slot(values, now)


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
