"""Templates in the admin."""

from __future__ import annotations

from unittest import mock

from django.urls import reverse

from amchelper.access import OwnedQuerySet
from templates_app.models import InstanceTemplate
from templates_app.services.cache import list_templates
from tests.templates_app.test_template_pages import TemplateTestCase


class TemplateAdminTests(TemplateTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.saved = self.template()
        self.client.force_login(self.sam)

    def test_pages_open(self) -> None:
        models = ("templates_app_instancetemplate", "templates_app_templateversion")
        for model in (*models, "executions_execution", "schedules_schedule"):
            self.assertEqual(self.client.get(reverse(f"admin:{model}_changelist")).status_code, 200)
        url = reverse("admin:templates_app_instancetemplate_change", args=[self.saved.pk])
        self.assertContains(self.client.get(url), "Reach")

    def test_deleting_leaves_no_cached_copy(self) -> None:
        self.assertEqual(len(list_templates(self.instance.pk)), 1)
        url = reverse("admin:templates_app_instancetemplate_delete", args=[self.saved.pk])
        with self.captureOnCommitCallbacks(execute=True):
            self.client.post(url, {"post": "yes"})
        self.assertFalse(InstanceTemplate.objects.exists())
        self.assertEqual(list_templates(self.instance.pk), ())

    def test_what_may_not_be_edited_is_not_deleted(self) -> None:
        url = reverse("admin:templates_app_instancetemplate_delete", args=[self.saved.pk])
        action = {"action": "delete_selected", "_selected_action": str(self.saved.pk), "post": "yes"}
        changelist = reverse("admin:templates_app_instancetemplate_changelist")
        with mock.patch.object(OwnedQuerySet, "editable_by", lambda rows, user, in_admin=False: rows.none()):
            self.assertEqual(self.client.post(url, {"post": "yes"}).status_code, 403)
            self.assertEqual(self.client.post(changelist, action).status_code, 403)
        self.assertTrue(InstanceTemplate.objects.filter(pk=self.saved.pk).exists())

    def test_instance_goes_with_its_templates(self) -> None:
        url = reverse("admin:instances_amcinstance_delete", args=[self.instance.pk])
        self.assertContains(self.client.get(url), "Are you sure")
        self.client.post(url, {"post": "yes"})
        self.assertFalse(InstanceTemplate.objects.exists())
