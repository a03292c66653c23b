"""Files that are too large to be made while a page waits: asked for, found, forgotten; workers make them."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from amchelper.access import MissingRowError, get_to_edit, get_visible, pk_of
from amchelper.commits import after_commit
from amchelper.models import User
from amchelper.queue import send_task
from amchelper.words import counted
from executions.errors import ExportLimitError
from executions.models import Execution, ExportFormat, ExportStatus, ResultExport, ResultExportQuerySet
from executions.results.spreadsheets import ensure_fits
from executions.services.result_files import remove_files, result_storage
from executions.services.results import facts_of

logger = logging.getLogger(__name__)

# Besides many short cells, a few long ones make a file large.
MAX_INLINE_BYTES = 10_000_000
_NOUN = "file"
_MAKE = "executions.tasks.make_exports"
_NAMES_TOLD, _NAME_LENGTH = 3, 60


def is_inline(cells: int, csv_bytes: int) -> bool:
    """Return whether a spreadsheet of so many cells is made at once, while the page waits."""
    return cells <= settings.EXPORT_INLINE_CELLS and csv_bytes <= MAX_INLINE_BYTES


def get_export(user: User, pk: UUID) -> ResultExport:
    """Return an export to download, with its run; raises Http404."""
    return get_visible(_rows(), user, _NOUN, pk=pk)


def get_export_to_edit(user: User, pk: UUID) -> ResultExport:
    """Return an export to forget; raises Http404, PermissionDenied."""
    return get_to_edit(_rows(), user, _NOUN, pk=pk)


def export_of(execution: Execution, export_format: ExportFormat) -> ResultExport | None:
    """Return the export of a run that was asked for, whatever became of it; None for none, or one that expired."""
    return execution.exports.filter(format=export_format, expires_at__gt=timezone.now()).first()


def waiting_before(export: ResultExport) -> int:
    """Return how many exports are made before this one."""
    earlier = ResultExport.objects.unfinished().filter(asked_at__lte=export.asked_at)
    return earlier.exclude(pk=export.pk).count()


def ask_for_export(execution: Execution, export_format: ExportFormat, *, actor: User) -> ResultExport:
    """Have a file made of a result, once for all who ask; returns the one that is there or on its way.

    Raises ResultError for a result that cannot be read or does not fit, ExportLimitError when too many are open,
    Http404 for a run that was deleted meanwhile.
    """
    ensure_fits(facts_of(execution))
    try:
        return _ask(execution, export_format, actor)
    except IntegrityError:
        if not Execution.objects.filter(pk=execution.pk).exists():
            raise MissingRowError("run", "This run was deleted meanwhile.") from None
        raise


def _ask(execution: Execution, export_format: ExportFormat, actor: User) -> ResultExport:
    with transaction.atomic():
        # Else two requests of one user could both be the last one allowed.
        User.objects.select_for_update(no_key=True).filter(pk=actor.pk).values_list("pk").first()
        known = ResultExport.objects.filter(execution=execution, format=export_format).first()
        if known is not None and _is_of_use(known):
            return known
        _ensure_capacity(actor)
        export = _begin(execution, export_format, known, actor)
        after_commit(lambda: send_task(_MAKE), what="send export")
    logger.info(
        "export asked for id=%s execution=%s format=%s actor=%s",
        export.pk, execution.pk, export_format, pk_of(actor),
    )  # fmt: skip
    return export


def forget_export(export: ResultExport, *, actor: User | None) -> None:
    """Remove an export with its file; a worker that is making it stops."""
    export.delete()
    logger.info("export forgotten id=%s execution=%s actor=%s", export.pk, export.execution_id, pk_of(actor))


def has_file(export: ResultExport) -> bool:
    """Return whether there is a file to download."""
    return export.is_ready and result_storage().exists(export.file)


def remove_export_file(*, instance: ResultExport, **kwargs: Any) -> None:
    """Remove the file of a row that was deleted, by whatever act: with its run, its instance, its user, or alone."""
    if name := instance.file:
        after_commit(lambda: remove_files(name), what="remove exported file")


def keep_until(now: datetime) -> datetime:
    """Return until when an export is kept that was asked for, or became ready, now."""
    return now + timedelta(hours=settings.EXPORT_KEEP_HOURS)


def _rows() -> ResultExportQuerySet:
    return ResultExport.objects.select_related("execution")


def _is_of_use(export: ResultExport) -> bool:
    """Return whether asking again leads to this one: it is being made, or its file is there for a while."""
    return export.expires_at > timezone.now() and (export.is_preparing or has_file(export))


def _ensure_capacity(actor: User) -> None:
    open_exports = ResultExport.objects.unfinished()
    mine = open_exports.filter(created_by=actor)
    if mine.count() >= settings.EXPORTS_PER_USER:
        names = mine.in_order().values_list("execution__name", flat=True)[:_NAMES_TOLD]
        told = ", ".join(f"“{name[:_NAME_LENGTH]}”" for name in names)
        raise ExportLimitError(
            f"You have {counted(settings.EXPORTS_PER_USER, 'file')} in preparation, the most at a time: {told}. "
            "Wait for one of them, or cancel one on its run's page."
        )
    if open_exports.count() >= settings.EXPORTS_IN_ALL:
        raise ExportLimitError(
            f"{counted(settings.EXPORTS_IN_ALL, 'file is', 'files are')} being prepared for all users together, the "
            "most at a time. "
            "Ask again in a few minutes, or download the result as CSV."
        )


def _begin(
    execution: Execution, export_format: ExportFormat, known: ResultExport | None, actor: User
) -> ResultExport:
    """Write a new row in place of one that is of no use any more; of two that ask at once one makes it."""
    if known is not None:
        known.delete()
    now = timezone.now()
    export, _ = ResultExport.objects.get_or_create(
        execution=execution,
        format=export_format,
        defaults={
            "created_by": actor, "status": ExportStatus.PREPARING, "asked_at": now, "next_step_at": now,
            "sent_at": now, "expires_at": keep_until(now),
        },
    )  # fmt: skip
    return export
