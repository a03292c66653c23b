"""Re-encrypt every secret with the first key of FERNET_KEYS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, models

from amchelper import crypto
from amchelper.exceptions import UndecryptableError
from amchelper.fields import EncryptedTextField


class Command(BaseCommand):
    """Re-encrypt every secret with the first key."""

    help = (
        "Re-encrypt every stored secret with the first key of FERNET_KEYS. Afterwards the other keys can "
        "be taken out, unless some values could not be read."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate column by column; values no key can read stay as they are and make the command fail."""
        rotated = unreadable = 0
        for model, field in _encrypted_columns():
            done, failed = _rotate_column(model, field)
            rotated, unreadable = rotated + done, unreadable + failed
        done, failed = _rotate_authenticators()
        rotated, unreadable = rotated + done, unreadable + failed
        self.stdout.write(f"{rotated} values re-encrypted with the first key.")
        if unreadable:
            raise CommandError(
                f"{unreadable} values could not be read with any key and were left as they are. "
                "Add the missing key to FERNET_KEYS and run this again."
            )


def _encrypted_columns() -> Iterator[tuple[type[models.Model], EncryptedTextField]]:
    for model in apps.get_models():
        for field in model._meta.local_fields:
            if isinstance(field, EncryptedTextField):
                yield model, field


def _rotate_column(model: type[models.Model], field: EncryptedTextField) -> tuple[int, int]:
    """Rewrite one column under the model's nose: `save()` would touch other columns and times."""
    quote = connection.ops.quote_name
    table, column = quote(model._meta.db_table), quote(str(field.column))
    key = quote(str(model._meta.pk.column))
    done = failed = 0
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL AND {column} <> ''")  # noqa: S608  names come from the models
        for pk, token in cursor.fetchall():
            try:
                new = crypto.rotate(token)
            except UndecryptableError:
                failed += 1
                continue
            # The old value in the condition: a token saved meanwhile must not be overwritten.
            cursor.execute(
                f"UPDATE {table} SET {column} = %s WHERE {key} = %s AND {column} = %s",  # noqa: S608  as above
                [new, pk, token],
            )
            done += cursor.rowcount
    return done, failed


def _rotate_authenticators() -> tuple[int, int]:
    """Rotate the secrets that allauth keeps inside the JSON of its authenticators."""
    done = failed = 0
    for authenticator in Authenticator.objects.all():
        data = dict(authenticator.data)
        try:
            for name in ("secret", "seed"):
                if data.get(name):
                    data[name] = crypto.rotate(data[name])
        except UndecryptableError:
            failed += 1
            continue
        if data != authenticator.data:
            Authenticator.objects.filter(pk=authenticator.pk, data=authenticator.data).update(data=data)
            done += 1
    return done, failed
