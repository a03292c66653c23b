"""How long sessions last, where one is signed in, who needs a second factor, and what of it stands in the log."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import time_machine
from allauth.mfa.models import Authenticator
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from amchelper.tasks import clear_sessions
from tests.base import CastTestCase
from tests.factories import PASSWORD

SESSIONS = "/accounts/sessions/"


AGENTS = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36":
        "Chrome on Windows",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
    " Edg/131.0.0.0": "Edge on Windows",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1"
    " Safari/605.1.15":
        "Safari on macOS",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/131.0.0.0"
    " Mobile/15E148 Safari/604.1": "Chrome on iPhone",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0": "Firefox on Linux",
    "Mozilla/5.0 (Linux; Android 14; SM-S911B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.0"
    " Chrome/125.0.0.0 Mobile Safari/537.36": "Samsung Internet on Android",
    "Firefox/133.0": "Firefox",
    "curl/8.5.0": "curl/8.5.0",
    "x" * 60: "x" * 40 + "…",
}  # fmt: skip


class SessionLimitTests(CastTestCase):
    def after(self, time: timedelta, path: str = "/", **headers: str) -> Any:
        with time_machine.travel(timezone.now() + time, tick=True):
            return self.client.get(path, headers=headers)

    def test_session_in_use_goes_on_until_its_last_day(self) -> None:
        for day in range(1, 14):
            self.assertEqual(self.after(timedelta(days=day)).status_code, 200, day)
        response = self.after(timedelta(days=14, minutes=1), "/runs/?page=2")
        self.assertRedirects(response, "/accounts/login/?next=/runs/%3Fpage%3D2", fetch_redirect_response=False)
        self.assertNotIn("_auth_user_id", self.client.session)

    @override_settings(SESSION_IDLE_HOURS=5)
    def test_session_that_is_not_used_ends_and_says_why(self) -> None:
        self.assertEqual(self.after(timedelta(hours=4, minutes=59)).status_code, 200)
        self.assertEqual(self.after(timedelta(hours=9, minutes=58)).status_code, 200)
        self.assertEqual(self.after(timedelta(hours=15)).status_code, 302)
        self.assertContains(self.client.get("/accounts/login/"), "not used for 5 hours")

    def test_fragment_leaves_the_page_when_the_session_is_over(self) -> None:
        headers = {"hx_request": "true", "hx_current_url": "http://testserver/runs/?page=2"}
        response = self.after(timedelta(days=4), **headers)
        self.assertEqual(response["HX-Redirect"], "/accounts/login/?next=%2Fruns%2F%3Fpage%3D2")

    def test_use_is_noted_now_and_then_only(self) -> None:
        self.client.get(SESSIONS)
        with CaptureQueriesContext(connection) as statements:
            self.client.get(SESSIONS)
        written = [query["sql"] for query in statements if query["sql"].startswith(("INSERT", "UPDATE"))]
        self.assertEqual(written, [])

    def test_expired_sessions_are_removed(self) -> None:
        with time_machine.travel(timezone.now() + timedelta(days=15)):
            clear_sessions()
        self.assertFalse(Session.objects.exists())


class SessionListTests(CastTestCase):
    def sign_in(self, browser: str) -> Client:
        client = Client(headers={"user-agent": browser})
        client.post("/accounts/login/", {"login": "alice@example.com", "password": PASSWORD})
        return client

    def test_shows_where_one_is_signed_in_and_ends_the_others(self) -> None:
        laptop, phone = self.sign_in("Laptop"), self.sign_in("Phone")
        page = laptop.get(SESSIONS)
        self.assertContains(page, "Phone")
        self.assertContains(page, "not used for 72 hours, and 14 days")
        self.assertContains(page, "this one", 1)
        laptop.post(SESSIONS)
        self.assertEqual(phone.get("/").status_code, 302)
        self.assertContains(laptop.get(SESSIONS), "signed in here only")

    def test_browsers_are_called_as_people_call_them(self) -> None:
        for agent, name in AGENTS.items():
            self.sign_in(agent)
            with self.subTest(agent):
                self.assertContains(self.client.get(SESSIONS), f">{name}<")
        # As they are told here, in case that is not enough; and this one first.
        page = self.sign_in("This one").get(SESSIONS)
        self.assertContains(page, 'title="curl/8.5.0"')
        self.assertLess(page.content.index(b">This one<"), page.content.index(b">curl/8.5.0<"))

    def test_shows_nobody_elses(self) -> None:
        self.sign_in("Laptop")
        self.client.force_login(self.charlie)
        self.assertNotContains(self.client.get(SESSIONS), "Laptop")

    def test_is_reached_from_the_menu(self) -> None:
        self.assertContains(self.client.get("/"), f'href="{SESSIONS}"')


class SecondFactorTests(CastTestCase):
    def setUp(self) -> None:
        super().setUp()
        cache.clear()

    def test_nobody_is_asked_by_default(self) -> None:
        self.assertEqual(self.client.get("/").status_code, 200)

    @override_settings(REQUIRE_MFA="all")
    def test_everything_waits_for_the_second_factor(self) -> None:
        for path in ("/", "/instances/", "/admin/"):
            self.assertRedirects(
                self.client.get(path), reverse("mfa_activate_totp"), fetch_redirect_response=False
            )
        fragment = self.client.get("/instances/", headers={"hx-request": "true"})
        self.assertEqual(fragment["HX-Redirect"], reverse("mfa_activate_totp"))
        for name in ("mfa_index", "account_change_password", "usersessions_list"):
            self.assertNotEqual(self.client.get(reverse(name)).get("Location"), reverse("mfa_activate_totp"), name)
        Authenticator.objects.create(user=self.alice, type=Authenticator.Type.TOTP, data={"secret": "x"})
        self.assertEqual(self.client.get("/").status_code, 200)

    @override_settings(REQUIRE_MFA="staff")
    def test_only_staff_where_only_staff_reach_more(self) -> None:
        self.assertEqual(self.client.get("/").status_code, 200)
        self.client.force_login(self.sam)
        self.assertEqual(self.client.get("/").status_code, 302)

    @override_settings(REQUIRE_MFA="all")
    def test_signing_in_and_out_stay_open(self) -> None:
        self.assertEqual(self.client.post(reverse("account_logout")).status_code, 302)
        self.assertEqual(self.client.get(reverse("account_login")).status_code, 200)


class SecurityEventTests(CastTestCase):
    def setUp(self) -> None:
        super().setUp()
        cache.clear()

    def test_sign_ins_and_failures_are_logged_without_what_was_typed(self) -> None:
        client = Client()
        with self.assertLogs("amchelper.security_events", "INFO") as logs:
            client.post("/accounts/login/", {"login": "alice@example.com", "password": "a secret of mine"})
            client.post("/accounts/login/", {"login": "alice@example.com", "password": PASSWORD})
            client.post("/accounts/logout/")
        text = "\n".join(logs.output)
        self.assertIn("event=sign_in_failed user=None ip=127.0.0.1", text)
        for event in ("signed_in", "signed_out"):
            self.assertIn(f"event={event} user={self.alice.pk} ip=127.0.0.1", text)
        self.assertNotIn("secret", text)
        self.assertNotIn("alice@example.com", text)

    def test_rights_that_change_are_logged_with_who_changed_them(self) -> None:
        self.client.force_login(self.sam)
        change = reverse("admin:amchelper_user_change", args=[self.bob.pk])
        form = {"email": "bob@example.com", "name": "", "is_active": "on", "is_staff": "on"}
        with self.assertLogs("amchelper.security_events", "INFO") as logs:
            self.assertEqual(self.client.post(change, form).status_code, 302)
            self.client.post(reverse("admin:amchelper_user_delete", args=[self.bob.pk]), {"post": "yes"})
        changed, deleted = logs.output
        self.assertIn(f"event=user_changed user={self.bob.pk}", changed)
        self.assertIn(f"by={self.sam.pk} rights=is_staff:True", changed)
        self.assertIn(f"event=user_deleted user={self.bob.pk}", deleted)
