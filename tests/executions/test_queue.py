"""Our own queue in front of AMC's places, and the tick that forgets nobody."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from amchelper.queue import EXPIRES_SECONDS
from executions.models import Execution, ExecutionStatus
from executions.services import steps
from executions.services.executions import cancel
from executions.services.queue import (
    accounts_with_waiting,
    admit_and_send,
    admit_waiting,
    capacity,
    queue_position,
    queue_positions,
)
from executions.services.start import make_execution, queue_executions
from instances.models import AMCInstance
from templates_app.services.templates import Content, create_template
from tests.executions.base import SQL, ExecutionTestCase, window
from tests.factories import AccountFactory, InstanceFactory
from tests.messages import caught
from tests.transactions import recorded_transactions


class HeadroomTests(ExecutionTestCase):
    def fill(self, count: int, instance: AMCInstance | None = None) -> list[Execution]:
        """Queue runs and do every step that is due."""
        template = self.template
        if instance is not None:
            content = Content(name="Other", source_sql=SQL)
            template = create_template(actor=instance.user, instance=instance, content=content)
        executions = [self.start(template=template, actor=template.instance.user) for _ in range(count)]
        for execution in executions:
            while self.step(execution):
                pass
        return executions

    def statuses(self) -> list[str]:
        return list(Execution.objects.order_by("queued_at", "id").values_list("status", flat=True))

    def test_ten_runs_are_open_at_amc_and_the_rest_waits_in_order(self) -> None:
        executions = self.fill(13)
        self.assertEqual(self.statuses(), [ExecutionStatus.PENDING] * 10 + [ExecutionStatus.QUEUED] * 3)
        self.assertEqual(len(self.at_amc()), 10)
        self.assertEqual([queue_position(one) for one in executions], [None] * 10 + [1, 2, 3])
        self.assertEqual(
            queue_positions(executions), {one.pk: n for n, one in enumerate(executions[10:], start=1)}
        )
        self.assertIn("10 runs of this instance", Execution.objects.get(pk=executions[12].pk).waiting_for)
        self.assertEqual((capacity(self.instance).free, capacity(self.instance).instance_open), (0, 10))

    def test_place_that_gets_free_goes_to_the_one_that_waited_longest(self) -> None:
        executions = self.fill(12)
        others = Execution.objects.at_amc().exclude(pk=executions[4].pk)
        others.update(next_step_at=timezone.now() + timedelta(minutes=30))
        with caught() as messages:
            self.drive_to(ExecutionStatus.FETCHING, executions[4])
            messages.deliver()
        for execution in executions[10:]:
            execution.refresh_from_db()
        self.assertEqual(
            [one.status for one in executions[10:]], [ExecutionStatus.SUBMITTING, ExecutionStatus.QUEUED]
        )
        self.assertEqual(executions[10].waiting_for, "")

    def test_many_that_wait_are_admitted_and_told_few_at_a_time(self) -> None:
        for _ in range(130):
            self.start()
        with override_settings(EXECUTIONS_PER_INSTANCE=60), recorded_transactions() as log:
            self.assertEqual(len(admit_waiting(self.instance.account.ref)), 60)
        self.assertEqual(Execution.objects.filter(waiting_for__contains="60 runs").count(), 70)
        self.assertLessEqual(log.most_rows, 50)
        with recorded_transactions() as log:
            steps.send_due(timezone.now() + timedelta(minutes=1))
        # The runs, and the message that waits.
        self.assertEqual((log.rows, log.most_rows), (61, 50))

    def test_latecomer_does_not_overtake(self) -> None:
        executions = self.fill(12)
        with override_settings(EXECUTIONS_PER_INSTANCE=11):
            late = self.start()
            self.assertFalse(self.step(late))
        for execution in executions[10:]:
            execution.refresh_from_db()
        self.assertEqual(
            [executions[10].status, executions[11].status, late.status],
            [ExecutionStatus.SUBMITTING, ExecutionStatus.QUEUED, ExecutionStatus.QUEUED],
        )

    def test_all_of_many_runs_end_and_never_more_than_ten_are_open(self) -> None:
        executions = self.fill(25)
        for _ in range(200):
            self.assertLessEqual(Execution.objects.at_amc().count(), 10)
            waiting = Execution.objects.open().order_by("next_step_at")
            current = waiting.exclude(status=ExecutionStatus.QUEUED).first()
            if current is None:
                break
            with caught() as messages:
                is_more_due = self.step(current)
                messages.deliver()
            if not is_more_due:
                self.wait(current)
        self.assertEqual(self.statuses(), [ExecutionStatus.SUCCEEDED] * 25)
        self.assertEqual(len(self.at_amc()), len(executions))

    def test_account_has_a_limit_too_and_other_accounts_go_on(self) -> None:
        other = InstanceFactory.create(account=self.account, instance_id="amclocalus2")
        elsewhere = InstanceFactory.create(
            account=AccountFactory.create(
                connection=self.connection, account_id="ENTITYLOCALDE1", marketplace_id="A1PA6795UKMFR9"
            ),
            instance_id="amclocalde1",
            region="EU",
        )
        with override_settings(EXECUTIONS_PER_ACCOUNT=3):
            self.fill(2)
            waiting = self.fill(2, other)[1]
            self.fill(1, elsewhere)
        self.assertEqual(
            self.statuses(), [ExecutionStatus.PENDING] * 3 + [ExecutionStatus.QUEUED, ExecutionStatus.PENDING]
        )
        self.assertIn("3 runs of this account", Execution.objects.get(pk=waiting.pk).waiting_for)

    def test_full_instance_does_not_hold_up_its_neighbour(self) -> None:
        other = InstanceFactory.create(account=self.account, instance_id="amclocalus2")
        with override_settings(EXECUTIONS_PER_INSTANCE=1):
            self.fill(3)
            self.fill(1, other)
        self.assertEqual(
            self.statuses(),
            [ExecutionStatus.PENDING, ExecutionStatus.QUEUED, ExecutionStatus.QUEUED, ExecutionStatus.PENDING],
        )

    def test_two_users_of_one_amc_instance_share_its_places(self) -> None:
        charlies = InstanceFactory.create(
            account__connection__user=self.charlie,
            instance_id="amclocalus1",
        )
        with override_settings(EXECUTIONS_PER_INSTANCE=2):
            self.fill(2)
            (waiting,) = self.fill(1, charlies)
        self.assertEqual((waiting.status, queue_position(waiting)), (ExecutionStatus.QUEUED, 1))

    def test_amc_that_is_full_of_other_peoples_runs_sends_it_back_to_its_place(self) -> None:
        self.arm("execution_limit", count=1)
        (first,) = self.fill(1)
        (second,) = self.fill(1)
        self.assertEqual((first.status, first.attempted_at), (ExecutionStatus.QUEUED, None))
        self.assertIn("execution limit", first.waiting_for)
        # Nobody passes the one that was told so.
        self.assertEqual((second.status, queue_position(second)), (ExecutionStatus.QUEUED, 2))
        self.assertEqual(len(self.at_amc()), 0)
        self.wait(first)
        self.drive(first)
        self.drive(second)
        self.assertEqual(self.statuses(), [ExecutionStatus.SUCCEEDED, ExecutionStatus.SUCCEEDED])
        self.assertEqual(len(self.at_amc()), 2)

    def test_run_of_ours_that_ends_makes_it_worth_asking_a_full_amc_again(self) -> None:
        (ours,) = self.fill(1)
        self.arm("execution_limit", count=1)
        (refused,) = self.fill(1)
        self.assertEqual(refused.status, ExecutionStatus.QUEUED)
        with caught() as messages:
            self.drive(ours)
            messages.deliver()
        refused.refresh_from_db()
        self.assertEqual(refused.status, ExecutionStatus.SUBMITTING)

    def test_cancelled_run_gives_up_its_place_in_the_queue(self) -> None:
        executions = self.fill(12)
        cancel(executions[10], actor=self.alice)
        executions[11].refresh_from_db()
        self.assertEqual(queue_position(executions[11]), 1)

    def test_positions_cost_one_query(self) -> None:
        self.fill(14)
        executions = list(Execution.objects.with_relations())
        with self.assertNumQueries(1):
            self.assertEqual(len(queue_positions(executions)), 4)


class MessageTests(ExecutionTestCase):
    """Runs that were started while no worker ran."""

    def start_many(self, count: int) -> None:
        """Start runs as a page does, each in a transaction of its own."""
        for _ in range(count):
            with self.captureOnCommitCallbacks(execute=True):
                self.start()

    def test_however_many_runs_wait_one_message_says_so(self) -> None:
        with caught() as messages:
            self.start_many(60)
            steps.send_due(timezone.now())
            admission = f"admit_executions {self.account.account_id} {self.account.marketplace_id}"
            self.assertEqual(messages.texts, [admission])
            messages.deliver()
            oldest = Execution.objects.order_by("queued_at", "id")[:10]
            self.assertEqual(messages.texts, [f"advance_execution {run.pk}" for run in oldest])
            # What is admitted is on its way: the tick says no more about it.
            messages.clear()
            steps.send_due(timezone.now())
            self.assertEqual(messages.texts, [admission])

    def test_runs_of_many_accounts_are_a_message_for_each_account(self) -> None:
        template = self.template
        others = [
            InstanceFactory.create(
                account__connection=self.connection, account__account_id=f"ENTITY{n}", instance_id=f"amcother{n}"
            )
            for n in range(3)
        ]
        with caught() as messages, self.captureOnCommitCallbacks(execute=True):
            runs = [make_execution(created_by=self.alice, template=template, window=window()) for _ in range(40)]
            for n, run in enumerate(runs):
                run.instance = others[n % 3]
            queue_executions(runs, actor=self.alice)
        self.assertEqual(len(messages), 3)

    def test_admission_that_got_lost_is_sent_again(self) -> None:
        with caught() as messages:
            self.start_many(1)
            messages.clear()
            self.clock.shift(EXPIRES_SECONDS)
            steps.send_due(timezone.now())
            messages.deliver()
        self.assertEqual(Execution.objects.get().status, ExecutionStatus.SUBMITTING)

    def test_run_that_leaves_amc_wakes_only_runs_that_wait(self) -> None:
        with caught() as messages:
            self.drive_to(ExecutionStatus.FETCHING)
        self.assertEqual([text for text in messages.texts if text.startswith("admit_executions")], [])

    def test_no_account_is_left_out_when_there_are_more_than_one_tick_looks_after(self) -> None:
        for number in range(5):
            run = make_execution(created_by=self.alice, template=self.template, window=window())
            run.instance = InstanceFactory.create(
                account__connection=self.connection, account__account_id=f"ENTITY{number}"
            )
            run.save()
        seen = set()
        for _ in range(100):
            seen.update(accounts_with_waiting(timezone.now(), limit=2))
        self.assertEqual(len(seen), 5)


class TickTests(ExecutionTestCase):
    def sent(self, now_delta: timedelta = timedelta()) -> int:
        return steps.send_due(timezone.now() + now_delta)

    def test_due_steps_are_sent_once_and_again_when_the_message_is_lost(self) -> None:
        execution = self.drive_to(ExecutionStatus.PENDING)
        self.assertEqual(self.sent(), 0)
        self.wait(execution)
        self.assertEqual(self.sent(), 1)
        self.assertEqual(self.sent(), 0)
        self.assertEqual(self.sent(timedelta(seconds=29)), 0)
        self.assertEqual(self.sent(timedelta(seconds=31)), 1)

    def test_next_step_is_sent_however_short_ago_the_last_one_was(self) -> None:
        execution = self.drive_to(ExecutionStatus.PENDING)
        self.wait(execution)
        self.sent()
        self.step(execution)
        self.assertEqual((execution.status, self.sent()), (ExecutionStatus.FETCHING, 1))

    def test_held_executions_are_sent_when_the_lease_has_ended(self) -> None:
        execution = self.drive_to(ExecutionStatus.SUBMITTING)
        Execution.objects.filter(pk=execution.pk).update(
            leased_by="dead", lease_until=timezone.now() + timedelta(minutes=3), sent_at=None
        )
        self.assertEqual(self.sent(), 0)
        self.assertEqual(self.sent(timedelta(minutes=3, seconds=1)), 1)

    def test_accounts_with_waiting_runs_are_looked_after(self) -> None:
        execution = self.start()
        account = self.account.ref
        self.assertEqual(accounts_with_waiting(timezone.now(), limit=10), [account])
        self.assertEqual(self.sent(), 1)
        admit_and_send(account)
        execution.refresh_from_db()
        self.assertEqual(execution.status, ExecutionStatus.SUBMITTING)
        self.assertEqual(accounts_with_waiting(timezone.now(), limit=10), [])

    def test_finished_runs_are_left_alone(self) -> None:
        self.drive(self.start())
        self.assertEqual(self.sent(timedelta(days=1)), 0)

    def test_number_of_statements_does_not_depend_on_the_number_of_runs(self) -> None:
        def statements() -> int:
            with CaptureQueriesContext(
                connection,
            ) as queries:
                self.assertGreater(steps.send_due(timezone.now()), 0)
            return len(queries)

        self.start()
        # Only the first message about an account writes its mark anew.
        statements()
        self.pending(1)
        few = statements()
        self.pending(30)
        for _ in range(5):
            self.start()
        self.assertEqual(statements(), few)
        # Savepoints stand for a transaction's begin and end.
        self.assertEqual(few, 8)

    def test_however_many_steps_are_due_a_bounded_number_is_on_its_way(self) -> None:
        self.pending(steps.MAX_STEPS + 7)
        self.assertEqual(self.sent(), steps.MAX_STEPS)
        self.assertEqual(self.sent(), 0)
        done = Execution.objects.exclude(sent_at=None).values("pk")[:5]
        Execution.objects.filter(pk__in=done).update(next_step_at=timezone.now() + timedelta(minutes=1))
        self.assertEqual(self.sent(), 5)

    def pending(self, count: int) -> None:
        """Put runs at AMC that are due."""
        Execution.objects.bulk_create(
            Execution(
                created_by=self.alice, instance=self.instance, template_name="x", template_version=1, name="x",
                workflow_id=f"amchelper-{uuid.uuid4()}", amc_execution_id=str(uuid.uuid4()), source_sql=SQL,
                sql_query=SQL, window_start="2026-01-01", window_end="2026-01-02", status=ExecutionStatus.PENDING,
            )
            for _ in range(count)
        )  # fmt: skip
