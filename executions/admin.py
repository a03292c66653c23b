"""The admin of executions: staff look; what changes rows goes through the product's own pages."""

from __future__ import annotations

from django.contrib import admin

from amchelper.admin import ReadOnlyAdmin
from executions.models import Execution, ResultExport


@admin.register(Execution)
class ExecutionAdmin(ReadOnlyAdmin):
    """Runs."""

    list_display = ("name", "instance", "status", "amc_status", "trigger", "queued_at", "finished_at", "row_count")
    list_filter = ("status", "trigger")
    search_fields = ("name", "workflow_id", "amc_execution_id", "instance__name", "created_by__email")
    list_select_related = ("instance",)
    date_hierarchy = "queued_at"


@admin.register(ResultExport)
class ResultExportAdmin(ReadOnlyAdmin):
    """Files made of results."""

    list_display = ("execution", "format", "status", "created_by", "byte_count", "asked_at", "expires_at")
    list_filter = ("status", "format")
    search_fields = ("execution__name", "execution__instance__name", "created_by__email")
    list_select_related = ("execution", "created_by")
    date_hierarchy = "asked_at"
