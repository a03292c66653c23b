"""`/schedules`: kept and checked. They start nothing; the product schedules by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from local_amc.answers import json_answer, single
from local_amc.paging import page
from local_amc.records import SCHEDULES, WORKFLOWS
from local_amc.reporting.checks import body_of, check_id, check_reporting, flag, invalid, text

if TYPE_CHECKING:
    from local_amc.server import LocalAmc

_TYPE = "application/vnd.amcschedules.v1+json"
_PERIODS = ("Daily", "Weekly")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def schedules(app: LocalAmc, request: Request, instance_id: str) -> Response:
    """`GET` lists, `POST` creates."""
    check_reporting(app, request, instance_id)
    records = app.store.records
    if request.method == "POST":
        body = _checked(app, instance_id, body_of(request))
        if not records.add(SCHEDULES, instance_id, body["scheduleId"], body):
            raise invalid(f"Schedule with ID {body['scheduleId']} already exists.")
        return json_answer({})
    rows = records.all(SCHEDULES, instance_id)
    return json_answer(page(request, "schedules", rows, bound_to=f"schedules:{instance_id}"), content_type=_TYPE)


def schedule(app: LocalAmc, request: Request, instance_id: str, schedule_id: str) -> Response:
    """`GET`, `PUT` and `DELETE` one."""
    check_reporting(app, request, instance_id)
    records = app.store.records
    found = records.get(SCHEDULES, instance_id, schedule_id)
    if found is None:
        raise invalid(f"Schedule with ID {schedule_id} does not exist.")
    if request.method == "PUT":
        body = _checked(app, instance_id, body_of(request))
        if body["scheduleId"] != schedule_id:
            raise invalid(f"scheduleId must be {schedule_id}, as in the path")
        records.put(SCHEDULES, instance_id, schedule_id, body)
        return json_answer({})
    if request.method == "DELETE":
        records.delete(SCHEDULES, instance_id, schedule_id)
        return Response("")
    return single("schedule", found, is_wrapped=app.wraps_answers, content_type=_TYPE)


def _checked(app: LocalAmc, instance_id: str, body: dict[str, Any]) -> dict[str, Any]:
    check_id(body, "scheduleId")
    workflow_id = check_id(body, "workflowId")
    if app.store.records.get(WORKFLOWS, instance_id, workflow_id) is None:
        raise invalid(f"Workflow with ID {workflow_id} does not exist.")
    if body.get("aggregationPeriod") not in _PERIODS:
        raise invalid(f"aggregationPeriod must be one of {', '.join(_PERIODS)}")
    day, hour = body.get("aggregationStartDay"), body.get("aggregationHourUtc", 0)
    if day is not None and day not in _DAYS:
        raise invalid(f"aggregationStartDay must be one of {', '.join(_DAYS)}")
    if not isinstance(hour, int) or isinstance(hour, bool) or not 0 <= hour <= 23:
        raise invalid("aggregationHourUtc must be a whole number from 0 to 23")
    text(body, "marketplaceId")
    kept = {
        **body,
        "aggregationHourUtc": hour,
        "scheduleEnabled": flag(body, "scheduleEnabled", default=True),
        "requireSyntheticData": flag(body, "requireSyntheticData"),
        "disableAggregationControls": flag(body, "disableAggregationControls"),
    }
    if body["aggregationPeriod"] == "Weekly" and day is None:
        kept["aggregationStartDay"] = _DAYS[app.clock.now().weekday()]
    return kept
