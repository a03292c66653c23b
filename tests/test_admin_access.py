"""The admin: for staff only, and what they may change there, the rows decide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.urls import reverse

from amchelper.admin import ReadOnlyAdmin
from amchelper.models import User
from instances.admin import OwnedAdmin
from templates_app.services.templates import Content, create_template
from tests.base import BUSINESS_APPS, CastTestCase, everything
from tests.factories import InstanceFactory, UserFactory


class AdminAccessTests(CastTestCase):
    def test_admin_is_for_staff(self) -> None:
        InstanceFactory.create(account__connection__user=self.alice)
        for model in (
            "amazonconnection",
            "amcaccount",
            "amcinstance",
            "healthcheck",
            "healthcheckbatch",
            "healthrollup",
            "brandasin",
            "brandcampaign",
        ):
            url = reverse(f"admin:instances_{model}_changelist")
            with self.subTest(model):
                self.client.force_login(self.alice)
                self.assertEqual(self.client.get(url).status_code, 302)
                self.client.force_login(self.sam)
                self.assertEqual(self.client.get(url).status_code, 200)


class AdminRightsTests(CastTestCase):
    """The admin's permissions let staff in; what they may change there, the rows decide."""

    def setUp(self) -> None:
        super().setUp()
        self.instance = InstanceFactory.create(account__connection__user=self.alice)
        self.template = create_template(
            actor=self.alice, instance=self.instance, content=Content(name="Reach", source_sql="SELECT 1 AS x")
        )
        self.client.force_login(self.sam)

    def rows(self) -> Iterator[tuple[str, Any]]:
        """Return one row of every model of ours in the admin that has one, with the name of its pages."""
        for model in admin.site._registry:
            if model._meta.app_label in BUSINESS_APPS and (row := model._default_manager.first()):
                yield f"admin:{model._meta.app_label}_{model._meta.model_name}", row

    def test_every_model_that_can_be_written_here_has_a_row_to_try(self) -> None:
        own = {
            model: kind for model, kind in admin.site._registry.items() if model._meta.app_label in BUSINESS_APPS
        }
        tried = {type(row) for _, row in self.rows()}
        self.assertEqual({model for model, kind in own.items() if isinstance(kind, OwnedAdmin)} - tried, set())
        # All others are history, which nobody writes here.
        self.assertTrue(all(isinstance(kind, OwnedAdmin | ReadOnlyAdmin) for kind in own.values()))

    def test_without_the_right_to_edit_every_page_and_action_refuses(self) -> None:
        before = everything()
        with self.nobody_may("editable_by"):
            for name, row in self.rows():
                for page in ("change", "delete"):
                    with self.subTest(name, page=page):
                        url = reverse(f"{name}_{page}", args=[row.pk])
                        self.assertEqual(self.client.post(url, {"post": "yes", "name": "New"}).status_code, 403)
                actions = admin.site._registry[type(row)].actions or ()
                for action in ("delete_selected", *actions):
                    with self.subTest(name, action=action):
                        chosen = {"action": action, "_selected_action": [str(row.pk)], "post": "yes"}
                        response = self.client.post(reverse(f"{name}_changelist"), chosen)
                        self.assertIn(response.status_code, (200, 302, 403))
        self.assertEqual(everything(), before)

    def test_without_the_permission_of_a_model_staff_are_refused_too(self) -> None:
        self.client.force_login(UserFactory.create(is_staff=True))
        for name, row in self.rows():
            with self.subTest(name):
                response = self.client.post(reverse(f"{name}_delete", args=[row.pk]), {"post": "yes"})
                self.assertEqual(response.status_code, 403)


class OwnAccountTests(CastTestCase):
    """Whoever administers last must not lock everybody out."""

    def setUp(self) -> None:
        super().setUp()
        self.client.force_login(self.sam)

    def test_nobody_deletes_their_own_account(self) -> None:
        one = reverse("admin:amchelper_user_delete", args=[self.sam.pk])
        self.assertContains(self.client.get(one), "another administrator has to delete your account")
        self.client.post(one, {"post": "yes"})
        chosen = {"action": "delete_selected", "_selected_action": [self.sam.pk, self.bob.pk], "post": "yes"}
        several = self.client.post(reverse("admin:amchelper_user_changelist"), chosen)
        self.assertContains(several, "another administrator has to delete your account")
        self.assertEqual(User.objects.filter(pk__in=[self.sam.pk, self.bob.pk]).count(), 2)

    def test_somebody_else_does(self) -> None:
        self.client.post(reverse("admin:amchelper_user_delete", args=[self.bob.pk]), {"post": "yes"})
        self.assertFalse(User.objects.filter(pk=self.bob.pk).exists())
