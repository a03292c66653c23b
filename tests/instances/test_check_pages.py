"""Checking from the pages: one now, many in the background with live progress."""

from __future__ import annotations

from typing import Any

from django.db import connection as db
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from instances.models import AMCInstance, HealthCheckBatch
from instances.models.lifecycle import Event
from instances.services.health import batches
from tests.base import LocalAmcTestCase
from tests.factories import InstanceFactory
from tests.messages import caught


class CheckPagesTests(LocalAmcTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.good = InstanceFactory.create(account=self.account, instance_id="amclocalus1", health_status=None)
        self.bad = InstanceFactory.create(account=self.account, instance_id="amcnowhere1", health_status=None)
        self.foreign = InstanceFactory.create(
            account__connection__user=self.charlie,
            instance_id="amclocalus1",
        )
        self.messages = self.enterContext(caught())

    def post(self, data: dict[str, Any], *, htmx: bool = False) -> Any:
        with self.captureOnCommitCallbacks(execute=True):
            url = reverse("instances:check-create")
            return self.htmx_post(url, data) if htmx else self.client.post(url, data)

    def checked(self) -> set[str]:
        batch = HealthCheckBatch.objects.get()
        return {i.instance_id for i in AMCInstance.objects.filter(pk__in=batch.instance_ids, user=self.alice)}

    def test_one_instance_is_checked_at_once(self) -> None:
        url = reverse("instances:instance-check", args=[self.good.pk])
        self.assertRedirects(self.client.post(url), self.good.get_absolute_url())
        self.good.refresh_from_db()
        self.assertEqual(self.good.health_status, "HEALTHY")

    def test_ticked_instances_are_queued_and_foreign_ones_are_not(self) -> None:
        response = self.post({"instance": [str(self.good.pk), str(self.foreign.pk), "nonsense"]})
        batch = HealthCheckBatch.objects.get()
        self.assertRedirects(response, reverse("instances:check-detail", args=[batch.pk]))
        self.assertEqual(batch.instance_ids, [str(self.good.pk)])
        self.assertEqual(self.messages.texts, [f"advance_health_batch {batch.pk}"])

    def test_check_all_follows_the_filters(self) -> None:
        self.post({"all": "1", "q": "nowhere"})
        self.assertEqual(self.checked(), {"amcnowhere1"})

    def test_check_all_leaves_disabled_ones_alone(self) -> None:
        self.bad.apply(Event.DISABLE)
        self.post({"all": "1"})
        self.assertEqual(self.checked(), {"amclocalus1"})

    def test_nothing_ticked_is_said(self) -> None:
        response = self.client.post(reverse("instances:check-create"), follow=True)
        self.assertContains(response, "Nothing was checked")
        self.assertFalse(HealthCheckBatch.objects.exists())

    def test_progress_polls_while_it_runs_and_stops_by_itself(self) -> None:
        started = self.post({"all": "1", "list": "1"}, htmx=True)
        self.assertContains(started, 'hx-trigger="every 1s"')
        self.assertNotContains(started, "<html")
        batch = HealthCheckBatch.objects.get()
        batches.advance_batch(batch.pk)
        response = self.htmx_get(reverse("instances:check-detail", args=[batch.pk]) + "?after=0&list=1")
        self.assertContains(response, "Finished: 1 healthy, 1 unhealthy, 0 could not be checked.")
        self.assertNotContains(response, "hx-trigger")
        # The rows and the tiles of the list come along, out of band.
        for instance in (self.good, self.bad):
            self.assertContains(response, f'id="instance-{instance.pk}"')
        self.assertContains(response, 'id="instance-tiles"')

    def test_page_of_a_run_shows_every_result_without_script(self) -> None:
        self.post({"all": "1"})
        batch = HealthCheckBatch.objects.get()
        batches.advance_batch(batch.pk)
        response = self.client.get(reverse("instances:check-detail", args=[batch.pk]))
        self.assertContains(response, "amclocalus1")
        self.assertContains(response, "Instance not found")

    def test_page_of_an_old_run_shows_what_that_run_found(self) -> None:
        self.post({"instance": [str(self.bad.pk)]})
        batch = HealthCheckBatch.objects.get()
        batches.advance_batch(batch.pk)
        AMCInstance.objects.filter(pk=self.bad.pk).update(health_status="HEALTHY", health_reason="")
        response = self.client.get(reverse("instances:check-detail", args=[batch.pk]))
        self.assertContains(response, "Instance not found")
        self.assertContains(response, "Unhealthy</span>")
        self.assertNotContains(response, "Healthy</span>")

    def test_all_of_nothing_says_why_and_keeps_the_filters(self) -> None:
        self.bad.apply(Event.DISABLE)
        address = "/instances/?q=nowhere"
        response = self.client.post(
            reverse("instances:check-create"), {"all": "1", "q": "nowhere", "next": address}, follow=True
        )
        self.assertRedirects(response, address)
        self.assertContains(response, "Nothing was checked: none of these instances is enabled.")

    def test_tiles_keep_showing_which_one_filters(self) -> None:
        self.post({"all": "1", "list": "1"}, htmx=True)
        batch = HealthCheckBatch.objects.get()
        batches.advance_batch(batch.pk)
        row = f"instance-{self.good.pk}"
        check = reverse("instances:instance-check", args=[self.good.pk])
        progress = reverse("instances:check-detail", args=[batch.pk]) + "?after=0&list=1"
        here = {"HX-Request": "true", "HX-Current-URL": "http://testserver/instances/?health=HEALTHY"}
        for response in (
            self.client.get(progress, headers=here),
            self.client.post(check, headers={**here, "HX-Target": row}),
        ):
            self.assertContains(response, 'id="instance-tiles"')
            self.assertContains(response, 'aria-current="true"', count=1)

    def test_home_counts_as_failing_what_it_lists(self) -> None:
        for instance in (self.good, self.bad):
            AMCInstance.objects.filter(pk=instance.pk).update(health_status="UNHEALTHY", health_reason="not_found")
        self.bad.apply(Event.DISABLE)
        response = self.client.get("/")
        self.assertContains(response, "1 needs a look")
        self.assertNotContains(response, "on the health page")

    def test_health_page_says_when_it_does_not_list_all(self) -> None:
        for n in range(52):
            InstanceFactory.create(account=self.account, instance_id=f"amcmany{n:04d}", health_status="ERROR")
        self.assertContains(self.client.get("/health/"), "and 2 more")

    def test_only_news_since_the_last_look_is_sent(self) -> None:
        self.post({"all": "1"})
        batch = HealthCheckBatch.objects.get()
        batches.advance_batch(batch.pk)
        last = batch.checks.order_by("-pk").values_list("pk", flat=True)[0]
        url = reverse("instances:check-detail", args=[batch.pk])
        self.assertNotContains(self.htmx_get(f"{url}?after={last}"), "amclocalus1")
        self.assertEqual(self.htmx_get(f"{url}?after=x").status_code, 404)

    def test_statements_do_not_grow(self) -> None:
        for n in range(30):
            InstanceFactory.create(account=self.account, instance_id=f"amcmany{n:04d}", health_status="ERROR")
        for url in ("/", "/health/"):
            with self.subTest(url):
                with CaptureQueriesContext(db) as queries:
                    self.client.get(url)
                self.assertLess(len(queries), 15)
