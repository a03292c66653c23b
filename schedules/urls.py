"""Addresses of schedules and of the run wizard."""

from __future__ import annotations

from django.urls import path

from schedules.views import schedules, wizard

app_name = "schedules"

_TEMPLATES = "instances/<uuid:pk>/templates/"
_TEMPLATE = f"{_TEMPLATES}<slug:template_id>/"
_SCHEDULE = "schedules/<slug:schedule_id>/"

urlpatterns = [
    path(f"{_TEMPLATES}run-preview/", wizard.run_preview, name="run-preview"),
    path(f"{_TEMPLATE}run/", wizard.run_start, name="run-start"),
    path(
        f"{_TEMPLATE}run/<uuid:key>/<slug:step>/",
        wizard.RunWizard.as_view(url_name="schedules:run", done_step_name="finished"),
        name="run",
    ),
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
