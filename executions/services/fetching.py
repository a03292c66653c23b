"""Bring a result home: downloaded, verified, converted, and only then told."""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from amchelper.exceptions import AmcHelperError, UndecryptableError
from executions.models import Execution, ExecutionStatus
from executions.results.columns import ResultFacts
from executions.results.conversion import convert
from executions.services.claims import Claim
from executions.services.endings import end, step_client, wait_for
from executions.services.result_files import incoming_files, publish, result_name
from executions.services.timing import delay_after, fetch_delay
from instances.amc.errors import (
    AmcAuthError,
    AmcCredentialsError,
    AmcForbiddenError,
    AmcLaterError,
    AmcTooLargeError,
)
from instances.amc.executions import OutputColumn

logger = logging.getLogger(__name__)

MOST_FAILURES = 5
# Workers that died while they fetched it: a result that kills them must not do so for ever.
MOST_CRASHES = 20
# AMC asked for patience, or somebody has to repair the login; the result is still there, over a weekend too.
PATIENCE = timedelta(days=3)
_WAITS = (AmcLaterError, AmcAuthError, AmcCredentialsError, AmcForbiddenError, UndecryptableError)
# Of the usual waits: half a minute or so.
_PATIENT_STEP = 3
# A slow disk converts more than this in a second.
_BYTES_PER_SECOND = 5_000_000
_NOT_FETCHED = "AMC finished the run, but its result could not be fetched."
NOT_FETCHED = "result_not_fetched"


def fetch(claim: Claim) -> bool:
    """Fetch and store the result; returns False, for it either ends or waits."""
    execution = claim.execution
    if execution.step_attempts > MOST_CRASHES:
        return _give_up(claim, "Workers stopped while they fetched it.")
    try:
        facts = _store(claim)
    except _WAITS as error:
        if timezone.now() > (execution.amc_finished_at or execution.queued_at) + PATIENCE:
            return _give_up(claim, error.message)
        return wait_for(claim, error, delay_after(error, _PATIENT_STEP), counts=False)
    except AmcTooLargeError as error:
        return _give_up(claim, error.message)
    except AmcHelperError as error:
        return _try_again(claim, error)
    except OSError as error:
        logger.exception("result not stored id=%s", execution.pk)
        return _try_again(claim, AmcHelperError(f"It could not be stored: {error.strerror or 'disk error'}."))
    return end(
        claim,
        ExecutionStatus.SUCCEEDED,
        csv_file=result_name(execution.pk, "csv"),
        parquet_file=result_name(execution.pk, "parquet"),
        row_count=facts.rows,
        byte_count=facts.bytes,
        result_removed_at=None,
    )


def _store(claim: Claim) -> ResultFacts:
    """Download, convert and publish; readers see nothing of it until the row says that it succeeded."""
    execution = claim.execution
    with incoming_files(execution.pk) as (csv, parquet):
        with step_client(execution) as client, csv.open("wb") as file:
            client.download_result(
                execution.ref, execution.amc_execution_id, file, progress=lambda written: claim.keep()
            )
        # A conversion cannot say that it is alive.
        claim.extend(timedelta(seconds=csv.stat().st_size / _BYTES_PER_SECOND))
        facts = convert(csv, parquet, columns=[OutputColumn(**column) for column in execution.output_columns])
        claim.keep(always=True)
        _publish(execution, csv, parquet)
    return facts


def _publish(execution: Execution, csv: Path, parquet: Path) -> None:
    publish(csv, result_name(execution.pk, "csv"))
    publish(parquet, result_name(execution.pk, "parquet"))


def _try_again(claim: Claim, error: AmcHelperError) -> bool:
    # In this status `polls` counts the failures that were told.
    failures = claim.execution.polls + 1
    if failures >= MOST_FAILURES:
        return _give_up(claim, error.message)
    return wait_for(claim, error, fetch_delay(failures), counts=False, polls=failures)


def _give_up(claim: Claim, why: str) -> bool:
    return end(claim, ExecutionStatus.FAILED, error=f"{_NOT_FETCHED} {why}", code=NOT_FETCHED)
