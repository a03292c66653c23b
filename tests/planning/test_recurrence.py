"""Recurrence of schedules against an oracle that reads the clock minute by minute."""

from __future__ import annotations

import calendar
import datetime as dt
import subprocess
import sys
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planning.recurrence import (
    LAST_DAY,
    WEEKDAYS,
    Recurrence,
    RecurrenceError,
    instant_of,
    load_zone,
    zone_names,
)

MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
# How the oracle looks for changes; then it reads every minute for days around each.
STEP = dt.timedelta(hours=6)
# Zone and first year of ten; the past where rules were livelier then.
ZONES = {
    "America/New_York": 2025,
    "Europe/Berlin": 2025,
    "Australia/Sydney": 2025,
    "America/Sao_Paulo": 2009,
    "Australia/Lord_Howe": 2025,
    "Asia/Kathmandu": 2025,
    "Africa/Cairo": 2007,
    "America/Havana": 2025,
    "America/St_Johns": 2003,
    "America/Scoresbysund": 2020,
    "Pacific/Apia": 2005,
}
TIMES = ("00:00", "00:30", "01:30", "02:00", "02:15", "02:30", "03:00", "09:00", "23:59")
# Beside the first six zones: midnight skipped or doubled, a day skipped, four changes a year, changes at 00:01.
CASES = [(zone, time) for zone in list(ZONES)[:6] for time in TIMES]
CASES += [(zone, time) for zone in list(ZONES)[6:] for time in ("00:00", "00:30", "09:00", "23:59")]
MONTH_DAYS = (1, 8, 14, 25, 29, 30, 31, LAST_DAY)


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def wall(at: dt.datetime, zone: str) -> dt.datetime:
    """Read the zone's clock; the only conversion the oracle uses is this unambiguous one."""
    return at.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0)


def daily(time: str, zone: str, start: dt.date | None = None, end: dt.date | None = None) -> Recurrence:
    return Recurrence("daily", dt.time.fromisoformat(time), zone, start=start, end=end)


class Oracle:
    """What the clocks of a zone show in ten years: minutes near a change, offsets elsewhere."""

    def __init__(self, zone: str, year: int) -> None:
        self.zone, self.years = zone, (year, year + 10)
        self.offsets: dict[dt.date, dt.timedelta] = {}
        self.minutes: dict[dt.date, list[tuple[dt.datetime, dt.datetime]]] = {}
        self.missing: set[dt.date] = set()
        self.changes = 0
        at = dt.datetime(year - 1, 12, 1, tzinfo=dt.UTC)
        offset = self.offset(at)
        while at.year < year + 11:
            if self.offset(at + STEP) != offset:
                offset = self.offset(at + STEP)
                self.changes += 1
                self.read_minutes(at)
            at += STEP

    def offset(self, at: dt.datetime) -> dt.timedelta:
        return wall(at, self.zone) - at.replace(tzinfo=None)

    def read_minutes(self, change: dt.datetime) -> None:
        middle = wall(change, self.zone).date()
        for day in (middle - DAY, middle, middle + DAY, middle + 2 * DAY):
            # No clock is farther than 14 hours from UTC, and a skipped day is over after 24 more.
            start = dt.datetime.combine(day, dt.time(), dt.UTC) - 15 * HOUR
            self.minutes[day] = [(at, wall(at, self.zone)) for at in (start + n * MINUTE for n in range(66 * 60))]
            if all(shown.date() != day for _, shown in self.minutes[day]):
                self.missing.add(day)

    def slot(self, planned: dt.datetime) -> dt.datetime:
        """Return the first minute whose clock shows the planned time or later."""
        day = planned.date()
        if day in self.minutes:
            return next(at for at, shown in self.minutes[day] if shown >= planned)
        if day not in self.offsets:
            self.offsets[day] = self.offset(dt.datetime.combine(day, dt.time(12), dt.UTC))
        return planned.replace(tzinfo=dt.UTC) - self.offsets[day]

    def day_exists(self, day: dt.date) -> bool:
        return day not in self.missing

    def days(self) -> list[dt.date]:
        first, last = (dt.date(year, 1, 1) for year in self.years)
        return [first + n * DAY for n in range((last - first).days)]


@cache
def oracle_of(zone: str) -> Oracle:
    return Oracle(zone, ZONES[zone])


@cache
def slots_of(recurrence: Recurrence) -> list[dt.datetime]:
    """Return the slots planned in the oracle's ten years."""
    years = oracle_of(recurrence.zone).years
    bounded = Recurrence(
        recurrence.kind, recurrence.time, recurrence.zone, recurrence.weekday, recurrence.day_of_month,
        start=dt.date(years[0], 1, 1), end=dt.date(years[1] - 1, 12, 31),
    )  # fmt: skip
    return list(bounded.slots_between(utc(f"{years[0] - 1}-06-01"), utc(f"{years[1]}-06-01")))


@pytest.mark.parametrize(("zone", "time"), CASES)
class TestTenYears:
    def test_every_local_day_has_exactly_one_slot_where_the_clock_first_shows_it(
        self, zone: str, time: str
    ) -> None:
        oracle, clock = oracle_of(zone), dt.time.fromisoformat(time)
        days = [day for day in oracle.days() if oracle.day_exists(day)]
        slots = slots_of(daily(time, zone))
        assert slots == [oracle.slot(dt.datetime.combine(day, clock)) for day in days]
        assert all(first < second for first, second in zip(slots, slots[1:], strict=False))
        # The clock shows the planned time unless it skipped it, and then the note says so.
        moved = [slot for slot in slots if wall(slot, zone).time() != clock]
        assert all("does not exist" in daily(time, zone).dst_note(slot) for slot in moved)
        assert len(moved) < 25

    def test_every_week_has_exactly_one_slot(self, zone: str, time: str) -> None:
        oracle, clock = oracle_of(zone), dt.time.fromisoformat(time)
        for weekday in (0, 5):
            days = [day for day in oracle.days() if day.isoweekday() % 7 == weekday]
            assert all(second - first == 7 * DAY for first, second in zip(days, days[1:], strict=False))
            slots = slots_of(Recurrence("weekly", clock, zone, weekday=weekday))
            assert slots == [oracle.slot(dt.datetime.combine(day, clock)) for day in days]

    def test_every_month_has_exactly_one_slot(self, zone: str, time: str) -> None:
        oracle, clock = oracle_of(zone), dt.time.fromisoformat(time)
        for number in MONTH_DAYS:
            expected = []
            for year in range(*oracle.years):
                for month in range(1, 13):
                    length = calendar.monthrange(year, month)[1]
                    day = dt.date(year, month, length if number == LAST_DAY else min(number, length))
                    expected.append(oracle.slot(dt.datetime.combine(day, clock)))
            assert len(expected) == 120
            assert slots_of(Recurrence("monthly", clock, zone, day_of_month=number)) == expected

    def test_going_back_meets_the_same_slots(self, zone: str, time: str) -> None:
        recurrence = daily(time, zone)
        changes = oracle_of(zone).minutes
        slots = slots_of(recurrence)
        for before, slot in zip(slots, slots[1:], strict=False):
            if wall(slot, zone).date() in changes:
                assert recurrence.previous_slot(slot) == slot
                assert recurrence.previous_slot(slot - MINUTE) == before
        assert recurrence.previous_slot(slots[-1] + MINUTE) == slots[-1]


def test_oracle_saw_the_changes_it_is_there_for() -> None:
    changes = {zone: oracle_of(zone).changes for zone in ZONES}
    assert changes.pop("Asia/Kathmandu") == 0
    assert min(changes.values()) >= 4, changes
    assert not oracle_of("Pacific/Apia").day_exists(dt.date(2011, 12, 30))


# Zone, planned local time, when it runs in UTC, and what the clock shows then.
KNOWN = [
    ("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00", "2026-03-29T03:00"),
    ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30", "2026-10-25T02:30"),
    ("Europe/Berlin", "2026-10-25T03:00", "2026-10-25T02:00", "2026-10-25T03:00"),
    ("America/New_York", "2026-03-08T02:00", "2026-03-08T07:00", "2026-03-08T03:00"),
    ("America/New_York", "2026-03-08T03:00", "2026-03-08T07:00", "2026-03-08T03:00"),
    ("America/New_York", "2026-11-01T01:30", "2026-11-01T05:30", "2026-11-01T01:30"),
    ("America/New_York", "2026-07-01T09:00", "2026-07-01T13:00", "2026-07-01T09:00"),
    ("America/New_York", "2026-12-01T09:00", "2026-12-01T14:00", "2026-12-01T09:00"),
    ("Australia/Sydney", "2026-10-04T02:15", "2026-10-03T16:00", "2026-10-04T03:00"),
    ("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30", "2026-10-04T02:30"),
    ("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45", "2026-04-05T01:45"),
    ("America/Sao_Paulo", "2017-10-15T00:00", "2017-10-15T03:00", "2017-10-15T01:00"),
    ("America/Sao_Paulo", "2017-10-15T00:30", "2017-10-15T03:00", "2017-10-15T01:00"),
    ("America/Sao_Paulo", "2018-02-17T23:59", "2018-02-18T01:59", "2018-02-17T23:59"),
    ("Africa/Cairo", "2010-04-30T00:00", "2010-04-29T22:00", "2010-04-30T01:00"),
    ("America/Havana", "2026-11-01T00:30", "2026-11-01T04:30", "2026-11-01T00:30"),
    ("Asia/Kathmandu", "2026-03-29T02:30", "2026-03-28T20:45", "2026-03-29T02:30"),
    # The offset before the change had seconds: the clocks went from 0:00 to 0:44:30.
    ("Africa/Monrovia", "1972-01-07T00:10", "1972-01-07T00:45", "1972-01-07T00:45"),
]


@pytest.mark.parametrize(("zone", "planned", "runs_at", "shown"), KNOWN)
def test_known_local_times_run_at_known_instants(zone: str, planned: str, runs_at: str, shown: str) -> None:
    local = dt.datetime.fromisoformat(planned)
    slot = daily(local.time().isoformat(), zone).next_slot(utc(runs_at) - MINUTE)
    assert slot == instant_of(local, zone) == utc(runs_at)
    assert wall(utc(runs_at), zone) == dt.datetime.fromisoformat(shown)


def test_second_of_two_hours_does_not_run_again() -> None:
    recurrence = daily("02:30", "Europe/Berlin")
    first = utc("2026-10-25T00:30")
    for minutes in range(180):
        assert recurrence.next_slot(first + minutes * MINUTE) == utc("2026-10-26T01:30")
        assert recurrence.previous_slot(first + minutes * MINUTE) == first


def test_clocks_set_back_into_the_day_before_do_not_run_midnight_again() -> None:
    # At 00:01 on 7 November 2010 it became 23:01 on the 6th.
    recurrence = daily("00:00", "America/St_Johns")
    midnight = utc("2010-11-07T02:30")
    assert wall(midnight + 30 * MINUTE, "America/St_Johns").isoformat() == "2010-11-06T23:30:00"
    for minutes in range(120):
        assert recurrence.previous_slot(midnight + minutes * MINUTE) == midnight
        assert recurrence.next_slot(midnight + minutes * MINUTE) == utc("2010-11-08T03:30")


class TestSkippedDay:
    """Samoa went from 29 to 31 December 2011."""

    ZONE = "Pacific/Apia"

    @pytest.mark.parametrize("time", TIMES)
    def test_daily_schedule_runs_once_on_each_day_there_was(self, time: str) -> None:
        slots = daily(time, self.ZONE).next_slots(utc("2011-12-28T09:59"), 4)
        assert [wall(slot, self.ZONE).isoformat("T", "minutes") for slot in slots] == [
            f"{day}T{time}" for day in ("2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01")
        ]

    def test_weekly_and_monthly_schedules_run_at_the_next_existing_minute(self) -> None:
        for recurrence in (
            Recurrence("weekly", dt.time(9), self.ZONE, weekday=5),
            Recurrence("monthly", dt.time(9), self.ZONE, day_of_month=30),
        ):
            slot = recurrence.next_slot(utc("2011-12-25"))
            assert slot == utc("2011-12-30T10:00")
            assert wall(slot, self.ZONE) == dt.datetime.fromisoformat("2011-12-31")
            assert "starts at 00:00 on 31 Dec 2011" in recurrence.dst_note(slot)


class TestEnds:
    def test_slot_itself_is_not_next_but_is_previous(self) -> None:
        recurrence = daily("09:00", "UTC")
        slot = utc("2026-09-01T09:00")
        assert recurrence.next_slot(slot) == slot + DAY
        assert recurrence.next_slot(slot - dt.timedelta(microseconds=1)) == slot
        assert recurrence.previous_slot(slot) == slot
        assert recurrence.previous_slot(slot - dt.timedelta(microseconds=1)) == slot - DAY

    def test_adjoining_spans_share_no_slot(self) -> None:
        recurrence = daily("09:00", "UTC")
        a, b, c = utc("2026-09-01T09:00"), utc("2026-09-03T09:00"), utc("2026-09-05T09:00")
        assert list(recurrence.slots_between(a, b)) == [a + DAY, b]
        assert [*recurrence.slots_between(a, b), *recurrence.slots_between(b, c)] == list(
            recurrence.slots_between(a, c)
        )
        assert not list(recurrence.slots_between(c, a))

    def test_bounds_are_local_days_and_included(self) -> None:
        # 00:30 in Sydney is the day before in UTC.
        recurrence = daily("00:30", "Australia/Sydney", start=dt.date(2026, 6, 2), end=dt.date(2026, 6, 4))
        slots = [utc(f"2026-06-0{day}T14:30") for day in (1, 2, 3)]
        assert recurrence.next_slots(utc("2020-01-01"), 10) == slots
        assert recurrence.next_slot(slots[-1]) is None
        assert recurrence.previous_slot(utc("2040-01-01")) == slots[-1]
        assert recurrence.previous_slot(slots[0]) == slots[0]
        assert recurrence.previous_slot(slots[0] - MINUTE) is None

    def test_bounds_hold_for_weeks_and_months(self) -> None:
        start, end = dt.date(2026, 1, 31), dt.date(2026, 3, 30)
        monthly = Recurrence("monthly", dt.time(9), "UTC", day_of_month=31, start=start, end=end)
        slots = [utc("2026-01-31T09:00"), utc("2026-02-28T09:00")]
        assert monthly.next_slots(utc("2025-01-01"), 9) == slots
        assert monthly.previous_slot(utc("2027-01-01")) == slots[-1]
        weekly = Recurrence("weekly", dt.time(9), "UTC", weekday=6, start=start, end=dt.date(2026, 2, 13))
        assert weekly.next_slots(utc("2025-01-01"), 9) == [utc("2026-01-31T09:00"), utc("2026-02-07T09:00")]
        assert weekly.previous_slot(utc("2027-01-01")) == utc("2026-02-07T09:00")

    def test_bounds_without_a_planned_day_give_no_slot(self) -> None:
        day = dt.date(2026, 9, 2)
        recurrence = Recurrence("weekly", dt.time(9), "UTC", weekday=1, start=day, end=day)
        assert recurrence.next_slot(utc("2026-01-01")) is None
        assert recurrence.previous_slot(utc("2027-01-01")) is None

    def test_distance_to_the_next_slot_costs_nothing(self) -> None:
        recurrence = daily("02:30", "Europe/Berlin", start=dt.date(2199, 3, 31))
        calls = 0

        def count(frame: object, event: str, argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        sys.setprofile(count)
        try:
            slot = recurrence.next_slot(utc("2000-01-01"))
        finally:
            sys.setprofile(None)
        assert slot is not None
        assert slot.year == 2199
        assert calls < 100

    def test_instants_without_zone_are_refused(self) -> None:
        naive = dt.datetime(2026, 9, 1)  # noqa: DTZ001  that is the point
        for ask in (daily("09:00", "UTC").next_slot, daily("09:00", "UTC").previous_slot):
            with pytest.raises(ValueError, match="time zone"):
                ask(naive)


class TestWords:
    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"kind": "daily"}, "Every day at 09:00 (Europe/Berlin)"),
            ({"kind": "weekly", "weekday": 1}, "Every Monday at 09:00 (Europe/Berlin)"),
            ({"kind": "weekly", "weekday": 0}, "Every Sunday at 09:00 (Europe/Berlin)"),
            ({"kind": "monthly", "day_of_month": 1}, "Every month on day 1 at 09:00 (Europe/Berlin)"),
            ({"kind": "monthly", "day_of_month": 28}, "Every month on day 28 at 09:00 (Europe/Berlin)"),
            (
                {"kind": "monthly", "day_of_month": 31},
                "Every month on day 31, or the last day of shorter months, at 09:00 (Europe/Berlin)",
            ),
            (
                {"kind": "monthly", "day_of_month": LAST_DAY},
                "Every month on the last day at 09:00 (Europe/Berlin)",
            ),
            (
                {"kind": "daily", "start": dt.date(2026, 9, 1), "end": dt.date(2027, 1, 31)},
                "Every day at 09:00 (Europe/Berlin), from 1 Sep 2026, until 31 Jan 2027",
            ),
        ],
    )  # fmt: skip
    def test_description_says_days_time_and_zone(self, fields: dict[str, Any], words: str) -> None:
        assert Recurrence(time=dt.time(9), zone="Europe/Berlin", **fields).describe() == words

    @pytest.mark.parametrize("weekday", range(7))
    def test_described_weekday_is_the_one_it_runs_on(self, weekday: int) -> None:
        recurrence = Recurrence("weekly", dt.time(9), "Asia/Kathmandu", weekday=weekday)
        slot = recurrence.next_slot(utc("2026-09-01"))
        assert slot is not None
        assert wall(slot, "Asia/Kathmandu").isoweekday() % 7 == weekday
        assert WEEKDAYS[weekday] in recurrence.describe()

    def test_note_says_what_the_clocks_did_to_a_slot(self) -> None:
        recurrence = daily("02:30", "Europe/Berlin")
        assert recurrence.dst_note(utc("2026-03-29T01:00")) == (
            "02:30 does not exist on 29 Mar 2026 because the clocks go forward; this run starts at 03:00 instead."
        )
        assert recurrence.dst_note(utc("2026-10-25T00:30")) == (
            "02:30 comes twice on 25 Oct 2026 because the clocks go back; this run starts once, at the first."
        )

    def test_ordinary_slots_and_other_instants_have_no_note(self) -> None:
        recurrence = daily("02:30", "Europe/Berlin")
        # The second is the other 02:30, which is no slot.
        for text in ("2026-03-30T00:30", "2026-10-25T01:30", "2026-03-29T01:01"):
            assert recurrence.dst_note(utc(text)) == ""


class TestValidation:
    @pytest.mark.parametrize(
        ("field", "fields"),
        [
            ("kind", {"kind": "hourly"}),
            ("time", {"time": dt.time(9, 0, 30)}),
            ("time", {"time": dt.time(9, tzinfo=dt.UTC)}),
            ("time", {"time": "09:00"}),
            ("zone", {"zone": "Europe/Atlantis"}),
            ("zone", {"zone": "America"}),
            ("zone", {"zone": "../../etc/passwd"}),
            ("zone", {"zone": ""}),
            ("zone", {"zone": None}),
            ("zone", {"zone": "localtime"}),
            ("weekday", {"kind": "weekly"}),
            ("weekday", {"kind": "weekly", "weekday": 7}),
            ("weekday", {"kind": "weekly", "weekday": -1}),
            ("weekday", {"kind": "weekly", "weekday": True}),
            ("weekday", {"weekday": 1}),
            ("day_of_month", {"kind": "monthly"}),
            ("day_of_month", {"kind": "monthly", "day_of_month": 0}),
            ("day_of_month", {"kind": "monthly", "day_of_month": 32}),
            ("day_of_month", {"kind": "monthly", "day_of_month": -2}),
            ("day_of_month", {"day_of_month": 1}),
            ("start", {"start": dt.date(1999, 12, 31)}),
            ("start", {"start": dt.datetime(2026, 9, 1, tzinfo=dt.UTC)}),
            ("end", {"end": dt.date(9999, 12, 31)}),
            ("end", {"start": dt.date(2026, 9, 2), "end": dt.date(2026, 9, 1)}),
        ],
    )
    def test_wrong_field_is_named_and_explained(self, field: str, fields: dict[str, Any]) -> None:
        valid: dict[str, Any] = {"kind": "daily", "time": dt.time(9), "zone": "UTC"}
        assert Recurrence(**valid)
        with pytest.raises(RecurrenceError) as caught:
            Recurrence(**valid | fields)
        assert list(caught.value.errors) == [field]
        assert str(caught.value).endswith(".")

    def test_all_wrong_fields_are_named_at_once(self) -> None:
        with pytest.raises(RecurrenceError) as caught:
            Recurrence("weekly", dt.time(9, 0, 1), "Mars")
        assert set(caught.value.errors) == {"time", "zone", "weekday"}

    def test_day_31_and_last_day_run_alike(self) -> None:
        pair = [Recurrence("monthly", dt.time(9), "UTC", day_of_month=day) for day in (31, LAST_DAY)]
        runs = [recurrence.next_slots(utc("2027-01-01"), 24) for recurrence in pair]
        assert runs[0] == runs[1]

    def test_second_reading_of_a_time_is_the_same_recurrence(self) -> None:
        folded = Recurrence("daily", dt.time(2, 30, fold=1), "Europe/Berlin")
        assert folded.next_slot(utc("2026-10-24T12:00")) == utc("2026-10-25T00:30")


def test_module_loads_without_django() -> None:
    code = (
        "import sys, planning.recurrence, planning.windows;"
        "sys.exit(any(name.split('.')[0] == 'django' for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


minutes = st.builds(dt.time, st.integers(0, 23), st.integers(0, 59))
zones = st.sampled_from(sorted(zone_names()))
recurrences = st.one_of(
    st.builds(Recurrence, st.just("daily"), minutes, zones),
    st.builds(Recurrence, st.just("weekly"), minutes, zones, st.integers(0, 6)),
    st.builds(
        Recurrence, st.just("monthly"), minutes, zones, st.none(), st.sampled_from([LAST_DAY, *range(1, 32)])
    ),
)


@settings(max_examples=300, deadline=None)
@given(
    recurrences,
    st.datetimes(dt.datetime(1975, 1, 1), dt.datetime(2060, 1, 1), timezones=st.just(dt.UTC)),  # noqa: DTZ001
)
def test_next_and_previous_slot_enclose_every_instant(recurrence: Recurrence, at: dt.datetime) -> None:
    before, after = recurrence.previous_slot(at), recurrence.next_slot(at)
    assert before is not None
    assert after is not None
    assert before <= at < after
    assert recurrence.next_slot(before) == after
    assert recurrence.previous_slot(after) == after
    assert recurrence.previous_slot(after - dt.timedelta(microseconds=1)) == before
    longest = {"daily": 3, "weekly": 9, "monthly": 33}[recurrence.kind]
    assert after - before < longest * DAY
    assert after.utcoffset() == dt.timedelta(0)
    assert wall(after, recurrence.zone).second == 0
    assert load_zone(recurrence.zone).key == recurrence.zone
