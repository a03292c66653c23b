"""Time windows: what AMC gets, what pages show, what is refused and what is warned about."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.recurrence import zone_names
from planning.windows import (
    DEFAULT_LAG_DAYS,
    MAX_ROLLING_DAYS,
    ROLLING_CHOICES,
    Window,
    WindowError,
    WindowVerdict,
    check_window,
    rolling_window,
    start_of_day,
    today_in,
)

NEW_YORK = "America/New_York"
NOW = dt.datetime(2026, 10, 14, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def window(start: str, end: str, zone: str = NEW_YORK) -> Window:
    return Window(start=day(start), end=day(end), zone=zone)


def codes(verdict: WindowVerdict) -> tuple[list[str], list[str]]:
    return [error.code for error in verdict.errors], [warning.code for warning in verdict.warnings]


class TestBounds:
    def test_end_is_the_midnight_after_the_last_day(self) -> None:
        september = window("2026-09-01", "2026-09-30")
        assert september.starts_at.isoformat() == "2026-09-01T00:00:00"
        assert september.ends_at.isoformat() == "2026-10-01T00:00:00"
        assert september.days == 30

    def test_bounds_in_utc_follow_the_zone_through_a_change_of_clocks(self) -> None:
        start, end = window("2026-10-31", "2026-11-01").utc_bounds()
        assert start.isoformat() == "2026-10-31T04:00:00+00:00"
        assert end.isoformat() == "2026-11-02T05:00:00+00:00"

    def test_midnight_that_does_not_exist_becomes_the_next_existing_minute(self) -> None:
        first = window("2017-10-15", "2017-10-15", "America/Sao_Paulo")
        assert first.starts_at.isoformat() == "2017-10-15T01:00:00"
        assert first.ends_at.isoformat() == "2017-10-16T00:00:00"
        before = window("2017-10-14", "2017-10-14", "America/Sao_Paulo")
        assert before.ends_at == first.starts_at
        assert before.utc_bounds()[1] == first.utc_bounds()[0]
        cairo = window("2026-04-24", "2026-04-24", "Africa/Cairo")
        assert cairo.starts_at.isoformat() == "2026-04-24T01:00:00"

    def test_midnight_that_comes_twice_counts_once(self) -> None:
        before, after = (
            window("2026-10-31", "2026-10-31", "America/Havana"),
            window("2026-11-01", "2026-11-01", "America/Havana"),
        )
        assert after.starts_at.isoformat() == "2026-11-01T00:00:00"
        assert before.utc_bounds()[1] == after.utc_bounds()[0]
        start, end = after.utc_bounds()
        assert (end - start) == dt.timedelta(hours=25)

    def test_local_times_for_amc_carry_no_zone(self) -> None:
        september = window("2026-09-01", "2026-09-30")
        assert september.starts_at.tzinfo is None
        assert september.ends_at.tzinfo is None

    @settings(max_examples=200, deadline=None)
    @given(
        st.dates(dt.date(2012, 1, 1), dt.date(2060, 1, 1)),
        st.integers(1, 400),
        st.sampled_from(sorted(zone_names())),
    )
    def test_adjoining_windows_meet_in_every_zone(self, start: dt.date, days: int, zone: str) -> None:
        middle = start + days * DAY
        first, second = Window(start, middle - DAY, zone), Window(middle, middle, zone)
        assert first.utc_bounds()[1] == second.utc_bounds()[0]
        assert first.ends_at == second.starts_at
        assert first.starts_at < first.ends_at
        assert (first.starts_at.date(), first.ends_at.date(), first.days) == (start, middle, days)
        # The instant before still belongs to the day before.
        assert today_in(zone, second.utc_bounds()[0]) == middle
        assert today_in(zone, second.utc_bounds()[0] - dt.timedelta(seconds=1)) == middle - DAY


class TestLabel:
    @pytest.mark.parametrize(
        ("start", "end", "label"),
        [
            ("2026-09-01", "2026-09-30", "1 Sep – 30 Sep 2026, 30 days"),
            ("2026-09-01", "2026-09-01", "1 Sep 2026, 1 day"),
            ("2025-12-15", "2026-01-13", "15 Dec 2025 – 13 Jan 2026, 30 days"),
            ("2026-02-27", "2026-03-05", "27 Feb – 5 Mar 2026, 7 days"),
        ],
    )
    def test_label_shows_included_days_and_their_number(self, start: str, end: str, label: str) -> None:
        assert window(start, end).label == label


class TestRolling:
    def test_thirty_days_end_fourteen_days_ago(self) -> None:
        rolling = rolling_window(days=30, today=day("2026-10-14"), zone=NEW_YORK)
        assert rolling == window("2026-09-01", "2026-09-30")
        assert rolling.ends_at.isoformat() == "2026-10-01T00:00:00"
        assert rolling.label == "1 Sep – 30 Sep 2026, 30 days"

    @pytest.mark.parametrize("days", [1, *ROLLING_CHOICES, MAX_ROLLING_DAYS])
    def test_every_choice_can_run_without_a_warning(self, days: int) -> None:
        for zone in (NEW_YORK, "Pacific/Kiritimati", "Pacific/Pago_Pago"):
            rolling = rolling_window(days=days, today=today_in(zone, NOW), zone=zone)
            assert rolling.days == days
            assert check_window(rolling, NOW) == WindowVerdict()

    def test_lag_is_a_setting(self) -> None:
        rolling = rolling_window(days=7, lag_days=3, today=day("2026-10-14"), zone=NEW_YORK)
        assert (rolling.start, rolling.end) == (day("2026-10-05"), day("2026-10-11"))
        assert rolling_window(days=1, lag_days=0, today=day("2026-10-14"), zone="UTC").end == day("2026-10-14")

    @pytest.mark.parametrize("days", [0, -1, 366])
    def test_other_lengths_are_refused(self, days: int) -> None:
        with pytest.raises(WindowError, match="between 1 and 365"):
            rolling_window(days=days, today=day("2026-10-14"), zone=NEW_YORK)

    def test_negative_lag_and_unknown_zone_are_refused(self) -> None:
        with pytest.raises(WindowError, match="lag"):
            rolling_window(days=7, lag_days=-1, today=day("2026-10-14"), zone=NEW_YORK)
        with pytest.raises(WindowError, match="America/New_York"):
            rolling_window(days=7, today=day("2026-10-14"), zone="Mars/Olympus")


class TestToday:
    def test_today_depends_on_the_zone(self) -> None:
        late = dt.datetime(2026, 10, 14, 23, 30, tzinfo=dt.UTC)
        assert today_in("UTC", late) == day("2026-10-14")
        assert today_in("Asia/Tokyo", late) == day("2026-10-15")
        assert today_in(NEW_YORK, late - dt.timedelta(hours=20)) == day("2026-10-13")

    def test_day_starts_where_its_date_first_shows(self) -> None:
        assert start_of_day(day("2026-10-14"), "Asia/Kathmandu").isoformat() == "2026-10-13T18:15:00+00:00"

    def test_time_without_zone_is_refused(self) -> None:
        with pytest.raises(ValueError, match="time zone"):
            today_in("UTC", NOW.replace(tzinfo=None))


class TestErrors:
    def test_end_before_start(self) -> None:
        verdict = check_window(window("2026-09-02", "2026-09-01"), NOW)
        assert codes(verdict) == (["end_before_start"], [])
        assert not verdict.is_ok
        assert "2 Sep 2026 or later" in verdict.errors[0].message

    def test_today_may_be_asked_for_but_not_tomorrow(self) -> None:
        assert check_window(window("2026-10-01", "2026-10-14"), NOW).is_ok
        verdict = check_window(window("2026-10-01", "2026-10-15"), NOW)
        assert codes(verdict) == (["in_future"], [])
        assert "up to 14 Oct 2026" in verdict.errors[0].message

    def test_future_is_judged_in_the_zone_of_the_window(self) -> None:
        # It is already the 15th in Kiritimati and still the 14th in New York.
        assert check_window(window("2026-10-15", "2026-10-15", "Pacific/Kiritimati"), NOW).is_ok
        assert not check_window(window("2026-10-15", "2026-10-15"), NOW).is_ok

    def test_start_may_be_thirteen_months_old_and_no_older(self) -> None:
        assert check_window(window("2025-09-14", "2025-09-30"), NOW).is_ok
        verdict = check_window(window("2025-09-13", "2025-09-30"), NOW)
        assert codes(verdict) == (["too_old"], [])
        assert "14 Sep 2025 or later" in verdict.errors[0].message

    def test_thirteen_months_before_a_long_month_end_on_its_last_day(self) -> None:
        now = dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC)
        assert check_window(window("2025-02-28", "2025-03-30"), now).is_ok
        assert codes(check_window(window("2025-02-27", "2025-03-30"), now)) == (["too_old"], [])

    def test_all_errors_come_together(self) -> None:
        assert codes(check_window(window("2027-01-01", "2020-01-01"), NOW)) == (
            ["end_before_start", "in_future"], [],
        )  # fmt: skip
        assert codes(check_window(window("2020-01-01", "2027-01-01"), NOW))[0] == ["in_future", "too_old"]

    def test_dates_at_the_end_of_time_are_an_error_not_a_crash(self) -> None:
        assert codes(check_window(window("0001-01-01", "9999-12-31"), NOW))[0] == ["in_future", "too_old"]

    @pytest.mark.parametrize("zone", ["", "America", "Europe/Atlantis", "../UTC"])
    def test_unknown_zone(self, zone: str) -> None:
        assert codes(check_window(window("2026-09-01", "2026-09-30", zone), NOW)) == (["unknown_zone"], [])


class TestWarnings:
    def test_default_end_gives_none_and_one_day_later_does(self) -> None:
        assert codes(check_window(window("2026-09-01", "2026-09-30"), NOW)) == ([], [])
        verdict = check_window(window("2026-09-01", "2026-10-01"), NOW)
        assert codes(verdict) == ([], ["inside_lag"])
        assert verdict.is_ok
        assert "less than 14 days old" in verdict.warnings[0].message
        assert "30 Sep 2026 or earlier" in verdict.warnings[0].message

    def test_lag_of_the_instance_decides(self) -> None:
        late = window("2026-09-01", "2026-10-10")
        assert codes(check_window(late, NOW, DEFAULT_LAG_DAYS)) == ([], ["inside_lag"])
        assert codes(check_window(late, NOW, lag_days=4)) == ([], [])
        verdict = check_window(window("2026-09-01", "2026-10-14"), NOW, lag_days=1)
        assert "less than 1 day old" in verdict.warnings[1].message

    def test_last_48_hours_are_incomplete(self) -> None:
        # The window of the 11th ends at 04:00 UTC on the 12th.
        complete = dt.datetime(2026, 10, 14, 4, tzinfo=dt.UTC)
        late = window("2026-10-01", "2026-10-11")
        assert codes(check_window(late, complete, lag_days=0)) == ([], [])
        verdict = check_window(late, complete - dt.timedelta(seconds=1), lag_days=0)
        assert codes(verdict) == ([], ["incomplete"])
        assert "10 Oct 2026 or earlier" in verdict.warnings[0].message

    @pytest.mark.parametrize("zone", [NEW_YORK, "Pacific/Kiritimati", "America/Havana", "Africa/Cairo"])
    def test_suggested_end_is_the_newest_without_the_warning(self, zone: str) -> None:
        for hours in range(0, 24 * 40, 5):
            now = dt.datetime(2026, 10, 14, tzinfo=dt.UTC) + dt.timedelta(hours=hours)
            today = today_in(zone, now)
            ends = [today - n * DAY for n in range(5)]
            complete = [
                end for end in ends if not check_window(Window(today - 9 * DAY, end, zone), now, 0).warnings
            ]
            message = check_window(Window(today - 9 * DAY, today, zone), now, 0).warnings[0].message
            newest = complete[0]
            assert f"End on {newest.day} {newest:%b} {newest.year} or earlier" in message

    def test_more_than_a_year_is_long(self) -> None:
        assert codes(check_window(window("2025-09-15", "2026-09-14"), NOW)) == ([], [])
        assert codes(check_window(window("2025-09-14", "2026-09-14"), NOW)) == ([], ["long"])

    def test_every_message_says_what_to_do(self) -> None:
        for one in (
            window("2026-09-02", "2026-09-01"),
            window("2026-10-15", "2026-10-15"),
            window("2020-01-01", "2026-10-14"),
            window("2025-09-20", "2026-10-14"),
            window("2026-09-01", "2026-09-02", "nowhere"),
        ):
            verdict = check_window(one, NOW)
            findings = (*verdict.errors, *verdict.warnings)
            assert findings
            for finding in findings:
                assert any(verb in finding.message for verb in ("Choose", "End on", "Shorten"))
                assert finding.message.endswith(".")


class TestJson:
    def test_window_survives_the_round_trip(self) -> None:
        original = window("2025-12-15", "2026-01-13", "Asia/Kathmandu")
        assert Window.from_json(json.loads(json.dumps(original.to_json()))) == original
        assert original.to_json() == {"start": "2025-12-15", "end": "2026-01-13", "zone": "Asia/Kathmandu"}

    @pytest.mark.parametrize(
        "change",
        [
            {"start": None}, {"start": "20260901"}, {"start": "2026-W36-2"}, {"start": "2026-09-01T00:00:00"},
            {"end": "2026-02-30"}, {"end": 20260930}, {"zone": None}, {"zone": []}, {"zone": "Europe/Atlantis"},
        ],
    )  # fmt: skip
    def test_anything_else_is_refused(self, change: dict[str, object]) -> None:
        with pytest.raises(WindowError):
            Window.from_json(window("2026-09-01", "2026-09-30").to_json() | change)

    @pytest.mark.parametrize("data", [None, [], "2026-09-01", {}])
    def test_other_shapes_are_refused(self, data: object) -> None:
        with pytest.raises(WindowError):
            Window.from_json(data)
