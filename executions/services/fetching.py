"""Bring a result home: downloaded, verified, converted, and only then told."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from pathlib import Path

from django.db import DatabaseError
from django.utils import timezone

from amchelper.busy import is_busy
from amchelper.exceptions import AmcHelperError, UndecryptableError
from amchelper.shutdown import StopRequestedError, ensure_running
from executions.errors import DiskFullError, ErrorCode, NotStoredError
from executions.models import ExecutionStatus
from executions.results.columns import ResultFacts
from executions.results.conversion import convert
from executions.results.errors import ConversionTimeoutError, RowsTooLongError
from executions.results.watching import run_watched
from executions.services.claims import ExecutionClaim
from executions.services.disk_space import ensure_space, is_full, report_shortage
from executions.services.result_files import incoming_files, publish, result_name
from executions.services.timing import delay_after, fetch_delay, space_delay
from instances.amc.client import AmcClient
from instances.amc.errors import (
    AmcAuthError,
    AmcCredentialsError,
    AmcForbiddenError,
    AmcLaterError,
    AmcTooLargeError,
)
from instances.amc.executions import OutputColumn

logger = logging.getLogger(__name__)

MAX_FAILURES = 5
# Workers that died while they fetched it: a result that kills them must not do so for ever.
MAX_CRASHES = 20
# AMC asked to wait, or the login or our disk has to be repaired; the result is still there, over a weekend too.
MAX_WAIT = timedelta(days=3)
_DISK = (DiskFullError, NotStoredError)
_WAITS = (*_DISK, AmcLaterError, AmcAuthError, AmcCredentialsError, AmcForbiddenError, UndecryptableError)
# Of the usual waits: half a minute or so.
_WAITING_ATTEMPTS = 3
# A busy machine with a slow disk converts more than this in a second, however wide the result is.
_BYTES_PER_SECOND = 500_000
_LEAST_CONVERSION_SECONDS = 300.0
# The CSV, and the Parquet file made of it.
_FILES = 2
_NOT_FETCHED = "AMC finished the run, but its result could not be fetched."


def fetch(claim: ExecutionClaim, client: AmcClient) -> bool:
    """Fetch and store the result; returns False, for it either ends or waits. Raises DiskFullError, NotStoredError."""
    execution = claim.row
    if execution.step_attempts > MAX_CRASHES:
        return _give_up(claim, "Workers stopped while they fetched it.")
    try:
        facts = _store(claim, client)
    except StopRequestedError:
        # The next worker begins anew: nothing of it was told yet.
        claim.defer(timedelta(), counts=False)
        return False
    except OSError as error:
        raise _refused_by_disk(claim, error) from error
    claim.finish(
        status=ExecutionStatus.SUCCEEDED,
        csv_file=result_name(execution.pk, "csv"),
        parquet_file=result_name(execution.pk, "parquet"),
        row_count=facts.rows,
        byte_count=facts.bytes,
        result_removed_at=None,
    )
    return False


def fetching_failed(claim: ExecutionClaim, error: AmcHelperError) -> bool:
    """Write on the row what an error means for a result that is at AMC: wait, try again or give up. Returns False."""
    execution = claim.row
    if isinstance(error, _WAITS):
        waited = timezone.now() - (execution.amc_finished_at or execution.queued_at)
        if waited > MAX_WAIT:
            return _give_up(claim, error.message)
        if isinstance(error, _DISK):
            error.message += " The result waits at AMC meanwhile."
            return claim.reschedule(error, space_delay(waited), counts=False)
        return claim.reschedule(error, delay_after(error, _WAITING_ATTEMPTS), counts=False)
    if isinstance(error, (AmcTooLargeError, ConversionTimeoutError, RowsTooLongError)):
        return _give_up(claim, error.message)
    return _try_again(claim, error)


def _store(claim: ExecutionClaim, client: AmcClient) -> ResultFacts:
    """Download, convert and publish; readers see nothing of it until the row says that it succeeded."""
    execution = claim.row

    def progress(written: int) -> None:
        _hold_on(claim)
        # Of a packed result nobody knows the size before.
        ensure_space()

    # A disk that is full already needs no question to Amazon.
    ensure_space()
    with incoming_files(execution.pk, "csv", "parquet") as (csv, parquet):
        with csv.open("wb") as file:
            client.download_result(
                execution.ref,
                execution.amc_execution_id,
                file,
                progress=progress,
                announce=lambda size: ensure_space(_FILES * size),
            )
        facts = _convert(claim, csv, parquet)
        claim.heartbeat(always=True)
        publish(csv, result_name(execution.pk, "csv"))
        publish(parquet, result_name(execution.pk, "parquet"))
    return facts


def _convert(claim: ExecutionClaim, csv: Path, parquet: Path) -> ResultFacts:
    """Make the table, holding the row meanwhile; a stop, a lost lease and too long a time end the work at once."""
    size = csv.stat().st_size
    ensure_space(size)
    seconds = conversion_seconds(size)
    ends_at = time.monotonic() + seconds
    declared = [OutputColumn(**column) for column in claim.row.output_columns]

    def pulse() -> None:
        _hold_on(claim)
        if time.monotonic() > ends_at:
            raise ConversionTimeoutError(
                f"It could not be made into a table in {seconds / 60:.0f} minutes. Fetch it again when less is going"
                " on, or select fewer columns and run it again."
            )

    return run_watched(lambda stop: convert(csv, parquet, columns=declared, stop=stop), pulse)


def _hold_on(claim: ExecutionClaim) -> None:
    """Keep the row while something long goes on; raises StopRequestedError, LeaseLostError."""
    ensure_running()
    try:
        claim.heartbeat()
    except DatabaseError as error:
        # The lease lasts for some more beats.
        if not is_busy(error):
            raise


def conversion_seconds(size: int) -> float:
    """Return how long a CSV of so many bytes may take to become a table."""
    return max(_LEAST_CONVERSION_SECONDS, size / _BYTES_PER_SECOND)


def _refused_by_disk(claim: ExecutionClaim, error: OSError) -> AmcHelperError:
    """Return what a disk's refusal means; either way somebody can mend it while AMC keeps the result."""
    if is_full(error):
        report_shortage()
        return DiskFullError()
    logger.error("result not stored id=%s", claim.row.pk, exc_info=error)
    return NotStoredError(
        f"It could not be stored here ({error.strerror or 'disk error'}); ask your administrator."
    )


def _try_again(claim: ExecutionClaim, error: AmcHelperError) -> bool:
    failures = claim.row.fetch_failures + 1
    if failures >= MAX_FAILURES:
        return _give_up(claim, error.message)
    return claim.reschedule(error, fetch_delay(failures), counts=False, fetch_failures=failures)


def _give_up(claim: ExecutionClaim, why: str) -> bool:
    return claim.fail(ErrorCode.RESULT_NOT_FETCHED, f"{_NOT_FETCHED} {why}")
