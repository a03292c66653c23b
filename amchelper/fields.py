"""Model fields that are encrypted in the database."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import FieldError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models

from amchelper import crypto
from amchelper.exceptions import UndecryptableError


class Undecryptable:
    """Stand in for a value no configured key can read; saving the row writes the same bytes back."""

    def __init__(self, ciphertext: str) -> None:
        self.ciphertext = ciphertext

    def __bool__(self) -> bool:
        return False  # `if connection.refresh_token:` must not take this for a secret

    def __str__(self) -> str:
        return "unreadable: re-enter credentials"

    def __repr__(self) -> str:
        return "<Undecryptable>"


class EncryptedTextField(models.TextField):
    """Text that is stored encrypted; it can be tested for NULL but never searched."""

    def get_prep_value(self, value: Any) -> Any:
        # An undecryptable value goes back exactly as it came.
        if isinstance(value, Undecryptable):
            return value.ciphertext
        if value is None or value == "":
            return value
        return crypto.encrypt(self._dump(value))

    def from_db_value(self, value: str | None, expression: Any, connection: Any) -> Any:
        if value is None or value == "":
            return value
        try:
            return self._load(crypto.decrypt(value))
        except UndecryptableError:
            return Undecryptable(value)

    def get_lookup(self, lookup_name: str) -> Any:
        # Equal texts have different ciphertexts, so a search would lie.
        if lookup_name != "isnull":
            raise FieldError(f"{self.__class__.__name__} cannot be searched with '{lookup_name}'.")
        return super().get_lookup(lookup_name)

    def _dump(self, value: Any) -> str:
        return str(value)

    def _load(self, text: str) -> Any:
        return text


class EncryptedJSONField(EncryptedTextField):
    """JSON that is stored encrypted as a whole."""

    # For the type checker: the base class stores text, this one anything JSON can hold.
    _pyi_private_set_type: Any
    _pyi_private_get_type: Any

    def to_python(self, value: Any) -> Any:
        if isinstance(value, str):
            return json.loads(value) if value else {}
        return value

    def _dump(self, value: Any) -> str:
        return json.dumps(value, cls=DjangoJSONEncoder)

    def _load(self, text: str) -> Any:
        return json.loads(text)
