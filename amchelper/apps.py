"""App configuration of the project package."""

from __future__ import annotations

from django.apps import AppConfig


class AmcHelperConfig(AppConfig):
    """Register the user model and the system checks."""

    name = "amchelper"
    verbose_name = "AMC Helper"

    def ready(self) -> None:
        """Import the checks so that Django knows them."""
        import amchelper.checks  # noqa: F401, PLC0415  registered by import, needs loaded settings
