"""Messages to workers: of equal ones one waits, none is sent too late, and nothing that was asked for is missed."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import time_machine
from celery import current_app
from django.conf import settings
from django.db import DatabaseError, connection
from django.test import SimpleTestCase, TestCase, TransactionTestCase
from django.utils import timezone
from kombu.exceptions import OperationalError

from amchelper.beat import BeatScheduler
from amchelper.celery import app
from amchelper.leases import RESEND_AFTER
from amchelper.models import MAX_PENDING_SECONDS, PendingMessage
from amchelper.queue import EXPIRES_SECONDS, send_for_rows, send_task
from tests.messages import caught
from tests.race.test_executions import together
from tests.test_try_again import failing

TICK = "executions.tasks.tick_executions"
ADMIT = "executions.tasks.admit_executions"
ROOT = Path(settings.BASE_DIR)


class PendingTests(TestCase):
    def setUp(self) -> None:
        traveller = time_machine.travel(timezone.now(), tick=False)
        self.clock = traveller.start()
        self.addCleanup(traveller.stop)

    def test_of_equal_messages_one_waits(self) -> None:
        with caught() as messages:
            for _ in range(3000):
                send_task(ADMIT, "ENTITY1", "US")
            send_task(ADMIT, "ENTITY1", "CA")
            send_task(TICK)
        self.assertEqual(
            messages.texts, ["admit_executions ENTITY1 US", "admit_executions ENTITY1 CA", "tick_executions"]
        )
        self.assertEqual({message.options["expires"] for message in messages}, {EXPIRES_SECONDS})

    def test_message_that_nobody_took_is_sent_again_once_it_has_expired(self) -> None:
        with caught() as messages:
            send_task(TICK)
            self.clock.shift(timedelta(seconds=EXPIRES_SECONDS - 1))
            send_task(TICK)
            self.assertEqual(len(messages), 1)
            self.clock.shift(timedelta(seconds=1))
            send_task(TICK)
            send_task(TICK)
        self.assertEqual(len(messages), 2)

    def test_sender_that_dies_between_mark_and_message_holds_it_back_until_then(self) -> None:
        self.assertEqual(PendingMessage.objects.keep_waiting(TICK, seconds=EXPIRES_SECONDS), EXPIRES_SECONDS)
        with caught() as messages:
            send_task(TICK)
            self.assertEqual(messages, [])
            self.clock.shift(timedelta(seconds=EXPIRES_SECONDS))
            send_task(TICK)
        self.assertEqual(len(messages), 1)

    def test_outage_leaves_few_messages_and_the_last_one_alive(self) -> None:
        with caught() as messages:
            for _ in range(24 * 3600 // 5):
                send_task(TICK)
                self.clock.shift(5)
            self.assertLess(len(messages), 300)
            expires = [message.options["expires"] for message in messages]
            self.assertEqual(expires[:5], [25.0, 50.0, 100.0, 200.0, MAX_PENDING_SECONDS])
            self.assertEqual(max(expires), MAX_PENDING_SECONDS)
            self.assertTrue(PendingMessage.objects.get().is_waiting(timezone.now()))
            # Once workers are back everything is as before.
            messages.deliver()
            send_task(TICK)
            self.assertEqual(messages[0].options["expires"], EXPIRES_SECONDS)

    def test_sender_whose_clock_is_minutes_late_is_heard(self) -> None:
        alive = []
        with caught() as messages:
            for _ in range(40):
                with time_machine.travel(timezone.now() - timedelta(minutes=2), tick=False):
                    send_task(TICK)
                self.clock.shift(5)
                alive += [message for message in messages if message.options["expires"] > 120]
        self.assertTrue(alive)

    def test_rows_are_sent_again_only_when_the_message_before_has_expired(self) -> None:
        self.assertLess(timedelta(seconds=EXPIRES_SECONDS), RESEND_AFTER)

    def test_mark_of_a_clock_that_was_wrong_holds_nothing_back(self) -> None:
        with caught() as messages:
            with time_machine.travel(timezone.now() + timedelta(days=1)):
                send_task(TICK)
            send_task(TICK)
        self.assertEqual(len(messages), 2)

    def test_task_that_begins_is_waited_for_no_more(self) -> None:
        with caught() as messages:
            send_task(TICK)
            messages.deliver()
            send_task(TICK)
            self.assertEqual(messages.texts, ["tick_executions"])

    def test_what_is_asked_for_while_a_task_reads_is_sent(self) -> None:
        asked: list[str] = []

        def ask(execute: Any, sql: str, *arguments: Any) -> Any:
            result = execute(sql, *arguments)
            # The task has read this and will not look again.
            if "workflow_executions" in sql and not asked:
                asked.append(sql)
                send_task(ADMIT, "ENTITY1", "US")
            return result

        with caught() as messages:
            send_task(ADMIT, "ENTITY1", "US")
            with connection.execute_wrapper(ask):
                messages.deliver()
            self.assertEqual((len(asked), messages.texts), (1, ["admit_executions ENTITY1 US"]))

    def test_queue_that_cannot_be_reached_leaves_no_mark(self) -> None:
        unreachable = mock.patch.object(current_app, "send_task", side_effect=OperationalError("no broker"))
        with unreachable, self.assertLogs("amchelper.queue", "WARNING"):
            send_task(TICK)
        with caught() as messages:
            send_task(TICK)
        self.assertEqual(len(messages), 1)

    def test_queue_that_cannot_be_reached_is_not_asked_for_each_of_many_rows(self) -> None:
        unreachable = mock.patch.object(current_app, "send_task", side_effect=OperationalError("no broker"))
        with unreachable as tried, self.assertLogs("amchelper.queue", "WARNING"):
            send_for_rows(TICK, range(500))
        self.assertEqual(tried.call_count, 1)

    def test_busy_database_leaves_the_message_to_the_next_tick(self) -> None:
        with caught() as messages:
            for words in ('SELECT "pending_messages"', 'INSERT INTO "pending_messages"'):
                with self.subTest(words), failing(words), self.assertLogs("amchelper.queue", "WARNING") as logged:
                    send_task(TICK)
                self.assertEqual([record.exc_info for record in logged.records], [None])
            self.assertEqual(messages, [])
            send_task(TICK)
            self.assertEqual(len(messages), 1)

    def test_waiting_message_costs_one_read(self) -> None:
        with caught():
            send_task(TICK)
            with self.assertNumQueries(1):
                send_task(TICK)


class RealTransactionTests(TransactionTestCase):
    def test_mark_that_cannot_be_removed_does_not_keep_the_task_from_its_work(self) -> None:
        with caught() as messages:
            send_task(TICK)

            def fail(execute: Any, sql: str, *arguments: Any) -> Any:
                if sql.startswith('UPDATE "pending_messages"'):
                    raise DatabaseError("disk I/O error")
                return execute(sql, *arguments)

            with connection.execute_wrapper(fail), self.assertLogs("amchelper.queue", "WARNING"):
                messages.deliver()
            send_task(TICK)
            self.assertEqual(messages, [])

    def test_mark_that_a_busy_database_keeps_is_one_line(self) -> None:
        with caught() as messages:
            send_task(TICK)
            busy = failing('UPDATE "pending_messages"')
            with busy, self.assertLogs("amchelper.queue", "WARNING") as logged:
                messages.deliver()
        self.assertEqual([record.exc_info for record in logged.records], [False])

    def test_one_of_many_senders_sends(self) -> None:
        with caught() as messages:
            for number in range(5):
                # The first mark is inserted, the next ones are updated.
                together(20, lambda _: send_task(TICK))
                self.assertEqual(len(messages), number + 1)
                PendingMessage.objects.forget(TICK)


class BeatTests(TransactionTestCase):
    def scheduler(self) -> BeatScheduler:
        folder = tempfile.TemporaryDirectory(prefix="amc-beat-")
        self.addCleanup(folder.cleanup)
        scheduler = BeatScheduler(app=app, schedule_filename=f"{folder.name}/schedule")
        self.addCleanup(scheduler.close)
        return scheduler

    def test_is_what_beat_runs(self) -> None:
        self.assertEqual(app.conf.beat_scheduler, "amchelper.beat:BeatScheduler")

    def test_ticks_of_an_outage_do_not_pile_up(self) -> None:
        scheduler = self.scheduler()
        entries = [entry for entry in scheduler.schedule.values() if not str(entry.name).startswith("celery.")]
        self.assertEqual({entry.name for entry in entries}, set(app.conf.beat_schedule))
        with caught() as messages, time_machine.travel(timezone.now(), tick=False):
            for _ in range(500):
                for entry in entries:
                    scheduler.apply_async(entry, advance=False)
        self.assertEqual(sorted(m.task for m in messages), sorted(entry.task for entry in entries))

    def test_every_message_of_beat_expires_before_long(self) -> None:
        scheduler = self.scheduler()
        with caught() as messages:
            for entry in scheduler.schedule.values():
                scheduler.apply_async(entry, advance=False)
        frequent = {m.task: m.options["expires"] for m in messages if ".tick_" in m.task or "run_due" in m.task}
        self.assertEqual(set(frequent.values()), {EXPIRES_SECONDS})
        self.assertEqual(len(frequent), 4)
        self.assertTrue(all(0 < m.options["expires"] < 24 * 3600 for m in messages))


class KindTests(SimpleTestCase):
    def queue_of(self, task: str) -> str:
        return str(app.amqp.router.route({}, task)["queue"].name)

    def test_every_kind_of_work_has_a_queue(self) -> None:
        expected = {
            "amchelper.tasks.clear_sessions": "other",
            "executions.tasks.admit_executions": "dispatch",
            "executions.tasks.advance_execution": "steps",
            "executions.tasks.make_exports": "exports",
            "executions.tasks.prune_results": "other",
            "executions.tasks.tick_executions": "dispatch",
            "executions.tasks.tick_exports": "dispatch",
            "instances.tasks.advance_health_batch": "checks",
            "instances.tasks.prune_health": "other",
            "instances.tasks.sweep_mappings": "other",
            "instances.tasks.tick_health": "dispatch",
            "schedules.tasks.run_due_slots": "slots",
            "schedules.tasks.tell_owner": "other",
        }
        app.loader.import_default_modules()
        ours = {name for name in app.tasks if not name.startswith("celery.")}
        self.assertEqual({name: self.queue_of(name) for name in ours}, expected)
        self.assertEqual(set(expected.values()), set(settings.WORKER_THREADS))

    def test_worker_takes_all_kinds_unless_told_otherwise(self) -> None:
        self.assertEqual(set(app.amqp.queues.consume_from), set(settings.WORKER_THREADS))

    def test_worker_of_the_procfile_has_a_thread_for_each_share(self) -> None:
        threads = sum(settings.WORKER_THREADS.values())
        self.assertIn(f"--concurrency {threads} ", (ROOT / "Procfile").read_text())
