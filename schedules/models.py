"""Recurrences of a template, and one row for every slot they ever had."""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from typing import Self

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import F, Q
from django.urls import reverse

from amchelper.access import OwnedQuerySet
from amchelper.leases import LeasedModel, LeasedQuerySet
from amchelper.models import User
from executions.models import FINAL_STATUSES, Execution
from instances.models import AMCInstance
from planning.recurrence import Recurrence, RecurrenceError
from planning.windows import DEFAULT_LAG_DAYS
from templates_app.models import InstanceTemplate

# Characters of a sentence that says why.
MAX_REASON = 300


def new_schedule_id() -> str:
    """Return a fresh ID: `sched_` and 12 hexadecimal digits."""
    return f"sched_{secrets.token_hex(6)}"


class ScheduleStatus(models.TextChoices):
    """Whether slots start runs."""

    ACTIVE = "ACTIVE", "Active"
    PAUSED = "PAUSED", "Paused"


class WindowKind(models.TextChoices):
    """How a slot's window is found."""

    ROLLING = "ROLLING", "Rolling"
    FIXED = "FIXED", "Fixed dates"


class PauseCode(models.TextChoices):
    """Who or what paused a schedule; `status_reason` says it in a sentence."""

    BY_HAND = "by_hand", "By hand"
    FAILURES = "failures", "Too many failed runs"
    UNREADABLE = "unreadable", "Recurrence cannot be read"


class MissedPolicy(models.TextChoices):
    """What happens to slots that passed while nothing was running."""

    LATEST = "LATEST", "Run the latest"
    SKIP = "SKIP", "Skip them"
    ALL = "ALL", "Run all, up to ten"


class SlotStatus(models.TextChoices):
    """What became of a slot. A slot succeeded only when its execution did."""

    CLAIMED = "CLAIMED", "Claimed"
    STARTED = "STARTED", "Running"
    SUCCEEDED = "SUCCEEDED", "Succeeded"
    FAILED = "FAILED", "Failed"
    SKIPPED = "SKIPPED", "Skipped"


class SlotReason(models.TextChoices):
    """Why a slot was not run as planned; what keeps a run from starting, or fails it, is an `ErrorCode`."""

    MISSED = "missed", "Nothing was running"
    PAUSED = "paused", "Schedule paused"
    DELETED = "deleted", "Schedule deleted"
    OWNER_DISABLED = "owner_disabled", "Owner's account disabled"
    INSTANCE_GIVEN_AWAY = "instance_given_away", "Instance of another user"
    TEMPLATE_MOVED = "template_moved", "Template of another instance"
    RUN_CANCELLED = "run_cancelled", "Run cancelled"
    RUN_DELETED = "run_deleted", "Run deleted"


class ScheduleQuerySet(OwnedQuerySet["Schedule"]):
    """Schedules by access and what is due. A deleted one is only looked at, for its history; lists leave it out."""

    owner_path = "instance__user"

    def not_deleted(self) -> Self:
        """Return the schedules without deleted ones."""
        return self.filter(deleted_at__isnull=True)

    def deleted(self) -> Self:
        """Return the schedules that were deleted and are kept for their history."""
        return self.filter(deleted_at__isnull=False)

    def runnable_by(self, user: User | AnonymousUser) -> Self:
        return super().runnable_by(user).not_deleted()

    def editable_by(self, user: User | AnonymousUser, *, in_admin: bool = False) -> Self:
        rows = super().editable_by(user, in_admin=in_admin)
        return rows if in_admin else rows.not_deleted()

    def active(self) -> ScheduleQuerySet:
        """Return schedules whose slots start runs."""
        return self.not_deleted().filter(status=ScheduleStatus.ACTIVE)

    def due(self, now: dt.datetime) -> ScheduleQuerySet:
        """Return active schedules with a slot at or before `now`."""
        return self.active().filter(next_run_at__lte=now)

    def stopped(self) -> ScheduleQuerySet:
        """Return schedules that were paused, but not by hand: they need a look."""
        return self.not_deleted().filter(status=ScheduleStatus.PAUSED).exclude(pause_code=PauseCode.BY_HAND)

    def to_tell(self) -> ScheduleQuerySet:
        """Return schedules that stopped by themselves and whose owner has got no mail about it."""
        return self.stopped().filter(owner_told=False)

    def search(self, words: str) -> ScheduleQuerySet:
        """Return schedules whose name, template or instance holds every word."""
        found = self
        for word in words.split():
            found = found.filter(
                Q(name__icontains=word) | Q(template__name__icontains=word) | Q(instance__name__icontains=word)
            )
        return found

    def for_lists(self) -> ScheduleQuerySet:
        """Read what lists show: the schedules, and what their instance and template are called."""
        own = [field.name for field in self.model._meta.concrete_fields]
        shown = [*own, "instance__name", "template__name", "template__archived_at"]
        return self.select_related("instance", "template").only(*shown)

    def with_relations(self) -> ScheduleQuerySet:
        """Bring instance, template and creator along in one query."""
        return self.select_related("instance__account", "template", "created_by")


class Schedule(models.Model):
    """A recurrence with its window rule."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    schedule_id = models.CharField(max_length=18, unique=True, default=new_schedule_id, editable=False)
    # Its slots start runs for this user.
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="schedules")
    instance = models.ForeignKey(AMCInstance, on_delete=models.CASCADE, related_name="schedules")
    template = models.ForeignKey(InstanceTemplate, on_delete=models.CASCADE, related_name="schedules")
    submission_key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=255)

    kind = models.CharField(
        max_length=10, choices=[("daily", "Daily"), ("weekly", "Weekly"), ("monthly", "Monthly")]
    )
    time = models.TimeField()
    zone = models.CharField(max_length=64, default="UTC")
    weekday = models.PositiveSmallIntegerField(null=True, blank=True, help_text="0 is Sunday.")
    day_of_month = models.SmallIntegerField(null=True, blank=True, help_text="1 to 31; -1 is the last day.")
    starts_on = models.DateField(null=True, blank=True)
    ends_on = models.DateField(null=True, blank=True)

    window_kind = models.CharField(max_length=10, choices=WindowKind.choices, default=WindowKind.ROLLING)
    window_days = models.PositiveSmallIntegerField(default=30)
    lag_days = models.PositiveSmallIntegerField(default=DEFAULT_LAG_DAYS)
    fixed_start = models.DateField(null=True, blank=True)
    fixed_end = models.DateField(null=True, blank=True)

    status = models.CharField(max_length=10, choices=ScheduleStatus.choices, default=ScheduleStatus.ACTIVE)
    status_reason = models.CharField(max_length=MAX_REASON, blank=True, default="")
    pause_code = models.CharField(max_length=20, choices=PauseCode.choices, blank=True, default="")
    missed_policy = models.CharField(max_length=10, choices=MissedPolicy.choices, default=MissedPolicy.LATEST)
    consecutive_failures = models.PositiveSmallIntegerField(default=0, editable=False)
    # False from the moment failures paused it until a mail about it goes out.
    owner_told = models.BooleanField(default=True, editable=False)
    # Slots up to here are decided; the next one is `next_run_at`.
    planned_until = models.DateTimeField(editable=False)
    next_run_at = models.DateTimeField(null=True, blank=True, editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ScheduleQuerySet.as_manager()

    class Meta:
        db_table = "workflow_schedules"
        verbose_name = "schedule"
        ordering = ("name", "id")
        constraints = (
            models.CheckConstraint(
                name="schedules_weekly_has_weekday",
                condition=~Q(kind="weekly") | Q(weekday__isnull=False, weekday__lte=6),
            ),
            models.CheckConstraint(
                name="schedules_monthly_has_day",
                condition=~Q(kind="monthly") | Q(day_of_month__in=[-1, *range(1, 32)]),
            ),
            models.CheckConstraint(
                name="schedules_window_is_whole",
                condition=Q(window_kind=WindowKind.ROLLING, window_days__gte=1, window_days__lte=365)
                | Q(window_kind=WindowKind.FIXED, fixed_start__lte=F("fixed_end")),
            ),
        )
        indexes = (
            models.Index(
                fields=["next_run_at"],
                name="schedules_due",
                condition=Q(status=ScheduleStatus.ACTIVE, deleted_at__isnull=True),
            ),
            models.Index(fields=["created_by"], name="schedules_to_tell", condition=Q(owner_told=False)),
        )

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("schedules:schedule-detail", args=[self.schedule_id])

    @property
    def recurrence(self) -> Recurrence:
        """Return the recurrence as a value; raises RecurrenceError for one that cannot be read any more."""
        return Recurrence(
            kind=self.kind,
            time=self.time,
            zone=self.zone,
            weekday=self.weekday,
            day_of_month=self.day_of_month,
            start=self.starts_on,
            end=self.ends_on,
        )

    @property
    def readable_recurrence(self) -> Recurrence | None:
        """Return the recurrence as a value; None for one that cannot be read any more: zones come and go."""
        try:
            return self.recurrence
        except RecurrenceError:
            return None

    @property
    def recurrence_text(self) -> str:
        """Say in words when it runs."""
        recurrence = self.readable_recurrence
        return recurrence.describe() if recurrence else "A time that cannot be read any more"

    @property
    def has_rolling_window(self) -> bool:
        """Return whether each run has a window of its own, and not the same fixed dates."""
        return self.window_kind == WindowKind.ROLLING

    @property
    def is_active(self) -> bool:
        """Return whether its slots start runs."""
        return self.status == ScheduleStatus.ACTIVE and self.deleted_at is None


class ScheduleSlotQuerySet(  # type: ignore[override]  # the stubs give each base a manager type of its own
    OwnedQuerySet["ScheduleSlot"], LeasedQuerySet["ScheduleSlot"]
):
    """Slots by access, status and what is due."""

    owner_path = "schedule__instance__user"
    # Far longer than a batch takes; a slot whose worker died is taken up again after it.
    lease = dt.timedelta(minutes=3)

    def unfinished(self) -> Self:
        """Return the slots that are to be started: one that has started follows its run and takes no step."""
        return self.filter(status=SlotStatus.CLAIMED)

    def to_sync(self) -> Self:
        """Return started slots whose run has ended or is gone."""
        ended = Q(execution=None) | Q(execution__status__in=FINAL_STATUSES)
        return self.filter(ended, status=SlotStatus.STARTED)


class ScheduleSlot(LeasedModel):
    """One slot: the planned moment exists once per schedule, ever; the worker that inserts it has claimed it.

    `next_step_at` is the planned moment, and after a failure that may pass the time of the next try.
    """

    id = models.BigAutoField(primary_key=True)
    schedule = models.ForeignKey(Schedule, on_delete=models.CASCADE, related_name="slots")
    scheduled_for = models.DateTimeField()
    status = models.CharField(max_length=10, choices=SlotStatus.choices, default=SlotStatus.CLAIMED)
    # A `SlotReason` or an `ErrorCode`, for programs; `reason` says it in a sentence.
    reason_code = models.CharField(max_length=40, blank=True, default="")
    reason = models.CharField(max_length=MAX_REASON, blank=True, default="")
    execution = models.OneToOneField(
        Execution, on_delete=models.SET_NULL, null=True, blank=True, related_name="slot"
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ScheduleSlotQuerySet.as_manager()

    class Meta:
        db_table = "schedule_slots"
        verbose_name = "slot"
        ordering = ("-scheduled_for", "-id")
        constraints = (models.UniqueConstraint(fields=["schedule", "scheduled_for"], name="slots_exist_once"),)
        indexes = (models.Index(fields=["status", "next_step_at"], name="slots_by_status"),)

    def __str__(self) -> str:
        return f"{self.schedule} at {self.scheduled_for:%Y-%m-%d %H:%M} UTC"

    @property
    def is_open(self) -> bool:
        """Return whether something about it can still change."""
        return self.status in (SlotStatus.CLAIMED, SlotStatus.STARTED)

    def finish(self, status: SlotStatus, code: str, reason: str, at: dt.datetime | None) -> None:
        """Say how it ended, at `at`, with a `SlotReason`, an `ErrorCode` or nothing as code; not saved."""
        self.status, self.reason_code, self.reason = status, code, reason[:MAX_REASON]
        self.finished_at = at
        self.release()

    def release(self) -> None:
        """Let go of the lease; not saved."""
        self.lease_until, self.leased_by, self.step_attempts = None, "", 0
