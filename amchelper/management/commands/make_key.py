"""Print a new encryption key."""

from __future__ import annotations

from typing import Any

from cryptography.fernet import Fernet
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    """Print a new key for FERNET_KEYS."""

    help = "Print a new key for FERNET_KEYS; put it first in the list to encrypt with it."
    requires_system_checks: list[str] = []  # it must work before the first key exists

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(Fernet.generate_key().decode("ascii"))
