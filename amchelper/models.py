"""The user, and the marks of messages that wait for a worker."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from amchelper.leases import RESEND_AFTER


class UserManager(BaseUserManager["User"]):
    """Create users by e-mail address."""

    def create_user(self, email: str, password: str | None = None, **fields: object) -> User:
        """Create a user; without a password the account cannot sign in until one is set."""
        user = self.model(email=self.normalize_email(email).strip(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: object) -> User:
        """Create a user who may do everything."""
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


class User(AbstractBaseUser, PermissionsMixin):
    """A person who signs in with an e-mail address."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField("e-mail address", max_length=254)
    name = models.CharField(max_length=150, blank=True)
    is_staff = models.BooleanField("may use the admin", default=False)
    is_active = models.BooleanField("may sign in", default=True)
    date_joined = models.DateTimeField(default=timezone.now, editable=False)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        db_table = "users"
        ordering = ("email",)
        constraints = (
            models.UniqueConstraint(
                Lower("email"),
                name="users_email_unique",
                violation_error_message="There is a user with this e-mail address already.",
            ),
        )

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        return self.name or self.email

    def get_short_name(self) -> str:
        return self.name.split(" ")[0] if self.name else self.email.partition("@")[0]


class PendingMessageQuerySet(models.QuerySet["PendingMessage"]):
    """Marks by the message they stand for."""

    def note(self, key: str, *, seconds: float) -> bool:
        """Note that a message waits for a worker for so long; returns False when an equal one does already.

        Of several callers one is told True.
        """
        now = timezone.now()
        expires_at = now + timedelta(seconds=seconds)
        # Clocks of two machines differ by less; a mark from further ahead was set under a clock that was wrong.
        waits = Q(expires_at__gt=now, expires_at__lte=expires_at + RESEND_AFTER)
        mark = self.filter(key=key)
        # Read first: while nothing is sent for long, nobody needs SQLite's write lock to find that out.
        if mark.filter(waits).exists():
            return False
        if mark.exclude(waits).update(expires_at=expires_at):
            return True
        return self.get_or_create(key=key, defaults={"expires_at": expires_at})[1]

    def forget(self, key: str) -> None:
        """Note that the message waits no more."""
        self.filter(key=key).update(expires_at=None)


class PendingMessage(models.Model):
    """A message that waits for a worker: no equal one is sent until the task begins or the message expires.

    There are as many rows as there were different messages: tasks of beat, AMC's accounts and people who got mail.
    """

    key = models.CharField(primary_key=True, max_length=255)
    expires_at = models.DateTimeField(null=True)

    objects = PendingMessageQuerySet.as_manager()

    class Meta:
        db_table = "pending_messages"

    def __str__(self) -> str:
        return self.key
