"""Addresses of templates, executions and schedules."""

from __future__ import annotations

from django.urls import path

from templates_app import wizard
from templates_app.views import executions, schedules, template_editor, templates

app_name = "templates"

_TEMPLATES = "instances/<uuid:pk>/templates/"
_TEMPLATE = f"{_TEMPLATES}<slug:template_id>/"
_SCHEDULE = "schedules/<slug:schedule_id>/"

urlpatterns = [
    path("runs/", executions.execution_list, name="execution-list"),
    path("runs/<uuid:pk>/", executions.execution_detail, name="execution-detail"),
    path("runs/<uuid:pk>/rows/", executions.execution_rows, name="execution-rows"),
    path("runs/<uuid:pk>/columns/", executions.execution_statistics, name="execution-statistics"),
    path("runs/<uuid:pk>/cancel/", executions.execution_cancel, name="execution-cancel"),
    path("runs/<uuid:pk>/again/", executions.execution_again, name="execution-again"),
    path("runs/<uuid:pk>/fetch/", executions.execution_fetch, name="execution-fetch"),
    path("runs/<uuid:pk>/download/<slug:kind>/", executions.execution_download, name="execution-download"),
    path("instances/<uuid:pk>/runs/", executions.execution_of_instance, name="execution-of-instance"),
    path("schema.json", template_editor.schema, name="schema"),
    path(_TEMPLATES, templates.template_list, name="template-list"),
    path(f"{_TEMPLATES}new/", template_editor.template_create, name="template-create"),
    path(f"{_TEMPLATES}parameters/", template_editor.template_parameters, name="template-parameters"),
    path(f"{_TEMPLATES}preview/", template_editor.template_preview, name="template-preview"),
    path(f"{_TEMPLATES}lint/", template_editor.template_lint, name="template-lint"),
    path(f"{_TEMPLATES}run-preview/", wizard.run_preview, name="run-preview"),
    path(f"{_TEMPLATE}run/", wizard.run_start, name="run-start"),
    path(
        f"{_TEMPLATE}run/<uuid:key>/<slug:step>/",
        wizard.RunWizard.as_view(url_name="templates:run", done_step_name="finished"),
        name="run",
    ),
    path(_TEMPLATE, templates.template_detail, name="template-detail"),
    path(f"{_TEMPLATE}edit/", template_editor.template_update, name="template-update"),
    path(f"{_TEMPLATE}copy/", templates.template_copy, name="template-copy"),
    path(f"{_TEMPLATE}archive/", templates.template_archive, name="template-archive"),
    path(f"{_TEMPLATE}delete/", templates.template_delete, name="template-delete"),
    path(f"{_TEMPLATE}versions/", templates.template_versions, name="template-versions"),
    path(f"{_TEMPLATE}versions/<int:number>/restore/", templates.template_restore, name="template-restore"),
    path("schedules/", schedules.schedule_list, name="schedule-list"),
    path("schedules/calendar/", schedules.schedule_calendar, name="schedule-calendar"),
    path("instances/<uuid:pk>/schedules/", schedules.schedule_of_instance, name="schedule-of-instance"),
    path(_SCHEDULE, schedules.schedule_detail, name="schedule-detail"),
    path(f"{_SCHEDULE}edit/", schedules.schedule_update, name="schedule-update"),
    path(f"{_SCHEDULE}pause/", schedules.schedule_pause, name="schedule-pause"),
    path(f"{_SCHEDULE}resume/", schedules.schedule_resume, name="schedule-resume"),
    path(f"{_SCHEDULE}run/", schedules.schedule_run, name="schedule-run"),
    path(f"{_SCHEDULE}delete/", schedules.schedule_delete, name="schedule-delete"),
]
