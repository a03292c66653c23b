"""Discovery and import, against a running local AMC."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest import mock

from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from amchelper.models import User
from instances.amc.types import AccountRef, AmcInstance, CallInfo, parse_instance
from instances.models import AmazonConnection, AMCAccount, AMCInstance, HealthCheckBatch
from instances.models.instance import InstanceQuerySet
from instances.services import discovery, imports
from instances.services.configuration import get_instance_configuration
from instances.services.discovery import DiscoveryKey, read_amazon
from instances.services.instances import disable
from instances.views.discovery import SELECTABLE
from local_amc.fixtures import ACCOUNTS, build_instances
from tests.base import LocalAmcTestCase
from tests.factories import AccountFactory, ConnectionFactory, InstanceFactory
from tests.transactions import recorded_transactions

US, CA, DE, JP = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2", "A1PA6795UKMFR9", "A1VC38T7YXB528"
US1 = f"ENTITYLOCALUS1|{US}|amclocalus1"
US2 = f"ENTITYLOCALUS1|{US}|amclocalus2"
WORLD = build_instances(7)
EVERYTHING = len(WORLD)
US1_NAME = WORLD["amclocalus1"].body["instanceName"]
NAMES = {(account.account_id, account.marketplace_id): account.account_name for account in ACCOUNTS}
GERMAN = NAMES["ENTITYLOCALDE1", DE]


class DiscoveryTestCase(LocalAmcTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.page = self.connection.get_absolute_url()

    def discover(self) -> Any:
        response = self.client.post(f"{self.page}discover/")
        self.assertEqual(response.status_code, 200)
        return response

    def take(self, *keys: str, **data: Any) -> Any:
        response = self.client.post(f"{self.page}import/", {"key": keys, **data})
        self.assertEqual(response.status_code, 302)
        return response

    def keys(self, response: Any, group: str = "new") -> list[str]:
        return [str(row.key) for _, row in response.context[group]]

    def sizes(self, response: Any) -> dict[str, int]:
        groups = ("new", "changed", "gone", "unread", "elsewhere", "same")
        return {name: len(response.context[name]) for name in groups if response.context[name]}

    def said(self) -> str:
        """Return the messages that wait for the next page."""
        return self.client.get("/connections/").content.decode()

    def snapshot(self) -> list[dict[str, Any]]:
        accounts = AMCAccount.objects.order_by("pk").values()
        instances = AMCInstance.objects.order_by("pk").defer("config").values(
            "pk", "account", "instance_id", "name", "instance_type", "is_active", "status", "updated_at"
        )  # fmt: skip
        return [dict(row) for row in (*accounts, *instances)]


class ReadingTests(DiscoveryTestCase):
    def test_everything_is_new_at_first_with_all_pages(self) -> None:
        response = self.discover()
        self.assertEqual(self.sizes(response), {"new": EVERYTHING})
        self.assertEqual(sum(JP in key for key in self.keys(response)), 120)
        self.assertContains(response, 'value="ENTITYLOCALUS1|ATVPDKIKX0DER|amclocalus1" data-select')
        self.assertContains(response, "Being set up")
        self.assertContains(response, "Creation failed")

    def test_reading_writes_no_account_or_instance(self) -> None:
        before = self.snapshot()
        self.discover()
        self.assertEqual(self.snapshot(), before)

    def test_htmx_gets_the_fragment(self) -> None:
        response = self.htmx_post(f"{self.page}discover/")
        self.assertContains(response, '<div id="discovery">')
        self.assertNotContains(response, "<html")

    def test_one_account_that_fails_hides_no_other(self) -> None:
        self.arm("wrong_entity", entity="ENTITYLOCALDE1", route="/amc/instances")
        response = self.discover()
        self.assertEqual(self.sizes(response), {"new": EVERYTHING - 4})
        self.assertContains(response, f"{GERMAN} could not be read")
        self.assertContains(response, "What to do")

    def test_account_that_cannot_be_read_makes_nothing_gone(self) -> None:
        InstanceFactory.create(account=self.account, instance_id="amclocalus1")
        self.arm("server_error", entity="ENTITYLOCALUS1", route="/amc/instances", status=500)
        response = self.discover()
        self.assertEqual(self.sizes(response), {"new": EVERYTHING - 4, "unread": 1})
        self.assertContains(response, "Not compared")
        self.assertNotContains(response, "delete them")

    def test_account_list_that_fails_is_said_with_a_fix(self) -> None:
        self.arm("throttle", route="/amc/accounts", seconds=60)
        response = self.discover()
        self.assertContains(response, "Amazon could not be read")
        self.assertContains(response, "What to do")

    def test_revoked_login_asks_to_reconnect(self) -> None:
        AmazonConnection.objects.filter(pk=self.connection.pk).update(access_token="")
        self.arm("invalid_grant")
        self.assertContains(self.discover(), "Reconnect")
        self.connection.refresh_from_db()
        self.assertEqual(self.connection.status, "RECONNECT_REQUIRED")
        self.assertContains(self.client.get(self.page), "Reconnect required")

    def test_disconnected_login_says_so(self) -> None:
        self.connection.disconnect()
        self.assertContains(self.discover(), "is not connected")

    def test_list_that_may_lack_rows_makes_nothing_gone_and_says_why(self) -> None:
        """The Japanese account has 120 instances, on two pages."""
        account = AccountFactory.create(
            connection=self.connection, account_id="ENTITYLOCALJP1", marketplace_id=JP, account_name="Local JP"
        )
        for instance_id in ("amclocaljp001", "amclocaljp120", "amcdeleted1"):
            InstanceFactory.create(account=account, instance_id=instance_id)
        self.assertEqual(self.sizes(self.discover()), {"new": EVERYTHING - 2, "changed": 2, "gone": 1})
        cases: list[tuple[dict[str, Any], str]] = [
            ({"fault": "paging_loop"}, "gave the same page of its list twice"),
            ({"fault": "paging_repeat"}, "gave the same page of its list twice"),
            ({"fault": "server_error", "status": 500, "nth": 2}, "Amazon has trouble (HTTP 500)"),
            ({"fault": "wrong_entity", "nth": 2}, "Amazon refuses access"),
            ({"fault": "message_200", "nth": 2}, "Amazon says: This service is being moved"),
            ({"fault": "bad_json", "nth": 2}, "could not be read"),
        ]
        for fault, words in cases:
            with self.subTest(**fault):
                self.control("POST", "reset")
                self.arm(**fault, route="/amc/instances", entity="ENTITYLOCALJP1")
                response = self.discover()
                # What came is offered and compared; nothing is said of the rest.
                self.assertEqual(self.sizes(response), {"new": EVERYTHING - 21, "changed": 1, "unread": 2})
                self.assertContains(response, "to the end of its list")
                self.assertContains(response, words)
                self.assertContains(response, "Read in part")
                self.assertNotContains(response, "delete them")

    def test_account_that_drips_takes_no_longer_than_the_page_waits(self) -> None:
        InstanceFactory.create(account=self.account, instance_id="amclocalus1")
        with self.dripping(route="instances", entity="ENTITYLOCALUS1"):
            response = self.discover()
        self.assertContains(response, "Amazon did not finish its answer in")
        self.assertEqual(self.keys(response, "gone"), [])
        self.assertEqual(self.keys(response, "unread"), [US1])

    def test_list_of_accounts_that_drips_takes_no_longer_either(self) -> None:
        with self.dripping(route="accounts"):
            response = self.discover()
        self.assertContains(response, "Amazon could not be read")
        # One call has less time than the page.
        self.assertContains(response, "Amazon did not finish its answer in 23 s.")

    def test_list_of_accounts_that_may_lack_some_calls_none_unlisted(self) -> None:
        for fault in ("paging_loop", "paging_repeat"):
            with self.subTest(fault):
                self.control("POST", "reset")
                # Only the list of accounts is asked for without a size of its pages.
                with mock.patch("local_amc.paging._limit", lambda text: int(text or 2)):
                    self.arm(fault, route="/amc/accounts")
                    response = self.discover()
                self.assertContains(response, "The list of accounts could not be read to its end")
                self.assertNotContains(response, "Not listed by Amazon")
                self.assertGreater(len(self.keys(response)), 0)

    def test_null_fields_do_not_crash(self) -> None:
        self.arm("null_fields", route="/amc/instances")
        self.assertEqual(self.sizes(self.discover()), {"new": EVERYTHING})

    def test_account_typed_by_hand_is_read_though_amazon_does_not_list_it(self) -> None:
        with mock.patch("local_amc.administration.ACCOUNTS", ()):
            response = self.discover()
        self.assertEqual(len(self.keys(response)), 3)
        self.assertContains(response, "Not listed by Amazon for this login")

    def test_login_without_accounts_says_what_to_do(self) -> None:
        AMCAccount.objects.all().delete()
        with mock.patch("local_amc.administration.ACCOUNTS", ()):
            self.assertContains(self.discover(), "Add account by hand")

    def test_only_amazons_identifiers_go_out(self) -> None:
        self.take(*self.keys(self.discover()))
        ours = [
            str(pk) for model in (AMCInstance, AMCAccount) for pk in model.objects.values_list("pk", flat=True)
        ]
        sent = str(self.control("GET", "requests"))
        self.assertFalse([pk for pk in ours if pk in sent or pk.replace("-", "") in sent])


class CompareTests(DiscoveryTestCase):
    def test_groups(self) -> None:
        self.take(*self.keys(self.discover()))
        other = AccountFactory.create(
            connection=ConnectionFactory.create(user=self.alice), account_name="Other place"
        )
        AMCInstance.objects.filter(instance_id="amclocalsbx").update(account=other)
        changed = AMCInstance.objects.get(instance_id="amclocalus2")
        changed.config = {"amc": {**changed.config["amc"], "instanceName": "Old name"}}
        changed.save()
        InstanceFactory.create(account=self.account, instance_id="amcdeleted1", name="Was deleted")
        response = self.discover()
        expected = {"changed": 1, "gone": 1, "elsewhere": 1, "same": EVERYTHING - 2}
        self.assertEqual(self.sizes(response), expected)
        self.assertContains(response, "Old name")
        self.assertContains(response, "Was deleted")
        self.assertContains(response, "Other place")

    def test_own_name_is_no_change_at_amazon(self) -> None:
        self.take(US1)
        AMCInstance.objects.filter(instance_id="amclocalus1").update(name="What we call it")
        response = self.discover()
        self.assertNotIn("changed", self.sizes(response))

    def test_refused_account_that_is_not_listed_says_nothing_of_its_instances(self) -> None:
        InstanceFactory.create(account=self.account, instance_id="amclocalus1")
        self.arm("account_disappears", entity="ENTITYLOCALUS1")
        response = self.discover()
        self.assertEqual((self.keys(response, "gone"), self.keys(response, "unread")), ([], [US1]))
        self.assertContains(response, "Not listed by Amazon for this login.")
        self.assertContains(response, "Whether its instances still exist is not known.")
        self.assertNotContains(response, "delete them")

    def test_another_users_instance_is_new_for_us(self) -> None:
        theirs = InstanceFactory.create(account__connection__user=self.charlie, instance_id="amclocalus1")
        self.assertIn(US1, self.keys(self.discover()))
        self.take(US1)
        self.assertEqual(AMCInstance.objects.filter(instance_id="amclocalus1").count(), 2)
        before = theirs.updated_at
        theirs.refresh_from_db()
        self.assertEqual((theirs.user, theirs.updated_at), (self.charlie, before))

    def test_who_may_discover_but_not_edit_is_offered_no_import(self) -> None:
        self.assertContains(self.discover(), "Import selected")
        with self.nobody_may("editable_by"):
            response = self.discover()
        self.assertEqual(self.sizes(response), {"new": EVERYTHING})
        self.assertNotContains(response, "Import selected")

    def test_what_the_reader_owns_is_not_compared_with_another_users_login(self) -> None:
        InstanceFactory.create(
            account=AccountFactory.create(connection=ConnectionFactory.create(user=self.charlie)),
            instance_id="amclocalus1",
        )

        def all_rows(rows: InstanceQuerySet, user: User) -> InstanceQuerySet:
            return rows.all()

        with mock.patch.object(InstanceQuerySet, "visible_to", all_rows):
            found = discovery.discover(self.connection, self.charlie)
        new = {str(row.key) for account in found.accounts for row in account.new}
        self.assertIn(US1, new)

    def test_statements_do_not_grow_with_the_lists(self) -> None:
        self.discover()
        with CaptureQueriesContext(database) as few:
            self.discover()
        self.take(*self.keys(self.discover()))
        self.said()
        with CaptureQueriesContext(database) as many:
            self.discover()
        self.assertLessEqual(len(many), len(few))


class OddAnswerTests(DiscoveryTestCase):
    def found(self, **raw: str) -> AmcInstance:
        return parse_instance({"creationStatus": "COMPLETED", **raw}, CallInfo(200, "", 1))

    def test_ids_that_could_not_be_called_are_left_out(self) -> None:
        for odd in ("", ".", "a b", "x" * 65, self.account.pk.hex, str(self.account.pk)):
            with self.subTest(odd):
                self.assertFalse(discovery._has_usable_id(self.found(instanceId=odd)))
        self.assertTrue(discovery._has_usable_id(self.found(instanceId="amclocalus1")))


class ManyTests(DiscoveryTestCase):
    """More instances than a form can carry."""

    def setUp(self) -> None:
        super().setUp()
        instances = self.amc.app.state.instances
        before = dict(instances)
        # Cleanups run last first.
        self.addCleanup(instances.update, before)
        self.addCleanup(instances.clear)
        pattern = before["amclocalus1"]
        for number in range(1000):
            instance_id = f"amcmany{number:04d}"
            body = {**pattern.body, "instanceId": instance_id, "instanceName": f"Many {number:04d}"}
            instances[instance_id] = replace(pattern, instance_id=instance_id, body=body)

    def rename(self, suffix: str) -> None:
        for instance_id, instance in list(self.amc.app.state.instances.items()):
            body = {**instance.body, "instanceName": f"{instance_id} {suffix}"}
            self.amc.app.state.instances[instance_id] = replace(instance, body=body)

    def test_what_fits_is_offered_and_the_rest_in_one_go(self) -> None:
        response = self.discover()
        total = EVERYTHING + 1000
        self.assertEqual(self.sizes(response), {"new": total})
        self.assertContains(response, 'name="key"', count=SELECTABLE)
        self.assertContains(response, f"{SELECTABLE} selected")
        self.assertContains(response, f"Import all {total}")
        self.take(*self.keys(response)[:SELECTABLE])
        self.assertEqual(AMCInstance.objects.count(), SELECTABLE)
        self.take(all_new="1")
        self.assertEqual(AMCInstance.objects.count(), total)

    def test_a_hundred_instances_cost_few_statements_and_are_one_transaction(self) -> None:
        with recorded_transactions() as log:
            self.take(all_new="1")
        self.assertLessEqual(log.most_rows, 500)
        self.rename("renamed")
        keys = self.keys(self.discover(), "changed")[:SELECTABLE]
        self.said()
        with recorded_transactions() as log:
            self.take(*keys)
        self.assertEqual(AMCInstance.objects.filter(name__endswith=" renamed").count(), len(keys))
        self.assertLessEqual(log.most_rows, 500)
        self.assertLess(log.most_statements, 30)

    def test_changes_taken_over_are_seen_by_the_cache(self) -> None:
        for size in (1, SELECTABLE):
            with self.subTest(size=size):
                self.take(all_new="1")
                instance = AMCInstance.objects.get(instance_id="amclocalus1")
                get_instance_configuration(instance.pk)
                self.rename(f"renamed {size}")
                with self.captureOnCommitCallbacks(execute=True):
                    self.take(US1, *self.keys(self.discover(), "changed")[: size - 1])
                name = f"amclocalus1 renamed {size}"
                self.assertEqual(get_instance_configuration(instance.pk).name, name)


class UnknownMarketplaceTests(DiscoveryTestCase):
    def test_account_in_a_marketplace_we_do_not_know_is_in_no_country(self) -> None:
        form = {
            "account_id": "ENTITYNEW", "marketplace": "other", "other_marketplace_id": "A0NEWMARKET",
            "account_name": "Newland",
        }  # fmt: skip
        self.assertEqual(self.client.post(f"{self.page}accounts/add/", form).status_code, 302)
        account = AMCAccount.objects.get(account_id="ENTITYNEW")
        self.assertEqual((account.country_code, account.place), ("", "A0NEWMARKET"))
        self.assertEqual(str(account), "Newland (ENTITYNEW, A0NEWMARKET)")
        InstanceFactory.create(account=account, name="Far away")
        for url in ("/instances/", "/instances/add/", self.page):
            with self.subTest(url):
                self.assertContains(self.client.get(url), "A0NEWMARKET")

    def test_imported_account_is_in_no_country_either(self) -> None:
        made = imports._accounts(self.connection, {AccountRef("ENTITYNEW", "A0NEWMARKET"): "Newland"})
        self.assertEqual(made[AccountRef("ENTITYNEW", "A0NEWMARKET")].country_code, "")


class ImportTests(DiscoveryTestCase):
    def test_chosen_instance_is_imported_with_its_account_and_verdict(self) -> None:
        key = f"ENTITYLOCALDE1|{DE}|amclocalde1"
        self.assertRedirects(self.take(key), "/instances/", fetch_redirect_response=False)
        instance = AMCInstance.objects.get()
        self.assertEqual(
            (instance.user, instance.name, instance.instance_type),
            (self.alice, WORLD["amclocalde1"].body["instanceName"], "STANDARD"),
        )
        self.assertEqual((instance.status, instance.health_status, instance.region), ("ACTIVE", "HEALTHY", "EU"))
        self.assertEqual(instance.config["amc"]["instanceId"], "amclocalde1")
        account = instance.account
        self.assertEqual(
            (account.connection, account.account_id, account.account_name, account.country_code),
            (self.connection, "ENTITYLOCALDE1", GERMAN, "DE"),
        )
        self.assertEqual(instance.health_checks.count(), 1)

    def test_verdicts_follow_what_amazon_says(self) -> None:
        self.take(*(f"ENTITYLOCALDE1|{DE}|amclocal{end}" for end in ("new", "bad", "nul")))
        found = {
            i.instance_id[-3:]: (i.status, i.health_status, i.health_reason) for i in AMCInstance.objects.all()
        }
        self.assertEqual(
            found,
            {
                "new": ("ERROR", "UNHEALTHY", "provisioning"),
                "bad": ("ERROR", "UNHEALTHY", "creation_failed"),
                "nul": ("PENDING", "ERROR", "unknown_status"),
            },
        )

    def test_a_real_probe_of_each_follows(self) -> None:
        self.take(US1, US2)
        waiting = HealthCheckBatch.objects.get(finished_at=None)
        self.assertEqual(waiting.total, 2)

    def test_everything_in_one_go(self) -> None:
        self.take(*self.keys(self.discover()))
        self.assertEqual(AMCInstance.objects.count(), EVERYTHING)
        self.assertIn(f"{EVERYTHING} instances imported", self.said())
        self.assertEqual(self.sizes(self.discover()), {"same": EVERYTHING})

    def test_all_new_needs_no_list_of_keys(self) -> None:
        self.take(all_new="1")
        self.assertEqual(AMCInstance.objects.count(), EVERYTHING)

    def test_running_it_twice_changes_nothing(self) -> None:
        keys = self.keys(self.discover())
        self.take(*keys)
        before = self.snapshot()
        self.take(*keys)
        self.assertEqual(self.snapshot(), before)
        self.assertIn(f"{EVERYTHING} instances unchanged", self.said())

    def test_disabled_stays_disabled_even_when_its_changes_are_taken_over(self) -> None:
        self.take(US1)
        instance = AMCInstance.objects.get()
        disable(instance=instance, actor=self.alice)
        instance.config = {"amc": {**instance.config["amc"], "instanceName": "Old name"}}
        instance.save()
        self.assertContains(self.discover(), "Disabled here")
        self.take(US1)
        instance.refresh_from_db()
        self.assertEqual((instance.is_active, instance.status), (False, "INACTIVE"))
        self.assertEqual(instance.config["amc"]["instanceName"], US1_NAME)

    def test_changed_name_is_taken_over_only_when_chosen(self) -> None:
        InstanceFactory.create(account=self.account, instance_id="amclocalus1", name="Old one")
        InstanceFactory.create(account=self.account, instance_id="amclocalus2", name="Old two")
        self.take(US1)
        self.take(all_new="1")
        self.assertEqual(AMCInstance.objects.get(instance_id="amclocalus1").name, US1_NAME)
        self.assertEqual(AMCInstance.objects.get(instance_id="amclocalus2").name, "Old two")

    def test_account_names_are_updated(self) -> None:
        self.assertEqual(self.account.account_name, "Local US")
        self.take(US1)
        self.account.refresh_from_db()
        self.assertEqual(self.account.account_name, NAMES["ENTITYLOCALUS1", US])
        self.assertEqual(AMCAccount.objects.count(), 1)

    def test_instance_under_another_account_is_not_moved(self) -> None:
        other = AccountFactory.create(connection__user=self.alice)
        instance = InstanceFactory.create(account=other, instance_id="amclocalus1", name="Mine")
        self.take(US1)
        instance.refresh_from_db()
        self.assertEqual((instance.account, instance.name), (other, "Mine"))
        self.assertIn("already here under another account", self.said())

    def test_what_amazon_does_not_list_is_not_imported(self) -> None:
        self.take(US1, f"ENTITYLOCALUS1|{US}|amcinvented", "ENTITYFORGED|X|amclocalus1", "nonsense")
        self.assertEqual([i.instance_id for i in AMCInstance.objects.all()], ["amclocalus1"])
        self.assertIn("2 instances could not be found", self.said())

    def test_nothing_chosen_asks_amazon_nothing(self) -> None:
        self.assertRedirects(self.take(), f"{self.page}discover/")
        self.assertEqual(self.control("GET", "requests")["requests"], [])

    def test_failing_account_does_not_stop_the_others(self) -> None:
        self.arm("wrong_entity", entity="ENTITYLOCALDE1", route="/amc/instances")
        self.take(US1, f"ENTITYLOCALDE1|{DE}|amclocalde1")
        self.assertEqual([i.instance_id for i in AMCInstance.objects.all()], ["amclocalus1"])
        said = self.said()
        self.assertIn(f"{GERMAN}:", said)
        self.assertIn("1 chosen instance could not be looked up", said)
        self.assertNotIn("could not be found", said)

    def test_chosen_instance_on_a_page_that_did_not_come_is_not_called_missing(self) -> None:
        self.arm("server_error", route="/amc/instances", entity="ENTITYLOCALJP1", nth=2)
        self.take(US1, f"ENTITYLOCALJP1|{JP}|amclocaljp001", f"ENTITYLOCALJP1|{JP}|amclocaljp120")
        found = AMCInstance.objects.values_list("instance_id", flat=True).order_by("instance_id")
        self.assertEqual(list(found), ["amclocaljp001", "amclocalus1"])
        said = self.said()
        self.assertIn("1 chosen instance could not be looked up", said)
        self.assertNotIn("could not be found", said)

    def test_many_failing_accounts_do_not_bury_the_page_in_messages(self) -> None:
        for number in range(9):
            AccountFactory.create(
                connection=self.connection, account_id=f"ENTITYLOST{number}", account_name=f"Lost {number}"
            )
        self.take(all_new="1")
        said = self.said()
        self.assertEqual(said.count("is-error"), 4)
        self.assertIn("6 more accounts could not be read", said)

    def test_amazon_down_imports_nothing_and_says_so(self) -> None:
        self.arm("reset", route="/amc/accounts")
        response = self.take(US1)
        self.assertRedirects(response, f"{self.page}discover/", fetch_redirect_response=False)
        self.assertIn("Nothing was imported.", self.said())

    def test_only_chosen_accounts_are_read_again(self) -> None:
        self.take(US1)
        asked = [r["path"] for r in self.control("GET", "requests")["requests"]]
        self.assertEqual(asked.count("/amc/instances"), 1)

    def test_connection_deleted_while_amazon_is_read_imports_nothing(self) -> None:
        read = read_amazon

        def slow(*args: Any) -> Any:
            readings = read(*args)
            AMCAccount.objects.filter(connection=self.connection).delete()
            AmazonConnection.objects.filter(pk=self.connection.pk).delete()
            return readings

        self.enterContext(mock.patch.object(imports, "read_amazon", slow))
        self.assertRedirects(self.take(US1), f"{self.page}discover/", fetch_redirect_response=False)
        self.assertIn("deleted meanwhile", self.said())
        self.assertEqual(AMCInstance.objects.count(), 0)

    def test_two_tabs_that_import_the_same_make_no_duplicates(self) -> None:
        """The other tab commits between our comparison and our insert."""
        mine = imports._mine

        def slow(owner_pk: Any, instance_ids: Any) -> Any:
            found = mine(owner_pk, instance_ids)
            InstanceFactory.create(account=self.account, instance_id="amclocalus1", name="From the other tab")
            return found

        imports._mine = slow
        self.addCleanup(setattr, imports, "_mine", mine)
        keys = [DiscoveryKey.parse(US1), DiscoveryKey.parse(US2)]
        result = imports.import_instances(
            connection=self.connection, actor=self.alice, keys=[k for k in keys if k]
        )
        self.assertEqual((len(result.created), result.unchanged), (1, 1))
        self.assertEqual(AMCInstance.objects.get(instance_id="amclocalus1").name, "From the other tab")

    def test_statements_do_not_grow_with_the_import(self) -> None:
        keys = self.keys(self.discover())
        with CaptureQueriesContext(database) as one:
            self.take(keys[0])
        AMCInstance.objects.all().delete()
        self.said()
        with CaptureQueriesContext(database) as all_of_them:
            self.take(*keys)
        self.assertEqual(AMCInstance.objects.count(), EVERYTHING)
        # Each further hundred is a transaction of its own.
        self.assertLessEqual(len(all_of_them), len(one) + 1 + 15 * (EVERYTHING // 100))
        self.assertLess(len(all_of_them), 40)

    def test_outsider_imports_nothing(self) -> None:
        self.client.force_login(self.charlie)
        response = self.client.post(f"{self.page}import/", {"key": US1})
        self.assertEqual(response.status_code, 404)
        self.assertEqual(AMCInstance.objects.count(), 0)
