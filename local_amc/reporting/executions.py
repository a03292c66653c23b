"""`/workflowExecutions`: create, read, list and cancel."""

from __future__ import annotations

import re
import uuid
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from local_amc.answers import json_answer, single
from local_amc.paging import page
from local_amc.records import WORKFLOWS
from local_amc.reporting import computing
from local_amc.reporting.checks import (
    body_of,
    check_id,
    check_reporting,
    flag,
    invalid,
    query_flag,
    text,
    unprocessable,
)
from local_amc.reporting.execution import CANCELLED, OPEN, Execution
from local_amc.reporting.windows import moment, window_of, zone_of
from local_amc.reporting.workflows import check_workflow
from local_amc.sql.errors import SqlError
from local_amc.sql.parameters import ParameterTypeError, declare

if TYPE_CHECKING:
    from local_amc.server import LocalAmc

_TYPE = "application/vnd.amcworkflowexecutions.v1+json"
_DEFAULT_TIMEOUT, _SHORTEST, _LONGEST = 21_600, 900, 86_400


def executions(app: LocalAmc, request: Request, instance_id: str) -> Response:
    """`GET` lists, `POST` creates."""
    check_reporting(app, request, instance_id)
    return _create(app, request, instance_id) if request.method == "POST" else _list(app, request, instance_id)


def execution(app: LocalAmc, request: Request, instance_id: str, execution_id: str) -> Response:
    """`GET` reads, `PUT` cancels."""
    check_reporting(app, request, instance_id)
    app.runner.advance()
    found = find(app, instance_id, execution_id)
    if request.method == "PUT":
        return _cancel(app, request, found)
    body = found.to_json(app.clock.timestamp(), with_workflow=query_flag(request, "includeWorkflow"))
    return _answer(app, body)


def find(app: LocalAmc, instance_id: str, execution_id: str) -> Execution:
    """Return a visible execution of an instance; raises RefusedError."""
    record = app.store.records.execution(execution_id)
    found = Execution.from_record(record) if record else None
    if found is None or found.instance_id != instance_id or not found.is_visible(app.clock.timestamp()):
        raise invalid(f"Workflow execution with ID {execution_id} does not exist.")
    return found


def _create(app: LocalAmc, request: Request, instance_id: str) -> Response:
    body = body_of(request)
    if request.environ.get("local_amc.fault") == "execution_limit":
        raise unprocessable("You have reached your execution limit. Wait for running executions to end.")
    workflow_id, workflow = _workflow(app, instance_id, body)
    new = Execution(
        id=str(uuid.uuid4()),
        instance_id=instance_id,
        workflow_id=workflow_id,
        created_at=app.clock.timestamp(),
        workflow=workflow,
        window=asdict(window_of(body)),
        timeout_seconds=_timeout(body),
        parameter_values=_values(body, workflow),
        advertisers=_advertisers(body),
        requires_synthetic_data=flag(body, "requireSyntheticData"),
        disables_aggregation_controls=flag(body, "disableAggregationControls"),
        is_dry_run=flag(body, "dryRun"),
        skips_publishing=flag(body, "skipPublish"),
        ignores_data_gaps=flag(body, "ignoreDataGaps"),
    )
    fault = request.environ.get("local_amc.fault_spec")
    if fault is not None and fault.fault.startswith("exec_"):
        new.fate, new.fate_seconds, new.fate_variant = fault.fault, fault.seconds, fault.variant
    elif fault is not None and fault.fault == "created_but_504" and fault.seconds:
        new.fate, new.fate_seconds = "exec_slow_visible", fault.seconds
    if app.refuses_at_post:
        _check_sql(app, new)
    created = new.to_json(new.created_at)
    app.runner.submit(new)
    return _answer(app, created)


def _check_sql(app: LocalAmc, new: Execution) -> None:
    try:
        computing.check(app, new)
    except SqlError as problem:
        raise invalid(str(problem)) from problem


def _workflow(app: LocalAmc, instance_id: str, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return ID and object of the workflow to run: a saved one, or the one in the request."""
    saved, ad_hoc = body.get("workflowId"), body.get("workflow")
    if (saved is None) == (ad_hoc is None):
        raise invalid("Exactly one of workflowId and workflow is required")
    if saved is not None:
        key = check_id(body, "workflowId")
        workflow = app.store.records.get(WORKFLOWS, instance_id, key)
        if workflow is None:
            raise invalid(f"Workflow with ID {key} does not exist.")
        return key, workflow
    if not isinstance(ad_hoc, dict):
        raise invalid("workflow must be an object")
    workflow = check_workflow(app, ad_hoc, needs_id=False)
    return workflow.get("workflowId") or f"transient_{uuid.uuid4()}", workflow


def _values(body: dict[str, Any], workflow: dict[str, Any]) -> dict[str, Any]:
    values = body.get("parameterValues", {})
    if not isinstance(values, dict):
        raise invalid("parameterValues must be an object of names and values")
    try:
        declare(workflow.get("inputParameters") or [], values)
    except ParameterTypeError as problem:
        raise invalid(str(problem)) from problem
    return values


def _timeout(body: dict[str, Any]) -> int:
    value = body.get("workflowExecutionTimeoutSeconds", _DEFAULT_TIMEOUT)
    # Some clients send the number as text, and get away with it.
    if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid("workflowExecutionTimeoutSeconds must be a whole number")
    if not _SHORTEST <= value <= _LONGEST:
        raise unprocessable(f"workflowExecutionTimeoutSeconds must be between {_SHORTEST} and {_LONGEST}")
    return value


def _advertisers(body: dict[str, Any]) -> list[Any]:
    items = body.get("advertisers", [])
    if not isinstance(items, list) or not all(_is_advertiser(item) for item in items):
        raise invalid("advertisers must be a list of objects with the texts id and type")
    return items


def _is_advertiser(item: Any) -> bool:
    return isinstance(item, dict) and all(text(item, name) for name in ("id", "type"))


def _list(app: LocalAmc, request: Request, instance_id: str) -> Response:
    arguments = request.args
    workflow_id, since = arguments.get("workflowId", ""), arguments.get("minCreationTime", "")
    if not (workflow_id or since):
        raise unprocessable("workflowId or minCreationTime is required")
    app.runner.advance()
    until = arguments.get("maxCreationTime", "")
    rows = app.store.records.executions(
        instance_id,
        workflow_id=workflow_id,
        since=_created("minCreationTime", since, request),
        until=_created("maxCreationTime", until, request),
    )
    now = app.clock.timestamp()
    found = [one for one in map(Execution.from_record, rows) if one.is_visible(now)]
    if not query_flag(request, "includeCancelled"):
        found = [one for one in found if one.status != CANCELLED]
    if not query_flag(request, "sortAscending"):
        found.reverse()
    with_workflow = query_flag(request, "includeWorkflow")
    bodies = [one.to_json(now, with_workflow=with_workflow) for one in found]
    # A token fits the rows it came from only.
    chosen = {name: value for name, value in arguments.items() if name not in ("limit", "nextToken")}
    bound_to = f"executions:{instance_id}:{sorted(chosen.items())}"
    return json_answer(page(request, "executions", bodies, bound_to=bound_to), content_type=_TYPE)


def _created(name: str, value: str, request: Request) -> float | None:
    if not value:
        return None
    info = zone_of("timeZone", request.args.get("timeZone", "UTC"))
    # Whole seconds are asked for: the second named belongs to the range at both ends.
    try:
        asked = moment(name, value).replace(tzinfo=info).timestamp()
    except OverflowError as problem:
        raise invalid(f"{name} {value} is outside the calendar") from problem
    return asked if name.startswith("min") else asked + 0.999999


def _cancel(app: LocalAmc, request: Request, found: Execution) -> Response:
    if body_of(request).get("status") != CANCELLED:
        raise invalid("Only the status CANCELLED can be set")
    if found.status not in OPEN:
        raise invalid(f"Workflow execution with ID {found.id} has already ended: {found.status}")
    if request.environ.get("local_amc.fault") != "exec_cancel_race" and not app.runner.cancel(found.id):
        raise invalid(f"Workflow execution with ID {found.id} has already ended")
    return json_answer({}, content_type=_TYPE)


def _answer(app: LocalAmc, body: dict[str, Any]) -> Response:
    return single("workflowExecution", body, is_wrapped=app.wraps_answers, content_type=_TYPE)
