"""A stored result as a file: which kinds there are, what each is read or made from."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from tempfile import TemporaryFile
from typing import BinaryIO

from django.utils.text import slugify

from amchelper.disk import temporary_root
from amchelper.downloads import CSV, Download, begin_download
from executions.errors import DiskFullError
from executions.models import Execution, ExportFormat, ResultExport
from executions.results.errors import ResultError, ResultGoneError
from executions.results.exports import export_csv
from executions.results.spreadsheets import ensure_fits, export_xlsx, working_bytes
from executions.services.disk_space import ensure_space, is_full, report_shortage
from executions.services.exports import export_of, has_file, is_inline
from executions.services.result_files import result_storage
from executions.services.results import facts_of, result_path

logger = logging.getLogger(__name__)

_MAX_NAME = 120
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_PARQUET = "application/vnd.apache.parquet"
_IN_THE_BACKGROUND = (
    "This result is large: its Excel file is prepared in the background. Choose Download, then Excel (XLSX)."
)


def open_download(execution: Execution, kind: str) -> Download:
    """Return a result as a file of a kind of DOWNLOAD_KINDS.

    Raises ResultError for what cannot be read or made at once, DiskFullError, and NoPlaceError for one too many.
    """
    return begin_download(lambda: DOWNLOAD_KINDS[kind](execution, _base_name(execution)))


def open_export(export: ResultExport) -> Download:
    """Return the file of an export; raises ResultError when there is none (yet), NoPlaceError for one too many."""
    execution = export.execution

    def open_file() -> Download:
        if not has_file(export):
            raise ResultError("This file is not ready, or no longer kept. Ask for it again on this page.")
        return Download.of_file(f"{_base_name(execution)}.xlsx", _XLSX, result_storage().open(export.file))

    return begin_download(open_file)


def _original(execution: Execution, name: str) -> Download:
    """Return the CSV as AMC sent it."""
    if not result_storage().exists(execution.csv_file):
        raise ResultGoneError
    return Download.of_file(f"{name}.csv", CSV, result_storage().open(execution.csv_file))


def _safe(execution: Execution, name: str) -> Download:
    """Return rows that no spreadsheet takes for formulas, written while they are read."""
    facts_of(execution)
    chunks = export_csv(result_path(execution), spreadsheet_safe=True)
    return Download(f"{name}-spreadsheet.csv", CSV, chunks, chunks)


def _parquet(execution: Execution, name: str) -> Download:
    return Download.of_file(f"{name}.parquet", _PARQUET, result_path(execution).open("rb"))


def _xlsx(execution: Execution, name: str) -> Download:
    """Return a spreadsheet: a small one is made now, of a large one the file that a worker has made."""
    facts = facts_of(execution)
    ensure_fits(facts)
    if is_inline(facts.cells, facts.bytes):
        return Download.of_file(f"{name}.xlsx", _XLSX, _written(execution, working_bytes(facts)))
    export = export_of(execution, ExportFormat.XLSX)
    if export is None or not has_file(export):
        raise ResultError(_IN_THE_BACKGROUND)
    return Download.of_file(f"{name}.xlsx", _XLSX, result_storage().open(export.file))


DOWNLOAD_KINDS: dict[str, Callable[[Execution, str], Download]] = {
    "csv": _original,
    "spreadsheet": _safe,
    "xlsx": _xlsx,
    "parquet": _parquet,
}


def _written(execution: Execution, needed: int) -> BinaryIO:
    """Write a spreadsheet to a file without a name, which is gone once it is closed."""
    ensure_space(needed)
    root = temporary_root()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    file: BinaryIO = TemporaryFile(dir=root)  # noqa: SIM115  the answer closes it
    try:
        written = export_xlsx(result_path(execution), file)
    except BaseException as error:
        # A full disk refuses the last bytes once more.
        with suppress(OSError):
            file.close()
        if isinstance(error, OSError) and is_full(error):
            report_shortage()
            raise DiskFullError from error
        raise
    logger.info("export made execution=%s format=xlsx rows=%s inline=true", execution.pk, written.rows)
    return file


def _base_name(execution: Execution) -> str:
    return slugify(execution.name)[:_MAX_NAME] or "result"
