"""App configuration of executions."""

from __future__ import annotations

from django.apps import AppConfig


class ExecutionsConfig(AppConfig):
    """Runs and their results."""

    name = "executions"
    verbose_name = "Runs"
    default_auto_field = "django.db.models.BigAutoField"
