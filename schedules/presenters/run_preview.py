"""What a window or a recurrence comes to, shown while it is chosen."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from planning.windows import DEFAULT_LAG_DAYS, Window, WindowFinding, check_window
from schedules.services.schedules import ScheduleValues

SLOTS_SHOWN = 5


@dataclass(frozen=True)
class WindowPreview:
    """A resolved window: the label in its zone, the moments in UTC (aware), and what is to be said about it."""

    window: Window
    starts_at: dt.datetime
    ends_at: dt.datetime
    errors: tuple[WindowFinding, ...]
    warnings: tuple[WindowFinding, ...]


@dataclass(frozen=True)
class SlotPreview:
    """A coming slot with its window; `note` explains a clock change."""

    at: dt.datetime
    local: dt.datetime
    window: WindowPreview
    note: str


@dataclass(frozen=True)
class RecurrencePreview:
    """A recurrence in words, and its next slots."""

    text: str
    slots: tuple[SlotPreview, ...]


def preview_once(window: Window, now: dt.datetime, lag_days: int) -> WindowPreview:
    """Resolve a window for a run that starts now; days younger than `lag_days` are remarked on."""
    verdict = check_window(window, now, lag_days)
    if not verdict.is_ok:
        return WindowPreview(window, now, now, verdict.errors, ())
    starts_at, ends_at = window.utc_bounds()
    return WindowPreview(window, starts_at, ends_at, (), verdict.warnings)


def preview_recurring(
    values: ScheduleValues, now: dt.datetime, lag_days: int = DEFAULT_LAG_DAYS
) -> RecurrencePreview:
    """Return the next slots, each with the window it would have."""
    recurrence = values.recurrence
    slots = tuple(
        SlotPreview(
            at=at,
            local=recurrence.local(at),
            window=preview_once(values.window_at(at), at, lag_days),
            note=recurrence.dst_note(at),
        )
        for at in recurrence.next_slots(now, SLOTS_SHOWN)
    )
    return RecurrencePreview(text=recurrence.describe(), slots=slots)
