"""Pages of discovery."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from amchelper.exceptions import AmcHelperError
from amchelper.htmx import HtmxHttpRequest, redirect_page, render_page
from instances.amc.errors import AmcError
from instances.models import AmazonConnection, HealthCheckBatch
from instances.models.reasons import reason_of
from instances.services.access import get_connection
from instances.services.discovery import AccountRows, DiscoveryKey, discover
from instances.services.health_runs import queue_run
from instances.services.imports import ImportResult, import_instances
from instances.tasks import advance_health_run

# Django reads at most 1,000 fields of a form (DATA_UPLOAD_MAX_NUMBER_FIELDS).
SELECTABLE = 900
_FAILURES_TOLD = 3
_GROUPS = ("new", "changed", "gone", "elsewhere", "same")


@require_http_methods(["GET", "POST"])
def connection_discover(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    connection = get_connection(request.user, pk)
    context: dict[str, Any] = {
        "connection": connection,
        "breadcrumbs": [
            ("Connections", reverse("instances:connection-list")),
            (connection.label, connection.get_absolute_url()),
            ("Discover", None),
        ],
    }
    if request.method == "POST":
        try:
            context |= _results(discover(connection, request.user))
        except AmcHelperError as error:
            context |= {"error": error.message, "fix": _fix(error)}
    return render_page(
        request, "instances/discovery_detail.html", "instances/_partials/discovery_results.html", context
    )


@require_POST
def connection_import(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    connection = get_connection(request.user, pk)
    keys = _keys(request)
    if keys is not None and not keys:
        messages.warning(request, "Nothing was imported: tick at least one instance.")
        return redirect_page(request, "instances:connection-discover", pk)
    try:
        result = import_instances(connection=connection, user=request.user, keys=keys)
    except AmcHelperError as error:
        messages.error(request, f"Nothing was imported. {error.message}")
        return redirect_page(request, "instances:connection-discover", pk)
    _tell(request, connection, result)
    return redirect_page(request, "instances:instance-list")


def _results(accounts: list[AccountRows]) -> dict[str, Any]:
    groups: dict[str, list[Any]] = {name: [] for name in _GROUPS}
    for account in accounts:
        for name in _GROUPS:
            groups[name] += [(account.reading, row) for row in getattr(account, name)]
    return {
        **groups,
        "accounts": accounts,
        "failed": [(account, _fix(account.reading.error)) for account in accounts if account.reading.error],
        "is_read": True,
        "selectable": SELECTABLE,
    }


def _fix(error: AmcHelperError | None) -> str:
    return reason_of(error.reason).fix if isinstance(error, AmcError) else ""


def _keys(request: HtmxHttpRequest) -> list[DiscoveryKey] | None:
    """Return the ticked instances; None when everything new is wanted."""
    if request.POST.get("all_new"):
        return None
    return [key for key in map(DiscoveryKey.parse, request.POST.getlist("key")) if key]


def _tell(request: HtmxHttpRequest, connection: AmazonConnection, result: ImportResult) -> None:
    """Say what happened, and have the new instances probed one by one: a listing does not prove every right."""
    if result.created:
        queue_run(
            result.created, user=request.user, trigger=HealthCheckBatch.Trigger.SAVE, send=advance_health_run.delay
        )
    done = [
        f"{_count(len(result.created))} imported" if result.created else "",
        f"{_count(result.updated)} updated" if result.updated else "",
        f"{_count(result.unchanged)} unchanged" if result.unchanged else "",
        f"{_count(result.elsewhere)} already here under another account" if result.elsewhere else "",
    ]
    said = ", ".join(filter(None, done)) or "Nothing to import"
    (messages.success if result.created or result.updated else messages.info)(request, f"{said}.")
    if result.missing:
        messages.warning(request, f"{_count(result.missing)} could not be found at Amazon any more.")
    for reading in result.failed[:_FAILURES_TOLD]:
        error = reading.error
        messages.error(request, f"{reading.name or reading.ref.account_id}: {error.message if error else ''}")
    more = len(result.failed) - _FAILURES_TOLD
    if more > 0:
        noun = "account" if more == 1 else "accounts"
        messages.error(request, f"{more} more {noun} could not be read. Discover again to see why.")


def _count(number: int) -> str:
    return f"{number} instance{'' if number == 1 else 's'}"
