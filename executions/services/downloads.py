"""Files that leave: in pieces, and let go of as soon as nobody reads them any more."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from tempfile import TemporaryFile
from typing import BinaryIO, Protocol

from django.conf import settings
from django.core.files import File
from django.utils.text import slugify

from amchelper.access import pk_of
from amchelper.disk import temporary_root
from amchelper.models import User
from executions.errors import DiskFullError, DownloadLimitError
from executions.models import Execution, ExportFormat, ResultExport
from executions.results.errors import ResultError, ResultGoneError
from executions.results.exports import export_csv
from executions.results.spreadsheets import ensure_fits, export_xlsx, working_bytes
from executions.services.disk_space import ensure_space, is_full, report_shortage
from executions.services.exports import export_of, has_file, is_inline
from executions.services.result_files import result_storage
from executions.services.results import facts_of, result_path

logger = logging.getLogger(__name__)

_CHUNK = 256 * 1024
_MAX_NAME = 120
_CSV = "text/csv; charset=utf-8"
_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_PARQUET = "application/vnd.apache.parquet"
_IN_THE_BACKGROUND = (
    "This result is large: its Excel file is prepared in the background. Choose Download, then Excel (XLSX)."
)


class _Closable(Protocol):
    def close(self) -> object: ...


class _Places:
    """How many downloads this process serves: a reader that stands still holds a thread, and pages need some too."""

    def __init__(self) -> None:
        self._lock, self._taken = threading.Lock(), 0

    def take(self) -> None:
        """Take a place; raises DownloadLimitError."""
        with self._lock:
            if self._taken >= settings.DOWNLOADS_PER_PROCESS:
                raise DownloadLimitError(
                    f"{settings.DOWNLOADS_PER_PROCESS} downloads are going on here, the most at a time. "
                    "Try again in a minute."
                )
            self._taken += 1

    def give_back(self) -> None:
        """Let the next one in."""
        with self._lock:
            self._taken -= 1


_places = _Places()


class Download:
    """A file on its way to a reader: pieces, how it is called and what it is, and its bytes where they are known.

    Whoever iterates closes it in the end, read or not; what it is made from is closed then, and its place is free.
    """

    def __init__(
        self, name: str, content_type: str, chunks: Iterator[bytes], source: _Closable, *, size: int | None = None
    ) -> None:
        self.name, self.content_type, self.size = name, content_type, size
        self._chunks, self._source, self._is_open = chunks, source, True

    @classmethod
    def of_file(cls, name: str, content_type: str, file: BinaryIO | File[bytes]) -> Download:
        """Return the download of an open file, from its beginning."""
        size = file.seek(0, 2)
        file.seek(0)
        return cls(name, content_type, iter(partial(file.read, _CHUNK), b""), file, size=size)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """Stop, and let go of everything; a second time does nothing."""
        if self._is_open:
            self._is_open = False
            _places.give_back()
            self._source.close()

    # An answer that is never sent is never closed.
    __del__ = close


def open_download(execution: Execution, kind: str, *, actor: User) -> Download:
    """Return a result as a file of a kind of DOWNLOAD_KINDS.

    Raises ResultError for what cannot be read or made at once, DiskFullError, and DownloadLimitError for one too many.
    """
    return _opened(lambda: DOWNLOAD_KINDS[kind](execution, _base_name(execution)), execution, kind, actor)


def open_export(export: ResultExport, *, actor: User) -> Download:
    """Return the file of an export; raises ResultError when there is none (yet), DownloadLimitError."""
    execution = export.execution

    def open_file() -> Download:
        if not has_file(export):
            raise ResultError("This file is not ready, or no longer kept. Ask for it again on this page.")
        return Download.of_file(f"{_base_name(execution)}.xlsx", _XLSX, result_storage().open(export.file))

    return _opened(open_file, execution, export.format.lower(), actor)


def _opened(open_it: Callable[[], Download], execution: Execution, kind: str, actor: User) -> Download:
    _places.take()
    try:
        download = open_it()
    except BaseException:
        _places.give_back()
        raise
    logger.info("result downloaded execution=%s format=%s actor=%s", execution.pk, kind, pk_of(actor))
    return download


def _original(execution: Execution, name: str) -> Download:
    """Return the CSV as AMC sent it."""
    if not result_storage().exists(execution.csv_file):
        raise ResultGoneError
    return Download.of_file(f"{name}.csv", _CSV, result_storage().open(execution.csv_file))


def _safe(execution: Execution, name: str) -> Download:
    """Return rows that no spreadsheet takes for formulas, written while they are read."""
    facts_of(execution)
    chunks = export_csv(result_path(execution), spreadsheet_safe=True)
    return Download(f"{name}-spreadsheet.csv", _CSV, chunks, chunks)


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
