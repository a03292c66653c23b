"""App configuration of the project package."""

from __future__ import annotations

import sqlite3
from typing import Any

from django.apps import AppConfig
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate


class AmcHelperConfig(AppConfig):
    """Register the system checks and tune SQLite connections."""

    name = "amchelper"
    verbose_name = "AMC Helper"

    def ready(self) -> None:
        import amchelper.checks  # noqa: F401  registered by import, which needs loaded settings

        post_migrate.connect(_create_cache_table, sender=self, dispatch_uid="amchelper.cache_table")
        connection_created.connect(_use_sqlite_limit, dispatch_uid="amchelper.sqlite_limit")


def _create_cache_table(*, using: str, verbosity: int, **kwargs: Any) -> None:
    call_command("createcachetable", database=using, verbosity=max(0, verbosity - 1))


def _use_sqlite_limit(*, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Let bulk inserts use as many variables as this SQLite allows, not the 999 of versions before 2020."""
    if connection.vendor == "sqlite":
        limit = connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        connection.features.max_query_params = min(limit, 30_000)
