"""The admin of schedules: staff look; what changes rows goes through the product's own pages."""

from __future__ import annotations

from django.contrib import admin

from amchelper.admin import ReadOnlyAdmin
from schedules.models import Schedule, ScheduleSlot


class ScheduleSlotInline(admin.TabularInline):
    """The latest slots of a schedule."""

    model = ScheduleSlot
    fields = readonly_fields = ("scheduled_for", "status", "reason_code", "reason", "execution", "attempts")
    extra = 0
    max_num = 0
    can_delete = False


@admin.register(Schedule)
class ScheduleAdmin(ReadOnlyAdmin):
    """Schedules; planned and paused on their pages."""

    list_display = ("name", "schedule_id", "instance", "kind", "time", "zone", "status", "next_run_at")
    list_filter = ("status", "kind")
    search_fields = ("name", "schedule_id", "instance__name", "created_by__email")
    list_select_related = ("instance",)
