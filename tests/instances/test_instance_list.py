"""The instance list: filters, order, pages, and a constant number of queries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection as db
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from instances.forms.fields import InstanceChoiceField
from instances.models import AMCInstance, Health, HealthCheck, Status
from instances.presenters.listing import short_age
from instances.services.brands import replace_brands
from tests.base import CastTestCase
from tests.factories import AccountFactory, ConnectionFactory, InstanceFactory

LIST = "/instances/"


class ListTestCase(CastTestCase):
    def setUp(self) -> None:
        super().setUp()
        connection = ConnectionFactory.create(user=self.alice)
        self.us = AccountFactory.create(connection=connection, account_name="Northwind US")
        self.jp = AccountFactory.create(
            connection=connection, account_id="ENTITYLOCALJP1", account_name="Hikari",
            marketplace_id="A1VC38T7YXB528", country_code="JP",
        )  # fmt: skip

    def make(self, count: int) -> None:
        for n in range(count):
            instance = InstanceFactory.create(account=self.us if n % 2 else self.jp)
            replace_brands(instance, [f"Brand {n}", "Shared"], actor=None)
            HealthCheck.objects.bulk_create(HealthCheck(instance=instance, verdict="HEALTHY") for _ in range(3))

    def names(self, query: str) -> list[str]:
        response = self.client.get(f"{LIST}?{query}")
        self.assertEqual(response.status_code, 200)
        return [row.instance.name for row in response.context["rows"]]


class FilterTests(ListTestCase):
    def setUp(self) -> None:
        super().setUp()
        old = datetime.now(UTC) - timedelta(days=2)
        self.a = InstanceFactory.create(
            account=self.us, name="alpha", instance_id="amcaaaa", health_latency_ms=300
        )
        self.b = InstanceFactory.create(
            account=self.jp, name="Beta", region="FE", status=Status.ERROR, health_status=Health.UNHEALTHY,
            health_reason="not_found", health_latency_ms=100, last_health_check=old,
        )  # fmt: skip
        self.c = InstanceFactory.create(
            account=self.us, name="gamma", status=Status.PENDING, health_status=None, last_health_check=None,
            health_latency_ms=None,
        )  # fmt: skip
        replace_brands(self.a, ["Norda", "Norda Kids"], actor=None)
        InstanceFactory.create(account__connection__user=self.charlie, name="secret")

    def test_each_filter(self) -> None:
        cases = {
            "": ["alpha", "Beta", "gamma"],
            "q=ALPH": ["alpha"],
            "q=amcaaa": ["alpha"],
            "q=hikari": ["Beta"],
            "q=norda": ["alpha"],
            "q=norda northwind": ["alpha"],
            "q=norda hikari": [],
            "health=HEALTHY": ["alpha"],
            "health=UNKNOWN": ["gamma"],
            "status=PENDING": ["gamma"],
            "region=FE": ["Beta"],
            f"account={self.us.pk}": ["alpha", "gamma"],
            "brand=Norda": ["alpha"],
            "health=HEALTHY&region=FE": [],
            "health=NONSENSE": [],
            "account=not-a-uuid": [],
            "q=secret": [],
        }
        for query, expected in cases.items():
            with self.subTest(query):
                self.assertEqual(self.names(query), expected)

    def test_each_order_with_missing_values_last(self) -> None:
        cases = {
            "name": ["alpha", "Beta", "gamma"],
            "-name": ["gamma", "Beta", "alpha"],
            "account": ["Beta", "alpha", "gamma"],
            "region": ["Beta", "alpha", "gamma"],
            "health": ["Beta", "gamma", "alpha"],
            "latency": ["Beta", "alpha", "gamma"],
            "-latency": ["alpha", "Beta", "gamma"],
            "checked": ["Beta", "alpha", "gamma"],
            "-checked": ["alpha", "Beta", "gamma"],
            "password": ["alpha", "Beta", "gamma"],
        }
        for sort, expected in cases.items():
            with self.subTest(sort):
                self.assertEqual(self.names(f"sort={sort}"), expected)

    def test_page_shows_reason_tiles_and_rows_that_can_be_swapped(self) -> None:
        response = self.client.get(LIST)
        for text in ("Instance not found", f'id="instance-{self.a.pk}"', "Norda Kids", "never",
                     'id="check-progress"', "without-js"):  # fmt: skip
            self.assertContains(response, text)
        self.assertContains(self.client.get(f"{LIST}?health=HEALTHY"), 'aria-current="true"')

    def test_htmx_gets_the_table_and_a_short_address(self) -> None:
        response = self.htmx_get(f"{LIST}?q=alpha&health=&status=&sort=-name")
        self.assertTrue(response.content.decode().strip().startswith('<div id="instance-table"'))
        self.assertEqual(response["HX-Push-Url"], "/instances/?q=alpha&sort=-name")
        self.assertIn("HX-Request", response["Vary"])

    def test_nothing_found_offers_to_clear(self) -> None:
        self.assertContains(self.client.get(f"{LIST}?q=zzz"), "Clear filters")


class PageTests(ListTestCase):
    def queries(self, count: int) -> int:
        AMCInstance.objects.all().delete()
        self.make(count)
        with CaptureQueriesContext(
            db,
        ) as captured:
            self.client.get(LIST)
        return len(captured)

    def test_number_of_queries_is_constant_and_small(self) -> None:
        few, many = self.queries(3), self.queries(60)
        self.assertEqual(few, many)
        self.assertLess(many, 20)

    def test_pages_of_25_with_filters_in_the_links(self) -> None:
        self.make(30)
        response = self.client.get(f"{LIST}?region=NA&page=2")
        self.assertEqual(len(response.context["rows"]), 5)
        self.assertContains(response, "26–30 of 30")
        self.assertContains(response, "?region=NA&amp;page=1")
        self.assertEqual(self.client.get(f"{LIST}?page=nonsense").context["page"].number, 1)

    def test_empty_states_say_what_comes_next(self) -> None:
        self.assertContains(self.client.get(LIST), "No instances yet")
        self.client.force_login(self.charlie)
        self.assertContains(self.client.get(LIST), "Connect Amazon to begin")

    def test_ages_in_few_letters(self) -> None:
        for seconds, text in ((5, "just now"), (61, "1 min ago"), (7_300, "2 h ago"), (200_000, "2 d ago")):
            self.assertEqual(short_age(timedelta(seconds=seconds)), text)


class SelectorTests(ListTestCase):
    def labels(self, **options: Any) -> list[str]:
        choices: Any = InstanceChoiceField(user=self.alice, **options).choices
        return [str(label) for value, label in choices if value]

    def test_active_ones_of_the_user_with_their_amc_id(self) -> None:
        InstanceFactory.create(account=self.us, name="Trail", instance_id="amctrail")
        InstanceFactory.create(account=self.us, name="Draft", instance_id="amcdraft", status=Status.PENDING)
        InstanceFactory.create(account__connection__user=self.charlie, name="secret")
        self.assertEqual(self.labels(), ["Trail (amctrail)"])
        self.assertEqual(self.labels(include_inactive=True), ["Draft (amcdraft)", "Trail (amctrail)"])


class AccessTests(ListTestCase):
    def test_foreign_instance_is_403_on_its_own_pages_and_unknown_is_404(self) -> None:
        instance = InstanceFactory.create(account=self.us)
        self.client.force_login(self.charlie)
        for name, method in (("detail", "get"), ("update", "get"), ("update", "post"), ("delete", "get"),
                             ("delete", "post"), ("enable", "post"), ("disable", "post"),
                             ("check", "post")):  # fmt: skip
            with self.subTest(name=name, method=method):
                response = getattr(self.client, method)(reverse(f"instances:instance-{name}", args=[instance.pk]))
                self.assertContains(response, "Access denied", status_code=403)
                unknown = reverse(f"instances:instance-{name}", args=["0b0e2c1a-6f0b-4f0e-9a52-5a1d6a6f4b11"])
                self.assertEqual(getattr(self.client, method)(unknown).status_code, 404)
        self.assertTrue(AMCInstance.objects.filter(pk=instance.pk).exists())

    def test_detail_shows_health_and_identity(self) -> None:
        instance = InstanceFactory.create(account=self.us, health_status="UNHEALTHY", health_reason="forbidden")
        HealthCheck.objects.create(instance=instance, verdict="UNHEALTHY", reason="forbidden", request_id="RID123")
        response = self.client.get(instance.get_absolute_url())
        for text in (
            "Access refused",
            "What to do",
            "RID123",
            instance.instance_id,
            "ENTITYLOCALUS1",
            "health-panel",
        ):
            self.assertContains(response, text)

    def test_delete_shows_what_goes_and_needs_a_post(self) -> None:
        instance = InstanceFactory.create(account=self.us)
        replace_brands(instance, ["Norda"], actor=None)
        HealthCheck.objects.create(instance=instance, verdict="HEALTHY")
        url = reverse("instances:instance-delete", args=[instance.pk])
        response = self.client.get(url)
        self.assertContains(response, "1 brand: Norda")
        self.assertContains(response, "1 health check of")
        self.assertRedirects(self.client.post(url), LIST)
        self.assertFalse(AMCInstance.objects.exists())

    def test_next_never_leaves_this_site(self) -> None:
        instance = InstanceFactory.create(account=self.us)
        url = reverse("instances:instance-disable", args=[instance.pk])
        for address in (
            "https://example.com/",
            "//example.com/",
            "https:example.com",
            "nowhere",
            "home",
            "./",
            "?",
        ):
            with self.subTest(address):
                self.assertRedirects(self.client.post(url, {"next": address}), instance.get_absolute_url())
