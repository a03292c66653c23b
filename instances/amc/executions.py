"""Executions: what we ask AMC to run, and what it tells about a run."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from amc_facts.limits import DEFAULT_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS, MIN_TIMEOUT_SECONDS
from instances.amc.errors import SqlPosition
from instances.amc.fields import read_int, read_map, read_rows, read_text, read_time
from instances.amc.rejections import read_rejection
from instances.amc.responses import clean_words
from instances.amc.types import CallInfo

# Any other status, unknown ones too, means that the run may still change.
FINAL_STATUSES = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "REJECTED", "DELETED"})
# What AMC calls ad hoc runs that came without an ID of their own.
INVENTED_ID_PREFIX = "transient_"
_MAX_REASON = 4000
_WORKFLOW_ID = re.compile(r"\A[A-Za-z0-9._-]{1,100}\Z")


def format_time(moment: datetime) -> str:
    """Write a time as AMC reads it: whole seconds, neither zone nor offset; an aware time becomes UTC.

    The only place that does: a `Z` or a fraction gives empty results or a refusal.
    """
    naive = moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo is not None else moment
    return naive.isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRequest:
    """A run as we want it; the window is local time in `time_zone`, its end excluded.

    `workflow_id` is our own ID of this one run: it is what the run is found by when an answer got lost.
    Raises ValueError for what AMC would misunderstand rather than refuse.
    """

    workflow_id: str
    sql: str = field(repr=False)
    window_start: datetime
    window_end: datetime
    time_zone: str = "UTC"
    input_parameters: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    parameter_values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    timeout_seconds: int = DEFAULT_TIMEOUT_SECONDS
    require_synthetic_data: bool = False
    disable_aggregation_controls: bool = False
    discriminator_column: str = ""
    user_count_column: str = ""
    reason_column: str = ""
    dry_run: bool = False

    def __post_init__(self) -> None:
        if not _WORKFLOW_ID.match(self.workflow_id) or self.workflow_id.startswith(INVENTED_ID_PREFIX):
            raise ValueError("A workflow ID of ours has 1 to 100 letters, digits, dots, dashes and underscores.")
        if not self.sql.strip():
            raise ValueError("There is no SQL to run.")
        if self.window_start.tzinfo is not None or self.window_end.tzinfo is not None:
            raise ValueError("A window is local time without zone; the zone has a field of its own.")
        if self.window_start >= self.window_end:
            raise ValueError("The window ends before it starts.")
        if not MIN_TIMEOUT_SECONDS <= self.timeout_seconds <= MAX_TIMEOUT_SECONDS:
            raise ValueError(f"The timeout is {MIN_TIMEOUT_SECONDS} to {MAX_TIMEOUT_SECONDS} seconds.")
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{self.time_zone!r} is no time zone.") from error

    def for_validation(self) -> ExecutionRequest:
        """Return the dry run of this request; it must not be taken for the run itself.

        So it has another ID, and in case AMC does not keep that, another timeout.
        """
        shortest = MIN_TIMEOUT_SECONDS + (self.timeout_seconds == MIN_TIMEOUT_SECONDS)
        return replace(self, workflow_id=f"{self.workflow_id[:94]}.check", timeout_seconds=shortest, dry_run=True)

    def to_json(self) -> dict[str, Any]:
        """Return the body of the request; options that are off stay out."""
        workflow: dict[str, Any] = {"workflowId": self.workflow_id, "sqlQuery": self.sql}
        if self.input_parameters:
            workflow["inputParameters"] = [dict(parameter) for parameter in self.input_parameters]
        columns = {
            "filteredMetricsDiscriminatorColumn": self.discriminator_column,
            "distinctUserCountColumn": self.user_count_column,
            "filteredReasonColumn": self.reason_column,
        }
        workflow.update({name: column for name, column in columns.items() if column})
        options = {
            "requireSyntheticData": self.require_synthetic_data,
            "disableAggregationControls": self.disable_aggregation_controls,
            "dryRun": self.dry_run,
        }
        return {
            "workflow": workflow,
            "timeWindowType": "EXPLICIT",
            "timeWindowStart": format_time(self.window_start),
            "timeWindowEnd": format_time(self.window_end),
            "timeWindowTimeZone": self.time_zone,
            "parameterValues": dict(self.parameter_values),
            "workflowExecutionTimeoutSeconds": self.timeout_seconds,
            **{name: True for name, chosen in options.items() if chosen},
        }


@dataclass(frozen=True, slots=True)
class OutputColumn:
    """A column of a result."""

    name: str
    data_type: str
    column_type: str


@dataclass(frozen=True, slots=True)
class AmcExecution:
    """What AMC tells about a run; every field but the ID may be missing and is then empty.

    `status` is AMC's word. The window is in UTC; the `local_` texts are the window as it was asked for.
    """

    execution_id: str
    workflow_id: str
    status: str
    status_reason: str
    created_at: datetime | None
    updated_at: datetime | None
    window_start: datetime | None
    window_end: datetime | None
    local_window_start: str
    local_window_end: str
    time_zone: str
    timeout_seconds: int | None
    execution_seconds: int | None
    output_columns: tuple[OutputColumn, ...]
    sql: str = field(repr=False)
    parameter_values: Mapping[str, Any] = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False)
    call: CallInfo

    @property
    def is_final(self) -> bool:
        """Return whether nothing will change any more."""
        return self.status in FINAL_STATUSES

    @property
    def is_open(self) -> bool:
        """Return whether the run may still change; so may one in a state we do not know."""
        return not self.is_final

    @property
    def has_succeeded(self) -> bool:
        """Return whether there is a result."""
        return self.status == "SUCCEEDED"

    @property
    def has_invented_id(self) -> bool:
        """Return whether AMC gave the run a workflow ID of its own."""
        return self.workflow_id.startswith(INVENTED_ID_PREFIX)

    @property
    def reason_code(self) -> str:
        """Return the code of why AMC refused the run, empty when its words name none we know."""
        return read_rejection(self.status_reason).reason

    @property
    def sql_position(self) -> SqlPosition | None:
        """Return the place in the SQL that AMC complains about."""
        return read_rejection(self.status_reason).position

    def is_run_of(self, request: ExecutionRequest) -> bool:
        """Return whether this runs the same SQL with the same values over the same window."""
        return (
            _plain(self.sql) == _plain(request.sql)
            and _plain_values(self.parameter_values) == _plain_values(request.parameter_values)
            and self._has_window_of(request)
            and self.timeout_seconds in (None, request.timeout_seconds)
            and bool(self.raw.get("dryRun")) is request.dry_run
        )

    def _has_window_of(self, request: ExecutionRequest) -> bool:
        local = (format_time(request.window_start), format_time(request.window_end), request.time_zone)
        if self.local_window_start and self.local_window_end and self.time_zone:
            return (self.local_window_start, self.local_window_end, self.time_zone) == local
        zone = ZoneInfo(request.time_zone)
        asked = (request.window_start.replace(tzinfo=zone), request.window_end.replace(tzinfo=zone))
        return (self.window_start, self.window_end) == tuple(moment.astimezone(UTC) for moment in asked)


def parse_execution(raw: Mapping[str, Any], call: CallInfo) -> AmcExecution:
    """Read one execution object; unknown fields stay in `raw`."""
    workflow = read_map(raw, "workflow")
    return AmcExecution(
        execution_id=read_text(raw, "workflowExecutionId"),
        workflow_id=read_text(raw, "workflowId") or read_text(workflow, "workflowId"),
        status=read_text(raw, "status").strip().upper(),
        status_reason=clean_words(read_text(raw, "statusReason").strip(), max_length=_MAX_REASON),
        created_at=read_time(raw, "createTime"),
        updated_at=read_time(raw, "lastUpdatedTime"),
        window_start=read_time(raw, "timeWindowStart"),
        window_end=read_time(raw, "timeWindowEnd"),
        local_window_start=read_text(raw, "timeWindowStartOriginal"),
        local_window_end=read_text(raw, "timeWindowEndOriginal"),
        time_zone=read_text(raw, "timeWindowTimeZoneOriginal"),
        timeout_seconds=read_int(raw, "workflowExecutionTimeoutSeconds"),
        execution_seconds=read_int(raw, "executionTime"),
        output_columns=tuple(
            OutputColumn(read_text(row, "name"), read_text(row, "dataType"), read_text(row, "columnType"))
            for row in read_rows(raw, "outputColumns")
        ),
        sql=read_text(raw, "sqlQuery") or read_text(workflow, "sqlQuery"),
        parameter_values=read_map(raw, "parameterValues"),
        raw=raw,
        call=call,
    )


def _plain(sql: str) -> str:
    # AMC may give SQL back on one line and without its last semicolon.
    return " ".join(sql.split()).rstrip("; ")


def _plain_values(values: Mapping[str, Any]) -> dict[str, str]:
    # Some answers hold numbers as text.
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
