"""`/workflowExecutions`: create, read, list and cancel."""

from __future__ import annotations

import re
import uuid
from dataclasses import asdict
from typing import Any

from werkzeug.wrappers import Request, Response

from amc_facts.limits import DEFAULT_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS, MIN_TIMEOUT_SECONDS
from local_amc.access import check_reporting
from local_amc.faults import attached_fault, is_hit_by
from local_amc.fixtures import Instance
from local_amc.paging import page
from local_amc.records import WORKFLOWS
from local_amc.reporting.workflows import check_workflow
from local_amc.request_fields import (
    boolean_argument,
    boolean_field,
    id_field,
    invalid,
    read_body,
    text_field,
    unprocessable,
)
from local_amc.responses import json_response, single
from local_amc.runs.execution import CANCELLED, OPEN, WorkflowExecution
from local_amc.runs.windows import read_moment, read_window, read_zone
from local_amc.sql.errors import SqlError
from local_amc.sql.parameters import ParameterTypeError, declare
from local_amc.state import ServerState

_TYPE = "application/vnd.amcworkflowexecutions.v1+json"


def executions(state: ServerState, request: Request, instance_id: str) -> Response:
    """`GET` lists, `POST` creates."""
    found = check_reporting(state, request, instance_id)
    return _create(state, request, found) if request.method == "POST" else _list(state, request, instance_id)


def execution(state: ServerState, request: Request, instance_id: str, execution_id: str) -> Response:
    """`GET` reads, `PUT` cancels, and so does `DELETE`, as the guide says."""
    check_reporting(state, request, instance_id)
    state.runner.advance()
    found = find(state, instance_id, execution_id)
    if request.method == "PUT" and read_body(request).get("status") != CANCELLED:
        raise invalid("Only the status CANCELLED can be set")
    if request.method in ("PUT", "DELETE"):
        return _cancel(state, request, found)
    body = found.to_json(state.clock.timestamp(), with_workflow=boolean_argument(request, "includeWorkflow"))
    return _respond(state, body)


def find(state: ServerState, instance_id: str, execution_id: str) -> WorkflowExecution:
    """Return a visible execution of an instance; raises RequestRejectedError."""
    record = state.store.records.execution(execution_id)
    found = WorkflowExecution.from_record(record) if record else None
    if found is None or found.instance_id != instance_id or not found.is_visible(state.clock.timestamp()):
        raise invalid(f"Workflow execution with ID {execution_id} does not exist.")
    return found


def _create(state: ServerState, request: Request, instance: Instance) -> Response:
    body, instance_id = read_body(request), instance.instance_id
    if is_hit_by(request, "execution_limit"):
        raise unprocessable("You have reached your execution limit. Wait for running executions to end.")
    workflow_id, workflow = _workflow(state, instance_id, body)
    new = WorkflowExecution(
        id=str(uuid.uuid4()),
        instance_id=instance_id,
        workflow_id=workflow_id,
        created_at=state.clock.timestamp(),
        workflow=workflow,
        window=asdict(read_window(body)),
        timeout_seconds=_timeout(body),
        parameter_values=_values(body, workflow),
        advertisers=_advertisers(body, instance),
        requires_synthetic_data=boolean_field(body, "requireSyntheticData"),
        disables_aggregation_controls=boolean_field(body, "disableAggregationControls"),
        is_dry_run=boolean_field(body, "dryRun"),
        skips_publishing=boolean_field(body, "skipPublish"),
        ignores_data_gaps=boolean_field(body, "ignoreDataGaps"),
    )
    fault = attached_fault(request)
    if fault is not None and fault.fault.startswith("exec_"):
        new.planned_outcome, new.planned_seconds, new.planned_variant = fault.fault, fault.seconds, fault.variant
    elif fault is not None and fault.fault == "created_but_504" and fault.seconds:
        new.planned_outcome, new.planned_seconds = "exec_slow_visible", fault.seconds
    if state.options.refuses_at_post:
        _check_sql(state, new)
    created = new.to_json(new.created_at)
    state.runner.submit(new)
    return _respond(state, created)


def _check_sql(state: ServerState, new: WorkflowExecution) -> None:
    try:
        state.queries.check(new)
    except SqlError as problem:
        raise invalid(str(problem)) from problem


def _workflow(state: ServerState, instance_id: str, body: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return ID and object of the workflow to run: a saved one, or the one in the request."""
    saved, ad_hoc = body.get("workflowId"), body.get("workflow")
    if (saved is None) == (ad_hoc is None):
        raise invalid("Exactly one of workflowId and workflow is required")
    if saved is not None:
        key = id_field(body, "workflowId")
        workflow = state.store.records.get(WORKFLOWS, instance_id, key)
        if workflow is None:
            raise invalid(f"Workflow with ID {key} does not exist.")
        return key, workflow
    if not isinstance(ad_hoc, dict):
        raise invalid("workflow must be an object")
    workflow = check_workflow(state, ad_hoc, needs_id=False)
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
    value = body.get("workflowExecutionTimeoutSeconds", DEFAULT_TIMEOUT_SECONDS)
    # Some clients send the number as text, and get away with it.
    if isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise invalid("workflowExecutionTimeoutSeconds must be a whole number")
    if not MIN_TIMEOUT_SECONDS <= value <= MAX_TIMEOUT_SECONDS:
        raise unprocessable(
            f"workflowExecutionTimeoutSeconds must be between {MIN_TIMEOUT_SECONDS} and {MAX_TIMEOUT_SECONDS}"
        )
    return value


def _advertisers(body: dict[str, Any], instance: Instance) -> list[Any]:
    """Return the advertisers a run is restricted to, all of them the instance's own; none: all of them."""
    items = body.get("advertisers", [])
    if not isinstance(items, list) or not all(_is_advertiser(item) for item in items):
        raise invalid("advertisers must be a list of objects with the texts id and type")
    for item in items:
        if instance.advertisers.get(item["id"]) != item["type"]:
            raise invalid(f"Advertiser with ID {item['id']} and type {item['type']} does not exist.")
    return items


def _is_advertiser(item: Any) -> bool:
    return isinstance(item, dict) and all(text_field(item, name) for name in ("id", "type"))


def _list(state: ServerState, request: Request, instance_id: str) -> Response:
    arguments = request.args
    workflow_id, since = arguments.get("workflowId", ""), arguments.get("minCreationTime", "")
    if not (workflow_id or since):
        raise unprocessable("workflowId or minCreationTime is required")
    state.runner.advance()
    until = arguments.get("maxCreationTime", "")
    rows = state.store.records.executions(
        instance_id,
        workflow_id=workflow_id,
        since=_creation_time("minCreationTime", since, request),
        until=_creation_time("maxCreationTime", until, request),
    )
    now = state.clock.timestamp()
    found = [one for one in map(WorkflowExecution.from_record, rows) if one.is_visible(now)]
    if not boolean_argument(request, "includeCancelled"):
        found = [one for one in found if one.status != CANCELLED]
    if not boolean_argument(request, "sortAscending"):
        found.reverse()
    with_workflow = boolean_argument(request, "includeWorkflow")
    bodies = [one.to_json(now, with_workflow=with_workflow) for one in found]
    # A token fits the rows it came from only.
    chosen = {name: value for name, value in arguments.items() if name not in ("limit", "nextToken")}
    bound_to = f"executions:{instance_id}:{sorted(chosen.items())}"
    return json_response(page(request, "executions", bodies, bound_to=bound_to), content_type=_TYPE)


def _creation_time(name: str, value: str, request: Request) -> float | None:
    if not value:
        return None
    info = read_zone("timeZone", request.args.get("timeZone", "UTC"))
    # Whole seconds are asked for: the second named belongs to the range at both ends.
    try:
        asked = read_moment(name, value).replace(tzinfo=info).timestamp()
    except OverflowError as problem:
        raise invalid(f"{name} {value} is outside the calendar") from problem
    return asked if name.startswith("min") else asked + 0.999999


def _cancel(state: ServerState, request: Request, found: WorkflowExecution) -> Response:
    if found.status not in OPEN:
        raise invalid(f"Workflow execution with ID {found.id} has already ended: {found.status}")
    if not is_hit_by(request, "exec_cancel_race") and not state.runner.cancel(found.id):
        raise invalid(f"Workflow execution with ID {found.id} has already ended")
    return json_response({}, content_type=_TYPE)


def _respond(state: ServerState, body: dict[str, Any]) -> Response:
    return single("workflowExecution", body, is_wrapped=state.options.wraps_answers, content_type=_TYPE)
