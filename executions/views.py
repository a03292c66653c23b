"""Lists of runs, one run with its result, and what is done with it."""

from __future__ import annotations

from functools import partial
from typing import Any
from uuid import UUID, uuid4

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import replace_url

from amchelper.downloads import download_response
from amchelper.exceptions import AmcHelperError
from amchelper.htmx import HtmxHttpRequest, render_page, wants_fragment
from amchelper.http import Breadcrumbs, breadcrumbs
from amchelper.limits import EXPORTS, RUNS, limited
from amchelper.paging import UncountedPage, read_page
from amchelper.security_events import log_event
from amchelper.words import counted
from executions.forms import ExecutionFilter, ResultQuery, RunAgainForm
from executions.models import Execution, ExecutionStatus, ExportFormat
from executions.presenters.exports import export_context
from executions.presenters.progress import timeline
from executions.presenters.result_columns import ColumnChoice, names_like
from executions.presenters.results import result_context
from executions.results.columns import ResultFacts
from executions.results.errors import ResultGoneError
from executions.results.paging import SHOWN_COLUMNS
from executions.services import results
from executions.services.downloads import DOWNLOAD_KINDS, open_download, open_export
from executions.services.executions import (
    cancel,
    cancel_open,
    fetch_again,
    get_execution,
    get_execution_to_edit,
    get_execution_to_run,
)
from executions.services.exports import ask_for_export, forget_export, get_export, get_export_to_edit
from executions.services.failures import failure_of
from executions.services.newest import newest_of, newest_runs
from executions.services.queue import queue_position
from executions.services.start import run_again
from instances.presenters.breadcrumbs import instance_breadcrumbs
from instances.services.access import get_instance, get_instance_to_edit
from instances.views.instances import back_or

PER_PAGE = 25
_NO_RESULT = "This run has no stored result."
_NO_FORMAT = "There is no such format."
# Fields that take the name of a column.
_COLUMN_FIELDS = ("column", "chart_x", "chart_y")


@require_GET
def execution_list(request: HtmxHttpRequest) -> HttpResponse:
    user = request.user
    filters = ExecutionFilter(request.GET, user=user)
    narrowed = filters.apply(Execution.objects.visible_to(user)) if filters.is_filtered else None
    read = partial(newest_runs, user) if narrowed is None else partial(newest_of, narrowed)
    page = read_page(request.GET.get("page"), PER_PAGE, read)
    context = {"filters": filters, "is_filtered": narrowed is not None}
    return _list(request, "execution_list", page, **context)


@require_GET
def execution_of_instance(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    instance = get_instance(request.user, pk)
    runs = Execution.objects.visible_to(request.user).filter(instance=instance).for_lists()
    page = read_page(request.GET.get("page"), PER_PAGE, lambda skip, count: list(runs[skip : skip + count]))
    context = {"instance": instance, "tab": "runs", "breadcrumbs": instance_breadcrumbs(instance)}
    return _list(request, "execution_of_instance", page, **context)


def _list(request: HtmxHttpRequest, name: str, page: UncountedPage[Execution], **extra: Any) -> HttpResponse:
    # Polling stops by itself once nothing that is shown can change.
    context = {"page": page, "is_live": any(execution.is_open for execution in page), **extra}
    return render_page(request, f"executions/{name}.html", "executions/_partials/execution_table.html", context)


@require_GET
def execution_detail(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    execution = get_execution(request.user, pk)
    context = {
        "execution": execution,
        "instance": execution.instance,
        "position": queue_position(execution) if execution.status == ExecutionStatus.QUEUED else None,
        "failure": failure_of(execution),
        "steps": timeline(execution),
        "run_key": uuid4(),
        "breadcrumbs": _breadcrumbs(here=execution.name),
    }
    if wants_fragment(request):
        response = render(request, "executions/_partials/execution_progress.html", context)
        if not execution.is_open:
            # The rest of the page changes too once the run has ended.
            response["HX-Refresh"] = "true"
        return response
    if execution.has_result:
        shown = _result(request, execution)
        context |= {**shown, **export_context(execution, shown.get("result"))}
    return render(request, "executions/execution_detail.html", context)


@require_GET
def execution_rows(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Return the rows of a result: a fragment for htmx, the run's page otherwise."""
    execution = get_execution(request.user, pk)
    if not wants_fragment(request):
        return redirect(f"{execution.get_absolute_url()}?{request.GET.urlencode()}")
    context = {"execution": execution, **_result(request, execution)}
    response = render(request, "executions/_partials/result_table.html", context)
    # Loaded again or handed on, the address shows the same columns and rows.
    return replace_url(response, f"{execution.get_absolute_url()}?{request.GET.urlencode()}")


@require_GET
def column_choices(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Return columns to choose from: a fragment for htmx, the run's page otherwise."""
    execution = get_execution(request.user, pk)
    if not wants_fragment(request):
        return redirect(f"{execution.get_absolute_url()}?{request.GET.urlencode()}")
    asked = ResultQuery(request.GET).columns_question()
    context = {"columns": ColumnChoice(_facts(execution), asked)}
    return render(request, "executions/_partials/column_choices.html", context)


@require_GET
def column_names(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Return suggestions for the field that asks, whatever its name; only columns of numbers for a chart's values."""
    execution = get_execution(request.user, pk)
    is_numeric = "chart_y" in request.GET
    text = next((request.GET[name] for name in _COLUMN_FIELDS if name in request.GET), "")
    names = names_like(_facts(execution), text, is_numeric=is_numeric)
    return render(request, "executions/_partials/column_names.html", {"names": names})


@require_GET
def execution_statistics(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    execution = get_execution(request.user, pk)
    try:
        facts = results.facts_of(execution)
        page = Paginator(facts.columns, SHOWN_COLUMNS).get_page(request.GET.get("page"))
        statistics = results.statistics_of(
            execution, facts, first=max(page.start_index() - 1, 0), number=SHOWN_COLUMNS
        )
    except AmcHelperError as error:
        return _back_to(request, execution, error)
    context = {
        "execution": execution,
        "facts": facts,
        "page": page,
        "statistics": statistics,
        "breadcrumbs": _breadcrumbs(execution, here="Columns"),
    }
    return render(request, "executions/execution_statistics.html", context)


@require_GET
@limited(EXPORTS, "GET")
def execution_download(request: HtmxHttpRequest, pk: UUID, kind: str) -> HttpResponseBase:
    """Stream a result: the CSV as AMC sent it, one safe for spreadsheets, XLSX or Parquet."""
    execution = get_execution(request.user, pk)
    if not execution.has_result:
        raise Http404(_NO_RESULT)
    if kind not in DOWNLOAD_KINDS:
        raise Http404(_NO_FORMAT)
    try:
        download = open_download(execution, kind)
    except AmcHelperError as error:
        return _back_to(request, execution, error)
    log_event("exported", request, user=request.user, what="result", execution=execution.pk, kind=kind)
    return download_response(download)


@require_GET
def export_list(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Return how far the file is that a worker makes: a fragment for htmx, the run's page otherwise."""
    execution = get_execution(request.user, pk)
    if not wants_fragment(request):
        return redirect(execution)
    context = {"execution": execution, **export_context(execution)}
    return render(request, "executions/_partials/result_export.html", context)


@require_POST
@limited(EXPORTS)
def export_create(request: HtmxHttpRequest, pk: UUID, kind: str) -> HttpResponse:
    """Have a worker make a file; asking twice leads to the same one."""
    execution = get_execution(request.user, pk)
    if not execution.has_result:
        raise Http404(_NO_RESULT)
    if kind.upper() not in ExportFormat:
        raise Http404(_NO_FORMAT)
    try:
        ask_for_export(execution, ExportFormat(kind.upper()), actor=request.user)
    except AmcHelperError as error:
        return _back_to(request, execution, error)
    return redirect(f"{execution.get_absolute_url()}#result-export")


@require_GET
@limited(EXPORTS, "GET")
def export_download(request: HtmxHttpRequest, pk: UUID) -> HttpResponseBase:
    export = get_export(request.user, pk)
    try:
        download = open_export(export)
    except AmcHelperError as error:
        return _back_to(request, export.execution, error)
    kind = export.format.lower()
    log_event("exported", request, user=request.user, what="result", execution=export.execution_id, kind=kind)
    return download_response(download)


@require_POST
def export_delete(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    export = get_export_to_edit(request.user, pk)
    forget_export(export, actor=request.user)
    messages.success(request, "The file is cancelled." if export.is_preparing else "The file is removed.")
    return redirect(export.execution)


@require_POST
def execution_cancel(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    execution = get_execution_to_edit(request.user, pk)
    try:
        cancelled = cancel(execution, actor=request.user)
    except AmcHelperError as error:
        return _back_to(request, execution, error)
    waits = "AMC was asked to end it; it may still succeed." if cancelled.is_open else "The run is cancelled."
    messages.success(request, waits)
    return redirect(execution)


@require_POST
def execution_cancel_open(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Cancel all open runs of an instance, and go back to the page that offered it."""
    instance = get_instance_to_edit(request.user, pk)
    count = cancel_open(instance, actor=request.user)
    if count:
        messages.success(
            request, f"{counted(count, 'run')} will end. AMC takes a moment for those that are there."
        )
    else:
        messages.info(request, "There was no run left to cancel.")
    return back_or(request, reverse("executions:execution-of-instance", args=[instance.pk]))


@require_POST
@limited(RUNS)
def execution_again(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Run the same once more; the key makes a second click lead to the same run."""
    execution = get_execution_to_run(request.user, pk)
    form = RunAgainForm(request.POST)
    try:
        again = run_again(execution, actor=request.user, as_is=form.as_is, submission_key=form.submission_key)
    except AmcHelperError as error:
        return _back_to(request, execution, error)
    messages.success(request, "The new run is on its way. This page follows it.")
    return redirect(again)


@require_POST
@limited(RUNS)
def execution_fetch(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    execution = get_execution_to_edit(request.user, pk)
    try:
        fetch_again(execution, actor=request.user)
    except AmcHelperError as error:
        return _back_to(request, execution, error)
    messages.success(request, "The result is being fetched again.")
    return redirect(execution)


def _back_to(request: HtmxHttpRequest, execution: Execution, error: AmcHelperError) -> HttpResponse:
    """Show an error on the run's page; raises Http404 for a result that is gone."""
    if isinstance(error, ResultGoneError):
        raise Http404(error.message)
    messages.error(request, error.message)
    return redirect(execution)


def _facts(execution: Execution) -> ResultFacts:
    """Return rows and columns; raises Http404 for a result that cannot be read."""
    try:
        return results.facts_of(execution)
    except AmcHelperError as error:
        raise Http404(error.message) from error


def _result(request: HtmxHttpRequest, execution: Execution) -> dict[str, Any]:
    query = ResultQuery(request.GET)
    return {"query": query, **result_context(execution, query.question())}


def _breadcrumbs(below: Execution | None = None, *, here: str) -> Breadcrumbs:
    own = [(below.name, below.get_absolute_url())] if below else []
    return breadcrumbs(("Runs", reverse("executions:execution-list")), *own, here=here)
