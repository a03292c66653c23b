"""`manage.py health_check`."""

from __future__ import annotations

import json
from contextlib import redirect_stderr
from datetime import timedelta
from io import StringIO
from typing import Any
from unittest import mock

from django.core.management import CommandError, ManagementUtility, call_command
from django.utils import timezone

from instances.models import AMCInstance, Health
from instances.models.lifecycle import Event
from instances.services.health import batches
from tests.base import LocalAmcTestCase
from tests.factories import InstanceFactory


class HealthCommandTests(LocalAmcTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.good = InstanceFactory.create(account=self.account, instance_id="amclocalus1", health_status=None)
        self.bad = InstanceFactory.create(account=self.account, instance_id="amcnowhere1", health_status=None)

    def run_command(self, *args: Any) -> tuple[int, str]:
        out = StringIO()
        try:
            call_command("health_check", *args, stdout=out)
        except SystemExit as leaving:
            return int(leaving.code or 0), out.getvalue()
        return 0, out.getvalue()

    def test_json_agrees_with_what_is_stored(self) -> None:
        code, text = self.run_command("--all", "--json")
        self.assertEqual(code, 1)
        answer = json.loads(text)
        self.assertEqual(answer["summary"], {"total": 2, "healthy": 1, "unhealthy": 1, "error": 0})
        stored = dict(AMCInstance.objects.values_list("instance_id", "health_status"))
        self.assertEqual({row["instance_id"]: row["health"] for row in answer["instances"]}, stored)

    def test_exit_codes(self) -> None:
        self.assertEqual(self.run_command("amclocalus1")[0], 0)
        self.assertEqual(self.run_command("amcnowhere1")[0], 1)
        self.assertEqual(self.run_command("amcnowhere1", "--fail-on", "error")[0], 0)
        self.assertEqual(self.run_command("amcnowhere1", "--fail-on", "never")[0], 0)
        self.arm("bad_json", instance="amclocalus1")
        self.assertEqual(self.run_command("--all")[0], 2)
        self.assertEqual(self.run_command("--all", "--fail-on", "never")[0], 0)

    def test_table_names_instance_verdict_and_fix(self) -> None:
        _, text = self.run_command("--all")
        self.assertIn("amcnowhere1", text)
        self.assertIn("Instance not found", text)
        self.assertIn("2 checked: 1 healthy, 1 unhealthy", text)

    def test_instance_by_uuid(self) -> None:
        code, text = self.run_command(str(self.good.pk), "--json")
        self.assertEqual((code, json.loads(text)["summary"]["total"]), (0, 1))

    def test_failing_checks_only_failing_ones(self) -> None:
        self.run_command("--all")
        _, text = self.run_command("--failing", "--json")
        self.assertEqual([row["instance_id"] for row in json.loads(text)["instances"]], ["amcnowhere1"])

    def test_disabled_instances_are_left_out_of_all(self) -> None:
        self.bad.apply(Event.DISABLE)
        self.assertEqual(self.run_command("--all")[0], 0)

    def test_wrong_arguments_say_what_to_do(self) -> None:
        for args, message in (
            ((), "Name instances"),
            (("amcunknown9",), "There is no instance amcunknown9"),
            (("--all", "--concurrency", "0"), "at least 1"),
        ):
            with self.subTest(args), self.assertRaisesMessage(CommandError, message) as caught:
                call_command("health_check", *args)
            self.assertEqual(caught.exception.returncode, 3)

    def test_unknown_user_is_no_success(self) -> None:
        with self.assertRaisesMessage(CommandError, "There is no user nobody@example.com") as caught:
            call_command("health_check", "--all", "--user", "nobody@example.com")
        self.assertEqual(caught.exception.returncode, 3)
        self.assertEqual(self.run_command("--all", "--user", "ALICE@example.com", "--fail-on", "never")[0], 0)

    def test_names_beside_all_or_failing_are_refused_not_ignored(self) -> None:
        for option in ("--all", "--failing"):
            with self.subTest(option), self.assertRaisesMessage(CommandError, "Name instances or use") as caught:
                call_command("health_check", "amclocalus1", option)
            self.assertEqual(caught.exception.returncode, 3)

    def test_wrong_option_on_the_command_line_has_the_exit_code_of_wrong_arguments(self) -> None:
        with self.assertRaises(SystemExit) as leaving, redirect_stderr(StringIO()) as told:
            ManagementUtility(["manage.py", "health_check", "--concurrency", "many"]).execute()
        self.assertEqual(leaving.exception.code, 3)
        self.assertIn("invalid int value", told.getvalue())

    def test_names_are_text_not_markup(self) -> None:
        AMCInstance.objects.filter(pk=self.good.pk).update(name="Acme [EU] [/b]")
        code, text = self.run_command("amclocalus1")
        self.assertEqual(code, 0)
        self.assertIn("Acme [EU] [/b]", text)

    def test_it_stores_probes(self) -> None:
        self.run_command("--all", "--concurrency", "2")
        self.assertEqual(self.good.health_checks.get().verdict, Health.HEALTHY)

    def test_check_that_was_given_up_meanwhile_says_so(self) -> None:
        def give_up(*args: Any, **kwargs: Any) -> None:
            batches.tick(now=timezone.now() + timedelta(hours=2))

        slow = mock.patch.object(batches, "record_results", side_effect=give_up)
        with slow, self.assertRaisesMessage(CommandError, "longer than an hour") as raised:
            self.run_command("amclocalus1")
        self.assertEqual(raised.exception.returncode, 2)
