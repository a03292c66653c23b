"""What of runs goes with rows that are deleted: rows, results and their files; runs at AMC stand against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db.models import Q, QuerySet, Sum
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from amchelper.dependents import DependentKind, register
from amchelper.words import counted, pluralized
from executions.models import AT_AMC, Execution, ExecutionStatus, ResultExport
from executions.services.result_files import remove_files
from instances.models import AmazonConnection

_USABLE_LOGIN = Q(instance__account__connection__status=AmazonConnection.Status.CONNECTED)


def register_kinds() -> None:
    """Make the kinds of this app known."""
    register(
        DependentKind(
            Execution,
            "run",
            is_weighty=True,
            describe=_describe,
            obstacle=_open_at_amc,
            prepare=_call_off,
            stops=_stops,
        ),
        DependentKind(ResultExport, "file made of a result", "files made of results"),
    )


def _describe(rows: QuerySet[Any]) -> list[str]:
    """Say how many runs go, what becomes of those that are open, and how large their results are."""
    said = [counted(rows.count(), "run")]
    if waiting := rows.filter(status=ExecutionStatus.QUEUED).count():
        said.append(f"{waiting:,} of these runs {pluralized(waiting, 'waits', 'wait')} and will not start.")
    if left := rows.filter(status__in=AT_AMC).exclude(_USABLE_LOGIN).count():
        said.append(
            f"{left:,} of these runs {pluralized(left, 'is', 'are')} open at AMC and {pluralized(left, 'goes', 'go')} "
            "on there: the login is not connected, so nothing can be cancelled."
        )
    results = rows.exclude(parquet_file="").aggregate(bytes=Sum("byte_count"), count=Sum(1))
    if results["count"]:
        said.append(f"{counted(results['count'], 'stored result')} ({filesizeformat(results['bytes'] or 0)})")
    return said


def _open_at_amc(rows: QuerySet[Any]) -> str:
    """Say that runs are open at AMC and can be cancelled there; a login that is not connected cannot."""
    found = rows.filter(_USABLE_LOGIN, status__in=AT_AMC)
    count = found.count()
    if not count:
        return ""
    asked = found.filter(cancel_requested_at__isnull=False).count()
    if asked == count:
        return f"{counted(count, 'run is', 'runs are')} being cancelled at AMC. Try again in a minute."
    return (
        f"{counted(count, 'run is', 'runs are')} open at AMC and would go on there unseen. Cancel "
        f"{pluralized(count, 'it', 'them')} first, or wait for the end."
    )


def _call_off(rows: QuerySet[Any]) -> Callable[[], object]:
    """Keep what waits from being sent to AMC while it is deleted; returns what removes the results' files."""
    rows.filter(status=ExecutionStatus.QUEUED).update(
        status=ExecutionStatus.CANCELLED, finished_at=timezone.now(), waiting_for=""
    )
    names = [name for pair in rows.values_list("csv_file", "parquet_file") for name in pair if name]
    return lambda: remove_files(*names)


def _stops(rows: QuerySet[Any]) -> list[str]:
    """Say what becomes of open runs whose login can no longer be used."""
    said = []
    may_be_there = Q(status=ExecutionStatus.SUBMITTING, attempted_at__isnull=False)
    is_there = Q(status__in=[ExecutionStatus.PENDING, ExecutionStatus.RUNNING]) | may_be_there
    open_rows = rows.open()  # type: ignore[attr-defined]  # rows of runs
    if there := open_rows.filter(is_there).count():
        goes, is_followed = pluralized(there, "goes", "go"), pluralized(there, "is", "are")
        said.append(
            f"{counted(there, 'run')} at AMC {goes} on there and {is_followed} followed once you reconnect."
        )
    if fetching := open_rows.filter(status=ExecutionStatus.FETCHING).count():
        said.append(f"{counted(fetching, 'result')} cannot be fetched before you reconnect.")
    if waiting := open_rows.exclude(is_there).exclude(status=ExecutionStatus.FETCHING).count():
        said.append(
            f"{counted(waiting, 'run')} that {pluralized(waiting, 'has', 'have')} not reached AMC will fail."
        )
    return said
