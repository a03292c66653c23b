"""Signing in and the headers of every page."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core import mail
from django.core.cache import cache
from django.test import TestCase
from django.urls import reverse

from tests.factories import PASSWORD, UserFactory


class SignInTests(TestCase):
    def setUp(self) -> None:
        cache.clear()
        self.user = UserFactory.create(email="alice@example.com")

    def sign_in(self, password: str = PASSWORD, email: str = "alice@example.com") -> Any:
        return self.client.post(reverse("account_login"), {"login": email, "password": password})

    def test_right_password(self) -> None:
        self.assertRedirects(self.sign_in(), "/")

    def test_address_in_other_case(self) -> None:
        self.assertRedirects(self.sign_in(email="ALICE@example.com"), "/")

    def test_wrong_password_does_not_tell_whether_the_account_exists(self) -> None:
        known = self.sign_in("wrong").content.decode()
        unknown = self.sign_in("wrong", "nobody@example.com").content.decode()
        self.assertIn("not correct", known)
        self.assertIn("not correct", unknown)

    def test_guessing_is_slowed_down(self) -> None:
        answers = {self.sign_in("wrong").status_code for _ in range(12)}
        text = self.sign_in().content.decode()
        self.assertTrue(429 in answers or "Too many" in text)

    def test_too_many_tries_lead_to_a_page_of_ours(self) -> None:
        while (response := self.sign_in("wrong", "nobody@example.com")).status_code == 200:
            pass
        self.assertContains(response, "Too many tries in a short time", status_code=429)
        self.assertEqual(response["Retry-After"], "60")

    def test_signing_up_is_closed(self) -> None:
        response = self.client.post(
            reverse("account_signup"),
            {"email": "new@example.com", "password1": PASSWORD, "password2": PASSWORD},
        )
        self.assertEqual(response.status_code, 200)
        self.assertFalse(type(self.user).objects.filter(email="new@example.com").exists())

    def test_password_reset_sends_a_link(self) -> None:
        self.client.post(reverse("account_reset_password"), {"email": "alice@example.com"})
        self.assertEqual(len(mail.outbox), 1)
        self.assertIn("/accounts/password/reset/key/", mail.outbox[0].body)

    def test_old_address_opens_nothing_after_an_administrator_changed_it(self) -> None:
        self.client.post(reverse("account_reset_password"), {"email": "alice@example.com"})
        self.client.force_login(UserFactory.create(is_staff=True, is_superuser=True))
        change = reverse("admin:amchelper_user_change", args=[self.user.pk])
        form = {"email": "new@example.com", "name": "", "is_active": "on"}
        self.assertEqual(self.client.post(change, form).status_code, 302)
        self.client.logout()
        mail.outbox.clear()
        self.client.post(reverse("account_reset_password"), {"email": "alice@example.com"})
        self.assertNotIn("/reset/key/", "".join(str(message.body) for message in mail.outbox))
        self.assertContains(self.sign_in(), "not correct")
        self.assertRedirects(self.sign_in(email="new@example.com"), "/")

    def test_second_factor_is_asked_for_and_its_secret_encrypted(self) -> None:
        secret = "JBSWY3DPEHPK3PXP"
        TOTP.activate(self.user, secret)
        stored = Authenticator.objects.get(user=self.user, type=Authenticator.Type.TOTP)
        self.assertNotIn(secret, str(stored.data))
        self.assertRedirects(self.sign_in(), reverse("mfa_authenticate"))
        self.assertEqual(self.client.get("/").status_code, 302)
        counter = next(iter(yield_hotp_counters_from_time()))
        code = format_hotp_value(hotp_value(secret, counter))
        self.assertRedirects(self.client.post(reverse("mfa_authenticate"), {"code": code}), "/")

    def test_admin_uses_the_same_sign_in(self) -> None:
        response = self.client.get("/admin/login/?next=/admin/")
        self.assertRedirects(response, "/accounts/login/?next=%2Fadmin%2F")

    def test_admin_tells_others_so_instead_of_sending_them_round(self) -> None:
        self.client.force_login(self.user)
        self.assertEqual(self.client.get("/admin/", follow=True).status_code, 403)


class HeaderTests(TestCase):
    def test_policy_allows_nothing_inline_and_nothing_foreign(self) -> None:
        policy = self.client.get(reverse("account_login"))["Content-Security-Policy"]
        self.assertIn("default-src 'self'", policy)
        self.assertIn("script-src 'self'", policy)
        self.assertIn("frame-ancestors 'none'", policy)
        self.assertNotIn("unsafe", policy)

    def test_pages_hold_nothing_inline(self) -> None:
        text = self.client.get(reverse("account_login")).content.decode()
        for forbidden in ("style=", "onclick=", "<style", "javascript:", "hx-on"):
            self.assertNotIn(forbidden, text)
        self.assertNotRegex(text, r"<script(?![^>]*\bsrc=)")
