"""App configuration of schedules."""

from __future__ import annotations

from django.apps import AppConfig


class SchedulesConfig(AppConfig):
    """Schedules, their slots and the run wizard."""

    name = "schedules"
    verbose_name = "Schedules"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from schedules.services.dependents import register_kinds  # models exist only now

        register_kinds()
