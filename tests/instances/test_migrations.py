"""What migrations do to the rows of a deployment that is older."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.test import TransactionTestCase

from instances.models import AMCInstance
from tests.factories import InstanceFactory

CHECKED = datetime(2026, 11, 3, 10, tzinfo=UTC)
SINCE = CHECKED - timedelta(days=3)


def migrate(name: str = "") -> Any:
    """Bring the app's tables to a migration, or the newest; returns the models as they were then."""
    executor = MigrationExecutor(connection)
    target = ("instances", name) if name else executor.loader.graph.leaf_nodes("instances")[0]
    executor.migrate([target])
    return executor.loader.project_state([target]).apps


class SettledHealthTests(TransactionTestCase):
    def test_verdict_and_since_of_older_rows_count_as_settled(self) -> None:
        rows: dict[str, dict[str, Any]] = {
            "lasting": {"health_status": "ERROR", "last_health_check": CHECKED, "health_since": SINCE},
            "without since": {"health_status": "HEALTHY", "last_health_check": CHECKED, "health_since": None},
            "never checked": {"health_status": None, "last_health_check": None, "health_since": None},
        }
        keys = {name: InstanceFactory.create(health_status=None).pk for name in rows}
        try:
            before = migrate("0002_settled_health").get_model("instances", "AMCInstance").objects
            for name, fields in rows.items():
                before.filter(pk=keys[name]).update(health_settled=None, **fields)
        finally:
            migrate()
        after = {name: AMCInstance.objects.get(pk=pk) for name, pk in keys.items()}
        self.assertEqual(
            {name: (row.health_settled, row.health_since) for name, row in after.items()},
            {"lasting": ("ERROR", SINCE), "without since": ("HEALTHY", CHECKED), "never checked": (None, None)},
        )
        self.assertTrue(all(row.is_health_settled for row in after.values()))
