"""Users in the admin, and how every admin deletes: what goes is told by number, and goes as on the product's pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, cast

from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from amchelper.dependents import delete_with_dependents, impact_of
from amchelper.exceptions import InvalidStateError
from amchelper.models import User
from amchelper.security_events import log_event

_YOURSELF = "This is you: another administrator has to delete your account, so that one is always left."
# What decides who may what.
_RIGHTS = {"email", "password", "is_active", "is_staff", "is_superuser", "groups", "user_permissions"}


def actor_of(request: HttpRequest) -> User:
    """Return who acts in the admin, which lets in nobody who is not signed in."""
    return cast(User, request.user)


class ReadOnlyAdmin(admin.ModelAdmin):
    """History: to look at, not to change."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # rows are written by the product

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # what was found out is not edited

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # rows go with what they belong to, and pruning removes the old ones


class DependentsAdmin(admin.ModelAdmin):
    """Rows that others go with: the page tells them by kind and number, or why they cannot be deleted now."""

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Any:
        rows = self.model._default_manager.filter(pk__in=[obj.pk for obj in objs])
        impact = impact_of(rows)
        told: list[Any] = [f"{self.opts.verbose_name}: {obj}" for obj in objs]
        counts = {self.opts.verbose_name_plural: len(told)}
        counts |= {model._meta.verbose_name_plural: count for model, count in impact.counts.items()}
        missing = {str(model._meta.verbose_name) for model in impact.counts if not self._may_take(request, model)}
        return [*told, impact.consequences], counts, missing, impact.obstacles

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        # Not in one transaction, which would be as long as everything that goes along.
        return self._delete_view(request, object_id, extra_context)  # type: ignore[attr-defined]  # not in the stubs

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.delete_rows(request, self.model._default_manager.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self.delete_rows(request, queryset)

    def delete_rows(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        """Delete rows with all that goes with them; raises PermissionDenied with what came between since the page."""
        try:
            delete_with_dependents(rows, actor=actor_of(request))
        except InvalidStateError as error:
            raise PermissionDenied(error.message) from error

    def _may_take(self, request: HttpRequest, model: type[Model]) -> bool:
        """Return whether rows of a model may go along: history, which nobody deletes alone, does."""
        own = self.admin_site._registry.get(model)
        return own is None or isinstance(own, ReadOnlyAdmin) or own.has_delete_permission(request)


class UserCreation(AdminUserCreationForm):
    """Create a user by e-mail address."""

    class Meta:
        model = User
        fields = ("email", "name")
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {"email": forms.EmailField}


class UserChange(UserChangeForm):
    """Edit a user."""

    class Meta:
        model = User
        fields = "__all__"
        field_classes: ClassVar[dict[str, type[forms.Field]]] = {"email": forms.EmailField}


@admin.register(User)
class UserAdmin(DependentsAdmin, DjangoUserAdmin):
    """Create, lock and find users; there is no public sign-up."""

    form = UserChange
    add_form = UserCreation
    list_display = ("email", "name", "is_active", "is_staff", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "name")
    ordering = ("email",)
    readonly_fields = ("last_login", "date_joined")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        ("Rights", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Times", {"fields": ("last_login", "date_joined")}),
    )
    add_fieldsets = ((None, {"fields": ("email", "name", "usable_password", "password1", "password2")}),)

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        # A changed address ends the old one, which allauth would go on accepting and send resets to.
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            if "email" in form.changed_data:
                EmailAddress.objects.filter(user=obj).delete()
        self._log(request, obj, form, "user_changed" if change else "user_created")

    def get_deleted_objects(self, objs: Iterable[Any], request: HttpRequest) -> Any:
        told, counts, missing, obstacles = super().get_deleted_objects(objs, request)
        return told, counts, missing, [*obstacles, *([_YOURSELF] if request.user in objs else [])]

    def delete_rows(self, request: HttpRequest, rows: QuerySet[Any]) -> None:
        users = list(rows)
        if request.user in users:
            raise PermissionDenied(_YOURSELF)
        super().delete_rows(request, rows)
        for user in users:
            log_event("user_deleted", request, user=user, by=request.user.pk)

    @staticmethod
    def _log(request: HttpRequest, user: User, form: Any, event: str) -> None:
        changed = sorted(_RIGHTS & set(form.changed_data))
        rights = ",".join(f"{name}:{getattr(user, name)}" if name.startswith("is_") else name for name in changed)
        log_event(event, request, user=user, by=request.user.pk, rights=rights)
