"""App configuration of instances."""

from __future__ import annotations

from django.apps import AppConfig


class InstancesConfig(AppConfig):
    """Connections, accounts, instances, brands and health."""

    name = "instances"
    verbose_name = "AMC instances"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from instances.services.dependents import register_kinds  # models exist only now

        register_kinds()
