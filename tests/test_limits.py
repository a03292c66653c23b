"""What one user may start within a minute: held up beyond it, told when to come back, and never lost."""

from __future__ import annotations

import html
import re
from typing import Any
from uuid import uuid4

import time_machine
from django.conf import settings
from django.core.cache import cache
from django.test import override_settings
from django.urls import reverse

from amchelper.limits import CHECKS, EXPORTS, PREVIEWS, RUNS, UPLOADS, Limit, TooManyError, spend
from instances.models import HealthCheckBatch, InstanceBrand
from instances.services.brands import replace_brands
from instances.services.mappings import mapped_values
from tests.base import CastTestCase, everything
from tests.factories import InstanceFactory

SECOND_23 = "2026-11-23T12:00:23Z"
PK, TEMPLATE, SCHEDULE = uuid4(), "tpl_inst_000000000000", "sched_000000000000"
# Every address of ours that starts or asks something that costs, with the arguments of one that does not exist.
LIMITED: dict[str, tuple[Limit, str, list[Any]]] = {
    "executions:execution-again": (RUNS, "POST", [PK]),
    "executions:execution-fetch": (RUNS, "POST", [PK]),
    "schedules:schedule-run": (RUNS, "POST", [SCHEDULE]),
    "instances:check-create": (CHECKS, "POST", []),
    "instances:instance-check": (CHECKS, "POST", [PK]),
    "instances:instance-enable": (CHECKS, "POST", [PK]),
    "instances:instance-create": (CHECKS, "POST", []),
    "instances:instance-update": (CHECKS, "POST", [PK]),
    "instances:connection-paste": (CHECKS, "POST", []),
    "instances:connection-discover": (CHECKS, "POST", [PK]),
    "instances:connection-import": (CHECKS, "POST", [PK]),
    "executions:execution-download": (EXPORTS, "GET", [PK, "xlsx"]),
    "executions:export-create": (EXPORTS, "POST", [PK, "xlsx"]),
    "executions:export-download": (EXPORTS, "GET", [PK]),
    "instances:mapping-export": (EXPORTS, "GET", [PK]),
    "templates:template-create": (PREVIEWS, "POST", [PK]),
    "templates:template-update": (PREVIEWS, "POST", [PK, TEMPLATE]),
    "templates:template-parameters": (PREVIEWS, "POST", [PK]),
    "templates:template-preview": (PREVIEWS, "POST", [PK]),
    "templates:template-lint": (PREVIEWS, "POST", [PK]),
    "schedules:run-preview": (PREVIEWS, "POST", [PK]),
    "schedules:schedule-update": (PREVIEWS, "POST", [SCHEDULE]),
    "instances:mapping-create": (UPLOADS, "POST", [PK]),
    "instances:mapping-replace": (UPLOADS, "POST", [PK]),
}


def only(most: int) -> Any:
    """Let each user do everything so many times a minute."""
    return override_settings(LIMITS_PER_MINUTE=dict.fromkeys(settings.LIMITS_PER_MINUTE, most))


@time_machine.travel(SECOND_23, tick=False)
class CountingTests(CastTestCase):
    def count(self, limit: Limit = RUNS, times: int = 5) -> int:
        """Return how many of so many Alice gets through."""
        done = 0
        for _ in range(times):
            try:
                spend(self.alice, limit)
            except TooManyError:
                continue
            done += 1
        return done

    def test_a_user_has_so_many_a_minute_of_each_kind(self) -> None:
        with only(3):
            self.assertEqual([self.count(), self.count()], [3, 0])
            self.assertEqual(self.count(CHECKS), 3)
            spend(self.bob, RUNS)
            with time_machine.travel("2026-11-23T12:01:00Z", tick=False):
                self.assertEqual(self.count(), 3)

    def test_zero_is_no_limit(self) -> None:
        with only(0):
            self.assertEqual(self.count(), 5)

    def test_staff_are_no_exception(self) -> None:
        with only(1), self.assertRaises(TooManyError):
            for _ in range(2):
                spend(self.sam, RUNS)

    def test_it_says_how_many_and_when_again(self) -> None:
        with only(1), self.assertRaises(TooManyError) as caught:
            for _ in range(2):
                spend(self.alice, UPLOADS)
        self.assertEqual(
            (caught.exception.message, caught.exception.seconds),
            ("You can send 1 lists of mappings a minute. This was one too many: try again in 37 seconds.", 37),
        )

    def test_what_a_full_cache_has_thrown_out_is_counted_anew(self) -> None:
        with only(2):
            self.count()
            cache.clear()
            self.assertEqual(self.count(), 2)


@time_machine.travel(SECOND_23, tick=False)
class LimitedAddressTests(CastTestCase):
    def test_each_is_held_up_before_it_does_anything(self) -> None:
        for name, (limit, method, args) in LIMITED.items():
            cache.clear()
            send = getattr(self.client, method.lower())
            with self.subTest(name), only(1):
                self.assertNotEqual(send(reverse(name, args=args)).status_code, 429)
                before = everything()
                response = send(reverse(name, args=args))
                self.assertContains(response, limit.sentence.format(1), status_code=429)
                self.assertIn(int(response["Retry-After"]), range(1, 61))
                self.assertEqual(everything(), before)

    def test_looking_is_free(self) -> None:
        with only(1):
            for name in ("templates:template-create", "instances:mapping-create", "instances:instance-update"):
                for _ in range(3):
                    self.assertEqual(self.client.get(reverse(name, args=[PK])).status_code, 404, name)

    def test_who_is_signed_out_is_sent_to_sign_in(self) -> None:
        self.client.logout()
        with only(1):
            for _ in range(3):
                self.assertEqual(self.client.post(reverse("instances:check-create")).status_code, 302)

    def test_the_admin_is_limited_too(self) -> None:
        instance = InstanceFactory.create(account__connection__user=self.alice)
        self.client.force_login(self.sam)
        url = reverse("admin:instances_amcinstance_changelist")
        form = {"action": "check_health", "_selected_action": [str(instance.pk)]}
        with only(1):
            statuses = [self.client.post(url, form).status_code for _ in range(3)]
        self.assertEqual(statuses, [302, 429, 429])
        self.assertEqual(HealthCheckBatch.objects.count(), 1)


@time_machine.travel(SECOND_23, tick=False)
class KeptFormTests(CastTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.instance = InstanceFactory.create(account__connection__user=self.alice)
        replace_brands(self.instance, ["Norda"], actor=None)
        self.address = reverse("instances:mapping-create", args=[self.instance.pk])
        brand = InstanceBrand.objects.get()
        self.form = {"brand": str(brand.pk), "kinds": "asins", "text": "B00000000A", "action": "add"}

    def test_the_page_sends_the_form_again(self) -> None:
        with only(1):
            spend(self.alice, UPLOADS)
            page = self.client.post(self.address, self.form)
        self.assertContains(page, "this page holds it and sends it again", status_code=429)
        fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.content.decode())
        self.client.post(self.address, {html.unescape(name): html.unescape(value) for name, value in fields})
        self.assertEqual(mapped_values(self.instance).asins, ["B00000000A"])

    def test_htmx_gets_the_sentence(self) -> None:
        with only(1):
            spend(self.alice, UPLOADS)
            response = self.htmx_post(self.address, self.form)
        self.assertEqual((response.status_code, response["Content-Type"]), (429, "text/plain; charset=utf-8"))
        self.assertTrue(response.content.decode().startswith("You can send 1 lists of mappings a minute."))
