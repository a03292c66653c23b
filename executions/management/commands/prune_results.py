"""Remove stored results that are older than the retention or beyond the space for all of them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from executions.services.retention import remove_old_results


class Command(BaseCommand):
    """`manage.py prune_results [--dry-run]`."""

    help = "Remove results older than RESULT_RETENTION_DAYS, then the oldest beyond RESULT_STORAGE_BYTES."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        removal = remove_old_results(timezone.now(), dry_run=dry_run)
        verb = "Would remove" if dry_run else "Removed"
        self.stdout.write(
            f"{verb} {removal.results} results and {removal.orphaned} orphaned files, {removal.bytes:,} bytes."
        )
