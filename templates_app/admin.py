"""The admin of templates: staff look; what changes rows goes through the product's own pages."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from amchelper.admin import ReadOnlyAdmin
from instances.admin import OwnedAdmin, link_to
from templates_app.models import InstanceTemplate, TemplateVersion


class VersionInline(admin.TabularInline):
    """The versions of a template."""

    model = TemplateVersion
    fields = readonly_fields = ("number", "name", "note", "user", "created_at")
    extra = 0
    can_delete = False
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False  # versions come from saves

    def get_queryset(self, request: HttpRequest) -> QuerySet[TemplateVersion]:
        # The SQL stays in the database; the version's own page shows it.
        versions: QuerySet[TemplateVersion] = super().get_queryset(request)
        return versions.select_related("user").defer("source_sql", "sql_query", "parameter_values")


@admin.register(InstanceTemplate)
class TemplateAdmin(OwnedAdmin, ReadOnlyAdmin):
    """Templates; edited in the editor, where parameters are completed, deleted here too."""

    list_display = (
        "name",
        "template_id",
        "instance_link",
        "user",
        "version",
        "usage_count",
        "archived_at",
        "updated_at",
    )
    list_filter = ("archived_at",)
    search_fields = ("name", "template_id", "instance__name", "instance__instance_id", "user__email", "tag_index")
    list_select_related = ("instance", "user")
    inlines = (VersionInline,)

    def has_delete_permission(self, request: HttpRequest, obj: InstanceTemplate | None = None) -> bool:
        # As for rows that are not history.
        return super(ReadOnlyAdmin, self).has_delete_permission(request, obj) and self._is_editable(request, obj)

    @admin.display(description="instance", ordering="instance__name")
    def instance_link(self, obj: InstanceTemplate) -> SafeString | str:
        return link_to(obj.instance)


@admin.register(TemplateVersion)
class VersionAdmin(ReadOnlyAdmin):
    """Everything that was ever saved."""

    list_display = ("template", "number", "name", "user", "created_at")
    search_fields = ("name", "template__template_id")
    list_select_related = ("template", "user")
