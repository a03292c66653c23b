"""Who may look at schedules, and who may plan, change and run them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any
from unittest import mock
from uuid import uuid4

from django.core.exceptions import PermissionDenied
from django.http import Http404
from django.urls import reverse

from amchelper.access import OwnedQuerySet
from executions.models import Execution
from schedules.errors import DeletedScheduleError
from schedules.models import Schedule, ScheduleSlot
from schedules.services.schedules import (
    create_schedule,
    delete_schedule,
    get_schedule,
    get_schedule_to_edit,
    get_schedule_to_run,
    pause,
    resume,
    update_schedule,
)
from tests.schedules.base import ScheduleTestCase, values


class ScheduleAccessTests(ScheduleTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.planned = self.schedule(name="Weekly reach")
        self.tick("2026-03-02 09:00")
        own = [self.planned.schedule_id]
        template = [self.instance.pk, self.template.template_id]
        wizard = [*template, uuid4()]
        names: list[tuple[str, str, list[Any]]] = [
            ("GET", "schedule-list", []),
            ("GET", "schedule-calendar", []),
            ("GET", "schedule-of-instance", [self.instance.pk]),
            ("GET", "schedule-detail", own),
        ]
        self.looking = [(method, reverse(f"schedules:{name}", args=args)) for method, name, args in names]
        names = [
            ("GET", "schedule-update", own),
            ("POST", "schedule-update", own),
            ("POST", "schedule-pause", own),
            ("POST", "schedule-resume", own),
            ("POST", "schedule-run", own),
            ("GET", "schedule-delete", own),
            ("POST", "schedule-delete", own),
            ("POST", "run-preview", [self.instance.pk]),
            ("GET", "run-start", template),
            *(
                (method, "run", [*wizard, step])
                for method in ("GET", "POST")
                for step in ("template", "type", "once", "recurring", "review", "finished")
            ),
        ]
        self.writing = [(method, reverse(f"schedules:{name}", args=args)) for method, name, args in names]

    def ask(self, method: str, url: str) -> Any:
        return self.client.post(url) if method == "POST" else self.client.get(url)

    def rows(self) -> list[Any]:
        """Return all that a page of schedules could change."""
        return [list(model.objects.order_by("pk").values()) for model in (Schedule, ScheduleSlot, Execution)]

    def assert_refused(self, status: int) -> None:
        before = self.rows()
        for method, url in self.writing:
            with self.subTest(method=method, url=url):
                self.assertEqual(self.ask(method, url).status_code, status)
        self.assertEqual(self.rows(), before)

    def test_who_may_neither_edit_nor_run_is_refused_everywhere(self) -> None:
        with self.nobody_may("editable_by", "runnable_by"):
            self.assert_refused(403)

    def test_who_sees_nothing_finds_nothing(self) -> None:
        with self.nobody_may("visible_to", "runnable_by", "editable_by", "owned_by"):
            self.assert_refused(404)
            for _, url in self.looking:
                with self.subTest(url):
                    response = self.client.get(url)
                    self.assertNotContains(response, "Weekly reach", status_code=response.status_code)
                    self.assertIn(response.status_code, (200, 404))

    def test_bob_may_look_and_change_nothing(self) -> None:
        self.client.force_login(self.bob)
        with self.bob_sees():
            for _, url in self.looking:
                with self.subTest(url):
                    self.assertContains(self.client.get(url), "Weekly reach")
            self.assert_refused(403)

    def test_buttons_are_for_those_who_may_use_them(self) -> None:
        url = self.planned.get_absolute_url()
        actions = [
            reverse(f"schedules:schedule-{name}", args=[self.planned.schedule_id])
            for name in ("pause", "run", "update", "delete")
        ]
        page = self.client.get(url)
        for action in actions:
            self.assertContains(page, f'"{action}"')
        self.client.force_login(self.bob)
        with self.bob_sees():
            page = self.client.get(url)
        for action in actions:
            self.assertNotContains(page, f'"{action}"')

    def test_services_refuse_too(self) -> None:
        with self.bob_sees():
            self.assertEqual(get_schedule(self.bob, self.planned.schedule_id), self.planned)
            for getter in (get_schedule_to_edit, get_schedule_to_run):
                with self.subTest(getter.__name__), self.assertRaises(PermissionDenied):
                    getter(self.bob, self.planned.schedule_id)
            with self.assertRaises(PermissionDenied):
                create_schedule(actor=self.bob, template=self.template, values=values())
            for action in (pause, resume, delete_schedule):
                with self.subTest(action.__name__), self.assertRaises(Http404):
                    action(schedule=self.planned, actor=self.bob)
        self.assertEqual(Schedule.objects.get().created_by, self.alice)

    def test_deleted_schedule_can_only_be_looked_at_by_whoever_is_let_in(self) -> None:
        delete_schedule(schedule=self.planned, actor=self.alice)
        with ExitStack() as shared:
            for door in ("visible_to", "runnable_by", "editable_by"):
                # As sharing will widen them, without asking who the owner is.
                shared.enter_context(
                    mock.patch.object(OwnedQuerySet, door, lambda rows, user, **where: rows.all())
                )
            found = get_schedule(self.bob, self.planned.schedule_id)
            self.assertEqual((found.can_edit, found.can_run), (False, False))  # type: ignore[attr-defined]  # annotated
            for getter in (get_schedule_to_edit, get_schedule_to_run):
                with self.subTest(getter.__name__), self.assertRaises(DeletedScheduleError):
                    getter(self.bob, self.planned.schedule_id)
        for getter in (get_schedule, get_schedule_to_edit, get_schedule_to_run):
            with self.subTest(getter.__name__), self.assertRaises(Http404):
                getter(self.charlie, self.planned.schedule_id)

    def test_what_the_system_plans_runs_for_the_owner_of_the_instance(self) -> None:
        made = create_schedule(actor=None, template=self.template, values=values(name="Planned"))
        self.assertEqual(made.created_by, self.instance.user)

    def test_the_system_may_change_every_schedule_that_is_not_deleted(self) -> None:
        with self.assertLogs("schedules.services.schedules", "INFO") as logged:
            pause(schedule=self.planned, actor=None)
        self.assertIn("actor=system", logged.output[0])
        resume(schedule=self.planned, actor=None)
        seen = Schedule.objects.get().updated_at
        saved = update_schedule(schedule=self.planned, actor=None, values=values(name="New"), seen=seen)
        self.assertEqual((saved.name, saved.status), ("New", "ACTIVE"))
        delete_schedule(schedule=self.planned, actor=None)
        with self.assertRaises(DeletedScheduleError):
            pause(schedule=self.planned, actor=None)
