from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import F


def take_the_last_verdict(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Count what the last check found as settled: until now, every check set the time since when."""
    instances = apps.get_model("instances", "AMCInstance").objects
    instances.filter(health_since__isnull=True).exclude(health_status=None).update(
        health_since=F("last_health_check")
    )
    instances.filter(health_status=None).update(health_since=None)
    instances.filter(health_since__isnull=False).update(health_settled=F("health_status"))


class Migration(migrations.Migration):
    dependencies = [("instances", "0002_settled_health")]

    operations = [migrations.RunPython(take_the_last_verdict, migrations.RunPython.noop)]
