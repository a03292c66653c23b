"""An AMC instance."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.core.validators import MaxValueValidator, RegexValidator
from django.db import models, transaction
from django.db.models import Case, Count, F, Min, Prefetch, Q, When
from django.urls import reverse

from amc_facts.timing import ATTRIBUTION_DAYS
from amchelper.access import OwnedQuerySet
from amchelper.fields import EncryptedJSONField, Undecryptable
from amchelper.http import parse_uuid
from instances.amc.types import AccountRef, InstanceRef, is_sandbox
from instances.models.account import AMCAccount
from instances.models.connection import Region
from instances.models.lifecycle import Event, Health, Status, next_status

MAX_LAG_DAYS = 90
# More would be no help.
SUGGESTIONS = 20
# What is typed for them; databases refuse to look for very long texts.
MAX_TYPED = 330
NOT_A_UUID = r"\A(?![0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-)[A-Za-z0-9_-]+\Z"


class AMCCredentials(NamedTuple):
    """What AMC knows an instance by: its own string and the account's entity ID."""

    instance_id: str
    entity_id: str


def _is_suggestion(text: str) -> Q:
    """Return whether a text is "name (AMC ID)", as suggestions are written."""
    name, _, amc_id = text.removesuffix(")").rpartition(" (")
    return Q(name__iexact=name, instance_id__iexact=amc_id)


class InstanceQuerySet(OwnedQuerySet["AMCInstance"]):
    """Instances by access, status and text."""

    owner_path = "user"

    def enabled(self) -> InstanceQuerySet:
        """Return the instances their user has not disabled."""
        return self.filter(is_active=True)

    def active(self) -> InstanceQuerySet:
        """Return the instances that can be used now."""
        return self.filter(status=Status.ACTIVE)

    def usable(self) -> InstanceQuerySet:
        """Return the instances that something can be prepared for: not disabled, and AMC has accepted them once."""
        return self.enabled().exclude(status=Status.PENDING)

    def failing(self) -> InstanceQuerySet:
        """Return the enabled instances whose last verdict is not healthy."""
        return self.enabled().filter(health_status__in=[Health.UNHEALTHY, Health.ERROR])

    def longest_first(self, *before: str) -> InstanceQuerySet:
        """Order by fields and then by how long the last verdict holds (`verdict_since`), the longest first."""
        settled = When(health_settled=F("health_status"), then=F("health_since"))
        return self.order_by(*before, Case(settled, default=F("last_health_check")), "name", "pk")

    def search(self, text: str) -> InstanceQuerySet:
        """Return the instances whose name, AMC ID, account or brand holds every word of `text`."""
        found = self
        for word in text.split():
            found = found.filter(
                Q(name__icontains=word)
                | Q(instance_id__icontains=word)
                | Q(account__account_name__icontains=word)
                | Q(account__account_id__icontains=word)
                | Q(brands__in=InstanceBrand.objects.filter(name__icontains=word))
            )
        # Several brands may match: each instance still comes once.
        return self.filter(pk__in=found.values("pk")) if text.strip() else self

    def named(self, text: str) -> InstanceQuerySet:
        """Return the instances that a text means: our key, "name (AMC ID)", or a part of the name or the AMC ID."""
        text = text.strip()
        key = parse_uuid(text)
        if key is not None:
            return self.filter(pk=key)
        return self.filter(_is_suggestion(text) | Q(name__icontains=text) | Q(instance_id__icontains=text))

    def named_in_full(self, text: str) -> InstanceQuerySet:
        """Return the instances whose key, "name (AMC ID)", name or AMC ID a text is, in small or capital letters."""
        text = text.strip()
        key = parse_uuid(text)
        if key is not None:
            return self.filter(pk=key)
        return self.filter(_is_suggestion(text) | Q(name__iexact=text) | Q(instance_id__iexact=text))

    def suggestions(self, text: str) -> list[str]:
        """Return a few instances that `text` may mean, as `named` understands them. One query."""
        text = text[:MAX_TYPED]
        found = self.named(text) if text.strip() else self
        rows = found.order_by("name", "instance_id").values_list("name", "instance_id")[:SUGGESTIONS]
        return [f"{name} ({amc_id})" for name, amc_id in rows]

    def with_relations(self) -> InstanceQuerySet:
        """Bring account, login and brands along in a constant number of queries."""
        return self.select_related("account__connection").prefetch_related(
            Prefetch("brands", InstanceBrand.objects.order_by("name"))
        )

    def for_probing(self) -> InstanceQuerySet:
        """Bring accounts and logins along, each read (and its tokens decrypted) once, not once per instance."""
        return self.defer("config").prefetch_related("account__connection")

    def health_counts(self) -> dict[str, int]:
        """Count instances by verdict; the key "" counts those never checked. One query."""
        rows = self.order_by().values_list("health_status").annotate(count=Count("pk", distinct=True))
        counts = dict.fromkeys(["", *Health.values], 0)
        for health, count in rows:
            counts[health or ""] += count
        return counts


class AMCInstance(models.Model):
    """An AMC instance. `id` is ours (URLs, foreign keys); `instance_id` is AMC's string (API calls)."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="instances")
    # Not PROTECT: an account goes when its instances go in the same act, as with their user.
    account = models.ForeignKey(AMCAccount, on_delete=models.RESTRICT, related_name="instances")
    instance_id = models.CharField(
        "AMC instance ID",
        max_length=64,
        validators=[
            RegexValidator(
                NOT_A_UUID,
                "This is not an AMC instance ID. It looks like amcabcd1234: letters and digits, not a UUID.",
            )
        ],
        help_text="AMC's own ID, such as amcabcd1234. AMC shows it under Instance info.",
    )
    name = models.CharField(max_length=255)
    description = models.TextField(blank=True, default="", max_length=2000)
    instance_type = models.CharField(max_length=32, blank=True, default="", editable=False)
    region = models.CharField(max_length=2, choices=Region.choices, blank=True)
    lag_days = models.PositiveSmallIntegerField(
        "days of lag",
        default=ATTRIBUTION_DAYS,
        validators=[MaxValueValidator(MAX_LAG_DAYS)],
        help_text="Windows end this many days ago unless somebody chooses otherwise. Conversions are attributed for "
        "14 days, so younger days still grow.",
    )
    is_active = models.BooleanField("enabled", default=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    health_status = models.CharField(  # noqa: DJ001  NULL means "never checked", as the design says
        max_length=10, choices=Health.choices, null=True, blank=True, editable=False
    )
    health_reason = models.CharField(max_length=40, blank=True, default="", editable=False)
    health_error = models.CharField(max_length=500, blank=True, default="", editable=False)
    # What two checks in a row found last; one that differs is a hiccup until a second one says so too.
    health_settled = models.CharField(  # noqa: DJ001  NULL means "never checked", as above
        "settled health", max_length=10, choices=Health.choices, null=True, blank=True, editable=False
    )
    health_since = models.DateTimeField("health settled since", null=True, blank=True, editable=False)
    health_latency_ms = models.PositiveIntegerField(null=True, blank=True, editable=False)
    last_health_check = models.DateTimeField(null=True, blank=True, editable=False)
    consecutive_errors = models.PositiveIntegerField(default=0, editable=False)
    config = EncryptedJSONField(default=dict, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects = InstanceQuerySet.as_manager()

    class Meta:
        db_table = "amc_instances"
        verbose_name = "AMC instance"
        ordering = ("name", "instance_id", "id")
        constraints = (
            models.UniqueConstraint(
                fields=["user", "instance_id"],
                name="instances_unique_per_user",
                violation_error_message="You have this AMC instance already.",
            ),
            models.CheckConstraint(
                name="instances_inactive_is_disabled",
                condition=Q(is_active=False, status=Status.INACTIVE)
                | (Q(is_active=True) & ~Q(status=Status.INACTIVE)),
                violation_error_message="A disabled instance is inactive, and only a disabled one.",
            ),
            models.CheckConstraint(
                name="instances_settled_health_has_since",
                condition=Q(health_settled__isnull=True, health_since__isnull=True)
                | Q(health_settled__isnull=False, health_since__isnull=False),
            ),
        )
        indexes = (
            models.Index(fields=["user", "name"], name="instances_user_name"),
            models.Index(fields=["is_active", "last_health_check"], name="instances_due"),
        )

    def __str__(self) -> str:
        return f"{self.name} ({self.instance_id})"

    def get_absolute_url(self) -> str:
        return reverse("instances:instance-detail", args=[self.pk])

    @property
    def ref(self) -> InstanceRef:
        """Return what AMC knows this instance by; never our UUID."""
        account = AccountRef(account_id=self.account.account_id, marketplace_id=self.account.marketplace_id)
        return InstanceRef(instance_id=self.instance_id, account=account)

    @property
    def has_synthetic_data(self) -> bool:
        """Return whether this is a sandbox: nothing real can be found out, and no threshold hides anything."""
        return is_sandbox(self.instance_type)

    @property
    def is_health_settled(self) -> bool:
        """Return whether the last check says what the ones before it said."""
        return self.health_settled == self.health_status

    @property
    def verdict_since(self) -> datetime | None:
        """Return since when the last verdict holds; of one that has not settled, when it was found."""
        return self.health_since if self.is_health_settled else self.last_health_check

    def get_amc_credentials(self) -> AMCCredentials:
        """Return AMC's string and the entity ID, the only identifiers that go out in calls."""
        ref = self.ref
        return AMCCredentials(instance_id=ref.instance_id, entity_id=ref.account.account_id)

    def remember(self, description: Mapping[str, Any]) -> None:
        """Take Amazon's description into the configuration; one that no key can read stays as it is."""
        config: Any = self.config
        if not isinstance(config, Undecryptable):
            config = {**(config or {}), "amc": dict(description)}
            self.config = config

    def apply(self, event: Event) -> None:
        """Move along the life cycle and save; raises InvalidStateError for an impossible event."""
        with transaction.atomic():
            # Read again: another tab or the worker may have moved it since this object was loaded.
            status = AMCInstance.objects.select_for_update().values_list("status", flat=True).get(pk=self.pk)
            self.status = next_status(status, event)
            self.is_active = self.status != Status.INACTIVE
            self.save(update_fields=["status", "is_active", "updated_at"])


class BrandQuerySet(OwnedQuerySet["InstanceBrand"]):
    """Brands by access."""

    owner_path = "instance__user"

    def holding(self, text: str) -> BrandQuerySet:
        """Return the brands whose name holds `text`, a folded one."""
        return self.filter(folded__contains=text)

    def distinct_names(self, limit: int) -> list[str]:
        """Return so many names, each once whatever its case, in alphabetical order."""
        names = self.order_by("folded").values("folded").annotate(spelled=Min("name"))
        return list(names.values_list("spelled", flat=True)[:limit])


class InstanceBrand(models.Model):
    """A brand whose advertising an instance holds."""

    id = models.BigAutoField(primary_key=True)
    # NULL: it was taken from its instance, and what was mapped to it is being removed.
    instance = models.ForeignKey(AMCInstance, on_delete=models.CASCADE, null=True, related_name="brands")
    name = models.CharField(max_length=100)
    # The case-folded name: LOWER() of SQLite knows ASCII only, so the database compares this.
    folded = models.CharField(max_length=300, editable=False)

    objects = BrandQuerySet.as_manager()

    class Meta:
        db_table = "instance_brands"
        verbose_name = "brand"
        ordering = ("name", "id")
        constraints = (
            models.UniqueConstraint(fields=["instance", "folded"], name="brands_unique_per_instance"),
            models.CheckConstraint(name="brands_name_not_blank", condition=~Q(name="")),
        )

    def __str__(self) -> str:
        return self.name
