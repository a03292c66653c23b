"""Addresses of executions and their results."""

from __future__ import annotations

from django.urls import path

from executions import views

app_name = "executions"

_RUN = "runs/<uuid:pk>/"

urlpatterns = [
    path("runs/", views.execution_list, name="execution-list"),
    path(_RUN, views.execution_detail, name="execution-detail"),
    path(f"{_RUN}rows/", views.execution_rows, name="execution-rows"),
    path(f"{_RUN}columns/", views.execution_statistics, name="execution-statistics"),
    path(f"{_RUN}columns/choices/", views.column_choices, name="column-choices"),
    path(f"{_RUN}columns/names/", views.column_names, name="column-names"),
    path(f"{_RUN}cancel/", views.execution_cancel, name="execution-cancel"),
    path(f"{_RUN}again/", views.execution_again, name="execution-again"),
    path(f"{_RUN}fetch/", views.execution_fetch, name="execution-fetch"),
    path(f"{_RUN}download/<slug:kind>/", views.execution_download, name="execution-download"),
    path(f"{_RUN}exports/", views.export_list, name="export-list"),
    path(f"{_RUN}exports/<slug:kind>/", views.export_create, name="export-create"),
    path("exports/<uuid:pk>/download/", views.export_download, name="export-download"),
    path("exports/<uuid:pk>/delete/", views.export_delete, name="export-delete"),
    path("instances/<uuid:pk>/runs/cancel/", views.execution_cancel_open, name="execution-cancel-open"),
    path("instances/<uuid:pk>/runs/", views.execution_of_instance, name="execution-of-instance"),
]
