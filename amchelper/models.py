"""The user, and the marks of messages that wait for a worker."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from amchelper.leases import RESEND_AFTER

# While nobody takes a message each next one waits longer, up to this: a long outage leaves few.
MAX_PENDING_SECONDS = 300.0


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

    def keep_waiting(self, key: str, *, seconds: float) -> float | None:
        """Note that a message waits for a worker; returns for how many seconds, None when an equal one waits already.

        Of several callers one is given a number: `seconds`, and more each time nobody took the message before.
        """
        now = timezone.now()
        fresh = {"expires_at": now + timedelta(seconds=seconds), "seconds": seconds}
        mark, is_new = self.get_or_create(key=key, defaults=fresh)
        if is_new:
            return seconds
        if mark.is_waiting(now):
            return None
        if mark.expires_at is not None:
            seconds = max(seconds, min(2 * mark.seconds, MAX_PENDING_SECONDS))
        unchanged = self.filter(key=key, expires_at=mark.expires_at)
        is_noted = unchanged.update(expires_at=now + timedelta(seconds=seconds), seconds=seconds)
        return seconds if is_noted else None

    def forget(self, key: str) -> None:
        """Note that the message waits no more."""
        self.filter(key=key).update(expires_at=None)


class PendingMessage(models.Model):
    """A message that waits for a worker: no equal one is sent until the task begins or the message expires.

    There are as many rows as there were different messages: tasks of beat, AMC's accounts and people who got mail.
    """

    key = models.CharField(primary_key=True, max_length=255)
    # Empty once a worker took the message.
    expires_at = models.DateTimeField(null=True)
    # For how long it waits.
    seconds = models.FloatField()

    objects = PendingMessageQuerySet.as_manager()

    class Meta:
        db_table = "pending_messages"

    def __str__(self) -> str:
        return self.key

    def is_waiting(self, now: datetime) -> bool:
        """Return whether a worker may still take the message."""
        # Clocks of two machines differ by less; a mark from further ahead was set under a clock that was wrong.
        latest = now + timedelta(seconds=self.seconds) + RESEND_AFTER
        return self.expires_at is not None and now < self.expires_at <= latest
