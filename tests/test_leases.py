"""Durable work: one worker at a time holds a row, and a worker that died loses it. Executions stand for all models."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from amchelper.leases import CLOCK_SKEW_LIMIT, RESEND_AFTER, Claim, LeaseLostError, new_token
from executions.models import Execution, ExecutionStatus
from instances.models import AMCInstance
from tests.base import CastTestCase
from tests.factories import AccountFactory, ConnectionFactory, InstanceFactory

LEASE = Execution.objects.all().lease


class LeaseTests(CastTestCase):
    instance: AMCInstance

    @classmethod
    def setUpTestData(cls) -> None:
        super().setUpTestData()
        cls.instance = InstanceFactory.create(
            account=AccountFactory.create(connection=ConnectionFactory.create(user=cls.alice))
        )

    def setUp(self) -> None:
        super().setUp()
        traveller = time_machine.travel(timezone.now(), tick=False)
        self.clock = traveller.start()
        self.addCleanup(traveller.stop)
        self.row = self.add()

    def add(self, **fields: object) -> Execution:
        """Add a row with a step that is due."""
        return Execution.objects.create(
            **{
                "created_by": self.alice, "instance": self.instance, "template_name": "x", "template_version": 1,
                "name": "x", "source_sql": "SELECT 1", "sql_query": "SELECT 1", "window_start": "2026-01-01",
                "window_end": "2026-01-02", "status": ExecutionStatus.PENDING,
                "amc_execution_id": str(uuid.uuid4()), **fields,
            }
        )  # fmt: skip

    def claim(self, worker: str = "worker", *, within: timedelta = timedelta()) -> Claim[Execution] | None:
        """Claim the row, as a worker does."""
        token = new_token(worker)
        row = Execution.objects.claim([self.row.pk], token=token, now=timezone.now(), within=within).first()
        return Claim(row, token) if row is not None else None

    def held(self, worker: str = "worker") -> Claim[Execution]:
        """Claim the row, which must be free."""
        claim = self.claim(worker)
        assert claim is not None
        return claim

    def update(self, **fields: object) -> None:
        Execution.objects.filter(pk=self.row.pk).update(**fields)

    def is_due(self) -> bool:
        return Execution.objects.due(timezone.now()).filter(pk=self.row.pk).exists()


class SendTests(LeaseTests):
    def take(self, limit: int = 10) -> list[uuid.UUID]:
        return Execution.objects.take_to_send(timezone.now(), limit=limit)

    def test_of_two_that_ask_one_gets_a_row(self) -> None:
        self.assertEqual(self.take(), [self.row.pk])
        self.assertEqual(self.take(), [])

    def test_row_is_taken_again_when_its_message_must_be_lost(self) -> None:
        self.take()
        self.clock.shift(RESEND_AFTER)
        self.assertEqual(self.take(), [self.row.pk])

    def test_those_on_their_way_count_and_those_held_do_not(self) -> None:
        rows = [self.row, *(self.add() for _ in range(4))]
        self.assertEqual(len(self.take(limit=3)), 3)
        self.assertEqual(self.take(limit=3), [])
        first = Execution.objects.exclude(sent_at=None).order_by("next_step_at", "pk")[0]
        Execution.objects.claim([first.pk], token="x", now=timezone.now())
        self.assertEqual(len(self.take(limit=3)), 1)
        self.assertEqual(len(self.take(limit=len(rows))), 1)

    def test_nothing_to_send_takes_no_lock(self) -> None:
        self.take()
        with self.assertNumQueries(1):
            self.take()


class ClaimTests(LeaseTests):
    def test_of_two_claims_in_a_row_one_gets_the_row(self) -> None:
        self.assertIsNotNone(self.claim("one"))
        self.assertIsNone(self.claim("two"))
        self.assertIsNone(self.claim("one"))

    def test_many_rows_are_claimed_with_one_token_and_held_ones_left_out(self) -> None:
        free = [self.add() for _ in range(2)]
        self.held()
        token = new_token("another")
        rows = [self.row, *free]
        claimed = Execution.objects.claim([row.pk for row in rows], token=token, now=timezone.now())
        self.assertEqual({row.pk for row in claimed}, {row.pk for row in free})

    def test_claim_writes_lease_holder_and_attempt(self) -> None:
        self.held("host:1")
        self.row.refresh_from_db()
        self.assertEqual(self.row.lease_until, timezone.now() + LEASE)
        self.assertTrue(self.row.leased_by.startswith("host:1/"))
        self.assertEqual(self.row.step_attempts, 1)

    def test_claims_of_one_worker_are_told_apart(self) -> None:
        self.assertNotEqual(new_token("worker"), new_token("worker"))
        self.assertLessEqual(len(new_token("w" * 500)), 100)

    def test_expired_lease_is_given_to_the_next_worker(self) -> None:
        self.held("died")
        self.clock.shift(LEASE - timedelta(seconds=1))
        self.assertIsNone(self.claim())
        self.clock.shift(1)
        self.held()
        self.row.refresh_from_db()
        self.assertEqual(self.row.step_attempts, 2)

    def test_row_that_is_not_due_is_not_claimed(self) -> None:
        self.update(next_step_at=timezone.now() + timedelta(seconds=8))
        self.assertIsNone(self.claim())
        self.assertIsNotNone(self.claim(within=timedelta(seconds=10)))

    def test_finished_row_has_nothing_to_claim(self) -> None:
        self.update(status=ExecutionStatus.SUCCEEDED, finished_at=timezone.now())
        self.assertIsNone(self.claim())


class WrongClockTests(LeaseTests):
    def test_step_planned_by_a_clock_far_ahead_is_due(self) -> None:
        self.update(next_step_at=timezone.now() + CLOCK_SKEW_LIMIT)
        self.assertFalse(self.is_due())
        self.update(next_step_at=timezone.now() + CLOCK_SKEW_LIMIT + timedelta(seconds=1))
        self.assertTrue(self.is_due())

    def test_lease_given_by_a_clock_far_ahead_holds_nothing(self) -> None:
        self.update(lease_until=timezone.now() + LEASE + CLOCK_SKEW_LIMIT)
        self.assertFalse(self.is_due())
        self.update(lease_until=timezone.now() + LEASE + CLOCK_SKEW_LIMIT + timedelta(seconds=1))
        self.assertTrue(self.is_due())

    def test_message_sent_by_a_clock_ahead_is_sent_again(self) -> None:
        now = timezone.now()
        # So far clocks of two machines may differ.
        self.update(sent_at=now + RESEND_AFTER)
        self.assertFalse(Execution.objects.to_send(now).exists())
        for ahead in (RESEND_AFTER + timedelta(seconds=1), CLOCK_SKEW_LIMIT):
            self.update(sent_at=now + ahead)
            self.assertTrue(Execution.objects.to_send(now).exists())


class HoldingTests(LeaseTests):
    def until(self) -> datetime | None:
        self.row.refresh_from_db()
        return self.row.lease_until

    def test_heartbeats_keep_the_row(self) -> None:
        claim = self.held()
        for _ in range(5):
            self.clock.shift(LEASE * 0.8)
            claim.heartbeat(always=True)
            self.assertIsNone(self.claim("another"))
        self.assertEqual(self.until(), timezone.now() + LEASE)

    def test_heartbeat_writes_the_lease_and_nothing_else(self) -> None:
        claim = self.held()
        acts: tuple[tuple[Callable[[], None], list[str]], ...] = (
            (lambda: claim.heartbeat(always=True), ["lease_until"]),
            (lambda: claim.defer(timedelta()), ["sent_at", "next_step_at", "lease_until", "leased_by"]),
        )
        for act, columns in acts:
            with CaptureQueriesContext(connection) as done:
                act()
            [statement] = [query["sql"] for query in done.captured_queries]
            written = statement.partition(" SET ")[2].partition(" WHERE ")[0]
            self.assertEqual(re.findall(r'"(\w+)" = ', written), columns)

    def test_heartbeat_soon_after_the_last_one_writes_nothing(self) -> None:
        claim = self.held()
        with self.assertNumQueries(0):
            claim.heartbeat()
        with self.assertNumQueries(1):
            claim.heartbeat(waiting_for="something")
        self.row.refresh_from_db()
        self.assertEqual((self.row.waiting_for, claim.row.waiting_for), ("something", "something"))


class LettingGoTests(LeaseTests):
    def test_finish_writes_lets_go_and_forgets_attempts(self) -> None:
        self.update(sent_at=timezone.now(), step_attempts=3)
        self.held().finish(status=ExecutionStatus.RUNNING)
        self.row.refresh_from_db()
        self.assertEqual(self.row.status, ExecutionStatus.RUNNING)
        self.assertEqual((self.row.lease_until, self.row.leased_by, self.row.sent_at), (None, "", None))
        self.assertEqual(self.row.step_attempts, 0)

    def test_defer_waits_and_counts_the_attempt(self) -> None:
        self.held().defer(timedelta(minutes=1))
        self.assertFalse(self.is_due())
        self.clock.shift(60)
        self.assertTrue(self.is_due())
        self.row.refresh_from_db()
        self.assertEqual((self.row.step_attempts, self.row.lease_until), (1, None))

    def test_defer_may_take_the_attempt_back(self) -> None:
        self.held().defer(timedelta(minutes=1), counts=False)
        self.row.refresh_from_db()
        self.assertEqual(self.row.step_attempts, 0)

    def test_worker_that_lost_its_lease_writes_nothing(self) -> None:
        late = self.held("late")
        self.clock.shift(LEASE)
        another = self.held("another")
        writes: tuple[Callable[[], object], ...] = (
            lambda: late.heartbeat(always=True),
            lambda: late.finish(status=ExecutionStatus.FAILED),
            lambda: late.defer(timedelta()),
        )
        for write in writes:
            with self.assertRaises(LeaseLostError):
                write()
        another.heartbeat(always=True)
        self.row.refresh_from_db()
        self.assertEqual(self.row.status, ExecutionStatus.PENDING)

    def test_worker_that_is_late_but_alone_may_still_write(self) -> None:
        late = self.held()
        self.clock.shift(LEASE * 2)
        late.finish(waiting_for="something")
        self.row.refresh_from_db()
        self.assertEqual(self.row.waiting_for, "something")

    def test_claim_that_was_let_go_writes_nothing_more(self) -> None:
        claim = self.held()
        claim.finish()
        with self.assertRaises(LeaseLostError):
            claim.heartbeat(always=True)

    def test_row_that_was_deleted_is_a_lost_lease(self) -> None:
        claim = self.held()
        Execution.objects.all().delete()
        with self.assertRaises(LeaseLostError):
            claim.finish()


class SendingTests(LeaseTests):
    def test_message_that_brought_nothing_is_sent_again(self) -> None:
        now = timezone.now()
        self.assertTrue(Execution.objects.to_send(now).exists())
        self.update(sent_at=now)
        self.assertFalse(Execution.objects.to_send(now).exists())
        self.assertTrue(Execution.objects.to_send(now + RESEND_AFTER).exists())

    def test_longest_due_is_sent_first(self) -> None:
        older = self.add(next_step_at=timezone.now() - timedelta(hours=2))
        self.assertEqual(list(Execution.objects.to_send(timezone.now())), [older, self.row])

    def test_held_row_is_not_sent(self) -> None:
        self.held()
        self.assertFalse(Execution.objects.to_send(timezone.now()).exists())
