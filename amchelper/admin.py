"""Users in the admin."""

from __future__ import annotations

from typing import Any, ClassVar

from allauth.account.models import EmailAddress
from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.db import transaction
from django.http import HttpRequest

from amchelper.bulk import delete_gradually
from amchelper.models import User
from amchelper.security_events import log_event

# What decides who may what.
_RIGHTS = {"email", "password", "is_active", "is_staff", "is_superuser", "groups", "user_permissions"}


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
class UserAdmin(DjangoUserAdmin):
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

    @staticmethod
    def _log(request: HttpRequest, user: User, form: Any, event: str) -> None:
        changed = sorted(_RIGHTS & set(form.changed_data))
        rights = ",".join(f"{name}:{getattr(user, name)}" if name.startswith("is_") else name for name in changed)
        log_event(event, request, user=user, by=request.user.pk, rights=rights)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        # Not in one transaction, which would be as long as everything that is theirs.
        return self._delete_view(request, object_id, extra_context)  # type: ignore[attr-defined]  # not in the stubs

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        self.delete_queryset(request, User.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for user in queryset:
            log_event("user_deleted", request, user=user, by=request.user.pk)
        # First nobody can sign in as them, and no schedule of theirs starts anything.
        User.objects.filter(pk__in=queryset.values("pk")).update(is_active=False)
        delete_gradually(User.objects.filter(pk__in=list(queryset.values_list("pk", flat=True))))

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # A superuser may delete people with all that is theirs, also what may not be deleted alone.
        objects, counts, missing, protected = super().get_deleted_objects(objs, request)
        return objects, counts, set() if getattr(request.user, "is_superuser", False) else missing, protected
