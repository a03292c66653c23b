"""Bring an app's tables to a migration, for tests of what migrations do to rows."""

from __future__ import annotations

from typing import Any

from django.db import connection
from django.db.migrations.executor import MigrationExecutor


def migrate(app: str, name: str = "") -> Any:
    """Bring the app's tables to a migration, or the newest; returns the models as they were then."""
    executor = MigrationExecutor(connection)
    target = (app, name) if name else executor.loader.graph.leaf_nodes(app)[0]
    executor.migrate([target])
    return executor.loader.project_state([target]).apps


def migrate_all() -> None:
    """Bring every app's tables to the newest migration."""
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
