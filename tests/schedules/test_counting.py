"""Counting and reading slots from the newest one back agrees with going through all of them."""

from __future__ import annotations

import datetime as dt

from hypothesis import given, settings
from hypothesis import strategies as st

from planning.recurrence import Recurrence

START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)


@st.composite
def recurrences(draw: st.DrawFn) -> Recurrence:
    kind = draw(st.sampled_from(["daily", "weekly", "monthly"]))
    bounds = sorted(draw(st.lists(st.dates(dt.date(2025, 1, 1), dt.date(2026, 12, 31)), min_size=2, max_size=2)))
    return Recurrence(
        kind=kind,
        time=draw(st.times()).replace(second=0, microsecond=0),
        zone=draw(st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Pacific/Kiritimati"])),
        weekday=draw(st.integers(0, 6)) if kind == "weekly" else None,
        day_of_month=draw(st.sampled_from([-1, 1, 15, 29, 30, 31])) if kind == "monthly" else None,
        start=draw(st.sampled_from([None, bounds[0]])),
        end=draw(st.sampled_from([None, bounds[1]])),
    )


@settings(max_examples=150, deadline=None)
@given(recurrences(), st.integers(0, 1000 * 24 * 60), st.integers(0, 400 * 24 * 60), st.integers(0, 20))
def test_counts_and_latest_slots_are_those_of_the_span(
    recurrence: Recurrence, offset: int, length: int, limit: int
) -> None:
    after = START + dt.timedelta(minutes=offset)
    until = after + dt.timedelta(minutes=length)
    slots = list(recurrence.slots_between(after, until))
    assert recurrence.count_slots(after, until) == len(slots)
    assert recurrence.latest_slots(after, until, limit) == slots[::-1][:limit]


def test_span_that_ends_on_a_slot_includes_it_and_one_that_begins_there_does_not() -> None:
    daily = Recurrence(kind="daily", time=dt.time(9), zone="UTC")
    slot = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
    assert daily.count_slots(slot - dt.timedelta(days=1), slot) == 1
    assert daily.count_slots(slot, slot) == 0
    assert daily.latest_slots(slot - dt.timedelta(days=1), slot, 5) == [slot]


def test_a_century_is_counted_at_once() -> None:
    daily = Recurrence(kind="daily", time=dt.time(9), zone="Europe/Berlin")
    count = daily.count_slots(START, START.replace(year=2125))
    assert count == (dt.date(2125, 1, 1) - dt.date(2025, 1, 1)).days


def test_local_is_what_the_zones_clocks_show() -> None:
    berlin = Recurrence(kind="daily", time=dt.time(9), zone="Europe/Berlin")
    assert berlin.local(dt.datetime(2026, 7, 1, 7, 30, tzinfo=dt.UTC)) == dt.datetime(2026, 7, 1, 9, 30)  # noqa: DTZ001
