"""A run's time window, from what is sent to the rows that are read: half-open, in its time zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local_amc.server import LocalAmcServer
from tests.local_amc.api import CONSTANT, Api
from tests.local_amc.shared import Amc, tiny, utc_now

BOUNDS = (
    "SELECT BUILT_IN_PARAMETER('TIME_WINDOW_START') AS a, BUILT_IN_PARAMETER('TIME_WINDOW_END') AS b, "
    "CURRENT_TIMESTAMP AS c FROM (VALUES (1)) AS t(x)"
)
RAW: dict[str, Any] = {"instance": "amclocalsbx", "requireSyntheticData": True, "disableAggregationControls": True}
EVENTS = "SELECT event_dt_utc, event_dt FROM sponsored_ads_traffic"


def explicit(start: str, end: str, zone: str = "UTC") -> dict[str, Any]:
    return {
        "timeWindowType": "EXPLICIT",
        "timeWindowStart": start,
        "timeWindowEnd": end,
        "timeWindowTimeZone": zone,
    }


class TestZones:
    @pytest.mark.parametrize(
        ("start", "end", "zone", "utc_start", "utc_end"),
        [
            ("2026-10-01T00:00:00", "2026-10-02T00:00:00", "UTC", "2026-10-01T00:00:00", "2026-10-02T00:00:00"),
            ("2026-10-01T00:00:00", "2026-10-02T00:00:00", "America/New_York",
             "2026-10-01T04:00:00", "2026-10-02T04:00:00"),
            ("2026-10-01T00:00:00", "2026-10-02T00:00:00", "Asia/Tokyo", "2026-09-30T15:00:00", "2026-10-01T15:00:00"),
            ("2026-10-01T06:30:00", "2026-10-01T07:00:01", "Asia/Kolkata",
             "2026-10-01T01:00:00", "2026-10-01T01:30:01"),
            # Clocks go forward: the day has 23 hours, in Berlin, New York and London.
            ("2026-03-29T00:00:00", "2026-03-30T00:00:00", "Europe/Berlin",
             "2026-03-28T23:00:00", "2026-03-29T22:00:00"),
            ("2026-03-08T00:00:00", "2026-03-09T00:00:00", "America/New_York",
             "2026-03-08T05:00:00", "2026-03-09T04:00:00"),
            # Clocks go back: the day has 25 hours.
            ("2026-11-01T00:00:00", "2026-11-02T00:00:00", "America/New_York",
             "2026-11-01T04:00:00", "2026-11-02T05:00:00"),
            ("2026-10-25T00:00:00", "2026-10-26T00:00:00", "Europe/Berlin",
             "2026-10-24T22:00:00", "2026-10-25T23:00:00"),
            # 02:30 is skipped: as long after midnight as it says. 01:30 comes twice: the first one.
            ("2026-03-08T02:30:00", "2026-03-08T12:00:00", "America/New_York",
             "2026-03-08T07:30:00", "2026-03-08T16:00:00"),
            ("2026-11-01T01:30:00", "2026-11-01T02:00:00", "America/New_York",
             "2026-11-01T05:30:00", "2026-11-01T07:00:00"),
            # Half an hour forward; a day that does not exist at all.
            ("2026-10-04T00:00:00", "2026-10-05T00:00:00", "Australia/Lord_Howe",
             "2026-10-03T13:30:00", "2026-10-04T13:00:00"),
            ("2011-12-29T00:00:00", "2011-12-31T00:00:00", "Pacific/Apia",
             "2011-12-29T10:00:00", "2011-12-30T10:00:00"),
            ("2024-02-29T00:00:00", "2024-03-01T00:00:00", "UTC", "2024-02-29T00:00:00", "2024-03-01T00:00:00"),
            ("0002-01-01T00:00:00", "9998-12-31T23:59:59", "Asia/Tokyo", None, "9998-12-31T14:59:59"),
        ],
    )  # fmt: skip
    def test_golden(self, api: Api, start: str, end: str, zone: str, utc_start: str | None, utc_end: str) -> None:
        done = api.run(BOUNDS, **explicit(start, end, zone))
        assert done["status"] == "SUCCEEDED", done
        originals = [done[f"timeWindow{name}Original"] for name in ("Start", "End", "TimeZone")]
        assert originals == [start, end, zone]
        # What the answer says is what the query sees.
        [[first, last, _]] = api.rows(BOUNDS, **explicit(start, end, zone))
        assert [done["timeWindowStart"], done["timeWindowEnd"]] == [
            first.replace(".000Z", "Z"),
            last.replace(".000Z", "Z"),
        ]
        assert done["timeWindowEnd"] == f"{utc_end}Z"
        if utc_start:
            assert done["timeWindowStart"] == f"{utc_start}Z"


class TestRules:
    @pytest.mark.parametrize(
        ("change", "status", "words"),
        [
            ({"timeWindowType": "LAST_YEAR"}, 400, "must be one of EXPLICIT, MOST_RECENT_DAY"),
            ({"timeWindowType": "explicit"}, 400, "must be one of"), ({"timeWindowType": 1}, 400, "must be a text"),
            ({"timeWindowStart": None}, 400, "are required with timeWindowType EXPLICIT"),
            ({"timeWindowEnd": ""}, 400, "are required with timeWindowType EXPLICIT"),
            ({"timeWindowType": "MOST_RECENT_DAY"}, 400, "need timeWindowType EXPLICIT"),
            ({"timeWindowType": None}, 400, "need timeWindowType EXPLICIT"),
            ({"timeWindowStart": "2026-10-01"}, 400, "timeWindowStart must look like 2026-10-01T00:00:00"),
            ({"timeWindowStart": "2026-10-01T00:00:00Z"}, 400, "without zone and fraction"),
            ({"timeWindowStart": "2026-10-01T00:00:00+02:00"}, 400, "without zone and fraction"),
            ({"timeWindowEnd": "2026-10-02T00:00:00.000"}, 400, "timeWindowEnd must look like"),
            ({"timeWindowEnd": "2026-10-02 00:00:00"}, 400, "timeWindowEnd must look like"),
            ({"timeWindowEnd": 20261002}, 400, "timeWindowEnd must be a text"),
            ({"timeWindowStart": "2026-02-29T00:00:00"}, 400, "2026-02-29T00:00:00 does not exist"),
            ({"timeWindowStart": "2026-09-30T24:00:00"}, 400, "does not exist"),
            ({"timeWindowStart": "0000-01-01T00:00:00"}, 400, "does not exist"),
            ({"timeWindowStart": "٢٠٢٦-10-01T00:00:00"}, 400, "timeWindowStart"),
            ({"timeWindowEnd": "2026-10-01T00:00:00"}, 422, "timeWindowStart must be before timeWindowEnd"),
            ({"timeWindowEnd": "2026-09-01T00:00:00"}, 422, "timeWindowStart must be before timeWindowEnd"),
            ({"timeWindowStart": "0001-01-01T00:00:00", "timeWindowTimeZone": "Asia/Tokyo"}, 400, "years 2 and 9998"),
            ({"timeWindowEnd": "9999-12-31T23:59:59", "timeWindowTimeZone": "America/New_York"}, 400, "years 2"),
            ({"timeWindowTimeZone": "Mars/Olympus"}, 400, "Mars/Olympus is not an IANA time zone"),
            ({"timeWindowTimeZone": "Europe"}, 400, "Europe is not an IANA time zone"),
            ({"timeWindowTimeZone": "../UTC"}, 400, "../UTC is not an IANA time zone"),
            ({"timeWindowTimeZone": "+02:00"}, 400, "+02:00 is not an IANA time zone"),
            # Before each other on the wall, but not in time: the hour between them is skipped.
            ({"timeWindowStart": "2026-03-08T02:00:00", "timeWindowEnd": "2026-03-08T03:00:00",
              "timeWindowTimeZone": "America/New_York"}, 422, "clocks in America/New_York skip"),
            ({"timeWindowStart": "2026-03-08T02:30:00", "timeWindowEnd": "2026-03-08T03:00:00",
              "timeWindowTimeZone": "America/New_York"}, 422, "clocks in America/New_York skip"),
        ],
    )  # fmt: skip
    def test_mistakes(self, api: Api, change: dict[str, Any], status: int, words: str) -> None:
        body = {**explicit("2026-10-01T00:00:00", "2026-10-02T00:00:00"), **change}
        found = api.rejection("POST", "workflowExecutions", {"workflow": {"sqlQuery": CONSTANT}, **body})
        assert (found[0], words in found[1]) == (status, True), found


class TestRelative:
    @pytest.mark.parametrize(
        ("now", "zone", "kind", "start", "end"),
        [
            # Data are expected two days back, cut to whole days.
            ("2026-11-20T12:00:00Z", "UTC", "MOST_RECENT_DAY", "2026-11-17T00:00:00Z", "2026-11-18T00:00:00Z"),
            ("2026-11-20T00:00:00Z", "UTC", "MOST_RECENT_DAY", "2026-11-17T00:00:00Z", "2026-11-18T00:00:00Z"),
            ("2026-11-19T23:59:50Z", "UTC", "MOST_RECENT_DAY", "2026-11-16T00:00:00Z", "2026-11-17T00:00:00Z"),
            ("2026-11-20T12:00:00Z", "UTC", "MOST_RECENT_WEEK", "2026-11-11T00:00:00Z", "2026-11-18T00:00:00Z"),
            ("2026-11-20T12:00:00Z", "UTC", "CURRENT_MONTH", "2026-11-01T00:00:00Z", "2026-11-18T00:00:00Z"),
            ("2026-11-20T12:00:00Z", "UTC", "PREVIOUS_MONTH", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
            ("2026-11-20T12:00:00Z", "UTC", "ALL", "2025-10-18T00:00:00Z", "2026-11-18T00:00:00Z"),
            # 03:00 in UTC is still the day before in New York.
            ("2026-11-20T03:00:00Z", "America/New_York", "MOST_RECENT_DAY",
             "2026-11-16T05:00:00Z", "2026-11-17T05:00:00Z"),
            ("2026-11-19T16:00:00Z", "Asia/Tokyo", "MOST_RECENT_DAY", "2026-11-16T15:00:00Z", "2026-11-17T15:00:00Z"),
            # Days and months across a clock change are as long as they are.
            ("2026-11-04T12:00:00Z", "America/New_York", "MOST_RECENT_DAY",
             "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
            ("2026-11-20T12:00:00Z", "Europe/Berlin", "PREVIOUS_MONTH",
             "2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z"),
            ("2026-11-01T12:00:00Z", "UTC", "PREVIOUS_MONTH", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
            # Nothing of the month is there yet: an empty window, not the month before.
            ("2026-11-02T12:00:00Z", "UTC", "CURRENT_MONTH", "2026-10-31T00:00:00Z", "2026-10-31T00:00:00Z"),
        ],
    )  # fmt: skip
    def test_golden(
        self, server: LocalAmcServer, api: Api, now: str, zone: str, kind: str, start: str, end: str
    ) -> None:
        server.control("POST", "clock", {"set": now})
        api = Api(server.url)
        created = api.create(BOUNDS, timeWindowType=kind, timeWindowTimeZone=zone)
        assert "timeWindowStart" not in created
        found = api.read(created)
        assert (found["timeWindowStart"], found["timeWindowEnd"]) == (start, end)
        assert "timeWindowStartOriginal" not in found
        [[first, last, _]] = api.rows(BOUNDS, timeWindowType=kind, timeWindowTimeZone=zone)
        assert [first, last] == [start.replace("Z", ".000Z"), end.replace("Z", ".000Z")]


class TestRows:
    def test_every_event_is_in_exactly_one_of_two_neighbours(self, api: Api) -> None:
        first, second, middle = "2026-10-05T00:00:00", "2026-10-09T00:00:00", "2026-10-07T13:30:00"
        whole = sorted(api.rows(EVENTS, **explicit(first, second), **RAW))
        parts = [api.rows(EVENTS, **explicit(*bounds), **RAW) for bounds in ((first, middle), (middle, second))]
        assert sorted(parts[0] + parts[1]) == whole
        assert all(first <= row[0] < middle for row in parts[0])
        assert all(middle <= row[0] < second for row in parts[1])
        assert len(parts[0]) > 50 < len(parts[1])

    def test_a_day_of_another_zone_is_other_rows(self, api: Api) -> None:
        day = ("2026-10-07T00:00:00", "2026-10-08T00:00:00")
        rows = sorted(api.rows(EVENTS, **explicit(*day, "Asia/Tokyo"), **RAW))
        same = sorted(api.rows(EVENTS, **explicit("2026-10-06T15:00:00", "2026-10-07T15:00:00"), **RAW))
        assert rows == same
        assert rows != sorted(api.rows(EVENTS, **explicit(*day), **RAW))

    @pytest.mark.parametrize(
        ("zone", "day", "hours"), [("Europe/Berlin", "2026-03-29", 23), ("Europe/Berlin", "2025-10-26", 25)]
    )
    def test_days_with_a_clock_change_have_their_own_length(
        self, api: Api, zone: str, day: str, hours: int
    ) -> None:
        end = (datetime.fromisoformat(day) + timedelta(days=1)).isoformat()
        window = explicit(f"{day}T00:00:00", end, zone)
        sql = (
            "SELECT SECONDS_BETWEEN(BUILT_IN_PARAMETER('TIME_WINDOW_START'), "
            "BUILT_IN_PARAMETER('TIME_WINDOW_END')) / 3600 AS hours FROM (VALUES (1)) AS t(x)"
        )
        assert float(api.rows(sql, **window)[0][0]) == hours
        events = [row[0] for row in api.rows(EVENTS, **window, **RAW)]
        first, last = (datetime.fromisoformat(text.rstrip("Z")) for text in (min(events), max(events)))
        assert last - first < timedelta(hours=hours)

    def test_the_first_moment_is_in_and_the_last_is_out(self, tmp_path: Path) -> None:
        start, end = datetime.fromisoformat("2026-10-01T00:00:00"), datetime.fromisoformat("2026-10-02T00:00:00")
        tick = timedelta(microseconds=1)
        moments = {"before": start - tick, "first": start, "last": end - tick, "after": end}
        rows = [
            {"user_id": f"u{number}", "campaign": name, "impressions": 1, "event_dt_utc": moment}
            for name, moment in moments.items()
            for number in range(2)
        ]
        amc = Amc(tiny(tmp_path, sponsored_ads_traffic=rows), utc_now())
        sql = "SELECT campaign, COUNT(DISTINCT user_id) AS users FROM sponsored_ads_traffic GROUP BY 1"
        assert sorted(amc.query(sql, start=start, end=end).rows) == [("first", 2), ("last", 2)]

    def test_an_extended_window_reaches_as_far_as_it_says(self, tmp_path: Path) -> None:
        start, end = datetime.fromisoformat("2026-10-01T00:00:00"), datetime.fromisoformat("2026-10-02T00:00:00")
        day, tick = timedelta(days=1), timedelta(microseconds=1)
        moments = {"a": start - 2 * day - tick, "b": start - 2 * day, "c": end + day - tick, "d": end + day}
        rows = [
            {"user_id": f"u{number}", "campaign": name, "impressions": 1, "event_dt_utc": moment}
            for name, moment in moments.items()
            for number in range(2)
        ]
        amc = Amc(tiny(tmp_path, sponsored_ads_traffic=rows), utc_now())
        sql = (
            "SELECT campaign, SUM(impressions) AS n "
            "FROM TABLE(EXTEND_TIME_WINDOW('sponsored_ads_traffic', 'P2D', 'P1D')) GROUP BY 1"
        )
        assert sorted(row[0] for row in amc.query(sql, start=start, end=end).rows) == ["b", "c"]

    def test_a_window_far_from_all_data_is_an_empty_result(self, api: Api) -> None:
        for window in (
            ("0002-01-01T00:00:00", "0003-01-01T00:00:00"),
            ("9990-01-01T00:00:00", "9998-01-01T00:00:00"),
        ):
            assert (
                api.rows("SELECT campaign, SUM(clicks) AS n FROM dsp_clicks GROUP BY 1", **explicit(*window)) == []
            )
