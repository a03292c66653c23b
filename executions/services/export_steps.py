"""What workers do about exports: make them one after the other, send again what got stuck, remove what expired."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from amchelper.busy import RETRY_AFTER_SECONDS, is_busy
from amchelper.disk import missing_bytes
from amchelper.exceptions import AmcHelperError
from amchelper.leases import Claim, LeasedQuerySet, LeaseLostError, new_token
from amchelper.queue import send_task
from amchelper.shutdown import StopRequestedError, ensure_running, is_stopping
from executions.errors import DiskFullError
from executions.models import ExportStatus, ResultExport
from executions.results.columns import ResultFacts
from executions.results.spreadsheets import export_xlsx, working_bytes
from executions.services.disk_space import ensure_space, is_full, report_shortage
from executions.services.exports import keep_until
from executions.services.result_files import export_name, incoming_files, publish, remove_abandoned, remove_files
from executions.services.results import facts_of, result_path
from executions.services.timing import backoff

logger = logging.getLogger(__name__)

# Tries of an export that workers died over, or that failed for reasons of ours.
MAX_ATTEMPTS = 3
# A page looks as often; a cancelled one is noticed as soon.
_TELL_EVERY_SECONDS = 1.0
_MAKE = "executions.tasks.make_exports"
_NO_SPACE = "Ask again later, or download the result as CSV."
# Writing a spreadsheet takes a whole core: one at a time per process leaves the other threads to the runs.
_making = threading.Lock()


class ExportClaim(Claim[ResultExport]):
    """One claimed export; it may be written only while it is being prepared."""

    def fail(self, why: str) -> None:
        """End it with a sentence for who asked."""
        now = timezone.now()
        self.finish(status=ExportStatus.FAILED, error=why[:500], finished_at=now, expires_at=keep_until(now))
        logger.warning("export failed id=%s execution=%s", self.row.pk, self.row.execution_id)

    def _rows(self) -> LeasedQuerySet[ResultExport]:
        return super()._rows().filter(status=ExportStatus.PREPARING)


def make_exports() -> int:
    """Make what is due, who asked first is first; returns how many were begun.

    A process makes one at a time: a message that comes meanwhile finds it busy, and what it is about is made next.
    """
    if not _making.acquire(blocking=False):
        return 0
    begun = 0
    try:
        while not is_stopping() and (claim := _claim_next()) is not None:
            begun += 1
            _advance(claim)
    finally:
        _making.release()
    return begun


def tick(now: datetime) -> None:
    """Send what is due and not on its way, and remove what expired and what processes that died left behind."""
    stuck = list(ResultExport.objects.to_send(now).values_list("pk", flat=True)[: settings.EXPORTS_IN_ALL])
    if stuck:
        ResultExport.objects.filter(pk__in=stuck).update(sent_at=now)
        # One message, however many wait: who takes it makes all.
        send_task(_MAKE)
    remove_expired(now)
    remove_abandoned(now)


def remove_expired(now: datetime) -> int:
    """Remove exports that were kept long enough, and the oldest beyond EXPORT_STORAGE_BYTES; returns how many."""
    expired = list(ResultExport.objects.expired(now))
    kept, limit = 0, settings.EXPORT_STORAGE_BYTES
    if limit > 0:
        for export in ResultExport.objects.ready().filter(expires_at__gt=now).order_by("-finished_at", "-pk"):
            kept += export.byte_count or 0
            if kept > limit:
                expired.append(export)
    for export in expired:
        export.delete()
    if expired:
        logger.info("exports removed count=%s", len(expired))
    return len(expired)


def remove_exports_for_space() -> int:
    """Remove exports, the oldest first, until there is space: each can be made anew. Returns how many."""
    removed = 0
    for export in ResultExport.objects.ready().order_by("finished_at", "pk"):
        if not missing_bytes():
            break
        export.delete()
        removed += 1
    return removed


def _claim_next() -> ExportClaim | None:
    """Claim the export that was asked for first and is free."""
    worker = f"{socket.gethostname()}:{os.getpid()}:{threading.get_native_id()}"
    now = timezone.now()
    for pk in ResultExport.objects.due(now).in_order().values_list("pk", flat=True)[: settings.EXPORTS_IN_ALL]:
        token = new_token(worker)
        held = ResultExport.objects.claim([pk], token=token, now=now)
        if (row := held.select_related("execution").first()) is not None:
            return ExportClaim(row, token)
    return None


def _advance(claim: ExportClaim) -> None:
    export = claim.row
    try:
        _step(claim)
    except LeaseLostError:
        # Cancelled, deleted with its run, or taken over; nothing of it is left here.
        logger.info("export given up id=%s", export.pk)
    # A bug or a database in trouble: the row must not stay held, nor be tried without end.
    except Exception as error:
        if is_busy(error):
            _wait_for_database(claim, error)
            return
        logger.exception("export step failed id=%s", export.pk)
        # It may have ended before it failed.
        with suppress(LeaseLostError):
            claim.defer(backoff(export.step_attempts), rows_done=0)


def _wait_for_database(claim: ExportClaim, error: Exception) -> None:
    """Let go of an export that could not be written down; a busy database is no failed try of it."""
    logger.warning("database busy export=%s error=%s", claim.row.pk, error)
    try:
        claim.defer(timedelta(seconds=RETRY_AFTER_SECONDS), counts=False, rows_done=0)
    except LeaseLostError:
        pass  # cancelled or taken over meanwhile
    except DatabaseError as still:
        if not is_busy(still):
            raise
        # It stays held until its lease ends; then it comes again.


def _step(claim: ExportClaim) -> None:
    if claim.row.step_attempts > MAX_ATTEMPTS:
        claim.fail("It could not be made. Ask your administrator for the log, or download the result as CSV.")
        return
    try:
        _store(claim)
    except StopRequestedError:
        # The next worker begins anew; a stop is nobody's failure.
        claim.defer(timedelta(), counts=False, rows_done=0)
    except DiskFullError as error:
        claim.fail(f"{error.message} {_NO_SPACE}")
    except AmcHelperError as error:
        claim.fail(error.message)
    except OSError as error:
        if is_full(error):
            report_shortage()
            claim.fail(f"{DiskFullError().message} {_NO_SPACE}")
            return
        logger.exception("export not stored id=%s", claim.row.pk)
        claim.fail(f"It could not be stored: {error.strerror or 'disk error'}. {_NO_SPACE}")


def _store(claim: ExportClaim) -> None:
    """Write the file, publish it, and only then tell; whoever cannot takes the file away again."""
    execution, began = claim.row.execution, time.monotonic()
    facts = facts_of(execution)
    ensure_space(working_bytes(facts))
    name = export_name(execution.pk, "xlsx")
    with incoming_files(execution.pk, "xlsx") as (path,):
        with path.open("wb") as file:
            export_xlsx(result_path(execution), file, progress=_Watch(claim))
        size = path.stat().st_size
        claim.heartbeat(always=True)
        publish(path, name)
    try:
        claim.finish(**_ready(facts, name, size))
    except (LeaseLostError, DatabaseError):
        # No row names it; should one do so all the same, it is made again.
        remove_files(name)
        raise
    logger.info(
        "export made id=%s execution=%s format=%s actor=%s rows=%s bytes=%s seconds=%.1f",
        claim.row.pk, execution.pk, claim.row.format, claim.row.created_by_id, facts.rows, size,
        time.monotonic() - began,
    )  # fmt: skip


def _ready(facts: ResultFacts, name: str, size: int) -> dict[str, Any]:
    now = timezone.now()
    return {
        "status": ExportStatus.READY, "file": name, "byte_count": size, "rows_done": facts.rows,
        "finished_at": now, "expires_at": keep_until(now),
    }  # fmt: skip


class _Watch:
    """Hears the rows written: keeps the lease, tells the page, and stops where nobody wants the file any more."""

    def __init__(self, claim: ExportClaim) -> None:
        self._claim, self._tell_at = claim, 0.0

    def __call__(self, rows: int) -> None:
        now = time.monotonic()
        if now < self._tell_at:
            return
        self._tell_at = now + _TELL_EVERY_SECONDS
        ensure_running()
        ensure_space()
        self._claim.heartbeat(rows_done=rows)
