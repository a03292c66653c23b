"""App configuration of executions."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_delete


class ExecutionsConfig(AppConfig):
    """Runs and their results."""

    name = "executions"
    verbose_name = "Runs"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Models exist only now.
        from amchelper.disk import temporary_root
        from executions.models import ResultExport
        from executions.results import spill
        from executions.services.dependents import register_kinds
        from executions.services.exports import remove_export_file

        register_kinds()
        spill.use_folder(temporary_root())
        # Rows go by cascades from apps below, which know nothing of files.
        post_delete.connect(remove_export_file, sender=ResultExport, dispatch_uid="executions.export_file")
