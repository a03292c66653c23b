"""`/schedules`: kept and checked. They start nothing; the product schedules by itself."""

from __future__ import annotations

from typing import Any

from werkzeug.wrappers import Request, Response

from local_amc.access import check_reporting
from local_amc.paging import page
from local_amc.records import SCHEDULES, WORKFLOWS
from local_amc.request_fields import boolean_field, id_field, invalid, read_body, text_field
from local_amc.responses import json_response, single
from local_amc.state import ServerState

_TYPE = "application/vnd.amcschedules.v1+json"
_PERIODS = ("Daily", "Weekly")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def schedules(state: ServerState, request: Request, instance_id: str) -> Response:
    """`GET` lists, `POST` creates."""
    check_reporting(state, request, instance_id)
    records = state.store.records
    if request.method == "POST":
        body = _checked(state, instance_id, read_body(request))
        if not records.add(SCHEDULES, instance_id, body["scheduleId"], body):
            raise invalid(f"Schedule with ID {body['scheduleId']} already exists.")
        return json_response({})
    rows = records.all(SCHEDULES, instance_id)
    return json_response(page(request, "schedules", rows, bound_to=f"schedules:{instance_id}"), content_type=_TYPE)


def schedule(state: ServerState, request: Request, instance_id: str, schedule_id: str) -> Response:
    """`GET`, `PUT` and `DELETE` one."""
    check_reporting(state, request, instance_id)
    records = state.store.records
    found = records.get(SCHEDULES, instance_id, schedule_id)
    if found is None:
        raise invalid(f"Schedule with ID {schedule_id} does not exist.")
    if request.method == "PUT":
        body = _checked(state, instance_id, read_body(request))
        if body["scheduleId"] != schedule_id:
            raise invalid(f"scheduleId must be {schedule_id}, as in the path")
        records.put(SCHEDULES, instance_id, schedule_id, body)
        return json_response({})
    if request.method == "DELETE":
        records.delete(SCHEDULES, instance_id, schedule_id)
        return json_response({}, content_type=_TYPE)
    return single("schedule", found, is_wrapped=state.options.wraps_answers, content_type=_TYPE)


def _checked(state: ServerState, instance_id: str, body: dict[str, Any]) -> dict[str, Any]:
    id_field(body, "scheduleId")
    workflow_id = id_field(body, "workflowId")
    if state.store.records.get(WORKFLOWS, instance_id, workflow_id) is None:
        raise invalid(f"Workflow with ID {workflow_id} does not exist.")
    if body.get("aggregationPeriod") not in _PERIODS:
        raise invalid(f"aggregationPeriod must be one of {', '.join(_PERIODS)}")
    day, hour = body.get("aggregationStartDay"), body.get("aggregationHourUtc", 0)
    if day is not None and day not in _DAYS:
        raise invalid(f"aggregationStartDay must be one of {', '.join(_DAYS)}")
    if not isinstance(hour, int) or isinstance(hour, bool) or not 0 <= hour <= 23:
        raise invalid("aggregationHourUtc must be a whole number from 0 to 23")
    text_field(body, "marketplaceId")
    kept = {
        **body,
        "aggregationHourUtc": hour,
        "scheduleEnabled": boolean_field(body, "scheduleEnabled", default=True),
        "requireSyntheticData": boolean_field(body, "requireSyntheticData"),
        "disableAggregationControls": boolean_field(body, "disableAggregationControls"),
    }
    if body["aggregationPeriod"] == "Weekly" and day is None:
        kept["aggregationStartDay"] = _DAYS[state.clock.now().weekday()]
    return kept
