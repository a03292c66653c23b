"""App configuration of templates."""

from __future__ import annotations

from django.apps import AppConfig


class TemplatesAppConfig(AppConfig):
    """Templates, executions and schedules."""

    name = "templates_app"
    verbose_name = "Templates and runs"
    default_auto_field = "django.db.models.BigAutoField"
