"""An Amazon login."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models.functions import Lower
from django.urls import reverse
from django.utils import timezone

from amchelper.access import OwnedQuerySet
from amchelper.fields import EncryptedTextField, Undecryptable
from instances.amc.auth import Tokens


class Region(models.TextChoices):
    """Where Amazon's hosts stand."""

    NA = "NA", "North America"
    EU = "EU", "Europe, Middle East, India"
    FE = "FE", "Far East"


class ConnectionQuerySet(OwnedQuerySet["AmazonConnection"]):
    """Amazon logins by access and status."""

    owner_path = "user"

    def needing_reconnect(self) -> ConnectionQuerySet:
        """Return those that stopped working until their owner signs in at Amazon again."""
        return self.filter(status=AmazonConnection.Status.RECONNECT_REQUIRED)


class AmazonConnection(models.Model):
    """One Amazon login (LWA refresh token) of a user; it can reach several accounts."""

    class Status(models.TextChoices):
        """Whether the login can be used."""

        CONNECTED = "CONNECTED", "Connected"
        RECONNECT_REQUIRED = "RECONNECT_REQUIRED", "Reconnect required"
        DISCONNECTED = "DISCONNECTED", "Disconnected"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="connections")
    label = models.CharField(max_length=100)
    region = models.CharField(max_length=2, choices=Region.choices, default=Region.NA)
    refresh_token = EncryptedTextField(blank=True, default="", editable=False)
    access_token = EncryptedTextField(blank=True, default="", editable=False)
    access_token_expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    status = models.CharField(max_length=20, choices=Status.choices, default=Status.CONNECTED)
    status_reason = models.CharField(max_length=500, blank=True, default="")
    connected_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = ConnectionQuerySet.as_manager()

    class Meta:
        db_table = "amazon_connections"
        ordering = ("label", "id")
        constraints = (
            models.UniqueConstraint(
                "user",
                Lower("label"),
                name="connections_label_unique",
                violation_error_message="You have a connection with this name already.",
            ),
        )

    def __str__(self) -> str:
        return self.label

    def get_absolute_url(self) -> str:
        return reverse("instances:connection-detail", args=[self.pk])

    def get_reconnect_url(self) -> str:
        """Return the address whose POST starts the consent again."""
        return reverse("instances:connection-reconnect", args=[self.pk])

    @property
    def has_unreadable_token(self) -> bool:
        """Return whether the token was encrypted with a key this deployment does not have."""
        return isinstance(self.refresh_token, Undecryptable)

    @property
    def is_usable(self) -> bool:
        """Return whether calls to Amazon can be tried with this login."""
        return self.status == self.Status.CONNECTED and bool(self.refresh_token)

    def store_tokens(self, *, refresh_token: str, access_token: str, expires_at: datetime | None) -> None:
        """Keep new tokens from a consent and count as connected."""
        self.refresh_token = refresh_token
        self.access_token = access_token
        self.access_token_expires_at = expires_at
        self.status = self.Status.CONNECTED
        self.status_reason = ""
        self.connected_at = timezone.now()
        self.save(
            update_fields=[
                "refresh_token",
                "access_token",
                "access_token_expires_at",
                "status",
                "status_reason",
                "connected_at",
                "updated_at",
            ]
        )

    def keep_refreshed(self, *, tokens: Tokens, used_refresh_token: str) -> None:
        """Keep what a refresh brought, unless the login was replaced or disconnected meanwhile.

        Amazon does not rotate refresh tokens, but says to store whatever comes back.
        """
        with transaction.atomic():
            fresh = AmazonConnection.objects.select_for_update().filter(pk=self.pk).first()
            if (
                fresh is None
                or fresh.status == self.Status.DISCONNECTED
                or fresh.refresh_token != used_refresh_token
            ):
                return
            fresh.refresh_token = tokens.refresh_token or used_refresh_token
            fresh.access_token, fresh.access_token_expires_at = tokens.access_token, tokens.expires_at
            fresh.save(update_fields=["refresh_token", "access_token", "access_token_expires_at", "updated_at"])
        self.refresh_token = fresh.refresh_token

    def require_reconnect(self, reason: str) -> None:
        """Note that Amazon no longer accepts the login, unless it was replaced or disconnected meanwhile."""
        with transaction.atomic():
            fresh = AmazonConnection.objects.select_for_update().filter(pk=self.pk).first()
            # A run that began with the old token must not break the login that replaced it.
            if fresh is None or fresh.status != self.Status.CONNECTED or fresh.refresh_token != self.refresh_token:
                return
            self.status, self.status_reason = self.Status.RECONNECT_REQUIRED, reason[:500]
            self.save(update_fields=["status", "status_reason", "updated_at"])

    def disconnect(self) -> None:
        """Forget the tokens; accounts and instances stay."""
        self.refresh_token = self.access_token = ""
        self.access_token_expires_at = None
        self.status, self.status_reason = self.Status.DISCONNECTED, ""
        fields: list[str] = [
            "refresh_token", "access_token", "access_token_expires_at", "status", "status_reason", "updated_at",
        ]  # fmt: skip
        self.save(update_fields=fields)

    def health_hint(self) -> dict[str, Any]:
        """Return what a page shows about the login: status, word and reason."""
        if self.has_unreadable_token:
            return {"status": "UNREADABLE", "label": "Re-enter credentials", "reason": str(self.refresh_token)}
        return {"status": self.status, "label": self.get_status_display(), "reason": self.status_reason}
