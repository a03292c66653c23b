"""Pages of discovery."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.views.decorators.http import require_http_methods, require_POST

from amchelper.exceptions import AmcHelperError
from amchelper.htmx import HtmxHttpRequest, redirect_page, render_page
from amchelper.limits import CHECKS, limited
from amchelper.words import counted, pluralized
from instances.models import AmazonConnection, HealthCheckBatch
from instances.presenters.breadcrumbs import connection_breadcrumbs
from instances.services.access import get_connection_to_edit, get_connection_to_run
from instances.services.discovery import Discovery, DiscoveryKey, discover
from instances.services.health.batches import queue_batch
from instances.services.health.probing import fix_of
from instances.services.imports import ImportResult, import_instances

# Django reads at most 1,000 fields of a form (DATA_UPLOAD_MAX_NUMBER_FIELDS).
SELECTABLE = 900
_FAILURES_TOLD = 3
_GROUPS = ("new", "changed", "gone", "unread", "elsewhere", "same")


@require_http_methods(["GET", "POST"])
@limited(CHECKS)
def connection_discover(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    connection = get_connection_to_run(request.user, pk)
    context: dict[str, Any] = {
        "connection": connection,
        "breadcrumbs": connection_breadcrumbs(connection, here="Discover"),
    }
    if request.method == "POST":
        try:
            context |= _results(discover(connection, request.user))
        except AmcHelperError as error:
            context |= {"error": error.message, "fix": fix_of(error)}
    return render_page(
        request, "instances/discovery_detail.html", "instances/_partials/discovery_results.html", context
    )


@require_POST
@limited(CHECKS)
def connection_import(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    connection = get_connection_to_edit(request.user, pk)
    keys = _keys(request)
    if keys is not None and not keys:
        messages.warning(request, "Nothing was imported: tick at least one instance.")
        return redirect_page(request, "instances:connection-discover", pk)
    try:
        result = import_instances(connection=connection, actor=request.user, keys=keys)
    except AmcHelperError as error:
        messages.error(request, f"Nothing was imported. {error.message}")
        return redirect_page(request, "instances:connection-discover", pk)
    _tell(request, connection, result)
    return redirect_page(request, "instances:instance-list")


def _results(found: Discovery) -> dict[str, Any]:
    groups: dict[str, list[Any]] = {name: [] for name in _GROUPS}
    for account in found.accounts:
        for name in _GROUPS:
            groups[name] += [(account.reading, row) for row in getattr(account, name)]
    return {
        **groups,
        "accounts": found.accounts,
        "accounts_error": found.error,
        "accounts_fix": fix_of(found.error),
        "failed": [
            (account, fix_of(account.reading.error)) for account in found.accounts if account.reading.error
        ],
        "is_read": True,
        "selectable": SELECTABLE,
    }


def _keys(request: HtmxHttpRequest) -> list[DiscoveryKey] | None:
    """Return the ticked instances; None when everything new is wanted."""
    if request.POST.get("all_new"):
        return None
    return [key for key in map(DiscoveryKey.parse, request.POST.getlist("key")) if key]


def _tell(request: HtmxHttpRequest, connection: AmazonConnection, result: ImportResult) -> None:
    """Say what happened, and have the new instances probed one by one: a listing does not prove every right."""
    if result.created:
        queue_batch(result.created, actor=request.user, trigger=HealthCheckBatch.Trigger.SAVE)
    done = [
        f"{counted(len(result.created), 'instance')} imported" if result.created else "",
        f"{counted(result.updated, 'instance')} updated" if result.updated else "",
        f"{counted(result.unchanged, 'instance')} unchanged" if result.unchanged else "",
        f"{counted(result.elsewhere, 'instance')} already here under another account" if result.elsewhere else "",
    ]
    said = ", ".join(filter(None, done)) or "Nothing to import"
    (messages.success if result.created or result.updated else messages.info)(request, f"{said}.")
    if result.missing:
        messages.warning(request, f"{counted(result.missing, 'instance')} could not be found at Amazon any more.")
    if result.unread:
        messages.warning(
            request,
            f"{counted(result.unread, 'chosen instance')} could not be looked up, because Amazon did not show all of "
            f"the {pluralized(result.unread, 'account')}. Discover again to see what is there.",
        )
    if result.error:
        messages.error(request, f"The list of accounts could not be read to its end: {result.error.message}")
    for reading in result.failed[:_FAILURES_TOLD]:
        error = reading.error
        messages.error(request, f"{reading.name or reading.ref.account_id}: {error.message if error else ''}")
    more = len(result.failed) - _FAILURES_TOLD
    if more > 0:
        messages.error(
            request, f"{more} more {pluralized(more, 'account')} could not be read. Discover again to see why."
        )
