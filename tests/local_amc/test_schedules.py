"""`/schedules` over HTTP: kept and checked, never started."""

from __future__ import annotations

from typing import Any

import pytest

from local_amc.server import LocalAmcServer
from tests.local_amc.api import Api

WEEKLY = {
    "scheduleId": "s",
    "workflowId": "weekly_spend.v2",
    "aggregationPeriod": "Weekly",
    "aggregationStartDay": "Friday",
    "aggregationHourUtc": 23,
    "scheduleEnabled": False,
    "requireSyntheticData": True,
    "disableAggregationControls": True,
    "marketplaceId": "ATVPDKIKX0DER",
}
DAILY = {"scheduleId": "s", "workflowId": "weekly_spend.v2", "aggregationPeriod": "Daily"}


def test_created_read_listed_replaced_deleted(api: Api) -> None:
    assert api.call("POST", "schedules", WEEKLY).json() == {}
    assert api.get("schedules/s") == WEEKLY
    assert api.get("schedules")["schedules"][1] == WEEKLY
    assert api.call("PUT", "schedules/s", DAILY).json() == {}
    assert api.get("schedules/s") == {
        **DAILY,
        "aggregationHourUtc": 0,
        "scheduleEnabled": True,
        "requireSyntheticData": False,
        "disableAggregationControls": False,
    }
    deleted = api.call("DELETE", "schedules/s")
    assert (deleted.status_code, deleted.json()) == (200, {})
    assert [body["scheduleId"] for body in api.get("schedules")["schedules"]] == ["reach_every_monday"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_unknown(api: Api, method: str) -> None:
    assert api.rejection(method, "schedules/s", DAILY) == (400, "Schedule with ID s does not exist.")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scheduleId": None}, "scheduleId must be"), ({"scheduleId": "a b"}, "letters, digits"),
        ({"scheduleId": "x" * 101}, "1 to 100"), ({"workflowId": None}, "workflowId must be"),
        ({"workflowId": "nobody"}, "Workflow with ID nobody does not exist."),
        ({"aggregationPeriod": None}, "aggregationPeriod must be one of Daily, Weekly"),
        ({"aggregationPeriod": "daily"}, "aggregationPeriod must be"),
        ({"aggregationPeriod": "Monthly"}, "aggregationPeriod must be"),
        ({"aggregationStartDay": "Mon"}, "aggregationStartDay must be one of Monday"),
        ({"aggregationHourUtc": 24}, "aggregationHourUtc must be a whole number from 0 to 23"),
        ({"aggregationHourUtc": -1}, "aggregationHourUtc"), ({"aggregationHourUtc": "6"}, "aggregationHourUtc"),
        ({"aggregationHourUtc": True}, "aggregationHourUtc"), ({"aggregationHourUtc": 6.0}, "aggregationHourUtc"),
        ({"scheduleEnabled": "yes"}, "scheduleEnabled must be true or false"),
        ({"requireSyntheticData": 1}, "requireSyntheticData must be true or false"),
        ({"disableAggregationControls": []}, "disableAggregationControls must be true or false"),
        ({"marketplaceId": 1}, "marketplaceId must be a text"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(api: Api, change: dict[str, Any], words: str) -> None:
    status, details = api.rejection("POST", "schedules", {**WEEKLY, **change})
    assert (status, words in details) == (400, True), details
    assert api.rejection("GET", "schedules/s")[0] == 400


def test_a_name_exists_once_and_the_path_decides(api: Api) -> None:
    api.call("POST", "schedules", DAILY)
    assert api.rejection("POST", "schedules", WEEKLY) == (400, "Schedule with ID s already exists.")
    other = {**DAILY, "scheduleId": "other"}
    assert api.rejection("PUT", "schedules/s", other) == (400, "scheduleId must be s, as in the path")


@pytest.mark.parametrize(("day", "name"), [("2026-11-18", "Wednesday"), ("2026-11-22", "Sunday")])
def test_a_week_begins_on_the_day_of_its_creation(server: LocalAmcServer, api: Api, day: str, name: str) -> None:
    server.control("POST", "clock", {"set": f"{day}T23:59:00Z"})
    api = Api(server.url)
    api.call("POST", "schedules", {**DAILY, "aggregationPeriod": "Weekly"})
    assert api.get("schedules/s")["aggregationStartDay"] == name


def test_pages_and_wrapping(server: LocalAmcServer, api: Api) -> None:
    for number in range(3):
        api.call("POST", "schedules", {**DAILY, "scheduleId": f"s{number}"})
    page = api.get("schedules", limit=2)
    rest = api.get("schedules", limit=2, nextToken=page["nextToken"])
    names = [body["scheduleId"] for body in (*page["schedules"], *rest["schedules"])]
    assert (names, "nextToken" in rest) == (["reach_every_monday", "s0", "s1", "s2"], False)
    flat = api.get("schedules/s1")
    server.control("POST", "options", {"wraps_answers": True})
    assert api.get("schedules/s1") == {"schedule": flat}


def test_a_schedule_starts_nothing(server: LocalAmcServer, api: Api) -> None:
    api.call("POST", "schedules", {**DAILY, "aggregationHourUtc": 0})
    server.control("POST", "clock", {"advance": 3 * 86_400})
    assert Api(server.url).get("workflowExecutions", minCreationTime="2020-01-01T00:00:00")["executions"] == []
