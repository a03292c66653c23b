"""Remove old results: what is older than the retention, then the oldest until the rest fits. Rows stay."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.conf import settings

from executions.models import Execution, ResultExport
from executions.services.export_steps import remove_exports_for_space
from executions.services.result_files import is_old, remove_abandoned, remove_files, size_of, stored_files

logger = logging.getLogger(__name__)

_BATCH = 500


@dataclass(frozen=True)
class Removal:
    """What was removed, or would be: results, orphaned files, which belong to no result, and bytes."""

    results: int = 0
    orphaned: int = 0
    bytes: int = 0


class _Stored(NamedTuple):
    """An execution with files."""

    pk: UUID
    csv_file: str
    parquet_file: str
    finished_at: datetime | None


def remove_old_results(now: datetime, *, dry_run: bool = False) -> Removal:
    """Remove results by age (RESULT_RETENTION_DAYS) and by size of all (RESULT_STORAGE_BYTES), and orphaned files.

    While the disk is short of space exports go too; a result that is to be kept is never removed for space.
    """
    results = total = 0
    for execution in _expired(now):
        total += _size(execution)
        results += 1
        if not dry_run:
            _remove(execution, now)
    orphaned = 0
    for name in _orphaned_files(now):
        total += size_of(name)
        orphaned += 1
        if not dry_run:
            remove_files(name)
    if not dry_run:
        remove_abandoned(now)
        exports = remove_exports_for_space()
        logger.info("results pruned results=%s orphaned=%s bytes=%s exports=%s", results, orphaned, total, exports)
    return Removal(results, orphaned, total)


def _expired(now: datetime) -> Iterator[_Stored]:
    """Return the executions whose result has to go, going from the newest to the oldest."""
    with_files = (
        Execution.objects.with_files()
        .order_by("-finished_at", "-pk")
        .values_list("pk", "csv_file", "parquet_file", "finished_at")
    )
    days, limit = settings.RESULT_RETENTION_DAYS, settings.RESULT_STORAGE_BYTES
    kept = 0
    # Not with a cursor that stays open: SQLite refuses to write on top of a reading that others have written after.
    for execution in map(_Stored._make, list(with_files)):
        ended_at = execution.finished_at or now
        if days > 0 and ended_at < now - timedelta(days=days):
            yield execution
            continue
        kept += _size(execution)
        if 0 < limit < kept:
            yield execution


def _remove(execution: _Stored, now: datetime) -> None:
    """Take a result away: first from the row, so that no page offers what is gone, then from the storage."""
    names = execution.csv_file, execution.parquet_file
    is_taken = Execution.objects.filter(pk=execution.pk, csv_file=names[0], parquet_file=names[1]).update(
        csv_file="", parquet_file="", result_removed_at=now
    )
    if is_taken:
        ResultExport.objects.filter(execution=execution.pk).delete()
        remove_files(*names)


def _size(execution: _Stored) -> int:
    return size_of(execution.csv_file) + size_of(execution.parquet_file)


def _orphaned_files(now: datetime) -> Iterator[str]:
    """Return old files whose execution is gone, or says that it has none: what a crash left behind."""
    batch: dict[str, UUID] = {}
    for name, pk in stored_files():
        batch[name] = pk
        if len(batch) >= _BATCH:
            yield from _unowned(batch, now)
            batch = {}
    yield from _unowned(batch, now)


def _unowned(batch: dict[str, UUID], now: datetime) -> list[str]:
    pks = set(batch.values())
    rows = Execution.objects.filter(pk__in=pks).values_list("csv_file", "parquet_file")
    owned = {name for names in rows for name in names}
    owned |= set(ResultExport.objects.filter(execution__in=pks).values_list("file", flat=True))
    return [name for name in batch if name not in owned and is_old(name, now)]
