"""What migrations do to the rows of a deployment that is older."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.test import TransactionTestCase

from amchelper.bulk import BATCH
from instances.models import AMCInstance
from tests.factories import InstanceFactory
from tests.migrations import migrate, migrate_all
from tests.transactions import recorded_transactions

CHECKED = datetime(2026, 11, 3, 10, tzinfo=UTC)
SINCE = CHECKED - timedelta(days=3)


class SettledHealthTests(TransactionTestCase):
    def test_verdict_and_since_of_older_rows_count_as_settled(self) -> None:
        rows: dict[str, dict[str, Any]] = {
            "lasting": {"health_status": "ERROR", "last_health_check": CHECKED, "health_since": SINCE},
            "without since": {"health_status": "HEALTHY", "last_health_check": CHECKED, "health_since": None},
            "never checked": {"health_status": None, "last_health_check": None, "health_since": None},
        }
        keys = {name: InstanceFactory.create(health_status=None).pk for name in rows}
        try:
            before = migrate("instances", "0002_settled_health").get_model("instances", "AMCInstance").objects
            for name, fields in rows.items():
                before.filter(pk=keys[name]).update(health_settled=None, **fields)
        finally:
            migrate_all()
        after = {name: AMCInstance.objects.get(pk=pk) for name, pk in keys.items()}
        self.assertEqual(
            {name: (row.health_settled, row.health_since) for name, row in after.items()},
            {"lasting": ("ERROR", SINCE), "without since": ("HEALTHY", CHECKED), "never checked": (None, None)},
        )
        self.assertTrue(all(row.is_health_settled for row in after.values()))

    def test_many_are_filled_in_batches(self) -> None:
        first = InstanceFactory.create(health_status=None)
        InstanceFactory.create_batch(BATCH, account=first.account, user=first.user, health_status=None)
        try:
            before = migrate("instances", "0002_settled_health").get_model("instances", "AMCInstance").objects
            before.update(health_settled=None, health_status="HEALTHY", health_since=SINCE)
            with recorded_transactions() as log:
                migrate("instances", "0003_settled_health_filled")
            written = [one.rows for one in log if any("amc_instances" in said for said in one.statements)]
            self.assertEqual([rows for rows in written if rows], [BATCH, 1])
        finally:
            migrate_all()
        self.assertEqual(
            AMCInstance.objects.filter(health_settled="HEALTHY", health_since=SINCE).count(), BATCH + 1
        )
