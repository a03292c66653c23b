"""One run of a snapshot of a template's SQL over a time window."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from amchelper.access import OwnedQuerySet
from instances.amc.types import InstanceRef
from instances.models import AMCInstance
from planning.windows import Window
from templates_app.models import InstanceTemplate

WORKFLOW_PREFIX = "amchelper-"
# Longer than a call takes; a step of several calls keeps it. Who does not come back within it has died, or is so
# late that its writes are refused.
LEASE = timedelta(minutes=1)
# Nothing is planned further ahead than this: a time beyond it was written by a clock that was wrong.
FARTHEST = timedelta(hours=1)


class ExecutionStatus(models.TextChoices):
    """Where a run is. Ours until SUBMITTING, AMC's until FETCHING, then ours again."""

    QUEUED = "QUEUED", "Waiting"
    SUBMITTING = "SUBMITTING", "Submitting"
    PENDING = "PENDING", "Pending at AMC"
    RUNNING = "RUNNING", "Running at AMC"
    FETCHING = "FETCHING", "Fetching the result"
    SUCCEEDED = "SUCCEEDED", "Succeeded"
    FAILED = "FAILED", "Failed"
    REJECTED = "REJECTED", "Rejected by AMC"
    CANCELLED = "CANCELLED", "Cancelled"


OPEN_STATUSES = (
    ExecutionStatus.QUEUED,
    ExecutionStatus.SUBMITTING,
    ExecutionStatus.PENDING,
    ExecutionStatus.RUNNING,
    ExecutionStatus.FETCHING,
)
# What occupies one of AMC's places.
AT_AMC = (ExecutionStatus.SUBMITTING, ExecutionStatus.PENDING, ExecutionStatus.RUNNING)
FINAL_STATUSES = (
    ExecutionStatus.SUCCEEDED,
    ExecutionStatus.FAILED,
    ExecutionStatus.REJECTED,
    ExecutionStatus.CANCELLED,
)


class Trigger(models.TextChoices):
    """Who asked for a run."""

    MANUAL = "MANUAL", "By hand"
    SCHEDULE = "SCHEDULE", "Schedule"
    RERUN = "RERUN", "Run again"
    API = "API", "API"


class ExecutionQuerySet(OwnedQuerySet["Execution"]):
    """Executions by access, status and what is due."""

    owner_path = "instance__user"

    def open(self) -> ExecutionQuerySet:
        """Executions that have not ended."""
        return self.filter(status__in=OPEN_STATUSES)

    def at_amc(self) -> ExecutionQuerySet:
        """Executions that occupy a place at AMC, or may."""
        return self.filter(status__in=AT_AMC)

    def waiting(self) -> ExecutionQuerySet:
        """Executions in our own queue, the oldest first."""
        return self.filter(status=ExecutionStatus.QUEUED).order_by("queued_at", "id")

    def due(self, now: datetime, *, within: timedelta = timedelta()) -> ExecutionQuerySet:
        """Open executions whose next step is due, now or `within` a time, and that nobody holds.

        Whatever was written under a clock that was wrong is due too.
        """
        return self.open().filter(
            Q(next_step_at__lte=now + within) | Q(next_step_at__gt=now + FARTHEST),
            Q(lease_until=None) | Q(lease_until__lte=now) | Q(lease_until__gt=now + LEASE + FARTHEST),
        )

    def with_relations(self) -> ExecutionQuerySet:
        """Bring instance, account, template and schedule along in one query."""
        return self.select_related("instance__account", "template", "schedule")

    def for_lists(self) -> ExecutionQuerySet:
        """Bring relations along and leave out the long texts that no list shows."""
        return self.with_relations().defer("source_sql", "sql_query", "parameter_values", "output_columns")

    def claim(
        self, pk: uuid.UUID, *, token: str, now: datetime, within: timedelta = timedelta()
    ) -> ExecutionQuerySet:
        """Hold an execution that left our queue and is due, for a lease; returns it, or nothing.

        One statement decides: of two workers that ask for the same execution one gets it.
        """
        due = self.filter(pk=pk).due(now, within=within).exclude(status=ExecutionStatus.QUEUED)
        due.update(lease_until=now + LEASE, leased_by=token, step_attempts=F("step_attempts") + 1)
        return self.filter(pk=pk, leased_by=token)


class Execution(models.Model):
    """A run; the row is the truth, messages only say that it may be time for the next step."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="executions")
    instance = models.ForeignKey(AMCInstance, on_delete=models.CASCADE, related_name="executions")
    template = models.ForeignKey(InstanceTemplate, on_delete=models.SET_NULL, null=True, related_name="executions")
    template_name = models.CharField(max_length=255)
    template_version = models.PositiveIntegerField()
    schedule = models.ForeignKey(
        "schedules.Schedule", on_delete=models.SET_NULL, null=True, blank=True, related_name="executions"
    )
    name = models.CharField(max_length=500)
    trigger = models.CharField(max_length=10, choices=Trigger.choices, default=Trigger.MANUAL)
    # One submission of the wizard or the API makes one run, however often it arrives.
    submission_key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)

    # The snapshot: nothing that is edited later changes a run.
    source_sql = models.TextField()
    parameter_values = models.JSONField(default=dict, blank=True)
    sql_query = models.TextField()
    window_start = models.DateField()
    window_end = models.DateField(help_text="Last day that belongs to the window.")
    window_zone = models.CharField(max_length=64, default="UTC")
    requires_synthetic_data = models.BooleanField(default=False)

    status = models.CharField(max_length=10, choices=ExecutionStatus.choices, default=ExecutionStatus.QUEUED)
    # AMC's own word, which can be one that nobody has documented.
    amc_status = models.CharField(max_length=40, blank=True, default="")
    workflow_id = models.CharField(max_length=100, unique=True, editable=False)
    amc_execution_id = models.CharField(max_length=100, blank=True, default="")
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    # When AMC accepted our request to cancel; it may still end otherwise.
    cancel_sent_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="")
    error_code = models.CharField(max_length=40, blank=True, default="")
    waiting_for = models.CharField(max_length=200, blank=True, default="")

    next_step_at = models.DateTimeField(default=timezone.now)
    lease_until = models.DateTimeField(null=True, blank=True)
    leased_by = models.CharField(max_length=100, blank=True, default="")
    # When a message about the present step went out.
    sent_at = models.DateTimeField(null=True, blank=True)
    # Claims in a row that brought nothing, and answers that left everything as it was.
    step_attempts = models.PositiveIntegerField(default=0)
    polls = models.PositiveIntegerField(default=0)

    queued_at = models.DateTimeField(auto_now_add=True)
    # When a POST went out whose outcome nobody has told for certain: a run may exist at AMC.
    attempted_at = models.DateTimeField(null=True, blank=True)
    submitted_at = models.DateTimeField(null=True, blank=True)
    started_at = models.DateTimeField(null=True, blank=True)
    amc_finished_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    output_columns = models.JSONField(default=list, blank=True)
    row_count = models.PositiveBigIntegerField(null=True, blank=True)
    byte_count = models.PositiveBigIntegerField(null=True, blank=True)
    # Names in the results' storage; empty once retention has removed the files.
    csv_file = models.CharField(max_length=200, blank=True, default="")
    parquet_file = models.CharField(max_length=200, blank=True, default="")
    result_removed_at = models.DateTimeField(null=True, blank=True)

    objects = ExecutionQuerySet.as_manager()

    class Meta:
        db_table = "workflow_executions"
        verbose_name = "execution"
        ordering = ("-queued_at", "-id")
        constraints = (
            models.CheckConstraint(
                name="executions_window_in_order", condition=Q(window_start__lte=F("window_end"))
            ),
            models.CheckConstraint(
                name="executions_final_has_end",
                condition=Q(status__in=FINAL_STATUSES, finished_at__isnull=False)
                | (~Q(status__in=FINAL_STATUSES) & Q(finished_at__isnull=True)),
            ),
            models.UniqueConstraint(
                fields=["instance", "amc_execution_id"],
                name="executions_adopt_once",
                condition=~Q(amc_execution_id=""),
            ),
        )
        indexes = (
            models.Index(fields=["instance", "-queued_at"], name="executions_of_instance"),
            models.Index(fields=["template", "-queued_at"], name="executions_of_template"),
            models.Index(fields=["next_step_at"], name="executions_due", condition=Q(status__in=OPEN_STATUSES)),
            models.Index(fields=["status", "instance"], name="executions_by_status"),
        )

    def __str__(self) -> str:
        return self.name

    def save(self, *args: object, **kwargs: object) -> None:
        """Give a new run its own workflow ID before it is ever written."""
        self.complete()
        super().save(*args, **kwargs)  # type: ignore[arg-type]

    def get_absolute_url(self) -> str:
        return reverse("executions:execution-detail", args=[self.pk])

    def complete(self) -> None:
        """Complete what AMC is told of a new run; writing many at once does not go through `save`."""
        self.workflow_id = self.workflow_id or f"{WORKFLOW_PREFIX}{self.pk}"

    @property
    def window(self) -> Window:
        """Return the window as a value."""
        return Window(self.window_start, self.window_end, self.window_zone)

    @property
    def ref(self) -> InstanceRef:
        """Return what AMC knows the instance by."""
        return self.instance.ref

    @property
    def is_open(self) -> bool:
        """Return whether it has not ended."""
        return self.status in OPEN_STATUSES

    @property
    def has_result(self) -> bool:
        """Return whether rows can be shown."""
        return self.status == ExecutionStatus.SUCCEEDED and bool(self.parquet_file)

    @property
    def dates(self) -> tuple[date, date]:
        """Return first and last day of the window."""
        return self.window_start, self.window_end
