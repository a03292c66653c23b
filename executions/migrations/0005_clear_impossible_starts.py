"""Take back starts after the end: they were when we looked, by our clock, and AMC tells no other."""

from __future__ import annotations

from typing import Any

from django.db import migrations
from django.db.models import F


def clear(apps: Any, schema_editor: Any) -> None:
    """Forget the starts that cannot be."""
    rows = apps.get_model("executions", "Execution").objects
    rows.filter(started_at__gt=F("amc_finished_at")).update(started_at=None)


class Migration(migrations.Migration):
    dependencies = [("executions", "0004_result_exports")]

    operations = [migrations.RunPython(clear, migrations.RunPython.noop)]
