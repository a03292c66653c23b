"""The admin: finds, links, acts, and shows no secret."""

from __future__ import annotations

from django.contrib.auth.models import Permission
from django.urls import reverse

from amchelper.models import User
from instances.models import AmazonConnection, AMCAccount, AMCInstance, HealthCheck, HealthCheckBatch, Status
from instances.services.configuration import get_instance_configuration
from instances.services.health.batches import advance_batch
from tests.base import LocalAmcTestCase
from tests.factories import InstanceFactory, UserFactory
from tests.messages import caught


class AdminTests(LocalAmcTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.instance = InstanceFactory.create(account=self.account, instance_id="amclocalus1")
        self.client.force_login(self.sam)
        self.list_url = reverse("admin:instances_amcinstance_changelist")

    def act(self, action: str) -> object:
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.post(
                self.list_url, {"action": action, "_selected_action": [str(self.instance.pk)]}, follow=True
            )

    def test_every_list_and_page_opens(self) -> None:
        batch = HealthCheckBatch.objects.create(trigger="admin", total=0)
        check = HealthCheck.objects.create(instance=self.instance, batch=batch, verdict="HEALTHY")
        objects = [self.connection, self.account, self.instance, batch, check, self.alice]
        for thing in objects:
            meta = thing._meta
            with self.subTest(meta.model_name):
                name = f"admin:{meta.app_label}_{meta.model_name}"
                self.assertEqual(self.client.get(reverse(f"{name}_changelist") + "?q=a").status_code, 200)
                self.assertEqual(self.client.get(reverse(f"{name}_change", args=[thing.pk])).status_code, 200)

    def test_staff_see_instances_of_all_users(self) -> None:
        self.assertContains(self.client.get(self.list_url), "amclocalus1")

    def test_check_health_queues_a_run(self) -> None:
        with caught() as messages:
            self.act("check_health")
        batch = HealthCheckBatch.objects.get(trigger="admin")
        self.assertEqual(batch.instance_ids, [str(self.instance.pk)])
        self.assertEqual(messages.texts, [f"advance_health_batch {batch.pk}"])

    def test_disable_and_enable_follow_the_life_cycle(self) -> None:
        self.act("disable_instances")
        self.instance.refresh_from_db()
        self.assertEqual(self.instance.status, Status.INACTIVE)
        self.act("enable_instances")
        self.instance.refresh_from_db()
        # The page waits for no instance: the workers check them.
        self.assertEqual((self.instance.status, self.instance.is_active), (Status.PENDING, True))
        batch = HealthCheckBatch.objects.get()
        self.assertEqual((batch.instance_ids, batch.finished_at), ([str(self.instance.pk)], None))
        advance_batch(batch.pk)
        self.instance.refresh_from_db()
        self.assertEqual((self.instance.status, self.instance.health_status), (Status.ACTIVE, "HEALTHY"))

    def test_rename_is_seen_by_the_cache_and_keeps_what_a_check_wrote(self) -> None:
        get_instance_configuration(self.instance.pk)
        url = reverse("admin:instances_amcinstance_change", args=[self.instance.pk])
        form = {
            "name": "Renamed", "description": "",
            "brands-TOTAL_FORMS": "0", "brands-INITIAL_FORMS": "0",
        }  # fmt: skip
        with self.captureOnCommitCallbacks(execute=True):
            self.assertEqual(self.client.post(url, form).status_code, 302)
        self.assertEqual(get_instance_configuration(self.instance.pk).name, "Renamed")

    def test_delete_is_seen_by_the_cache(self) -> None:
        get_instance_configuration(self.instance.pk)
        HealthCheck.objects.create(instance=self.instance, verdict="HEALTHY")
        url = reverse("admin:instances_amcinstance_delete", args=[self.instance.pk])
        with self.captureOnCommitCallbacks(execute=True):
            self.client.post(url, {"post": "yes"})
        with self.assertRaises(AMCInstance.DoesNotExist):
            get_instance_configuration(self.instance.pk)

    def test_user_is_deleted_with_everything_that_is_theirs(self) -> None:
        batch = HealthCheckBatch.objects.create(user=self.alice, trigger="list", total=1)
        HealthCheck.objects.create(instance=self.instance, batch=batch, verdict="HEALTHY")
        InstanceFactory.create(account__connection__user=self.charlie)
        url = reverse("admin:amchelper_user_delete", args=[self.alice.pk])
        self.assertNotContains(self.client.get(url), "required")
        self.client.post(url, {"post": "yes"})
        self.assertEqual(
            set(User.objects.values_list("email", flat=True)),
            {"bob@example.com", "charlie@example.com", "sam@example.com"},
        )
        for model in (AmazonConnection, AMCAccount, AMCInstance):
            self.assertEqual(model.objects.count(), 1)

    def test_staff_without_the_right_cannot_delete_what_belongs_to_a_user(self) -> None:
        helper = UserFactory.create(is_staff=True)
        helper.user_permissions.add(*Permission.objects.filter(codename__in=["view_user", "delete_user"]))
        self.client.force_login(helper)
        url = reverse("admin:amchelper_user_delete", args=[self.alice.pk])
        self.assertEqual(self.client.post(url, {"post": "yes"}).status_code, 403)
        self.assertTrue(User.objects.filter(pk=self.alice.pk).exists())

    def test_login_or_account_that_an_instance_needs_is_not_deleted(self) -> None:
        for thing in (self.connection, self.account):
            with self.subTest(type(thing).__name__):
                url = reverse(f"admin:instances_{thing._meta.model_name}_delete", args=[thing.pk])
                self.assertContains(self.client.get(url), "Still needed by 1 instance")
                self.client.post(url, {"post": "yes"})
                self.assertTrue(type(thing)._default_manager.filter(pk=thing.pk).exists())

    def test_history_cannot_be_changed(self) -> None:
        check = HealthCheck.objects.create(instance=self.instance, verdict="HEALTHY")
        for view, data in (("delete", {"post": "yes"}), ("change", {"verdict": "ERROR"})):
            url = reverse(f"admin:instances_healthcheck_{view}", args=[check.pk])
            self.assertEqual(self.client.post(url, data).status_code, 403)
        self.assertEqual(self.client.get(reverse("admin:instances_healthcheck_add")).status_code, 403)
