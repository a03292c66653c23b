"""One run of a snapshot of a template's SQL over a time window, and the files made of its result."""

from __future__ import annotations

import uuid
from datetime import date, datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone

from amchelper.access import OwnedQuerySet
from amchelper.leases import LeasedModel, LeasedQuerySet
from executions.errors import ErrorCode
from instances.amc.types import InstanceRef
from instances.models import AMCInstance
from planning.windows import Window
from templates_app.models import InstanceTemplate

WORKFLOW_PREFIX = "amchelper-"
# Longer than a call takes; a step of several calls sends heartbeats. A worker that does not come back within it has
# died, or is so late that its writes are refused.
LEASE = timedelta(minutes=1)


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
# What takes part of AMC's capacity.
AT_AMC = (ExecutionStatus.SUBMITTING, ExecutionStatus.PENDING, ExecutionStatus.RUNNING)
# In FETCHING AMC has finished already.
CANCELLABLE_STATUSES = (ExecutionStatus.QUEUED, *AT_AMC)
FINAL_STATUSES = (
    ExecutionStatus.SUCCEEDED,
    ExecutionStatus.FAILED,
    ExecutionStatus.REJECTED,
    ExecutionStatus.CANCELLED,
)


# What lists show of a run.
_LISTED = (
    "name",
    "template_name",
    "trigger",
    "status",
    "error",
    "waiting_for",
    "row_count",
    "queued_at",
    "window_start",
    "window_end",
    "window_zone",
    "instance__name",
)


class Trigger(models.TextChoices):
    """Who asked for a run."""

    MANUAL = "MANUAL", "By hand"
    SCHEDULE = "SCHEDULE", "Schedule"
    RERUN = "RERUN", "Run again"
    API = "API", "API"


class ExecutionQuerySet(  # type: ignore[override]  # the stubs give each base a manager type of its own
    OwnedQuerySet["Execution"], LeasedQuerySet["Execution"]
):
    """Executions by access, status and what is due."""

    owner_path = "instance__user"
    lease = LEASE

    def open(self) -> Self:
        """Return executions that have not ended."""
        return self.filter(status__in=OPEN_STATUSES)

    def at_amc(self) -> Self:
        """Return executions that take part of AMC's capacity, or may."""
        return self.filter(status__in=AT_AMC)

    def waiting(self) -> Self:
        """Return executions in our own queue, the oldest first."""
        return self.filter(status=ExecutionStatus.QUEUED).order_by("queued_at", "id")

    def unfinished(self) -> Self:
        """Return executions with steps for workers; those in our queue are admitted first."""
        return self.open().exclude(status=ExecutionStatus.QUEUED)

    def cancellable(self) -> Self:
        """Return executions that may be asked to end: the row's `can_cancel` as a condition."""
        return self.filter(status__in=CANCELLABLE_STATUSES, cancel_requested_at__isnull=True)

    def fetchable_again(self) -> Self:
        """Return executions whose result is at AMC only: the row's `can_fetch_again` as a condition."""
        return self.filter(status=ExecutionStatus.FAILED, error_code=ErrorCode.RESULT_NOT_FETCHED)

    def with_relations(self) -> Self:
        """Bring instance, account, template and schedule along in one query."""
        return self.select_related("instance__account", "template", "schedule")

    def with_files(self) -> Self:
        """Return executions whose result is stored, the condition of the index `executions_with_files`."""
        return self.exclude(csv_file="", parquet_file="")

    def for_lists(self) -> Self:
        """Read what lists show, and nothing else: no SQL, no values, no configuration."""
        return self.select_related("instance").only(*_LISTED)


class Execution(LeasedModel):
    """A run; the row is the truth, messages only say that it may be time for the next step."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="executions")
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
    # AMC's own word, which can be an undocumented one.
    amc_status = models.CharField(max_length=40, blank=True, default="")
    workflow_id = models.CharField(max_length=100, unique=True, editable=False)
    amc_execution_id = models.CharField(max_length=100, blank=True, default="")
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    # When AMC accepted our request to cancel; it may still end otherwise.
    cancel_sent_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True, default="")
    error_code = models.CharField(max_length=40, choices=ErrorCode.choices, blank=True, default="")
    waiting_for = models.CharField(max_length=200, blank=True, default="")

    # Answers of AMC since the submission that left everything as it was: questions become rarer.
    polls = models.PositiveIntegerField(default=0)
    # Looks for what an attempt with an unknown outcome made, since that attempt.
    lookups = models.PositiveIntegerField(default=0)
    # Downloads or conversions of the result that failed.
    fetch_failures = models.PositiveIntegerField(default=0)

    queued_at = models.DateTimeField(auto_now_add=True)
    # When a POST went out whose outcome is not certain: a run may exist at AMC. While it is set nothing is posted.
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
            models.CheckConstraint(
                name="executions_start_before_end",
                condition=Q(started_at__isnull=True)
                | Q(amc_finished_at__isnull=True)
                | Q(started_at__lte=F("amc_finished_at")),
            ),
            models.UniqueConstraint(
                fields=["instance", "amc_execution_id"],
                name="executions_adopt_once",
                condition=~Q(amc_execution_id=""),
            ),
        )
        indexes = (
            # What lists go by: `executions/services/newest.py`.
            models.Index(fields=["-queued_at", "-id"], name="executions_newest"),
            models.Index(fields=["instance", "-queued_at", "-id"], name="executions_newest_of_instance"),
            models.Index(fields=["template", "-queued_at"], name="executions_of_template"),
            models.Index(fields=["next_step_at"], name="executions_due", condition=Q(status__in=OPEN_STATUSES)),
            models.Index(fields=["status", "instance"], name="executions_by_status"),
            # The few with stored results, which retention goes through each night.
            models.Index(
                fields=["-finished_at", "-id"],
                name="executions_with_files",
                condition=~Q(csv_file="", parquet_file=""),
            ),
        )

    def __str__(self) -> str:
        return self.name

    def save(self, *args: object, **kwargs: object) -> None:
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
    def can_cancel(self) -> bool:
        """Return whether it may be asked to end and was not yet."""
        return self.status in CANCELLABLE_STATUSES and self.cancel_requested_at is None

    @property
    def can_fetch_again(self) -> bool:
        """Return whether its result is at AMC but could not be fetched."""
        return self.status == ExecutionStatus.FAILED and self.error_code == ErrorCode.RESULT_NOT_FETCHED

    @property
    def has_result(self) -> bool:
        """Return whether rows can be shown."""
        return self.status == ExecutionStatus.SUCCEEDED and bool(self.parquet_file)

    @property
    def text_length(self) -> int:
        """Return how many characters of SQL the row holds."""
        return len(self.source_sql) + len(self.sql_query)

    @property
    def dates(self) -> tuple[date, date]:
        """Return first and last day of the window."""
        return self.window_start, self.window_end


class ExportFormat(models.TextChoices):
    """What is made of a result in the background, because a request would wait too long for it."""

    XLSX = "XLSX", "Excel (XLSX)"


class ExportStatus(models.TextChoices):
    """Where a file is that is made of a result."""

    PREPARING = "PREPARING", "Being prepared"
    READY = "READY", "Ready"
    FAILED = "FAILED", "Failed"


class ResultExportQuerySet(  # type: ignore[override]  # the stubs give each base a manager type of its own
    OwnedQuerySet["ResultExport"], LeasedQuerySet["ResultExport"]
):
    """Exports by access, status and what is due."""

    owner_path = "execution__instance__user"
    # A slow disk may keep a worker longer from saying that it is alive.
    lease = 2 * LEASE

    def unfinished(self) -> Self:
        """Return exports that a worker has to make."""
        return self.filter(status=ExportStatus.PREPARING)

    def ready(self) -> Self:
        """Return exports whose file can be downloaded."""
        return self.filter(status=ExportStatus.READY)

    def expired(self, now: datetime) -> Self:
        """Return exports that have been kept for long enough."""
        return self.filter(expires_at__lte=now)

    def in_order(self) -> Self:
        """Return exports in the order in which they are made: who asked first is first."""
        return self.order_by("asked_at", "id")


class ResultExport(LeasedModel):
    """A file that a worker makes of a result, for all who see the run; kept for a while, and made anew if need be."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    execution = models.ForeignKey(Execution, on_delete=models.CASCADE, related_name="exports")
    # Who asked first.
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="exports")
    format = models.CharField(max_length=10, choices=ExportFormat.choices)
    status = models.CharField(max_length=10, choices=ExportStatus.choices, default=ExportStatus.PREPARING)
    rows_done = models.PositiveBigIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True, default="")
    # Name in the results' storage.
    file = models.CharField(max_length=200, blank=True, default="")
    byte_count = models.PositiveBigIntegerField(null=True, blank=True)
    asked_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)
    # Row and file go then, whatever has become of it.
    expires_at = models.DateTimeField()

    objects = ResultExportQuerySet.as_manager()

    class Meta:
        db_table = "result_exports"
        verbose_name = "export"
        ordering = ("-asked_at", "-id")
        constraints = (
            models.UniqueConstraint(fields=["execution", "format"], name="exports_once_per_format"),
            models.CheckConstraint(
                name="exports_ready_has_file",
                condition=(Q(status=ExportStatus.READY, byte_count__isnull=False) & ~Q(file=""))
                | (~Q(status=ExportStatus.READY) & Q(file="")),
            ),
            models.CheckConstraint(
                name="exports_final_has_end",
                condition=Q(status=ExportStatus.PREPARING, finished_at__isnull=True)
                | (~Q(status=ExportStatus.PREPARING) & Q(finished_at__isnull=False)),
            ),
        )
        indexes = (
            models.Index(fields=["next_step_at"], name="exports_due", condition=Q(status=ExportStatus.PREPARING)),
            models.Index(fields=["expires_at"], name="exports_expiry"),
        )

    def __str__(self) -> str:
        return f"{self.execution}, {self.get_format_display()}"

    @property
    def is_preparing(self) -> bool:
        """Return whether a worker has to make it, or is making it."""
        return self.status == ExportStatus.PREPARING

    @property
    def is_ready(self) -> bool:
        """Return whether it can be downloaded."""
        return self.status == ExportStatus.READY
