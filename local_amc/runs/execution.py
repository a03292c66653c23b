"""A workflow execution: everything that is kept of it, and the JSON Amazon makes of that."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from amc_facts.limits import VISIBLE_AFTER_SECONDS
from local_amc.formatting import Format
from local_amc.runs.windows import TimeWindow
from local_amc.sql.privacy import PrivacyOptions

PENDING, RUNNING, SUCCEEDED = "PENDING", "RUNNING", "SUCCEEDED"
FAILED, REJECTED, CANCELLED = "FAILED", "REJECTED", "CANCELLED"
OPEN = (PENDING, RUNNING)
ALL_STATES = (PENDING, RUNNING, SUCCEEDED, FAILED, REJECTED, CANCELLED)

_HOUR, _DAY = 3600, 86_400
_INVALIDATION_SECONDS = 266_400


@dataclass
class WorkflowExecution:
    """One run. Times are seconds since 1970 by the server's clock.

    `planned_outcome` is the fault that was armed when it was created, with the fault's seconds and variant.
    """

    id: str
    instance_id: str
    workflow_id: str
    created_at: float
    workflow: dict[str, Any]
    window: dict[str, Any]
    timeout_seconds: int
    parameter_values: dict[str, Any] = field(default_factory=dict)
    advertisers: list[Any] = field(default_factory=list)
    requires_synthetic_data: bool = False
    disables_aggregation_controls: bool = False
    is_dry_run: bool = False
    skips_publishing: bool = False
    ignores_data_gaps: bool = False
    status: str = PENDING
    updated_at: float = 0.0
    validated_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    reason: str | None = None
    columns: list[dict[str, Any]] = field(default_factory=list)
    # Files of the result in order, with their size.
    parts: list[str] = field(default_factory=list)
    rows: int = 0
    planned_outcome: str = ""
    planned_seconds: float = 0.0
    planned_variant: str = ""

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> WorkflowExecution:
        """Return the execution of a record; fields that an older version kept are left out."""
        names = {own.name for own in fields(cls)}
        return cls(**{name: value for name, value in record.items() if name in names})

    def to_record(self) -> dict[str, Any]:
        """Return all fields, for the store."""
        return asdict(self)

    @property
    def sql(self) -> str:
        """Return the SQL as it was sent."""
        return str(self.workflow["sqlQuery"])

    @property
    def advertiser_types(self) -> frozenset[str] | None:
        """Return the types of the advertisers it is restricted to; None when it is not."""
        return frozenset(str(item["type"]) for item in self.advertisers) or None

    @property
    def asked_window(self) -> TimeWindow:
        """Return the window as it was asked for."""
        return TimeWindow(**self.window)

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """Return start and end of the window, aware, in UTC."""
        return self.asked_window.bounds(datetime.fromtimestamp(self.created_at, UTC))

    @property
    def options(self) -> PrivacyOptions:
        """Return what the workflow says about small groups."""
        return PrivacyOptions(
            discriminator_column=self.workflow.get("filteredMetricsDiscriminatorColumn"),
            user_count_column=self.workflow.get("distinctUserCountColumn"),
            reason_column=self.workflow.get("filteredReasonColumn"),
            removes_values=self.workflow.get("privacyFilteringBehavior") == "REMOVE_VALUES",
        )

    @property
    def format(self) -> Format:
        """Return how the CSV is to be written."""
        style = self.workflow.get("outputFormat") or {}
        return Format(
            separator=style.get("separatorCharacter") or ",",
            quote=style.get("quoteCharacter") or '"',
            escape=style.get("escapeCharacter"),
        )

    @property
    def has_result(self) -> bool:
        """Return whether there is something to download."""
        return self.status == SUCCEEDED and bool(self.parts)

    def is_visible(self, now: float) -> bool:
        """Return whether reads find it: a fault hides new ones for a while, as the real service does."""
        hidden = self.planned_seconds or VISIBLE_AFTER_SECONDS
        return self.planned_outcome != "exec_slow_visible" or now >= self.created_at + hidden

    def shown_status(self, now: float) -> str:
        """Return the status for readers; a fault can show one that the documentation does not know."""
        if (
            self.planned_outcome == "exec_publishing"
            and self.status == SUCCEEDED
            and now < (self.finished_at or 0) + (self.planned_seconds or 5)
        ):
            return "PUBLISHING"
        return self.status

    def to_json(self, now: float, *, with_workflow: bool = False) -> dict[str, Any]:
        """Return the execution as Amazon sends it; fields of later stages are left out until then."""
        window = self.asked_window
        body: dict[str, Any] = {
            "workflowExecutionId": self.id,
            "workflowId": self.workflow_id,
            "status": self.shown_status(now),
            "executionCategory": "AD_HOC",
            "createTime": _stamp(self.created_at),
            "lastUpdatedTime": _stamp(self.updated_at or self.created_at),
            "waitUntil": _stamp(self.created_at - _HOUR),
            "expireTime": _stamp(self.created_at + _DAY),
            "timeWindowType": window.type,
            "timeWindowTimeZoneOriginal": window.zone,
            "workflowExecutionTimeoutSeconds": self.timeout_seconds,
            "parameterValues": self.parameter_values,
            "dataGaps": [],
            "ignoreDataGaps": self.ignores_data_gaps,
            "disableAggregationControls": self.disables_aggregation_controls,
            "requireSyntheticData": self.requires_synthetic_data,
            "dryRun": self.is_dry_run,
            "skipPublish": self.skips_publishing,
        }
        if window.start or self.validated_at is not None:
            start, end = self.bounds
            body |= {"timeWindowStart": _utc(start), "timeWindowEnd": _utc(end)}
        if window.start:
            body |= {"timeWindowStartOriginal": window.start, "timeWindowEndOriginal": window.end}
        if self.advertisers:
            body["advertisers"] = self.advertisers
        if with_workflow:
            body["sqlQuery"] = self.sql
        return body | self._outcome(now)

    def _outcome(self, now: float) -> dict[str, Any]:
        body: dict[str, Any] = {}
        if self.validated_at is not None:
            body["validatedTime"] = _stamp(self.validated_at, milliseconds=True)
            body |= {"availableTimeBeforeWindowSecs": 0, "invalidationOffsetSecs": _INVALIDATION_SECONDS}
        if self.started_at is not None and self.finished_at is not None:
            body |= {"executionTime": max(0, round(self.finished_at - self.started_at)), "outputS3URI": "N/A"}
        if self.columns:
            body["outputColumns"] = self.columns
        if self.reason:
            body["statusReason"] = self.reason
        if self.finished_at is not None:
            available = self.has_result and self.shown_status(now) == SUCCEEDED
            channel = {"channel": {"type": "DOWNLOAD"}, "status": "AVAILABLE" if available else "UNAVAILABLE"}
            body["outputChannels"] = [channel]
        return body


def _stamp(moment: float, *, milliseconds: bool = False) -> str:
    aware = datetime.fromtimestamp(moment, UTC)
    fraction = f".{aware.microsecond // 1000:03d}" if milliseconds else ""
    return f"{aware:%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _utc(moment: datetime) -> str:
    # Not strftime, which gives the year 2 as one digit.
    return f"{moment.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
