"""`/workflows`: saved queries, and the rules of a workflow object wherever one is sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from local_amc.answers import json_answer, single
from local_amc.paging import page
from local_amc.records import SCHEDULES, WORKFLOWS
from local_amc.reporting.checks import body_of, check_id, check_reporting, filled, invalid, text
from local_amc.sql.compiler import check_syntax
from local_amc.sql.errors import SqlSyntaxError
from local_amc.sql.parameters import ParameterTypeError, declare

if TYPE_CHECKING:
    from local_amc.server import LocalAmc

_TYPE = "application/vnd.amcworkflows.v1+json"
_MOST_ITEMS = 100
_COLUMN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_ADDED_COLUMNS = ("filteredMetricsDiscriminatorColumn", "distinctUserCountColumn", "filteredReasonColumn")
_BEHAVIOURS = ("REMOVE_ROWS", "REMOVE_VALUES")
_COLUMN_TYPES = ("DIMENSION", "METRIC")


def workflows(app: LocalAmc, request: Request, instance_id: str) -> Response:
    """`GET` lists, `POST` creates."""
    check_reporting(app, request, instance_id)
    if request.method == "POST":
        return _create(app, request, instance_id)
    rows = app.store.records.all(WORKFLOWS, instance_id)
    return json_answer(page(request, "workflows", rows, bound_to=f"workflows:{instance_id}"), content_type=_TYPE)


def workflow(app: LocalAmc, request: Request, instance_id: str, workflow_id: str) -> Response:
    """`GET`, `PUT` and `DELETE` one."""
    check_reporting(app, request, instance_id)
    records = app.store.records
    found = records.get(WORKFLOWS, instance_id, workflow_id)
    if found is None:
        raise invalid(f"Workflow with ID {workflow_id} does not exist.")
    if request.method == "PUT":
        body = check_workflow(app, body_of(request))
        if body.get("workflowId") != workflow_id:
            raise invalid(f"workflowId must be {workflow_id}, as in the path")
        records.put(WORKFLOWS, instance_id, workflow_id, body)
        return json_answer({})
    if request.method == "DELETE":
        _check_unused(app, request, instance_id, workflow_id)
        records.delete(WORKFLOWS, instance_id, workflow_id)
        return Response("")
    return single("workflow", found, is_wrapped=app.wraps_answers, content_type=_TYPE)


def check_workflow(app: LocalAmc, body: dict[str, Any], *, needs_id: bool = True) -> dict[str, Any]:
    """Check a workflow object and give what is kept of it; raises RefusedError."""
    body = filled(body)
    if needs_id or "workflowId" in body:
        check_id(body, "workflowId")
    sql = body.get("sqlQuery")
    if not isinstance(sql, str) or not sql.strip():
        raise invalid("sqlQuery is required")
    _check_items(body, "inputParameters")
    _check_items(body, "outputColumns")
    for name in _ADDED_COLUMNS:
        value = text(body, name)
        if value is not None and not _COLUMN.fullmatch(value):
            raise invalid(f"{name} must be the name of a column: letters, digits and _")
    if body.get("privacyFilteringBehavior", _BEHAVIOURS[0]) not in _BEHAVIOURS:
        raise invalid(f"privacyFilteringBehavior must be one of {', '.join(_BEHAVIOURS)}")
    _check_format(body.get("outputFormat"))
    try:
        declare(body.get("inputParameters", []), {})
        check_syntax(sql, app.rules)
    except ParameterTypeError as problem:
        raise invalid(str(problem)) from problem
    except SqlSyntaxError as problem:
        raise invalid(str(problem)) from problem
    _check_words(body.get("inputParameters", []))
    return body


def _create(app: LocalAmc, request: Request, instance_id: str) -> Response:
    body = check_workflow(app, body_of(request))
    key = body["workflowId"]
    is_duplicate = request.environ.get("local_amc.fault") == "duplicate_workflow"
    if is_duplicate or not app.store.records.add(WORKFLOWS, instance_id, key, body):
        raise invalid(f"Workflow with ID {key} already exists.")
    # Amazon says octet-stream here, and sends JSON.
    return json_answer({}, content_type="application/octet-stream")


def _check_unused(app: LocalAmc, request: Request, instance_id: str, workflow_id: str) -> None:
    used = [
        s["scheduleId"] for s in app.store.records.all(SCHEDULES, instance_id) if s["workflowId"] == workflow_id
    ]
    if request.environ.get("local_amc.fault") == "delete_referenced_workflow":
        used = used or ["weekly"]
    if used:
        raise invalid(f"Workflow with ID {workflow_id} is used by the schedule {used[0]}; delete that first.")


def _check_items(body: dict[str, Any], name: str) -> None:
    items = body.get(name)
    if items is None:
        return
    if not isinstance(items, list) or len(items) > _MOST_ITEMS or not all(isinstance(i, dict) for i in items):
        raise invalid(f"{name} must be a list of at most {_MOST_ITEMS} objects")


def _check_words(definitions: list[dict[str, Any]]) -> None:
    for definition in definitions:
        if text(definition, "columnType") not in (None, *_COLUMN_TYPES):
            raise invalid(f"inputParameters: columnType must be one of {', '.join(_COLUMN_TYPES)}")
        for name in ("displayName", "description"):
            text(definition, name)


def _check_format(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        raise invalid("outputFormat must be an object")
    for name in ("separatorCharacter", "quoteCharacter", "escapeCharacter"):
        character = value.get(name)
        if character is not None and not _is_character(character):
            raise invalid(f"outputFormat.{name} must be one character")
    separator, quote = value.get("separatorCharacter") or ",", value.get("quoteCharacter") or '"'
    if separator in (quote, value.get("escapeCharacter")):
        raise invalid("outputFormat.separatorCharacter must differ from the other two")


def _is_character(value: Any) -> bool:
    """Return whether this can stand in a file: half a character cannot."""
    is_one = isinstance(value, str) and len(value) == 1 and value not in "\r\n\0"
    return is_one and not "\ud800" <= value <= "\udfff"
