"""Every address, and who may open it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from django.apps import apps
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import get_resolver, resolve, reverse

from amchelper.access import OwnedQuerySet
from amchelper.models import User
from instances.models import (
    AmazonConnection,
    AMCAccount,
    AMCInstance,
    HealthCheck,
    HealthCheckBatch,
)
from tests.addresses import PAGES, AddressTestCase, own_url_names
from tests.base import BUSINESS_APPS, CastTestCase, everything
from tests.factories import InstanceFactory

# Of those, what starts something or asks Amazon: `runnable_by` decides. `editable_by` decides about all the others.
STARTS = frozenset({
    "instances:connection-discover",
    "instances:instance-check",
    "executions:execution-again",
    "schedules:run-preview",
    "schedules:run-start",
    "schedules:run",
    "schedules:schedule-run",
})  # fmt: skip
WRITERS = frozenset(name for name, (_, kind, _, for_bob, _) in PAGES.items() if kind and for_bob == 403)
Response = HttpResponse | StreamingHttpResponse
# Names of what Alice owns; who sees nothing of it reads none of them.
SECRETS = (
    "Alice's login",
    "Alice's account",
    "Alice's instance",
    "Alice's brand",
    "B0ALICE001",
    "Alice's reach",
    "Alice's daily",
    "Alice's September",
)


def offered(page: str) -> list[str]:
    """Return the names of our own addresses that a page links to or posts to."""
    addresses = re.findall(r'(?:href|action|formaction|hx-get|hx-post)="(/[^"?#]*)', page)
    names = {resolve(address).view_name for address in addresses if not address.startswith("/static/")}
    return sorted(names & PAGES.keys())


def shown(response: Response) -> set[str]:
    """Return the secrets that a page tells."""
    text = html.unescape(b"".join(response).decode())
    return {secret for secret in SECRETS if secret in text}


class AccessTableTests(AddressTestCase):
    def response(self, name: str, method: str = "") -> Response:
        ask = getattr(self.client, (method or PAGES[name][0]).lower())
        response: Response = ask(self.address(name))
        return response

    def ask(self, name: str, method: str = "") -> int:
        return self.response(name, method).status_code

    @contextmanager
    def nothing_changes(self) -> Iterator[None]:
        before = everything()
        yield
        self.assertEqual(everything(), before)

    def assert_refused(self, names: Iterable[str]) -> None:
        """Ask these addresses by each method they know, and find each refused."""
        for name in sorted(names):
            with self.subTest(name):
                answers = {self.ask(name, method) for method in ("GET", "POST")}
                self.assertIn(answers, ({403}, {403, 405}))

    def test_table_names_every_address(self) -> None:
        self.assertEqual(sorted(set(own_url_names(get_resolver().url_patterns))), sorted(PAGES))

    def test_owner(self) -> None:
        for name, row in PAGES.items():
            with self.subTest(name):
                self.assertEqual(self.ask(name), row[2])

    def test_owner_reads_every_secret(self) -> None:
        """Without this, pages that show nothing to the others would prove nothing."""
        self.assertEqual({secret for name in PAGES for secret in shown(self.response(name))}, set(SECRETS))

    def test_outsider(self) -> None:
        self.client.force_login(self.charlie)
        for name, row in PAGES.items():
            with self.subTest(name):
                response = self.response(name)
                self.assertEqual(response.status_code, row[4])
                self.assertEqual(shown(response), set())

    def test_bob_who_only_sees(self) -> None:
        self.client.force_login(self.bob)
        with self.bob_sees():
            for name, row in PAGES.items():
                with self.subTest(name):
                    self.assertEqual(self.ask(name), row[3])

    def test_bob_can_write_nowhere(self) -> None:
        self.client.force_login(self.bob)
        with self.bob_sees(), self.nothing_changes():
            self.assert_refused(WRITERS)
            self.post_what_names_no_object()

    def test_bob_is_offered_nothing_that_refuses_him(self) -> None:
        self.client.force_login(self.bob)
        with self.bob_sees():
            for name, (method, kind, _, for_bob, _) in PAGES.items():
                if method == "GET" and for_bob == 200:
                    response = self.client.get(self.address(name))
                    page = "" if response.streaming else response.content.decode()
                    with self.subTest(name, kind=kind):
                        self.assertEqual([link for link in offered(page) if PAGES[link][3] == 403], [])

    def test_only_who_may_run_is_offered_to_check_all(self) -> None:
        for name in ("home", "instances:instance-list", "instances:health-list"):
            with self.subTest(name):
                self.client.force_login(self.alice)
                self.assertContains(self.client.get(reverse(name)), "Check all")
                self.client.force_login(self.bob)
                with self.bob_sees():
                    page = self.client.get(reverse(name))
                self.assertContains(page, 'tile-value">1<')
                self.assertNotContains(page, "Check all")

    def test_who_may_not_edit_changes_nothing(self) -> None:
        with self.nobody_may("editable_by"), self.nothing_changes():
            self.assert_refused(WRITERS - STARTS)

    def test_who_may_not_run_starts_nothing(self) -> None:
        with self.nobody_may("runnable_by"), self.nothing_changes():
            self.assert_refused(STARTS)

    def test_without_the_right_to_edit_and_run_every_writer_refuses(self) -> None:
        with self.nobody_may("editable_by", "runnable_by"), self.nothing_changes():
            self.assert_refused(WRITERS)
            self.post_what_names_no_object()

    def test_without_sight_every_page_is_missing_or_empty(self) -> None:
        with self.nobody_may("visible_to", "editable_by", "runnable_by", "owned_by"), self.nothing_changes():
            for name, (_, kind, *_, for_outsiders) in PAGES.items():
                with self.subTest(name):
                    response = self.response(name)
                    self.assertEqual(response.status_code, for_outsiders if kind else PAGES[name][2])
                    self.assertEqual(shown(response), set())

    def post_what_names_no_object(self) -> None:
        """Name Alice's objects in the forms of the addresses that are about none."""
        instance, account = self.objects["instance"][0], self.objects["account"][0]
        forms: list[tuple[str, str, dict[str, Any]]] = [
            ("instances:check-create", "", {"instance": str(instance)}),
            ("instances:check-create", "", {"all": "1"}),
            ("instances:instance-create", "", {
                "name": "New", "account": str(account), "instance_id": "amcnew00001", "action": "draft",
            }),
            ("instances:connection-paste", f"?connection={self.objects['connection'][0]}", {
                "refresh_token": "Atzr|local-healthy",
            }),
        ]  # fmt: skip
        for name, query, form in forms:
            with self.subTest(name, form=form):
                response = self.client.post(reverse(name) + query, form)
                self.assertIn(response.status_code, (200, 403))

    def test_staff_are_outsiders_outside_the_admin(self) -> None:
        self.client.force_login(self.sam)
        for name, row in PAGES.items():
            if row[1]:
                with self.subTest(name):
                    self.assertEqual(self.ask(name), row[4])

    def test_signed_out(self) -> None:
        self.client.logout()
        for name in PAGES:
            with self.subTest(name):
                self.assertEqual(self.ask(name), 302)

    def test_unknown_object_is_404(self) -> None:
        self.objects = {kind: [uuid4(), *rest] for kind, (_, *rest) in self.objects.items()}
        for name, row in PAGES.items():
            if row[1]:
                with self.subTest(name):
                    self.assertEqual(self.ask(name), 404)

    def test_get_never_writes(self) -> None:
        for name, (method, kind, *_) in PAGES.items():
            if method == "POST":
                url = reverse(name, args=self.objects[kind] if kind else [])
                with self.subTest(name):
                    self.assertEqual(self.client.get(url).status_code, 405)

    def test_foreign_instance_says_access_denied(self) -> None:
        self.client.force_login(self.charlie)
        response = self.client.get(reverse("instances:instance-detail", args=self.objects["instance"]))
        self.assertContains(response, "Access denied", status_code=403)


class QuerySetAccessTests(CastTestCase):
    def test_every_business_row_has_the_one_door(self) -> None:
        for app in BUSINESS_APPS:
            for model in apps.get_app_config(app).get_models():
                with self.subTest(model.__name__):
                    self.assertIsInstance(model._default_manager.all(), OwnedQuerySet)

    def test_only_the_owner_sees_and_edits(self) -> None:
        instance = InstanceFactory.create(account__connection__user=self.alice)
        for model in (AmazonConnection, AMCAccount, AMCInstance, HealthCheckBatch, HealthCheck):
            if model is HealthCheckBatch:
                HealthCheckBatch.objects.create(user=self.alice, trigger="list", total=0)
            if model is HealthCheck:
                HealthCheck.objects.create(instance=instance, verdict="HEALTHY")
            for door in ("visible_to", "editable_by"):
                with self.subTest(model=model.__name__, door=door):
                    self.assertEqual(self.count(model, door, self.alice), 1)
                    self.assertEqual(self.count(model, door, self.charlie), 0)
                    self.assertEqual(self.count(model, door, self.sam), 0)
                    self.assertEqual(self.count(model, door, AnonymousUser()), 0)

    @staticmethod
    def count(model: type, door: str, user: User | AnonymousUser) -> int:
        return int(getattr(model.objects, door)(user).count())  # type: ignore[attr-defined]  # any model


class SignedOutHtmxTests(CastTestCase):
    def test_signed_out_htmx_request_leaves_the_page(self) -> None:
        self.client.logout()
        response = self.client.get(
            reverse("instances:instance-list"),
            headers={"HX-Request": "true", "HX-Current-URL": "http://testserver/instances/?health=ERROR"},
        )
        self.assertEqual(response.status_code, 200)
        self.assertEqual(response["HX-Redirect"], "/accounts/login/?next=%2Finstances%2F%3Fhealth%3DERROR")
        self.assertEqual(response.content, b"")

    def test_header_that_is_no_address_leads_to_the_home_page(self) -> None:
        instance = InstanceFactory.create(account__connection__user=self.alice)
        headers = {"HX-Request": "true", "HX-Current-URL": "http://[", "HX-Target": f"instance-{instance.pk}"}
        answer = self.client.post(reverse("instances:instance-disable", args=[instance.pk]), headers=headers)
        self.assertEqual(answer.status_code, 200)
        self.client.logout()
        response = self.client.get(reverse("instances:instance-list"), headers=headers)
        self.assertEqual(response["HX-Redirect"], "/accounts/login/?next=%2F")
