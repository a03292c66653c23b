from django.db import migrations, models

from amchelper.indexes import AddIndexOnline, RemoveIndexOnline


class Migration(migrations.Migration):
    # Runs are written while their indexes are made.
    atomic = False

    dependencies = [("executions", "0006_start_before_end")]

    operations = [
        AddIndexOnline(
            model_name="execution",
            index=models.Index(fields=["-queued_at", "-id"], name="executions_newest"),
        ),
        AddIndexOnline(
            model_name="execution",
            index=models.Index(fields=["instance", "-queued_at", "-id"], name="executions_newest_of_instance"),
        ),
        # Served by the longer one.
        RemoveIndexOnline(model_name="execution", name="executions_of_instance"),
        AddIndexOnline(
            model_name="execution",
            index=models.Index(
                condition=models.Q(("csv_file", ""), ("parquet_file", ""), _negated=True),
                fields=["-finished_at", "-id"],
                name="executions_with_files",
            ),
        ),
    ]
