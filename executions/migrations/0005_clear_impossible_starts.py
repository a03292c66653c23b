"""Take back starts after the end: they were when we looked, by our clock, and AMC tells no other."""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.models import F

from amchelper.bulk import ROWS_WITH_TEXT, keys_in_batches


def clear(apps: Any, schema_editor: Any) -> None:
    """Forget the starts that cannot be."""
    rows = apps.get_model("executions", "Execution").objects
    wrong = rows.filter(started_at__gt=F("amc_finished_at"))
    for keys in keys_in_batches(wrong, ROWS_WITH_TEXT):
        # Looked at again: a run may have ended meanwhile.
        wrong.filter(pk__in=keys).update(started_at=None)


class Migration(migrations.Migration):
    # Each batch is a transaction of its own: nobody waits for the whole table, and what was done stays done when the
    # migration is interrupted and run again.
    atomic = False

    dependencies = [("executions", "0004_result_exports")]

    operations = [migrations.RunPython(clear, migrations.RunPython.noop)]
