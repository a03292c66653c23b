from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from amchelper.bulk import keys_in_batches


def take_the_last_verdict(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Count what the last check found as settled: until now, every check set the time since when."""
    rows = apps.get_model("instances", "AMCInstance").objects
    # What was done already, by a migration that was interrupted, is left alone.
    left = rows.filter(health_settled=None).filter(Q(health_since__isnull=False) | Q(health_status__isnull=False))
    for keys in keys_in_batches(left):
        batch = left.filter(pk__in=keys)
        batch.filter(health_status=None).update(health_since=None)
        since = Coalesce("health_since", "last_health_check")
        checked = batch.filter(Q(health_since__isnull=False) | Q(last_health_check__isnull=False))
        checked.filter(health_status__isnull=False).update(health_since=since, health_settled=F("health_status"))


class Migration(migrations.Migration):
    # Each batch by itself: nobody waits for the whole table, and an interrupted migration goes on where it was.
    atomic = False

    dependencies = [("instances", "0002_settled_health")]

    operations = [migrations.RunPython(take_the_last_verdict, migrations.RunPython.noop)]
