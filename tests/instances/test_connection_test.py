"""The connection test: which step breaks for which fault, and what it says."""

from __future__ import annotations

from typing import Any
from unittest import mock

from django.db import connection as db

from instances.amc.types import AccountRef
from instances.models import AmazonConnection
from instances.services.connection_test import ConnectionTest, run_connection_test
from tests.base import LocalAmcTestCase
from tests.factories import AccountFactory, ConnectionFactory

US, CA, DE = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2", "A1PA6795UKMFR9"


class ConnectionTestTests(LocalAmcTestCase):
    def run_connection_test(
        self,
        instance_id: str = "amclocalus1",
        entity: str = "ENTITYLOCALUS1",
        marketplace: str = US,
        connection: AmazonConnection | None = None,
    ) -> ConnectionTest:
        return run_connection_test(
            connection or self.connection, AccountRef(entity, marketplace), "NA", instance_id
        )

    def assert_breaks(self, test: ConnectionTest, key: str, *words: str) -> None:
        self.assertFalse(test.passed)
        failure = test.failure
        assert failure is not None
        self.assertEqual(failure.key, key, failure)
        self.assertTrue(failure.message)
        self.assertTrue(failure.fix, failure)
        for word in words:
            self.assertIn(word, f"{failure.message} {failure.fix}")
        states = [step.status for step in test.steps]
        broken = states.index("failed")
        self.assertNotIn("passed", states[broken:])
        self.assertEqual(len(states), 6)

    def test_working_instance_passes_every_step_with_two_calls(self) -> None:
        self.run_connection_test()
        self.control("DELETE", "requests")
        test = self.run_connection_test()
        self.assertTrue(test.passed, test.failure)
        self.assertEqual({step.status for step in test.steps}, {"passed"})
        self.assertEqual(test.result.verdict, "HEALTHY")
        paths = [request["path"] for request in self.control("GET", "requests")["requests"]]
        self.assertEqual([p for p in paths if p.startswith("/amc")],
                         ["/amc/instances/amclocalus1", "/amc/reporting/amclocalus1/workflows"])  # fmt: skip

    def test_revoked_login_breaks_at_the_token_and_is_marked(self) -> None:
        revoked = ConnectionFactory.create(user=self.alice, refresh_token="Atzr|local-revoked")
        self.assert_breaks(self.run_connection_test(connection=revoked), "token", "econnect")
        revoked.refresh_from_db()
        self.assertEqual(revoked.status, AmazonConnection.Status.RECONNECT_REQUIRED)

    def test_disconnected_and_unreadable_logins_break_without_a_call(self) -> None:
        gone = ConnectionFactory.create(user=self.alice, refresh_token="", status="DISCONNECTED")
        self.assert_breaks(self.run_connection_test(connection=gone), "token")
        unreadable = ConnectionFactory.create(user=self.alice)
        sql = "UPDATE amazon_connections SET refresh_token = 'gAAAAnonsense' WHERE label = %s"
        with db.cursor() as cursor:
            cursor.execute(sql, [unreadable.label])
        unreadable.refresh_from_db()
        self.assert_breaks(self.run_connection_test(connection=unreadable), "token", "Re-enter credentials")
        self.assertEqual(self.control("GET", "requests")["requests"], [])

    def test_wrong_entity_is_told_from_what_the_login_lists(self) -> None:
        test = self.run_connection_test(entity="ENTITYNOBODY")
        self.assert_breaks(test, "account", "ENTITYNOBODY", "ENTITYLOCALUS1")
        self.assertEqual(test.steps[0].status, "passed")

    def test_wrong_marketplace_is_told_from_what_the_login_lists(self) -> None:
        test = self.run_connection_test(marketplace=DE)
        self.assert_breaks(test, "marketplace", "US (ATVPDKIKX0DER)", "CA (A2EUQ1WTGCTBG2)")

    def test_instance_in_the_entitys_other_marketplace_is_a_marketplace_fault(self) -> None:
        AccountFactory.create(
            connection=self.connection, marketplace_id=CA, country_code="CA", account_name="Local CA"
        )
        self.assert_breaks(self.run_connection_test("amclocalca1"), "marketplace", "Choose the account Local CA")

    def test_instance_of_another_account_names_that_account(self) -> None:
        AccountFactory.create(
            connection=self.connection, account_id="ENTITYLOCALDE1", marketplace_id=DE, country_code="DE",
            account_name="Local DE",
        )  # fmt: skip
        self.assert_breaks(
            self.run_connection_test("amclocalde1"), "account", "belongs to ENTITYLOCALDE1", "Local DE"
        )

    def test_unknown_instance_names_similar_ones(self) -> None:
        self.assert_breaks(self.run_connection_test("amclocalus3"), "instance", "Did you mean", "amclocalus2")

    def test_unlike_anything_lists_what_there_is(self) -> None:
        self.assert_breaks(self.run_connection_test("zzzzzzzzzz"), "instance", "The account has", "amclocalus1")

    def test_wrong_case_is_recognised(self) -> None:
        self.assert_breaks(self.run_connection_test("AMCLOCALUS2"), "instance", "Did you mean amclocalus2")

    def test_a_list_of_accounts_that_does_not_come_is_no_failure_of_its_own(self) -> None:
        self.arm("missing_header", route="/amc/accounts")
        self.assertTrue(self.run_connection_test().passed)
        self.assert_breaks(self.run_connection_test("amclocalus3"), "instance", "Did you mean")

    def test_account_that_is_not_listed_is_no_failure(self) -> None:
        # The fault that takes an account from the list closes it too; an agency's login reaches such ones.
        with mock.patch("local_amc.administration.ACCOUNTS", ()):
            self.assert_breaks(self.run_connection_test("amclocalus3"), "instance", "Did you mean")

    def test_a_uuid_never_leaves(self) -> None:
        self.assert_breaks(self.run_connection_test("0b0e2c1a-6f0b-4f0e-9a52-5a1d6a6f4b11"), "instance", "UUID")
        self.assertEqual(self.control("GET", "requests")["requests"], [])

    def test_states_that_are_not_ready(self) -> None:
        for fault, word in (("instance_in_progress", "IN_PROGRESS"), ("instance_failed", "FAILED"),
                            ("unknown_status", "HIBERNATING")):  # fmt: skip
            with self.subTest(fault):
                self.control("POST", "reset")
                self.arm(fault)
                self.assert_breaks(self.run_connection_test(), "state", word)

    def test_reporting_rights_are_a_step_of_their_own(self) -> None:
        self.arm("wrong_entity", route="/amc/reporting")
        test = self.run_connection_test()
        self.assert_breaks(test, "reporting", "administrator")
        self.assertEqual([step.status for step in test.steps[:5]], ["passed"] * 5)

    def test_missing_terms_are_named(self) -> None:
        noterms = ConnectionFactory.create(user=self.alice, refresh_token="Atzr|local-noterms")
        self.assert_breaks(self.run_connection_test(connection=noterms), "account", "terms")

    def test_every_other_fault_ends_in_a_step(self) -> None:
        cases: list[tuple[dict[str, Any], str]] = [
            ({"fault": "token_expired"}, "token"),
            ({"fault": "invalid_grant"}, "token"),
            ({"fault": "invalid_client"}, "token"),
            ({"fault": "lwa_500"}, "token"),
            ({"fault": "lwa_429"}, "token"),
            ({"fault": "wrong_entity"}, "account"),
            ({"fault": "terms_required"}, "account"),
            ({"fault": "wrong_marketplace"}, "marketplace"),
            ({"fault": "missing_header"}, "account"),
            ({"fault": "throttle", "seconds": 300}, "token"),
            ({"fault": "server_error", "status": 503}, "token"),
            ({"fault": "reset"}, "token"),
            ({"fault": "bad_json"}, "token"),
            ({"fault": "message_200"}, "token"),
            ({"fault": "message_200", "route": "instance"}, "instance"),
            ({"fault": "message_200", "route": "workflows"}, "reporting"),
            ({"fault": "empty_200", "route": "workflows"}, "reporting"),
            ({"fault": "empty_200", "route": "/amc/instances/amclocalus1"}, "instance"),
            ({"fault": "truncated_body"}, "token"),
            ({"fault": "unknown_instance", "route": "/amc/instances/amclocalus1"}, "instance"),
            ({"fault": "unknown_instance", "status": 403, "route": "/amc/instances/amclocalus1"}, "instance"),
        ]
        for fault, key in cases:
            with self.subTest(**fault):
                self.setUp()
                AmazonConnection.objects.filter(pk=self.connection.pk).update(
                    status="CONNECTED", access_token="", access_token_expires_at=None
                )
                self.connection.refresh_from_db()
                self.arm(**fault)
                self.assert_breaks(self.run_connection_test(), key)

    def test_answer_about_something_else_turns_no_step_green(self) -> None:
        self.arm("message_200")
        test = self.run_connection_test()
        self.assert_breaks(test, "token", "Amazon says: This service is being moved", "no proxy answers")
        self.assertEqual(test.result.reason, "unexpected_answer")
        self.assertEqual({step.status for step in test.steps[1:]}, {"skipped"})

    def test_dripping_answer_ends_in_the_step_that_waited(self) -> None:
        cases = [
            ({"route": "instance"}, "token"),
            ({"route": "token"}, "token"),
            ({"route": "workflows"}, "reporting"),
            ({"route": "instance", "variant": "head"}, "token"),
        ]
        for where, key in cases:
            with self.subTest(**where):
                self.setUp()
                AmazonConnection.objects.filter(pk=self.connection.pk).update(
                    access_token="", access_token_expires_at=None
                )
                self.connection.refresh_from_db()
                with self.dripping(**where):
                    test = self.run_connection_test()
                self.assert_breaks(test, key, "Amazon did not finish its answer in 20 s.", "try again")
                self.assertEqual((test.result.reason, test.result.verdict), ("too_slow", "ERROR"))

    def test_refusal_whose_cause_comes_too_slowly_says_both(self) -> None:
        with self.dripping(route="accounts"):
            test = self.run_connection_test("amclocalus3")
        self.assert_breaks(
            test,
            "account",
            "Amazon does not know this",
            "could not be found out",
            "did not finish its answer in 20 s",
        )
        self.assertEqual((test.steps[0].status, test.result.reason), ("passed", "not_found"))

    def test_instance_is_not_called_unknown_when_the_list_did_not_come_whole(self) -> None:
        japan = "A1VC38T7YXB528"
        self.assert_breaks(
            self.run_connection_test("amclocaljpx", "ENTITYLOCALJP1", japan),
            "instance",
            "has no instance amclocaljpx",
        )
        for fault in ("paging_repeat", "paging_loop"):
            with self.subTest(fault):
                self.arm(fault, route="/amc/instances", entity="ENTITYLOCALJP1")
                test = self.run_connection_test("amclocaljpx", "ENTITYLOCALJP1", japan)
                self.assert_breaks(test, "instance", "could not be found out", "same page of its list")
                self.assertNotIn("has no instance", str(test.failure))

    def test_harmless_oddities_pass(self) -> None:
        for fault in ("null_fields", "extra_fields", "wrong_content_type"):
            with self.subTest(fault):
                self.control("POST", "reset")
                self.arm(fault)
                self.assertTrue(self.run_connection_test().passed)
