"""Cached configuration is never stale after a save, whatever runs at the same time."""

from __future__ import annotations

from typing import Any
from unittest import mock

from django.core.cache import caches
from django.db import transaction
from django.test import TransactionTestCase

from amchelper.dependents import delete_with_dependents
from instances.models import AMCAccount, AMCInstance
from instances.services import configuration
from instances.services import instances as services
from instances.services.configuration import get_instance_configuration, invalidate_configuration
from tests.factories import InstanceFactory


class ConfigurationTests(TransactionTestCase):
    def setUp(self) -> None:
        for alias in ("default", "generations"):
            caches[alias].clear()
        self.instance: AMCInstance = InstanceFactory.create(instance_id="amcold0001")

    def save(self, **changes: Any) -> None:
        instance = AMCInstance.objects.get(pk=self.instance.pk)
        known = {**vars(services.InstanceValues.of(instance)), **changes}
        services.save_draft(actor=instance.user, values=services.InstanceValues(**known), instance=instance)

    def cached(self) -> configuration.InstanceConfiguration:
        return get_instance_configuration(self.instance.pk)

    def test_second_read_asks_the_database_nothing_about_the_instance(self) -> None:
        self.cached()
        with mock.patch.object(configuration, "_load", side_effect=AssertionError):
            self.assertEqual(self.cached().instance_id, "amcold0001")

    def test_fresh_after_save_disable_and_account_change(self) -> None:
        self.cached()
        self.save(instance_id="amcnew0001")
        self.assertEqual(self.cached().instance_id, "amcnew0001")
        services.disable(instance=AMCInstance.objects.get(pk=self.instance.pk), actor=None)
        self.assertFalse(self.cached().is_active)
        with transaction.atomic():
            AMCAccount.objects.filter(pk=self.instance.account_id).update(account_id="ENTITYOTHER")
            invalidate_configuration([self.instance.pk])
        self.assertEqual(self.cached().entity_id, "ENTITYOTHER")

    def test_gone_after_delete(self) -> None:
        self.cached()
        delete_with_dependents(AMCInstance.objects.filter(pk=self.instance.pk), actor=None)
        with self.assertRaises(AMCInstance.DoesNotExist):
            self.cached()

    def test_slow_reader_cannot_bring_the_old_one_back(self) -> None:
        load = configuration._load

        def slow(pk: Any) -> Any:
            value = load(pk)  # reads the row …
            self.save(instance_id="amcnew0001")  # … somebody saves …
            return value  # … and only now it fills the cache

        with mock.patch.object(configuration, "_load", slow):
            self.cached()
        self.assertEqual(self.cached().instance_id, "amcnew0001")

    def test_reader_inside_the_writers_transaction_leaves_nothing_behind_a_rollback(self) -> None:
        class _Stop(Exception):  # noqa: N818  a signal, not an error
            pass

        with self.assertRaises(_Stop), transaction.atomic():
            self.save(instance_id="amcnew0001")
            self.assertEqual(self.cached().instance_id, "amcnew0001")
            raise _Stop
        self.assertEqual(self.cached().instance_id, "amcold0001")
