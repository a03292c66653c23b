"""What the page that asks before a schedule is deleted says."""

from __future__ import annotations

from amchelper.words import counted, pluralized
from schedules.models import Schedule


def what_deleting_means(schedule: Schedule) -> list[str]:
    """Return sentences about what ends with a schedule and what stays: it is kept for its history."""
    runs, slots = schedule.executions.count(), schedule.slots.count()
    going_on = schedule.executions.open().count()
    said = ["It starts no more runs, and cannot be brought back."]
    if going_on:
        said.append(f"{counted(going_on, 'run')} that {pluralized(going_on, 'has', 'have')} begun will go on.")
    if slots:
        stay = pluralized(slots, "stays", "stay")
        said.append(
            f"{counted(slots, 'planned run')} of its history {stay}: choose “Deleted” in the list of schedules."
        )
    said.append(f"{counted(runs, 'run')} and {pluralized(runs, 'its result stays', 'their results stay')}.")
    return said
