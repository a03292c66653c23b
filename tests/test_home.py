"""Home: what runs, what comes next, and what a newcomer does first; the user's own only."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from executions.models import Execution, ExecutionStatus, Trigger
from executions.services.start import start_execution
from planning.windows import Window
from schedules.services.schedules import create_schedule, pause
from tests.schedules.base import ScheduleTestCase, make_template, values

WINDOW = Window(dt.date(2026, 1, 1), dt.date(2026, 1, 7), "UTC")


class HomeTests(ScheduleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.client.force_login(self.alice)

    def home(self, **headers: str) -> Any:
        return self.client.get(reverse("home"), headers=headers)

    def run_one(self, name: str = "Reach in January") -> Execution:
        return start_execution(
            actor=self.alice, template=self.template, window=WINDOW, trigger=Trigger.MANUAL, name=name
        )

    def test_newcomer_sees_the_steps_and_no_empty_tables(self) -> None:
        page = self.home()
        self.assertContains(page, "Getting started")
        self.assertNotContains(page, "Latest runs")
        self.assertNotContains(page, "Next on schedule")

    def test_open_runs_are_asked_for_again_until_they_have_ended(self) -> None:
        run = self.run_one()
        page = self.home()
        self.assertContains(page, "Reach in January")
        self.assertContains(page, 'hx-trigger="every 4s"')
        self.end(run, ExecutionStatus.FAILED, error="Amazon said no.")
        fragment = self.home(**{"HX-Request": "true"})
        self.assertContains(fragment, "Amazon said no.")
        self.assertNotContains(fragment, "hx-trigger")
        self.assertNotContains(fragment, "<html")

    def test_next_slots_stand_on_the_clocks_of_their_zone(self) -> None:
        self.schedule(zone="Asia/Tokyo")
        self.assertContains(self.home(), "Tue 3 Mar, 09:00")

    def test_paused_schedules_are_not_announced(self) -> None:
        schedule = self.schedule(name="Sleeping")
        pause(schedule=schedule, actor=self.alice)
        self.assertNotContains(self.home(), "Sleeping")

    def test_others_runs_and_schedules_are_not_shown(self) -> None:
        theirs = make_template(self.charlie)
        start_execution(
            actor=self.charlie, template=theirs, window=WINDOW, trigger=Trigger.MANUAL, name="Charlie's run"
        )
        create_schedule(actor=self.charlie, template=theirs, values=values(name="Charlie's plan"))
        page = self.home()
        self.assertNotContains(page, "Charlie")

    def test_statements_do_not_grow_with_what_is_shown(self) -> None:
        self.run_one()
        self.schedule()
        with CaptureQueriesContext(connection) as few:
            self.home()
        for number in range(12):
            self.run_one(f"Run {number}")
            self.schedule(name=f"Plan {number}")
        with CaptureQueriesContext(connection) as many:
            self.home()
        self.assertEqual(len(few), len(many))
        self.assertLess(len(many), 20)
