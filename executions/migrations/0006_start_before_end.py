from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("executions", "0005_clear_impossible_starts")]

    operations = [
        migrations.AddConstraint(
            model_name="execution",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("started_at__isnull", True),
                    ("amc_finished_at__isnull", True),
                    ("started_at__lte", models.F("amc_finished_at")),
                    _connector="OR",
                ),
                name="executions_start_before_end",
            ),
        ),
    ]
