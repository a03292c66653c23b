"""Bring a result home: downloaded, verified, converted, and only then told."""

from __future__ import annotations

import logging
from datetime import timedelta

from django.utils import timezone

from amchelper.exceptions import AmcHelperError, UndecryptableError
from executions.errors import DiskFullError, ErrorCode, NotStoredError
from executions.models import ExecutionStatus
from executions.results.columns import ResultFacts
from executions.results.conversion import convert
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
# A slow disk converts more than this in a second.
_BYTES_PER_SECOND = 5_000_000
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
    if isinstance(error, AmcTooLargeError):
        return _give_up(claim, error.message)
    return _try_again(claim, error)


def _store(claim: ExecutionClaim, client: AmcClient) -> ResultFacts:
    """Download, convert and publish; readers see nothing of it until the row says that it succeeded."""
    execution = claim.row

    def progress(written: int) -> None:
        claim.heartbeat()
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
        # A conversion cannot say that it is alive.
        size = csv.stat().st_size
        ensure_space(size)
        claim.extend(timedelta(seconds=size / _BYTES_PER_SECOND))
        facts = convert(csv, parquet, columns=[OutputColumn(**column) for column in execution.output_columns])
        claim.heartbeat(always=True)
        publish(csv, result_name(execution.pk, "csv"))
        publish(parquet, result_name(execution.pk, "parquet"))
    return facts


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
