"""What tests of schedules share: a template to plan, schedules, and runs that end."""

from __future__ import annotations

import datetime as dt
from typing import Any

import time_machine
from django.utils import timezone

from amchelper.models import User
from executions.models import Execution
from instances.models import AMCInstance
from planning.recurrence import Recurrence
from schedules.models import Schedule, ScheduleSlot
from schedules.services.schedules import ScheduleValues, create_schedule
from schedules.services.slots import claim_due
from schedules.services.steps import start_claimed
from templates_app.models import InstanceTemplate
from templates_app.services.templates import Content, create_template
from tests.base import CastTestCase
from tests.factories import InstanceFactory

# A Monday.
NOW = dt.datetime(2026, 3, 2, 8, 0, tzinfo=dt.UTC)


def moment(text: str) -> dt.datetime:
    """Read a moment in UTC: "2026-03-02 09:00"."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def values(**changed: Any) -> ScheduleValues:
    """Return the values of a schedule that runs every day at 09:00 UTC over 30 days."""
    recurrence: dict[str, Any] = {"kind": "daily", "time": dt.time(9), "zone": "UTC"}
    recurrence |= {name: changed.pop(name) for name in tuple(changed) if name in Recurrence.__dataclass_fields__}
    return ScheduleValues(
        **{"name": "Daily reach", "recurrence": Recurrence(**recurrence), "window_days": 30, **changed}
    )


def make_template(user: User, instance: AMCInstance | None = None) -> InstanceTemplate:
    """Save a template on a healthy instance of the user."""
    instance = instance or InstanceFactory.create(account__connection__user=user)
    return create_template(
        actor=user, instance=instance, content=Content(name="Reach", source_sql="SELECT 1 AS x")
    )


class ScheduleTestCase(CastTestCase):
    """Alice's template, and a clock that stands still until a test moves it."""

    template: InstanceTemplate
    instance: AMCInstance

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.template = make_template(cls.alice)
        cls.instance = cls.template.instance

    def setUp(self) -> None:
        super().setUp()
        self.clock = self.enterContext(time_machine.travel(NOW, tick=False))

    def schedule(self, **changed: Any) -> Schedule:
        return create_schedule(actor=self.alice, template=self.template, values=values(**changed))

    def at(self, text: str) -> dt.datetime:
        """Move the clock."""
        self.clock.move_to(moment(text))
        return moment(text)

    def tick(self, text: str | None = None) -> None:
        """Claim and start what is due."""
        now = self.at(text) if text else timezone.now()
        claim_due(now)
        start_claimed(now)

    def end(self, execution: Execution | None, status: str, **fields: Any) -> None:
        """End a run now."""
        assert execution is not None
        Execution.objects.filter(pk=execution.pk).update(status=status, finished_at=timezone.now(), **fields)

    def slots(self, schedule: Schedule) -> list[tuple[str, str]]:
        """Return (time, status) of the schedule's slots, the oldest first."""
        rows = ScheduleSlot.objects.filter(schedule=schedule).order_by("scheduled_for")
        return [(f"{row.scheduled_for:%Y-%m-%d %H:%M}", row.status) for row in rows]
