"""Add and edit instances: the test comes before the save, nothing typed is lost, stale tabs are refused."""

from __future__ import annotations

import re
from typing import Any
from unittest import mock

from django.db import connection as db
from django.urls import reverse

from instances.errors import InstanceConnectionError, InvalidInstanceConfiguration, StaleInstanceError
from instances.models import AMCInstance, BrandASIN, Health, HealthCheck, HealthCheckBatch, Status
from instances.services import instances as services
from instances.services.brands import replace_brands
from tests.base import LocalAmcTestCase
from tests.factories import AccountFactory, InstanceFactory

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)


class FormTestCase(LocalAmcTestCase):
    def values(self, **changes: Any) -> dict[str, Any]:
        values = {
            "name": "Garden", "account": str(self.account.pk), "instance_id": "amclocalus2", "region": "",
            "description": "Spring", "brands": "Norda, Wellhome", "version": "", "action": "save",
        }  # fmt: skip
        return {**values, **changes}

    def add(self, **changes: Any) -> Any:
        return self.client.post(reverse("instances:instance-create"), self.values(**changes))

    def edit(self, instance: AMCInstance, **changes: Any) -> Any:
        url = reverse("instances:instance-update", args=[instance.pk])
        return self.client.post(url, self.values(version=services.version_of(instance), **changes))

    def amc_paths(self) -> list[str]:
        return [r["path"] for r in self.control("GET", "requests")["requests"] if r["path"].startswith("/amc")]


class AddTests(FormTestCase):
    def test_a_tested_instance_is_active_with_its_probe_and_brands(self) -> None:
        response = self.add(instance_id="  amclocalus2 ")
        instance = AMCInstance.objects.get()
        self.assertRedirects(response, instance.get_absolute_url())
        self.assertEqual((instance.instance_id, instance.user, instance.region), ("amclocalus2", self.alice, "NA"))
        self.assertEqual((instance.status, instance.health_status), (Status.ACTIVE, Health.HEALTHY))
        self.assertEqual(instance.instance_type, "STANDARD")
        self.assertEqual(instance.config["amc"]["instanceId"], "amclocalus2")
        self.assertEqual([b.name for b in instance.brands.all()], ["Norda", "Wellhome"])
        check = HealthCheck.objects.get(instance=instance)
        assert check.batch is not None
        self.assertEqual((check.batch.trigger, check.verdict), (HealthCheckBatch.Trigger.SAVE, Health.HEALTHY))

    def test_a_failed_test_saves_nothing_and_keeps_what_was_typed(self) -> None:
        response = self.add(instance_id="amclocalus3")
        self.assertEqual(response.status_code, 200)
        self.assertFalse(AMCInstance.objects.exists())
        for text in ("Did you mean", "Save as draft", 'value="Garden"', 'value="amclocalus3"', "Norda, Wellhome"):
            self.assertContains(response, text)

    def test_draft_is_pending_and_asks_nobody(self) -> None:
        self.add(instance_id="amclocalus3", action="draft")
        instance = AMCInstance.objects.get()
        self.assertEqual((instance.status, instance.health_status), (Status.PENDING, None))
        self.assertEqual(self.amc_paths(), [])

    def test_test_only_saves_nothing(self) -> None:
        response = self.add(action="test")
        self.assertContains(response, "Passed")
        self.assertFalse(AMCInstance.objects.exists())

    def test_uuids_are_refused_before_anybody_is_asked(self) -> None:
        for text in (str(self.account.pk), self.account.pk.hex, "amc/../x", "amc us"):
            with self.subTest(text):
                response = self.add(instance_id=text)
                self.assertContains(response, "invalid-feedback")
        self.assertContains(self.add(instance_id=str(self.account.pk)), "UUID")
        self.assertEqual(self.amc_paths(), [])

    def test_duplicate_is_an_error_of_the_field(self) -> None:
        self.add()
        response = self.add(name="Again")
        self.assertContains(response, "You have this AMC instance already.")
        self.assertEqual(AMCInstance.objects.count(), 1)

    def test_duplicate_in_a_race_is_the_same_error(self) -> None:
        def other_tab_saves_first(values: Any) -> Any:
            test = run_connection_test(values)
            InstanceFactory.create(account=self.account, instance_id="amclocalus2")
            return test

        run_connection_test = services.try_connection
        with mock.patch.object(services, "try_connection", other_tab_saves_first):
            response = self.add()
        self.assertContains(response, "You have this AMC instance already.")
        self.assertEqual(AMCInstance.objects.count(), 1)

    def test_another_users_account_is_no_choice(self) -> None:
        foreign = AccountFactory.create(connection__user=self.charlie)
        self.assertContains(self.add(account=str(foreign.pk)), "invalid-feedback")
        values = services.InstanceValues(account=foreign, instance_id="amclocalus1", name="x")
        with self.assertRaises(InvalidInstanceConfiguration):
            services.save_draft(actor=self.alice, values=values)
        self.assertFalse(AMCInstance.objects.exists())

    def test_a_brand_that_is_too_long_is_named(self) -> None:
        self.assertContains(self.add(brands="Norda, " + "Longname" * 20), "“Longname")

    def test_a_lag_that_cannot_be_is_an_error_of_the_field(self) -> None:
        for lag in ("91", "9" * 400):
            response = self.add(lag_days=lag, action="draft")
            self.assertContains(response, "Ensure this value is less than or equal to 90.")
        self.assertContains(self.add(lag_days="-1", action="draft"), "greater than or equal to 0.")
        self.assertFalse(AMCInstance.objects.exists())
        self.add(lag_days="90", action="draft")
        self.assertEqual(AMCInstance.objects.get().lag_days, 90)

    def test_htmx_gets_the_form_alone_and_leaves_on_success(self) -> None:
        url = reverse("instances:instance-create")
        response = self.htmx_post(url, self.values(instance_id="amclocalus3"))
        self.assertNotContains(response, "<html")
        self.assertContains(response, 'id="instance-form"')
        response = self.htmx_post(url, self.values())
        self.assertEqual(response["HX-Redirect"], AMCInstance.objects.get().get_absolute_url())

    def test_without_an_account_the_page_says_what_comes_first(self) -> None:
        self.client.force_login(self.charlie)
        self.assertContains(self.client.get(reverse("instances:instance-create")), "An account comes first")


class EditTests(FormTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.instance: AMCInstance = InstanceFactory.create(
            account=self.account, instance_id="amclocalus1", name="Trail", status=Status.ERROR
        )

    def reread(self) -> AMCInstance:
        return AMCInstance.objects.get(pk=self.instance.pk)

    def test_brand_with_mappings_goes_only_when_that_was_said(self) -> None:
        instance = InstanceFactory.create(account=self.account, instance_id="amclocalus2")
        replace_brands(instance, ["Norda", "Wellhome", "Bare"], actor=None)
        brand = instance.brands.get(name="Wellhome")
        BrandASIN.objects.bulk_create(BrandASIN(brand=brand, asin=f"B0WELL000{n}") for n in range(3))
        self.edit(instance, brands="Norda, Wellhome")
        self.assertEqual({each.name for each in instance.brands.all()}, {"Norda", "Wellhome"})
        instance.refresh_from_db()
        page = self.edit(instance, brands="Norda", name="Renamed")
        self.assertContains(page, "Without 1 brand: Wellhome, its mappings go too: 3 mapped ASINs.")
        self.assertContains(page, "Remove these mappings too")
        self.assertContains(page, 'value="Renamed"')
        self.assertEqual(brand.asins.count(), 3)
        self.edit(instance, brands="Norda", drops_mappings="on")
        self.assertEqual({each.name for each in instance.brands.all()}, {"Norda"})

    def test_name_and_brands_need_no_test(self) -> None:
        self.edit(self.instance, instance_id="amclocalus1", name="Renamed")
        self.assertEqual((self.reread().name, self.reread().status), ("Renamed", Status.ERROR))
        self.assertEqual(self.amc_paths(), [])

    def test_another_amc_id_is_tested_first(self) -> None:
        self.assertContains(self.edit(self.instance, instance_id="amclocalus3"), "Did you mean")
        self.assertEqual(self.reread().instance_id, "amclocalus1")
        self.edit(self.instance, instance_id="amclocalus2")
        self.assertEqual((self.reread().instance_id, self.reread().status), ("amclocalus2", Status.ACTIVE))

    def test_a_tested_save_keeps_what_else_the_configuration_holds(self) -> None:
        AMCInstance.objects.filter(pk=self.instance.pk).update(
            config={"lag_days": 3, "amc": {"instanceId": "old"}}
        )
        self.edit(self.reread(), instance_id="amclocalus2")
        config = self.reread().config
        self.assertEqual((config["lag_days"], config["amc"]["instanceId"]), (3, "amclocalus2"))

    def test_a_tested_save_leaves_a_configuration_no_key_can_read_as_it_is(self) -> None:
        with db.cursor() as cursor:
            cursor.execute("UPDATE amc_instances SET config = 'gAAAAnonsense'")
        self.edit(self.reread(), instance_id="amclocalus2")
        saved = self.reread()
        self.assertEqual(saved.instance_id, "amclocalus2")
        self.assertEqual(saved.config.ciphertext, "gAAAAnonsense")

    def test_a_draft_of_another_id_forgets_the_old_verdict(self) -> None:
        self.edit(self.instance, instance_id="amclocalus3", action="draft")
        saved = self.reread()
        self.assertEqual(
            (saved.status, saved.health_status, saved.last_health_check), (Status.PENDING, None, None)
        )

    def test_relinking_tests_and_a_wrong_account_changes_nothing(self) -> None:
        canada = AccountFactory.create(
            connection=self.connection, marketplace_id="A2EUQ1WTGCTBG2", country_code="CA"
        )
        with self.assertRaises(InstanceConnectionError):
            services.relink(actor=self.alice, instance=self.reread(), account=canada)
        self.assertEqual(self.reread().account, self.account)
        lost = InstanceFactory.create(account=canada, instance_id="amclocalus2", status=Status.ERROR)
        services.relink(actor=self.alice, instance=lost, account=self.account)
        lost.refresh_from_db()
        self.assertEqual((lost.account, lost.status), (self.account, Status.ACTIVE))

    def test_stale_tab_is_refused_keeps_what_was_typed_and_shows_what_differs(self) -> None:
        stale = services.version_of(self.instance)
        self.edit(self.instance, instance_id="amclocalus1", name="First tab")
        response = self.edit(self.instance, instance_id="amclocalus1", name="Second tab")
        for text in ("was changed since you opened", "First tab", 'value="Second tab"', "Saved now"):
            self.assertContains(response, text)
        self.assertEqual(self.reread().name, "First tab")
        self.assertNotContains(response, stale)
        # The page now knows what it would overwrite: a second, deliberate save goes through.
        self.edit(self.reread(), instance_id="amclocalus1", name="Second tab")
        self.assertEqual(self.reread().name, "Second tab")

    def test_change_during_the_test_is_refused_too(self) -> None:
        values = services.InstanceValues.of(self.instance)
        version = services.version_of(self.instance)
        AMCInstance.objects.filter(pk=self.instance.pk).update(name="Changed meanwhile")
        with self.assertRaises(StaleInstanceError):
            services.save_tested(
                actor=self.alice, values=values, test=services.try_connection(values),
                instance=self.instance, version=version,
            )  # fmt: skip

    def test_checks_and_disabling_do_not_make_a_tab_stale(self) -> None:
        version = services.version_of(self.instance)
        services.disable(instance=self.instance, actor=self.alice)
        services.enable(instance=self.instance, actor=self.alice)
        self.assertEqual(services.version_of(self.reread()), version)

    def test_disabled_instance_stays_disabled_when_it_is_tested_and_saved(self) -> None:
        services.disable(instance=self.instance, actor=self.alice)
        self.edit(self.instance, instance_id="amclocalus2")
        self.assertEqual((self.reread().status, self.reread().instance_id), (Status.INACTIVE, "amclocalus2"))


class NoUuidTests(FormTestCase):
    def test_no_uuid_ever_reaches_amc(self) -> None:
        self.add(instance_id="amclocalus3")
        self.add()
        instance = AMCInstance.objects.get()
        self.client.post(reverse("instances:instance-check", args=[instance.pk]))
        self.edit(instance, instance_id="amclocalus1")
        self.client.post(reverse("instances:instance-disable", args=[instance.pk]))
        self.client.post(reverse("instances:instance-enable", args=[instance.pk]))
        requests = self.control("GET", "requests")["requests"]
        self.assertGreater(len(requests), 8)
        for request in requests:
            self.assertIsNone(_UUID.search(f"{request['path']} {request['query']} {request['headers']}"), request)
        self.assertEqual(tuple(instance.get_amc_credentials()), ("amclocalus2", "ENTITYLOCALUS1"))
