"""App configuration of templates."""

from __future__ import annotations

from django.apps import AppConfig


class TemplatesAppConfig(AppConfig):
    """Templates and their versions."""

    name = "templates_app"
    verbose_name = "Templates"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from templates_app.services.dependents import register_kinds  # models exist only now

        register_kinds()
