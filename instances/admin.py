"""The admin: staff see everything, secrets never, history read-only."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Count, Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from amchelper.access import OwnedQuerySet
from amchelper.admin import DependentsAdmin, ReadOnlyAdmin, actor_of
from amchelper.exceptions import AmcHelperError
from amchelper.limits import CHECKS, spend
from amchelper.words import counted
from instances.models import (
    AmazonConnection,
    AMCAccount,
    AMCInstance,
    BrandASIN,
    BrandCampaign,
    HealthCheck,
    HealthCheckBatch,
    HealthRollup,
    InstanceBrand,
)
from instances.models.mapping import MappingQuerySet
from instances.services.health.batches import queue_batch
from instances.services.instances import disable, enable_unchecked, rename


def link_to(obj: Model | None) -> SafeString | str:
    """Return a link to the admin page of a related object."""
    if obj is None:
        return "–"
    meta = obj._meta
    url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[obj.pk])
    return format_html('<a href="{}">{}</a>', url, obj)


class OwnedAdmin(DependentsAdmin):
    """Rows with an owner: Django's permissions let staff in, and the rows' own door decides about each."""

    def editable(self, request: HttpRequest, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return those of `rows` that the user may change here."""
        assert isinstance(rows, OwnedQuerySet)  # noqa: S101  the models of these admins have no other
        return rows.editable_by(actor_of(request), in_admin=True)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._is_editable(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._is_editable(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        # All or none.
        if self.editable(request, queryset).count() < queryset.count():
            raise PermissionDenied
        super().delete_queryset(request, queryset)

    def _is_editable(self, request: HttpRequest, obj: Any) -> bool:
        return obj is None or self.editable(request, self.model._default_manager.filter(pk=obj.pk)).exists()


@admin.register(AmazonConnection)
class ConnectionAdmin(OwnedAdmin):
    """Amazon logins without their tokens."""

    list_display = ("label", "user_link", "region", "status", "connected_at", "account_count")
    list_filter = ("status", "region")
    search_fields = ("label", "user__email", "accounts__account_id")
    list_select_related = ("user",)
    fields = (
        "label",
        "user_link",
        "region",
        "status",
        "status_reason",
        "connected_at",
        "created_at",
        "updated_at",
    )
    readonly_fields = (
        "user_link",
        "region",
        "status",
        "status_reason",
        "connected_at",
        "created_at",
        "updated_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[AmazonConnection]:
        # Tokens stay in the database.
        connections: QuerySet[AmazonConnection] = super().get_queryset(request)
        return connections.defer("refresh_token", "access_token").annotate(number_of_accounts=Count("accounts"))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # a login begins with its owner's consent at Amazon

    @admin.display(description="user", ordering="user__email")
    def user_link(self, obj: AmazonConnection) -> SafeString | str:
        """Link to the owner."""
        return link_to(obj.user)

    @admin.display(description="accounts", ordering="number_of_accounts")
    def account_count(self, obj: AmazonConnection) -> SafeString:
        """Link to the accounts the login reaches."""
        url = reverse("admin:instances_amcaccount_changelist")
        count = getattr(obj, "number_of_accounts", 0)
        return format_html('<a href="{}?connection__id__exact={}">{}</a>', url, obj.pk, count)


@admin.register(AMCAccount)
class AccountAdmin(OwnedAdmin):
    """AMC accounts."""

    list_display = ("account_id", "account_name", "marketplace_id", "country_code", "connection_link")
    list_filter = ("country_code",)
    search_fields = ("account_id", "account_name", "marketplace_id", "connection__label")
    list_select_related = ("connection",)
    # Entity and marketplace are what every instance below was tested with.
    readonly_fields = ("account_id", "marketplace_id", "connection_link", "created_at", "updated_at")
    fields = (
        "account_id", "account_name", "marketplace_id", "country_code", "advertiser_id", "connection_link",
        "created_at", "updated_at",
    )  # fmt: skip

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # accounts are discovered, or typed by the login's owner

    @admin.display(description="connection", ordering="connection__label")
    def connection_link(self, obj: AMCAccount) -> SafeString | str:
        """Link to the login."""
        return link_to(obj.connection)


class BrandInline(admin.TabularInline):
    """Brands of an instance, to look at."""

    model = InstanceBrand
    fields = ("name",)
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # brands are replaced as a set on the instance's page

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(AMCInstance)
class InstanceAdmin(OwnedAdmin):
    """Instances of all users."""

    list_display = (
        "name", "instance_id", "user_link", "account_link", "region", "status", "health_status",
        "health_latency_ms", "last_health_check",
    )  # fmt: skip
    list_filter = ("status", "health_status", "region", "is_active", "instance_type")
    search_fields = ("name", "instance_id", "user__email", "account__account_id", "account__account_name")
    list_select_related = ("user", "account__connection")
    date_hierarchy = "created_at"
    inlines = (BrandInline,)
    fields = (
        "name", "description", "instance_id", "user_link", "account_link", "region", "instance_type", "status",
        "is_active", "health_status", "health_reason", "health_error", "health_settled", "health_since",
        "health_latency_ms", "last_health_check", "history_link", "created_at", "updated_at",
    )  # fmt: skip
    # The status has one door, the life cycle's actions; AMC's ID is only changed with a test.
    readonly_fields = tuple(name for name in fields if name not in {"name", "description"})
    actions = ("check_health", "enable_instances", "disable_instances")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # an instance is tested before it is saved, on its owner's pages

    @admin.display(description="user", ordering="user__email")
    def user_link(self, obj: AMCInstance) -> SafeString | str:
        """Link to the owner."""
        return link_to(obj.user)

    @admin.display(description="account", ordering="account__account_name")
    def account_link(self, obj: AMCInstance) -> SafeString | str:
        """Link to the account."""
        return link_to(obj.account)

    def save_model(self, request: HttpRequest, obj: AMCInstance, form: Any, change: bool) -> None:
        rename(instance=obj, actor=actor_of(request))

    @admin.display(description="history")
    def history_link(self, obj: AMCInstance) -> SafeString:
        """Link to the probes of this instance."""
        url = reverse("admin:instances_healthcheck_changelist")
        return format_html('<a href="{}?instance__id__exact={}">All probes</a>', url, obj.pk)

    @admin.action(description="Check health of the selected instances", permissions=["change"])
    def check_health(self, request: HttpRequest, queryset: QuerySet[AMCInstance]) -> None:
        """Queue a batch; the workers probe, so that the page does not wait."""
        spend(actor_of(request), CHECKS)
        pks = list(self.editable(request, queryset).values_list("pk", flat=True))
        if not pks:
            self.message_user(request, "You may not change any of these instances.", messages.ERROR)
            return
        batch = queue_batch(pks, actor=actor_of(request), trigger=HealthCheckBatch.Trigger.ADMIN)
        text = format_html("{} are being checked: {}", counted(batch.total, "instance"), link_to(batch))
        self.message_user(request, text)

    @admin.action(description="Enable the selected instances", permissions=["change"])
    def enable_instances(self, request: HttpRequest, queryset: QuerySet[AMCInstance]) -> None:
        """Enable and queue a batch; the workers probe, so that the page does not wait for each in turn."""
        spend(actor_of(request), CHECKS)
        pks = self._each(request, queryset.filter(is_active=False), enable_unchecked, "enabled")
        if pks:
            queue_batch(pks, actor=actor_of(request), trigger=HealthCheckBatch.Trigger.ADMIN)

    @admin.action(description="Disable the selected instances", permissions=["change"])
    def disable_instances(self, request: HttpRequest, queryset: QuerySet[AMCInstance]) -> None:
        """Disable."""
        self._each(request, queryset.filter(is_active=True), disable, "disabled")

    def _each(self, request: HttpRequest, instances: QuerySet[AMCInstance], act: Any, done: str) -> list[UUID]:
        """Do something to each instance and tell; returns the keys of those it was done to."""
        pks = []
        for instance in self.editable(request, instances):
            try:
                act(instance=instance, actor=actor_of(request))
                pks.append(instance.pk)
            except AmcHelperError as error:
                self.message_user(request, f"{instance}: {error.message}", messages.ERROR)
        self.message_user(request, f"{counted(len(pks), 'instance')} {done}.")
        return pks


@admin.register(HealthCheckBatch)
class HealthCheckBatchAdmin(ReadOnlyAdmin):
    """Acts of checking."""

    list_display = ("started_at", "trigger", "user", "total", "finished_at")
    list_filter = ("trigger",)
    list_select_related = ("user",)
    search_fields = ("user__email",)
    fields = ("trigger", "user", "total", "started_at", "finished_at")


@admin.register(HealthCheck)
class HealthCheckAdmin(ReadOnlyAdmin):
    """Every probe."""

    list_display = (
        "checked_at",
        "instance_link",
        "verdict",
        "reason",
        "http_status",
        "latency_ms",
        "request_id",
    )
    list_filter = ("verdict", "reason")
    search_fields = ("instance__name", "instance__instance_id", "request_id")
    list_select_related = ("instance",)
    date_hierarchy = "checked_at"

    @admin.display(description="instance", ordering="instance__name")
    def instance_link(self, obj: HealthCheck) -> SafeString | str:
        """Link to the instance."""
        return link_to(obj.instance)


@admin.register(HealthRollup)
class HealthRollupAdmin(ReadOnlyAdmin):
    """Hourly summaries."""

    list_display = ("hour", "instance", "healthy", "unhealthy", "error")
    search_fields = ("instance__name", "instance__instance_id")
    list_select_related = ("instance",)
    date_hierarchy = "hour"


@admin.register(InstanceBrand)
class BrandAdmin(ReadOnlyAdmin):
    """Brands of all instances."""

    list_display = ("name", "instance")
    search_fields = ("name", "instance__name", "instance__instance_id")
    list_select_related = ("instance",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[InstanceBrand]:
        # Without those that were removed and wait for the removal of their mappings.
        brands: QuerySet[InstanceBrand] = super().get_queryset(request)
        return brands.exclude(instance=None)


class MappingAdmin(ReadOnlyAdmin):
    """What is mapped to brands; it is changed on the instance's pages, as sets."""

    list_select_related = ("brand__instance",)
    # Counting all of a large table takes longer than showing a page of it.
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        assert isinstance(rows, MappingQuerySet)  # noqa: S101  the models of these admins have no other
        return rows.mapped().exclude(brand__instance=None)

    @admin.display(description="instance", ordering="brand__instance__name")
    def instance_link(self, obj: BrandASIN | BrandCampaign) -> SafeString | str:
        """Link to the instance."""
        return link_to(obj.brand.instance)


@admin.register(BrandASIN)
class BrandASINAdmin(MappingAdmin):
    """Mapped ASINs."""

    list_display = ("asin", "brand", "instance_link", "created_at")
    search_fields = ("asin", "brand__name", "brand__instance__name", "brand__instance__instance_id")


@admin.register(BrandCampaign)
class BrandCampaignAdmin(MappingAdmin):
    """Mapped campaigns, by ID or name."""

    list_display = ("value", "kind", "brand", "instance_link", "created_at")
    list_filter = ("kind",)
    search_fields = ("value", "brand__name", "brand__instance__name", "brand__instance__instance_id")
