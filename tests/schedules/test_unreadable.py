"""A plan that cannot be read any more, such as one in a zone that the time zones of the machine no longer have."""

from __future__ import annotations

from django.urls import reverse

from executions.models import Execution
from schedules.forms.schedules import ScheduleForm
from schedules.models import Schedule, ScheduleStatus
from schedules.services.slots import UNREADABLE, claim_due
from tests.schedules.base import ScheduleTestCase, moment


class UnreadableTests(ScheduleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.broken = self.schedule(name="Broken")
        Schedule.objects.filter(pk=self.broken.pk).update(zone="Mars/Olympus")

    def address(self, name: str, *args: object) -> str:
        return reverse(f"schedules:schedule-{name}", args=args or [self.broken.schedule_id])

    def pause(self) -> None:
        with self.assertLogs("schedules.services.slots", "ERROR"):
            claim_due(self.at("2026-03-02 09:00"))
        self.assertEqual(Schedule.objects.get().status, ScheduleStatus.PAUSED)

    def test_every_page_shows_it_before_and_after_it_is_paused(self) -> None:
        pages = ("/", *(reverse(f"schedules:schedule-{name}") for name in ("list", "calendar")))
        pages += (
            self.address("of-instance", self.instance.pk),
            *map(self.address, ("detail", "update", "delete")),
        )
        for is_paused in (False, True):
            if is_paused:
                self.pause()
            for page in pages:
                with self.subTest(page, is_paused=is_paused):
                    self.assertEqual(self.client.get(page).status_code, 200)
        self.assertContains(self.client.get(self.address("detail")), "A time that cannot be read any more")
        self.assertContains(self.client.get(self.address("detail")), UNREADABLE)

    def test_it_neither_runs_nor_goes_on_until_it_is_mended(self) -> None:
        self.pause()
        for action in ("resume", "run"):
            with self.subTest(action):
                self.assertContains(self.client.post(self.address(action), follow=True), UNREADABLE)
        self.assertFalse(Execution.objects.exists())

    def test_the_form_mends_it(self) -> None:
        self.pause()
        schedule = Schedule.objects.get()
        form = {name: value for name, value in ScheduleForm.initial_of(schedule).items() if value is not None}
        seen = schedule.updated_at.isoformat()
        refused = self.client.post(self.address("update"), {**form, "seen": seen})
        self.assertEqual(list(refused.context["form"].errors), ["zone"])
        mended = {**form, "zone": "UTC", "seen": seen}
        self.assertRedirects(self.client.post(self.address("update"), mended), self.address("detail"))
        self.client.post(self.address("resume"))
        schedule = Schedule.objects.get()
        self.assertEqual((schedule.status, schedule.next_run_at), ("ACTIVE", moment("2026-03-03 09:00")))
