"""Secrets at rest: encrypted, rotated, never wiped."""

from __future__ import annotations

from io import StringIO
from uuid import UUID

from cryptography.fernet import Fernet
from django.core.exceptions import FieldError, ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import TestCase, override_settings

from amchelper import crypto
from amchelper.exceptions import UndecryptableError
from amchelper.fields import Undecryptable
from instances.models import AmazonConnection, AMCInstance
from tests.factories import ConnectionFactory, InstanceFactory

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def stored_token(pk: UUID) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT refresh_token FROM amazon_connections WHERE label = %s",
            [AmazonConnection.objects.get(pk=pk).label],
        )
        return str(cursor.fetchone()[0])


class EncryptionTests(TestCase):
    def test_token_is_not_readable_in_the_database(self) -> None:
        login = ConnectionFactory.create(refresh_token="Atzr|very-secret")
        self.assertNotIn("very-secret", stored_token(login.pk))
        self.assertEqual(AmazonConnection.objects.get(pk=login.pk).refresh_token, "Atzr|very-secret")

    def test_json_field_round_trips_and_is_not_readable(self) -> None:
        instance = InstanceFactory.create(config={"amc": {"s3": "bucket-name", "n": [1, None, True]}})
        with connection.cursor() as cursor:
            cursor.execute("SELECT config FROM amc_instances")
            self.assertNotIn("bucket-name", cursor.fetchone()[0])
        read = AMCInstance.objects.get(pk=instance.pk)
        self.assertEqual(read.config, {"amc": {"s3": "bucket-name", "n": [1, None, True]}})

    def test_every_key_decrypts_and_the_first_encrypts(self) -> None:
        with override_settings(FERNET_KEYS=[OLD]):
            token = crypto.encrypt("secret")
        with override_settings(FERNET_KEYS=[NEW, OLD]):
            self.assertEqual(crypto.decrypt(token), "secret")
            fresh = crypto.encrypt("secret")
        with override_settings(FERNET_KEYS=[NEW]):
            self.assertEqual(crypto.decrypt(fresh), "secret")
            with self.assertRaises(UndecryptableError):
                crypto.decrypt(token)

    def test_saving_an_undecryptable_row_keeps_the_ciphertext(self) -> None:
        with override_settings(FERNET_KEYS=[OLD]):
            login = ConnectionFactory.create()
            before = stored_token(login.pk)
        with override_settings(FERNET_KEYS=[NEW]):
            read = AmazonConnection.objects.get(pk=login.pk)
            self.assertIsInstance(read.refresh_token, Undecryptable)
            self.assertFalse(read.refresh_token)
            self.assertIn("re-enter credentials", str(read.refresh_token))
            read.save()
        self.assertEqual(stored_token(login.pk), before)

    def test_encrypted_field_cannot_be_searched(self) -> None:
        with self.assertRaises(FieldError):
            AmazonConnection.objects.filter(refresh_token="x").exists()

    def test_error_about_a_bad_key_does_not_show_it(self) -> None:
        with override_settings(FERNET_KEYS=["my-secret-key"]), self.assertRaises(ImproperlyConfigured) as caught:
            crypto.encrypt("x")
        self.assertNotIn("my-secret-key", str(caught.exception))


class RotationTests(TestCase):
    def test_after_rotation_the_old_key_is_not_needed(self) -> None:
        with override_settings(FERNET_KEYS=[OLD]):
            login = ConnectionFactory.create(refresh_token="Atzr|keep-me")
            instance = InstanceFactory.create(account__connection=login, config={"a": 1})
        with override_settings(FERNET_KEYS=[NEW, OLD]):
            call_command("rotate_encryption_key", stdout=StringIO())
        with override_settings(FERNET_KEYS=[NEW]):
            self.assertEqual(AmazonConnection.objects.get(pk=login.pk).refresh_token, "Atzr|keep-me")
            self.assertEqual(AMCInstance.objects.get(pk=instance.pk).config, {"a": 1})

    def test_unreadable_values_stay_and_make_it_fail(self) -> None:
        with override_settings(FERNET_KEYS=[OLD]):
            login = ConnectionFactory.create()
            before = stored_token(login.pk)
        with override_settings(FERNET_KEYS=[NEW]):
            with self.assertRaisesMessage(CommandError, "could not be read"):
                call_command("rotate_encryption_key", stdout=StringIO())
            self.assertEqual(stored_token(login.pk), before)
