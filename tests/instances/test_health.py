"""Probes, verdicts and what they do to instances, against a running local AMC."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock, skipUnless
from uuid import UUID, uuid4

import time_machine
from celery import current_app
from django.conf import settings
from django.db import connection as db
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from kombu.exceptions import OperationalError

from amchelper.exceptions import InvalidStateError
from amchelper.leases import Claim, LeaseLostError
from instances.amc.client import AmcClient
from instances.amc.types import InstanceRef
from instances.models import (
    AmazonConnection,
    AMCInstance,
    Health,
    HealthCheck,
    HealthCheckBatch,
    HealthRollup,
    Status,
)
from instances.models.lifecycle import Event
from instances.models.reasons import REASONS
from instances.presenters.overview import hour_blocks
from instances.services.health import batches, history, probing
from instances.services.health.batches import check_instance, check_instances, hold_batch
from instances.services.health.history import record_results
from instances.services.health.probing import ProbeResult, probe
from tests.base import LocalAmcTestCase
from tests.factories import AccountFactory, ConnectionFactory, InstanceFactory
from tests.messages import caught
from tests.transactions import recorded_transactions


class VerdictTests(LocalAmcTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.instance = InstanceFactory.create(account=self.account, instance_id="amclocalus1", health_status=None)

    def check(self) -> HealthCheck:
        return check_instance(self.instance, actor=self.alice, trigger="page")

    def test_healthy_instance(self) -> None:
        check = self.check()
        self.assertEqual((check.verdict, check.reason, check.http_status), (Health.HEALTHY, "", 200))
        self.assertEqual(len(check.request_id), 20)
        self.assertIsNotNone(check.latency_ms)
        self.assertEqual(self.instance.status, Status.ACTIVE)
        self.assertEqual(self.instance.health_status, Health.HEALTHY)
        self.assertEqual(self.instance.last_health_check, check.checked_at)

    def test_every_fault_has_its_verdict_reason_and_fix(self) -> None:
        cases: list[tuple[dict[str, Any], Health, str]] = [
            ({"fault": "token_expired"}, Health.UNHEALTHY, "unauthenticated"),
            ({"fault": "wrong_entity"}, Health.UNHEALTHY, "forbidden"),
            ({"fault": "terms_required"}, Health.UNHEALTHY, "terms_required"),
            ({"fault": "unknown_instance"}, Health.UNHEALTHY, "not_found"),
            ({"fault": "unknown_instance", "status": 403}, Health.UNHEALTHY, "forbidden"),
            ({"fault": "wrong_marketplace"}, Health.UNHEALTHY, "not_found"),
            ({"fault": "missing_header"}, Health.UNHEALTHY, "bad_request"),
            ({"fault": "instance_in_progress"}, Health.UNHEALTHY, "provisioning"),
            ({"fault": "instance_failed"}, Health.UNHEALTHY, "creation_failed"),
            ({"fault": "unknown_status"}, Health.ERROR, "unknown_status"),
            ({"fault": "throttle", "seconds": 300}, Health.ERROR, "throttled"),
            ({"fault": "server_error", "status": 500}, Health.ERROR, "upstream_error"),
            ({"fault": "server_error", "status": 502, "variant": "html"}, Health.ERROR, "upstream_error"),
            ({"fault": "server_error", "status": 504}, Health.ERROR, "upstream_error"),
            ({"fault": "reset"}, Health.ERROR, "network"),
            ({"fault": "truncated_body"}, Health.ERROR, "network"),
            ({"fault": "bad_json"}, Health.ERROR, "malformed_response"),
            ({"fault": "empty_200"}, Health.ERROR, "unexpected_answer"),
            ({"fault": "message_200"}, Health.ERROR, "unexpected_answer"),
            ({"fault": "null_fields"}, Health.HEALTHY, ""),
            ({"fault": "extra_fields"}, Health.HEALTHY, ""),
            ({"fault": "wrong_content_type"}, Health.HEALTHY, ""),
            ({"fault": "token_expired", "count": 1}, Health.HEALTHY, ""),
            ({"fault": "server_error", "status": 503, "count": 1}, Health.HEALTHY, ""),
            ({"fault": "throttle", "seconds": 1, "count": 1}, Health.HEALTHY, ""),
            ({"fault": "slow", "seconds": 1}, Health.HEALTHY, ""),
        ]
        for fault, verdict, reason in cases:
            with self.subTest(**fault):
                self.setUp_again()
                self.arm(**fault)
                check = self.check()
                self.assertEqual((check.verdict, check.reason), (verdict, reason))
                self.assertEqual(bool(REASONS[reason].fix), verdict != Health.HEALTHY)

    def setUp_again(self) -> None:  # noqa: N802  beside setUp
        super().setUp()
        AmazonConnection.objects.update(status="CONNECTED")

    def test_login_faults(self) -> None:
        cases = [
            ("invalid_grant", Health.UNHEALTHY, "reconnect_required"),
            ("invalid_client", Health.UNHEALTHY, "credentials_misconfigured"),
            ("lwa_500", Health.ERROR, "upstream_error"),
            ("lwa_429", Health.ERROR, "throttled"),
        ]
        for fault, verdict, reason in cases:
            with self.subTest(fault):
                self.setUp_again()
                self.instance = AMCInstance.objects.select_related("account__connection").get(pk=self.instance.pk)
                AmazonConnection.objects.update(access_token="", access_token_expires_at=None)
                self.instance.account.connection.refresh_from_db()
                self.arm(fault)
                check = self.check()
                self.assertEqual((check.verdict, check.reason), (verdict, reason))

    def test_no_answer_in_time_is_an_error(self) -> None:
        from dataclasses import replace

        from instances.amc.client import PROBE

        self.arm("hang", seconds=3)
        with mock.patch("instances.services.health.probing.PROBE", replace(PROBE, read_timeout=0.3, tries=1)):
            check = self.check()
        self.assertEqual((check.verdict, check.reason), (Health.ERROR, "network"))

    def test_page_waits_for_a_dripping_answer_no_longer_than_its_limit(self) -> None:
        url = reverse("instances:instance-check", args=[self.instance.pk])
        for where in ({"route": "instance"}, {"route": "token"}, {"route": "instance", "variant": "head"}):
            with self.subTest(**where):
                self.setUp_again()
                AmazonConnection.objects.update(access_token="", access_token_expires_at=None)
                with self.dripping(**where):
                    self.client.post(url)
                self.instance.refresh_from_db()
                self.assertEqual(
                    (self.instance.health_reason, self.instance.health_error),
                    ("too_slow", "Amazon did not finish its answer in 20 s. Try again in a few minutes."),
                )
                self.assertContains(
                    self.client.get(self.instance.get_absolute_url()), "Nothing has to be changed here"
                )

    def test_revoked_login_is_marked_for_reconnecting(self) -> None:
        self.connection.refresh_token = "Atzr|local-revoked"
        self.connection.save()
        check = self.check()
        self.assertEqual(check.reason, "reconnect_required")
        self.connection.refresh_from_db()
        self.assertEqual(self.connection.status, AmazonConnection.Status.RECONNECT_REQUIRED)
        self.assertTrue(self.connection.refresh_token)
        self.assertContains(self.client.get("/"), "must be reconnected")

    def test_failure_of_the_old_token_does_not_break_a_login_that_was_reconnected_meanwhile(self) -> None:
        self.connection.refresh_token = "Atzr|local-revoked"
        self.connection.save()
        instance = AMCInstance.objects.for_probing().get(pk=self.instance.pk)
        AmazonConnection.objects.get(pk=self.connection.pk).store_tokens(
            refresh_token="Atzr|local-healthy", access_token="", expires_at=None
        )
        claim = hold_batch([instance.pk], actor=self.alice, trigger="schedule")
        (result,) = check_instances([instance], claim)
        self.assertEqual(result.reason, "reconnect_required")
        self.connection.refresh_from_db()
        self.assertEqual((self.connection.status, self.connection.status_reason), ("CONNECTED", ""))

    def test_disconnected_login_makes_no_call(self) -> None:
        self.connection.disconnect()
        self.instance.refresh_from_db()
        self.assertEqual(self.check().reason, "reconnect_required")
        self.assertEqual(self.control("GET", "requests")["requests"], [])

    @override_settings(FERNET_KEYS=["bmV3LWtleS1uZXcta2V5LW5ldy1rZXktbmV3LWtleSE="])
    def test_unreadable_login_makes_no_call_and_keeps_the_secret(self) -> None:
        self.instance = AMCInstance.objects.select_related("account__connection").get(pk=self.instance.pk)
        check = self.check()
        self.assertEqual((check.verdict, check.reason), (Health.UNHEALTHY, "unreadable_credentials"))
        self.assertEqual(self.control("GET", "requests")["requests"], [])

    def test_instance_relinked_or_deleted_while_it_is_checked_is_said(self) -> None:
        for change in ("relinked", "deleted"):
            with self.subTest(change):
                stale = AMCInstance.objects.get(pk=self.instance.pk)
                if change == "relinked":
                    AMCInstance.objects.filter(pk=stale.pk).update(instance_id="amclocalus2")
                else:
                    AMCInstance.objects.filter(pk=stale.pk).delete()
                with self.assertRaisesMessage(InvalidStateError, "while it was being checked"):
                    check_instance(stale, actor=self.alice, trigger="page")

    def test_token_is_kept_for_the_next_process(self) -> None:
        self.check()
        self.connection.refresh_from_db()
        self.assertTrue(str(self.connection.access_token).startswith("Atza|"))
        calls = [r["path"] for r in self.control("GET", "requests")["requests"]]
        self.assertEqual(calls.count("/auth/o2/token"), 1)

    def test_no_uuid_ever_reaches_amc(self) -> None:
        self.check()
        text = str(self.control("GET", "requests"))
        self.assertIn("amclocalus1", text)
        for key in (self.instance.pk, self.account.pk, self.connection.pk, self.alice.pk):
            self.assertNotIn(str(key), text)
            self.assertNotIn(key.hex, text)

    def test_credentials_are_amcs_words(self) -> None:
        self.assertEqual(self.instance.get_amc_credentials(), ("amclocalus1", "ENTITYLOCALUS1"))


class LifeCycleTests(LocalAmcTestCase):
    def probe(self, instance: AMCInstance, verdict: str, *, minutes: int = 0, reason: str = "network") -> None:
        claim = hold_batch([instance.pk], actor=None, trigger="schedule")
        result = ProbeResult(
            instance_pk=instance.pk,
            checked_at=timezone.now() + timedelta(minutes=minutes),
            verdict=verdict,
            reason="" if verdict == Health.HEALTHY else reason,
        )
        record_results(claim.row, [result])
        instance.refresh_from_db()

    def test_one_failure_to_find_out_changes_nothing_and_two_do(self) -> None:
        instance = InstanceFactory.create(account=self.account)
        self.probe(instance, Health.ERROR)
        self.assertEqual((instance.status, instance.consecutive_errors), (Status.ACTIVE, 1))
        self.probe(instance, Health.ERROR, minutes=1)
        self.assertEqual((instance.status, instance.consecutive_errors), (Status.ERROR, 2))
        self.probe(instance, Health.HEALTHY, minutes=2)
        self.assertEqual((instance.status, instance.consecutive_errors), (Status.ACTIVE, 0))

    def test_definite_no_is_an_error_at_once(self) -> None:
        instance = InstanceFactory.create(account=self.account)
        self.probe(instance, Health.UNHEALTHY)
        self.assertEqual(instance.status, Status.ERROR)

    def test_disabled_instance_stays_disabled(self) -> None:
        instance = InstanceFactory.create(account=self.account, status=Status.INACTIVE, is_active=False)
        for minutes, verdict in enumerate(Health.values):
            self.probe(instance, verdict, minutes=minutes)
            self.assertEqual((instance.status, instance.is_active), (Status.INACTIVE, False))
            self.assertEqual(instance.health_status, verdict)

    def history(self, verdicts: str) -> AMCInstance:
        """Probe a new instance once a minute, from minute 0 on: h for healthy, u for unhealthy, e for an error."""
        instance = InstanceFactory.create(account=self.account, health_status=None, last_health_check=None)
        words = {"h": Health.HEALTHY, "u": Health.UNHEALTHY, "e": Health.ERROR}
        with time_machine.travel(datetime(2026, 11, 3, 10, tzinfo=UTC), tick=False):
            for minutes, letter in enumerate(verdicts):
                self.probe(instance, words[letter], minutes=minutes)
        return instance

    def test_since_is_that_of_the_last_settled_verdict(self) -> None:
        # What came, what has settled, since which minute, and since which minute the last verdict holds.
        cases = [
            ("h", "HEALTHY", 0, 0),
            ("hhh", "HEALTHY", 0, 0),
            ("hhe", "HEALTHY", 0, 2),
            ("hheh", "HEALTHY", 0, 0),
            ("hehehehe", "HEALTHY", 0, 7),
            ("hhuh", "HEALTHY", 0, 0),
            ("hhuu", "UNHEALTHY", 2, 2),
            ("hhuuu", "UNHEALTHY", 2, 2),
            ("hhuuh", "UNHEALTHY", 2, 4),
            ("hhuuhu", "UNHEALTHY", 2, 2),
            ("hhuuhh", "HEALTHY", 4, 4),
            ("uuhhee", "ERROR", 4, 4),
            # Two in a row to the contrary settle, although they differ from each other.
            ("hhue", "ERROR", 2, 2),
            ("hhueh", "ERROR", 2, 4),
        ]
        for verdicts, settled, since, holds_since in cases:
            with self.subTest(verdicts):
                instance = self.history(verdicts)
                begun = datetime(2026, 11, 3, 10, tzinfo=UTC)
                self.assertEqual(instance.health_settled, settled)
                self.assertEqual(instance.health_since, begun + timedelta(minutes=since))
                self.assertEqual(instance.verdict_since, begun + timedelta(minutes=holds_since))

    def test_another_reason_for_the_same_verdict_does_not_move_since(self) -> None:
        instance = self.history("uu")
        since = instance.health_since
        self.probe(instance, Health.UNHEALTHY, reason="forbidden")
        self.assertEqual(instance.health_since, since)

    def test_page_shows_the_last_check_and_since(self) -> None:
        instance = self.history("hhh")
        page = self.client.get(instance.get_absolute_url())
        self.assertContains(page, "<dt>Healthy since</dt>")
        self.assertNotContains(page, "says otherwise")
        page = self.client.get(self.history("hhe").get_absolute_url())
        self.assertContains(page, "<dt>Healthy since</dt>")
        self.assertContains(page, "3 Nov 2026, 10:00")
        self.assertContains(page, "The last check says otherwise; a second one in a row will count.")

    def test_failing_instances_are_sorted_by_how_long_they_fail(self) -> None:
        hiccup, long, short = self.history("hhhe"), self.history("ee"), self.history("hee")
        found = AMCInstance.objects.failing().longest_first()
        self.assertEqual([instance.pk for instance in found], [long.pk, short.pk, hiccup.pk])

    def test_late_result_does_not_overwrite_a_newer_verdict(self) -> None:
        instance = InstanceFactory.create(account=self.account)
        self.probe(instance, Health.HEALTHY, minutes=5)
        self.probe(instance, Health.UNHEALTHY, minutes=1)
        self.assertEqual(instance.health_status, Health.HEALTHY)
        self.assertEqual(instance.health_checks.count(), 2)

    def test_instance_linked_elsewhere_meanwhile_gets_no_verdict(self) -> None:
        instance = InstanceFactory.create(account=self.account)
        claim = hold_batch([instance.pk], actor=None, trigger="schedule")
        result = ProbeResult(instance.pk, timezone.now(), Health.UNHEALTHY, "not_found")
        record_results(claim.row, [result], keys={instance.pk: ("amcbefore1", self.account.pk)})
        instance.refresh_from_db()
        self.assertEqual(instance.health_status, Health.HEALTHY)
        self.assertFalse(HealthCheck.objects.exists())

    def test_instance_deleted_meanwhile_hides_nobody_else(self) -> None:
        kept, gone = InstanceFactory.create(account=self.account), InstanceFactory.create(account=self.account)
        claim = hold_batch([kept.pk, gone.pk], actor=None, trigger="schedule")
        gone_pk = gone.pk
        gone.delete()
        now = timezone.now()
        record_results(claim.row, [ProbeResult(pk, now, Health.UNHEALTHY, "gone") for pk in (gone_pk, kept.pk)])
        kept.refresh_from_db()
        self.assertEqual(kept.health_status, Health.UNHEALTHY)


class BulkTests(LocalAmcTestCase):
    def make(self, count: int) -> list[AMCInstance]:
        account = AccountFactory.create(
            connection=self.connection, account_id="ENTITYLOCALJP1", marketplace_id="A1VC38T7YXB528"
        )
        for n in range(1, count + 1):
            InstanceFactory.create(
                account=account, instance_id=f"amclocaljp{n:03d}", region="FE", health_status=None
            )
        return list(AMCInstance.objects.select_related("account__connection"))

    def check(self, instances: list[AMCInstance]) -> list[ProbeResult]:
        claim = hold_batch([i.pk for i in instances], actor=None, trigger="command")
        results = check_instances(instances, claim)
        claim.row.refresh_from_db()
        self.assertIsNotNone(claim.row.finished_at)
        return results

    def test_one_bad_instance_never_hides_the_others(self) -> None:
        instances = self.make(20)
        self.arm("reset", instance="amclocaljp007")
        self.arm("bad_json", instance="amclocaljp011")
        verdicts = {r.found.instance_id: r.verdict for r in self.check(instances) if r.found}
        self.assertEqual(len(verdicts), 18)
        counts = AMCInstance.objects.health_counts()
        self.assertEqual((counts[Health.HEALTHY], counts[Health.ERROR], counts[""]), (18, 2, 0))

    def test_others_are_shown_while_one_instance_drips(self) -> None:
        instances = self.make(20)
        claim = hold_batch([i.pk for i in instances], actor=None, trigger="list")
        stored: list[int] = []
        taken: list[bool] = []
        self.arm("drip", instance="amclocaljp007", seconds=30)

        def note(results: Sequence[ProbeResult]) -> None:
            stored.append(AMCInstance.objects.filter(health_status=Health.HEALTHY).count())
            taken.append(batches.advance_batch(claim.row.pk))
            if stored[-1] == 19:
                # Nothing but what is stored now can end the drip.
                self.control("DELETE", "faults")

        results = check_instances(instances, claim, on_results=note)
        self.assertEqual(stored[-2:], [19, 20])
        self.assertEqual({result.verdict for result in results}, {Health.HEALTHY})
        # Nobody else may begin a batch that is alive.
        self.assertEqual(set(taken), {False})
        paths = [request["path"] for request in self.control("GET", "requests")["requests"]]
        self.assertEqual(sum(path.startswith("/amc/instances/") for path in paths), 20)

    def test_broken_login_does_not_stop_the_other_login(self) -> None:
        instances = self.make(3)
        broken = ConnectionFactory.create(user=self.charlie, refresh_token="Atzr|local-revoked")
        other = InstanceFactory.create(account=AccountFactory.create(connection=broken), instance_id="amclocalus1")
        results = self.check([*instances, other])
        self.assertEqual([r.reason for r in results if r.instance_pk == other.pk], ["reconnect_required"])
        self.assertEqual(sum(r.verdict == Health.HEALTHY for r in results), 3)

    def test_one_refresh_serves_all(self) -> None:
        self.check(self.make(30))
        paths = [r["path"] for r in self.control("GET", "requests")["requests"]]
        self.assertEqual(paths.count("/auth/o2/token"), 1)
        self.assertEqual(len(paths), 31)

    def test_throttling_slows_everybody_and_nothing_is_lost(self) -> None:
        self.arm("throttle", seconds=1, count=5)
        results = self.check(self.make(20))
        self.assertEqual({r.verdict for r in results}, {Health.HEALTHY})

    def test_statements_do_not_grow_with_the_number(self) -> None:
        self.check(self.make(1))  # the first one also stores the login's token
        counts = []
        for size in (10, 60):
            AMCInstance.objects.all().delete()
            self.account.connection.accounts.filter(account_id="ENTITYLOCALJP1").delete()
            instances = self.make(size)
            late = mock.patch.object(batches, "FLUSH_SECONDS", 60)
            with late, mock.patch.object(probing, "QUIET_SECONDS", 60), CaptureQueriesContext(db) as queries:
                self.check(instances)
            counts.append(len(queries))
        self.assertLessEqual(abs(counts[1] - counts[0]), 3)
        self.assertLessEqual(counts[1], 25)


# An interval of a year: no test meets the border between two slots by chance.
@override_settings(HEALTH_CHECK_INTERVAL_MINUTES=525_600)
class RunTests(LocalAmcTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.instance = InstanceFactory.create(account=self.account, instance_id="amclocalus1", health_status=None)
        self.sent: list[str] = []

    def tick(self, **later: int) -> None:
        with caught() as messages, self.captureOnCommitCallbacks(execute=True):
            batches.tick(now=timezone.now() + timedelta(**later))
        self.sent += [message.arguments[0] for message in messages]

    def test_two_beats_start_one_run(self) -> None:
        self.tick()
        self.tick()
        self.assertEqual(HealthCheckBatch.objects.filter(trigger="schedule").count(), 1)
        self.assertEqual(len(self.sent), 1)

    def test_next_interval_starts_the_next_run(self) -> None:
        self.tick()
        self.tick(days=365)
        self.assertEqual(HealthCheckBatch.objects.filter(slot__isnull=False).count(), 2)

    def test_scheduled_batch_that_takes_long_is_not_joined_by_the_next_one(self) -> None:
        with override_settings(HEALTH_CHECK_INTERVAL_MINUTES=5):
            for minutes in range(0, 60, 5):
                self.tick(minutes=minutes)
            (batch,) = HealthCheckBatch.objects.all()
            HealthCheckBatch.objects.update(finished_at=timezone.now())
            self.tick(minutes=60)
        self.assertEqual(HealthCheckBatch.objects.exclude(pk=batch.pk).count(), 1)

    def test_batch_that_somebody_asked_for_holds_no_scheduled_one_up(self) -> None:
        batches.queue_batch([self.instance.pk], actor=self.alice, trigger="list")
        self.tick()
        self.assertEqual(HealthCheckBatch.objects.filter(trigger="schedule").count(), 1)

    def test_batch_of_five_thousand_is_one_message_and_many_batches_are_few(self) -> None:
        with caught() as messages, self.captureOnCommitCallbacks(execute=True):
            batches.queue_batch([uuid4() for _ in range(5000)], actor=None, trigger="command")
        self.assertEqual(len(messages), 1)
        HealthCheckBatch.objects.bulk_create(
            HealthCheckBatch(trigger="list", total=1) for _ in range(batches.MAX_BATCHES + 50)
        )
        self.tick(seconds=40)
        self.tick(seconds=50)
        # And the scheduled one.
        self.assertEqual(len(self.sent), batches.MAX_BATCHES + 1)

    def test_disabled_instances_are_left_alone(self) -> None:
        self.instance.apply(Event.DISABLE)
        self.tick()
        self.assertEqual(HealthCheckBatch.objects.get().total, 0)
        self.assertEqual(self.sent, [])

    def test_queue_that_cannot_be_reached_loses_nothing(self) -> None:
        unreachable = mock.patch.object(current_app, "send_task", side_effect=OperationalError("no broker"))
        logged = self.assertLogs("amchelper.queue", "WARNING")
        with unreachable, logged, self.captureOnCommitCallbacks(execute=True):
            batch = batches.queue_batch([self.instance.pk], actor=self.alice, trigger="list")
        self.tick(seconds=40)
        self.assertIn(str(batch.pk), self.sent)

    def test_error_of_the_queue_does_not_reach_the_page(self) -> None:
        broken = mock.patch.object(current_app, "send_task", side_effect=ZeroDivisionError)
        logged = self.assertLogs("amchelper.commits", "ERROR")
        with broken, logged, self.captureOnCommitCallbacks(execute=True):
            batch = batches.queue_batch([self.instance.pk], actor=self.alice, trigger="list")
        self.tick(seconds=40)
        self.assertIn(str(batch.pk), self.sent)

    def test_batch_recorded_where_the_clock_is_a_little_ahead_is_checked_at_once(self) -> None:
        with time_machine.travel(timezone.now() + timedelta(seconds=5)):
            batch = batches.queue_batch([self.instance.pk], actor=self.alice, trigger="list")
        self.assertTrue(batches.advance_batch(batch.pk))
        self.assertEqual(HealthCheck.objects.filter(batch=batch).count(), 1)

    def test_lease_is_kept_while_probes_bring_nothing(self) -> None:
        batch = batches.queue_batch([self.instance.pk], actor=self.alice, trigger="list")
        beaten, was_kept = threading.Event(), []

        def hang(client: AmcClient, instance_pk: UUID, ref: InstanceRef) -> ProbeResult:
            was_kept.append(beaten.wait(10))
            return probe(client, instance_pk, ref)

        beat = mock.patch.object(Claim, "heartbeat", side_effect=beaten.set)
        with mock.patch.object(probing, "probe", hang), mock.patch.object(probing, "QUIET_SECONDS", 0.01), beat:
            self.assertTrue(batches.advance_batch(batch.pk))
        self.assertEqual(was_kept, [True])
        self.assertEqual(HealthCheck.objects.filter(batch=batch).count(), 1)

    def test_doubled_message_checks_once(self) -> None:
        self.tick()
        self.assertTrue(batches.advance_batch(UUID(self.sent[0])))
        self.assertFalse(batches.advance_batch(UUID(self.sent[0])))
        self.assertEqual(HealthCheck.objects.count(), 1)

    def test_lost_message_is_sent_again(self) -> None:
        self.tick()
        self.sent.clear()
        self.tick(seconds=40)
        self.assertEqual(self.sent, [str(HealthCheckBatch.objects.get(total=1, finished_at=None).pk)])

    def test_killed_worker_is_succeeded_by_another_that_does_only_the_rest(self) -> None:
        other = InstanceFactory.create(account=self.account, instance_id="amclocalus2", health_status=None)
        claim = hold_batch([self.instance.pk, other.pk], actor=None, trigger="list")
        record_results(claim.row, [ProbeResult(self.instance.pk, timezone.now(), Health.HEALTHY)])
        self.assertFalse(batches.advance_batch(claim.row.pk))  # the dead worker's lease still holds
        HealthCheckBatch.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        self.assertTrue(batches.advance_batch(claim.row.pk))
        self.assertEqual(HealthCheck.objects.filter(batch=claim.row).count(), 2)
        claim.row.refresh_from_db()
        self.assertIsNotNone(claim.row.finished_at)

    def test_worker_whose_batch_was_taken_over_does_not_finish_it(self) -> None:
        claim = hold_batch([self.instance.pk], actor=None, trigger="list")
        HealthCheckBatch.objects.update(leased_by="another worker")
        with self.assertRaises(LeaseLostError):
            check_instances(list(AMCInstance.objects.for_probing()), claim)
        self.assertIsNone(HealthCheckBatch.objects.get().finished_at)

    def test_run_nobody_finishes_is_given_up(self) -> None:
        claim = hold_batch([self.instance.pk], actor=None, trigger="list")
        self.tick(hours=2)
        claim.row.refresh_from_db()
        self.assertIsNotNone(claim.row.finished_at)


class HourTests(LocalAmcTestCase):
    def test_last_24_hours_are_shown_in_every_zone(self) -> None:
        HealthCheck.objects.create(instance=InstanceFactory.create(account=self.account), verdict="UNHEALTHY")
        for zone in ("UTC", "Asia/Kolkata", "America/St_Johns"):
            with self.subTest(zone), override_settings(TIME_ZONE=zone):
                blocks = hour_blocks(HealthCheck.objects.all())
                self.assertEqual([block.health for block in blocks], [""] * 23 + ["UNHEALTHY"])


class LatestTests(LocalAmcTestCase):
    def probe(self, instance: AMCInstance, *minutes: int) -> list[HealthCheck]:
        now = timezone.now()
        return [
            HealthCheck.objects.create(
                instance=instance, verdict="HEALTHY", checked_at=now - timedelta(minutes=minute)
            )
            for minute in minutes
        ]

    def test_last_probes_of_each_instance_oldest_first(self) -> None:
        many, few, none = (InstanceFactory.create(account=self.account) for _ in range(3))
        foreign = InstanceFactory.create(account__connection__user=self.charlie)
        probes = self.probe(many, 1, 5, 2, 4, 3)
        same_moment = HealthCheck.objects.create(instance=many, verdict="ERROR", checked_at=probes[2].checked_at)
        (only,) = self.probe(few, 9)
        self.probe(foreign, 1)
        keys = [many.pk, few.pk, none.pk, foreign.pk]
        with self.assertNumQueries(2):
            latest = HealthCheck.objects.latest_per_instance(self.alice, keys, 3)
        self.assertEqual(latest, {many.pk: [probes[2], same_moment, probes[0]], few.pk: [only]})

    @skipUnless(db.vendor == "sqlite", "reads SQLite's query plan")
    def test_an_index_finds_them_however_long_the_history_is(self) -> None:
        instances = [InstanceFactory.create(account=self.account) for _ in range(3)]
        for instance in instances:
            self.probe(instance, *range(40))
        with CaptureQueriesContext(db) as queries:
            HealthCheck.objects.latest_per_instance(self.alice, [i.pk for i in instances], 30)
        with db.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {queries[-1]['sql']}")
            plan = [row[3] for row in cursor.fetchall() if "SCAN" in row[3] or "SEARCH" in row[3]]
        self.assertEqual(len(plan), 3)
        for step in plan:
            self.assertIn("checks_instance_time (instance_id=? AND checked_at>?)", step)


class PruneTests(LocalAmcTestCase):
    @override_settings(TIME_ZONE="Asia/Kolkata")
    def test_no_probe_is_lost_where_hours_begin_at_half_past(self) -> None:
        instance = InstanceFactory.create(account=self.account)
        hour = timezone.now().replace(minute=0, second=0, microsecond=0)
        for minute in (10, 40, 70, 100):
            HealthCheck.objects.create(
                instance=instance, verdict="HEALTHY", checked_at=hour + timedelta(minutes=minute)
            )
        for hours in (1, 2):
            history.prune(now=hour + timedelta(days=settings.HEALTH_HISTORY_DAYS, hours=hours, minutes=5))
        self.assertEqual(HealthCheck.objects.count(), 0)
        self.assertEqual(sum(rollup.healthy for rollup in HealthRollup.objects.all()), 4)

    def test_no_transaction_is_long_however_much_is_old(self) -> None:
        instances = [InstanceFactory.create(account=self.account) for _ in range(60)]
        old = timezone.now().replace(minute=0) - timedelta(days=40)
        moments = [old + timedelta(minutes=3 * number) for number in range(60)]
        HealthCheck.objects.bulk_create(
            HealthCheck(instance=instance, verdict="HEALTHY", checked_at=at)
            for instance in instances
            for at in moments
        )
        with recorded_transactions() as log:
            self.assertEqual(history.prune(), 60 * 60)
        self.assertEqual(sum(HealthRollup.objects.values_list("healthy", flat=True)), 60 * 60)
        self.assertLessEqual(log.most_rows, 600)

    def test_many_probes_are_stored_in_small_transactions(self) -> None:
        instances = [InstanceFactory.create(account=self.account) for _ in range(600)]
        claim = hold_batch([instance.pk for instance in instances], actor=None, trigger="list")
        results = [ProbeResult(instance.pk, timezone.now(), Health.HEALTHY) for instance in instances]
        with recorded_transactions() as log:
            record_results(claim.row, results)
        self.assertEqual(HealthCheck.objects.count(), 600)
        self.assertLessEqual(log.most_rows, 500)

    def test_old_probes_become_hourly_summaries_once(self) -> None:
        instance = InstanceFactory.create(account=self.account)
        old = timezone.now().replace(minute=10) - timedelta(days=31)
        for verdict, latency in (("HEALTHY", 100), ("HEALTHY", 200), ("ERROR", None)):
            HealthCheck.objects.create(instance=instance, verdict=verdict, latency_ms=latency, checked_at=old)
        HealthCheck.objects.create(instance=instance, verdict="HEALTHY")
        self.assertEqual(history.prune(), 3)
        self.assertEqual(history.prune(), 0)
        rollup = HealthRollup.objects.get()
        self.assertEqual((rollup.healthy, rollup.unhealthy, rollup.error), (2, 0, 1))
        self.assertEqual((rollup.latency_ms_sum, rollup.latency_count), (300, 2))
        self.assertEqual(HealthCheck.objects.count(), 1)
