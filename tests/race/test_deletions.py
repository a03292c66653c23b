"""Deleted between the reading and the writing: a sentence says what happened, and nothing half is left."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from django.conf import settings
from django.core.cache import caches
from django.db import IntegrityError
from django.test import TransactionTestCase, override_settings

from amchelper.access import MissingRowError
from amchelper.dependents import delete_with_dependents
from amchelper.models import User
from executions.errors import NotRunnableError
from executions.models import Execution, ExportFormat, ResultExport
from executions.services import exports, start
from executions.services.start import run_again, start_execution
from instances.models import AMCInstance
from schedules.errors import DeletedScheduleError
from schedules.models import Schedule, ScheduleSlot
from schedules.services import schedules, steps
from schedules.services.schedules import create_schedule, delete_schedule, run_now, update_schedule
from templates_app.models import InstanceTemplate, TemplateVersion
from templates_app.services import templates
from templates_app.services.templates import Content, create_template, set_archived
from tests.executions.base import SQL, window
from tests.factories import AccountFactory, InstanceFactory, UserFactory
from tests.large_results import store_run
from tests.messages import caught
from tests.schedules.base import values


@contextmanager
def right_after(module: Any, name: str, act: Callable[[], object]) -> Iterator[None]:
    """Let somebody else act once, in the moment when this function has read what it wanted and nothing is written."""
    real, acts = getattr(module, name), [act]

    def done(*args: Any, **kwargs: Any) -> Any:
        result = real(*args, **kwargs)
        if acts:
            acts.pop()()
        return result

    with mock.patch.object(module, name, done):
        yield
    assert not acts, f"{name} was not called"


class DeletionRaceTests(TransactionTestCase):
    """Real commits: a database looks for what a row refers to only then."""

    alice: User
    instance: AMCInstance
    template: InstanceTemplate

    def setUp(self) -> None:
        for alias in ("default", "generations"):
            caches[alias].clear()
        self.enterContext(caught())
        self.alice = UserFactory.create()
        account = AccountFactory.create(connection__user=self.alice)
        self.instance = InstanceFactory.create(account=account)
        content = Content(name="Reach", source_sql=SQL)
        self.template = create_template(actor=self.alice, instance=self.instance, content=content)

    def delete_template(self) -> None:
        delete_with_dependents(InstanceTemplate.objects.filter(pk=self.template.pk), actor=self.alice)

    def delete_instance(self) -> None:
        delete_with_dependents(AMCInstance.objects.filter(pk=self.instance.pk), actor=self.alice)

    def begin_to_delete_instance(self) -> None:
        """Take the instance out of use, as the deletion of a long history does before it is over."""
        with (
            mock.patch("amchelper.dependents.delete_gradually", side_effect=IntegrityError),
            self.assertRaisesMessage(Exception, "Something was added"),
        ):
            self.delete_instance()

    def start(self, **changes: Any) -> Execution:
        wanted: dict[str, Any] = {"actor": self.alice, "template": self.template, "window": window(), **changes}
        return start_execution(**wanted)

    def schedule(self, **changes: Any) -> Schedule:
        return create_schedule(actor=self.alice, template=self.template, values=values(), **changes)

    def test_start_says_what_was_deleted_or_put_away(self) -> None:
        for act, words in (
            (lambda: set_archived(self.template, actor=self.alice, archived=True), "archived or is being deleted"),
            (self.begin_to_delete_instance, "archived or is being deleted"),
            (self.delete_template, "The template was deleted at this moment, so nothing was started"),
        ):
            with self.subTest(words):
                AMCInstance.objects.update(is_active=True, status="ACTIVE")
                InstanceTemplate.objects.update(archived_at=None)
                with right_after(start, "make_execution", act), self.assertRaisesMessage(NotRunnableError, words):
                    self.start()
                self.assertEqual(Execution.objects.count(), 0)

    def test_start_on_a_deleted_instance_says_so(self) -> None:
        with (
            right_after(start, "make_execution", self.delete_instance),
            self.assertRaisesMessage(NotRunnableError, "The AMC instance was deleted at this moment"),
        ):
            self.start()
        self.assertEqual(Execution.objects.count(), 0)

    def test_first_of_two_equal_submissions_counts_although_the_template_went(self) -> None:
        key = uuid.uuid4()

        def start_and_delete() -> None:
            self.start(submission_key=key)
            self.delete_template()

        with right_after(start, "make_execution", start_and_delete):
            again = self.start(submission_key=key)
        self.assertEqual(list(Execution.objects.all()), [again])

    def test_run_again_as_it_was_needs_no_template(self) -> None:
        old = self.start()
        with right_after(start, "ensure_startable", self.delete_template):
            again = run_again(old, actor=self.alice, as_is=True)
        self.assertEqual(Execution.objects.get(pk=again.pk).template, None)
        self.assertEqual(again.sql_query, SQL)

    def test_run_again_of_the_template_says_that_it_is_gone(self) -> None:
        old = self.start()
        with (
            right_after(start, "get_execution_to_run", self.delete_template),
            self.assertRaisesMessage(NotRunnableError, "Run the same SQL again instead"),
        ):
            run_again(old, actor=self.alice, as_is=False)

    def test_run_again_on_an_instance_that_goes_says_so(self) -> None:
        for act, words in (
            (self.begin_to_delete_instance, "The instance was disabled or is being deleted"),
            (self.delete_instance, "The AMC instance was deleted at this moment"),
        ):
            AMCInstance.objects.update(is_active=True, status="ACTIVE")
            old = self.start() if not Execution.objects.exists() else Execution.objects.get()
            with (
                self.subTest(words),
                right_after(start, "ensure_startable", act),
                self.assertRaisesMessage(NotRunnableError, words),
            ):
                run_again(old, actor=self.alice, as_is=True)

    def test_schedule_of_a_template_that_goes_is_not_saved(self) -> None:
        for act, words in (
            (self.begin_to_delete_instance, "archived or is being deleted"),
            (self.delete_template, "The template was deleted at this moment, so nothing was started or saved"),
        ):
            AMCInstance.objects.update(is_active=True, status="ACTIVE")
            InstanceTemplate.objects.update(archived_at=None)
            with (
                self.subTest(words),
                right_after(schedules, "_plannable_template", act),
                self.assertRaisesMessage(NotRunnableError, words),
            ):
                self.schedule()
        self.assertEqual(Schedule.objects.count(), 0)

    def test_schedule_deleted_in_another_tab_is_neither_changed_nor_deleted_again(self) -> None:
        schedule = self.schedule()
        seen = Schedule.objects.get().updated_at
        delete_schedule(schedule=schedule, actor=self.alice)
        kept = Schedule.objects.values().get()
        for act in (
            lambda: update_schedule(schedule=schedule, actor=self.alice, values=values(name="X"), seen=seen),
            lambda: schedules.pause(schedule=schedule, actor=self.alice),
            lambda: schedules.resume(schedule=schedule, actor=self.alice),
            lambda: delete_schedule(schedule=schedule, actor=self.alice),
        ):
            with self.assertRaisesMessage(DeletedScheduleError, "was deleted, so nothing was changed"):
                act()
        self.assertEqual(Schedule.objects.values().get(), kept)

    def test_schedule_that_went_with_its_template_is_not_there(self) -> None:
        schedule = self.schedule()
        seen = Schedule.objects.get().updated_at
        self.delete_template()
        with self.assertRaises(MissingRowError):
            update_schedule(schedule=schedule, actor=self.alice, values=values(), seen=seen)
        with self.assertRaises(MissingRowError):
            run_now(actor=self.alice, schedule=schedule)
        self.assertEqual((Schedule.objects.count(), Execution.objects.count()), (0, 0))

    def test_schedule_row_that_goes_while_it_is_run_by_hand_is_said(self) -> None:
        schedule = self.schedule()
        with (
            right_after(start, "make_execution", lambda: Schedule.objects.filter(pk=schedule.pk).delete()),
            self.assertRaisesMessage(NotRunnableError, "The schedule was deleted at this moment"),
        ):
            run_now(actor=self.alice, schedule=schedule)
        self.assertEqual(Execution.objects.count(), 0)

    def test_file_of_a_run_that_goes_is_not_asked_for(self) -> None:
        folder = self.enterContext(tempfile.TemporaryDirectory(prefix="amc-results-"))
        results = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": folder}}
        storages = {**settings.STORAGES, "results": results}
        self.enterContext(override_settings(RESULTS_DIR=folder, STORAGES=storages))
        run = store_run(self.template, 10)
        with (
            right_after(exports, "ensure_fits", lambda: Execution.objects.filter(pk=run.pk).delete()),
            self.assertRaisesMessage(MissingRowError, "This run was deleted meanwhile."),
        ):
            exports.ask_for_export(run, ExportFormat.XLSX, actor=self.alice)
        self.assertEqual(ResultExport.objects.count(), 0)

    def test_template_of_an_instance_that_goes_is_not_saved(self) -> None:
        content = Content(name="Late", source_sql=SQL)
        with (
            right_after(templates.Content, "complete_sql", self.delete_instance),
            self.assertRaisesMessage(MissingRowError, "was deleted meanwhile, so the template was not saved"),
        ):
            create_template(actor=self.alice, instance=self.instance, content=content)
        self.assertEqual((InstanceTemplate.objects.count(), TemplateVersion.objects.count()), (0, 0))

    def test_slot_whose_template_is_put_away_meanwhile_is_judged_again(self) -> None:
        self.schedule()
        schedule = Schedule.objects.get()
        now = schedule.next_run_at
        assert now is not None
        ScheduleSlot.objects.create(schedule=schedule, scheduled_for=now, next_step_at=now)
        with (
            right_after(steps, "make_execution", self.begin_to_delete_instance),
            self.assertNoLogs("schedules", "WARNING"),
        ):
            self.assertEqual(steps.start_claimed(now), 0)
        self.assertEqual(Execution.objects.count(), 0)
        AMCInstance.objects.update(is_active=True, status="ACTIVE")
        later = now + ScheduleSlot.objects.all().lease
        steps.start_claimed(later)
        self.assertEqual(ScheduleSlot.objects.get().reason_code, "template_archived")
