"""Every address, and who may open it."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

from django.contrib.auth.models import AnonymousUser
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from amchelper.models import User
from instances.models import AmazonConnection, AMCAccount, AMCInstance, HealthCheck, HealthRun
from tests.base import CastTestCase
from tests.factories import AccountFactory, ConnectionFactory, InstanceFactory

# Owner's expected status, an outsider's, and the method. "connection", "instance" and "run" name the object.
PAGES = {
    "home": ("GET", None, 200, 200),
    "instances:connection-list": ("GET", None, 200, 200),
    "instances:connection-start": ("POST", None, 200, 200),
    "instances:connection-callback": ("GET", None, 302, 302),
    "instances:connection-paste": ("GET", None, 200, 200),
    "instances:connection-detail": ("GET", "connection", 200, 404),
    "instances:connection-update": ("GET", "connection", 200, 404),
    "instances:connection-reconnect": ("POST", "connection", 302, 404),
    "instances:connection-disconnect": ("GET", "connection", 200, 404),
    "instances:connection-delete": ("GET", "connection", 200, 404),
    "instances:account-create": ("GET", "connection", 200, 404),
    "instances:connection-discover": ("GET", "connection", 200, 404),
    "instances:connection-import": ("POST", "connection", 302, 404),
    "instances:instance-list": ("GET", None, 200, 200),
    "instances:instance-create": ("GET", None, 200, 200),
    "instances:brand-list": ("GET", None, 200, 200),
    "instances:check-create": ("POST", None, 302, 302),
    "instances:check-detail": ("GET", "run", 200, 404),
    # A foreign instance says so on its own pages; below it nothing exists.
    "instances:instance-detail": ("GET", "instance", 200, 403),
    "instances:instance-update": ("GET", "instance", 200, 403),
    "instances:instance-delete": ("GET", "instance", 200, 403),
    # It is enabled already: the page says so in a message.
    "instances:instance-enable": ("POST", "instance", 302, 403),
    "instances:instance-disable": ("POST", "instance", 302, 403),
    "instances:instance-check": ("POST", "instance", 302, 403),
    "instances:health-list": ("GET", None, 200, 200),
}
# allauth and the admin bring their own access rules; their addresses are listed by prefix.
FOREIGN_PREFIXES = ("accounts/", "admin/")


def own_url_names(
    patterns: list[URLPattern | URLResolver], namespace: str = "", prefix: str = ""
) -> Iterator[str]:
    """Give the names of all addresses the product itself declares."""
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if route.startswith(FOREIGN_PREFIXES):
            continue
        if isinstance(pattern, URLResolver):
            inner = f"{pattern.namespace}:" if pattern.namespace else namespace
            yield from own_url_names(pattern.url_patterns, inner, route)
        else:
            yield f"{namespace}{pattern.name}"


class AccessTableTests(CastTestCase):
    def setUp(self) -> None:
        super().setUp()
        login = ConnectionFactory(user=self.alice, refresh_token="", state="DISCONNECTED")
        instance = InstanceFactory(account=AccountFactory(connection=login))
        run = HealthRun.objects.create(user=self.alice, trigger="list", total=0)
        self.objects = {"connection": login.pk, "instance": instance.pk, "run": run.pk}

    def ask(self, name: str) -> int:
        method, kind, *_ = PAGES[name]
        url = reverse(name, args=[self.objects[kind]] if kind else [])
        return int(getattr(self.client, method.lower())(url).status_code)

    def test_table_names_every_address(self) -> None:
        self.assertEqual(sorted(set(own_url_names(get_resolver().url_patterns))), sorted(PAGES))

    def test_owner(self) -> None:
        for name, row in PAGES.items():
            with self.subTest(name):
                self.assertEqual(self.ask(name), row[2])

    def test_outsider(self) -> None:
        self.client.force_login(self.charlie)
        for name, row in PAGES.items():
            with self.subTest(name):
                self.assertEqual(self.ask(name), row[3])

    def test_staff_are_outsiders_outside_the_admin(self) -> None:
        self.client.force_login(self.sam)
        for name, row in PAGES.items():
            if row[1]:
                with self.subTest(name):
                    self.assertEqual(self.ask(name), row[3])

    def test_signed_out(self) -> None:
        self.client.logout()
        for name in PAGES:
            with self.subTest(name):
                self.assertEqual(self.ask(name), 302)

    def test_unknown_object_is_404(self) -> None:
        self.objects = dict.fromkeys(self.objects, uuid4())
        for name, row in PAGES.items():
            if row[1]:
                with self.subTest(name):
                    self.assertEqual(self.ask(name), 404)

    def test_get_never_writes(self) -> None:
        for name, (method, kind, *_) in PAGES.items():
            if method == "POST":
                url = reverse(name, args=[self.objects[kind]] if kind else [])
                with self.subTest(name):
                    self.assertEqual(self.client.get(url).status_code, 405)

    def test_foreign_instance_says_access_denied(self) -> None:
        self.client.force_login(self.charlie)
        response = self.client.get(reverse("instances:instance-detail", args=[self.objects["instance"]]))
        self.assertContains(response, "Access denied", status_code=403)


class QuerySetAccessTests(CastTestCase):
    def test_only_the_owner_sees_and_edits(self) -> None:
        instance = InstanceFactory(account__connection__user=self.alice)
        for model in (AmazonConnection, AMCAccount, AMCInstance, HealthRun, HealthCheck):
            if model is HealthRun:
                HealthRun.objects.create(user=self.alice, trigger="list", total=0)
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


class AdminAccessTests(CastTestCase):
    def test_admin_is_for_staff(self) -> None:
        InstanceFactory(account__connection__user=self.alice)
        for model in ("amazonconnection", "amcaccount", "amcinstance", "healthcheck", "healthrun", "healthrollup"):
            url = reverse(f"admin:instances_{model}_changelist")
            with self.subTest(model):
                self.client.force_login(self.alice)
                self.assertEqual(self.client.get(url).status_code, 302)
                self.client.force_login(self.sam)
                self.assertEqual(self.client.get(url).status_code, 200)
