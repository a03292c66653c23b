"""Check one instance now, or many in the background with live progress."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from amchelper.exceptions import AmcHelperError
from amchelper.htmx import HtmxHttpRequest, redirect_page, render_page, wants_fragment
from instances.forms.filters import InstanceFilter
from instances.models import AMCInstance, HealthCheck, HealthCheckBatch
from instances.models.reasons import Reason, reason_of
from instances.presenters.listing import InstanceRow, instance_rows
from instances.presenters.progress import Progress, progress_of
from instances.services.access import get_instance
from instances.services.health import check_instance
from instances.services.health_runs import queue_run
from instances.tasks import advance_health_run
from instances.views.instances import back_or, health_in_address, list_tiles, render_instance_change


@require_POST
def check_create(request: HtmxHttpRequest) -> HttpResponse:
    """Start a run over the ticked instances, or over everything the list's filters show."""
    pks = _chosen(request)
    if not pks:
        asked = request.POST.get("all") or request.POST.getlist("instance")
        why = "none of these instances is enabled." if asked else "tick at least one instance, or check all."
        messages.warning(request, f"Nothing was checked: {why}")
        return back_or(request, "instances:instance-list")
    run = queue_run(pks, user=request.user, trigger=HealthCheckBatch.Trigger.LIST, send=advance_health_run.delay)
    if wants_fragment(request):
        return _progress(request, run)
    return redirect_page(request, "instances:check-detail", run.pk)


@require_GET
def check_detail(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    run = get_object_or_404(HealthCheckBatch.objects.visible_to(request.user), pk=pk)
    return _progress(request, run)


@require_POST
def instance_check(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    instance = get_instance(request.user, pk)
    try:
        check = check_instance(instance, user=request.user, trigger=HealthCheckBatch.Trigger.PAGE)
    except AmcHelperError as error:
        messages.error(request, error.message)
        return redirect_page(request, "instances:instance-list")
    return render_instance_change(request, instance, f"{instance.name}: {check.get_verdict_display()}.")


def _progress(request: HtmxHttpRequest, run: HealthCheckBatch) -> HttpResponse:
    after = _after(request)
    progress = progress_of(run, after=after)
    # On the list page the rows themselves are swapped; the run's own page has a plainer table.
    from_list = request.POST.get("list") == "1" or request.GET.get("list") == "1"
    context = {
        "run": run,
        "progress": progress,
        "from_list": from_list,
        "oob": wants_fragment(request),
        "rows": _changed_rows(request, progress) if from_list else [],
        "results": [] if from_list else _results(request, run, progress, after),
        "breadcrumbs": [("Instances", reverse("instances:instance-list")), ("Health check", None)],
    }
    if from_list:
        context |= list_tiles(request.user, health_in_address(request))
    return render_page(request, "instances/check_detail.html", "instances/_partials/check_progress.html", context)


def _changed_rows(request: HtmxHttpRequest, progress: Progress) -> list[InstanceRow]:
    found = AMCInstance.objects.visible_to(request.user).filter(pk__in=progress.changed).with_relations()
    return instance_rows(list(found), request.user)


def _results(
    request: HtmxHttpRequest, run: HealthCheckBatch, progress: Progress, after: int
) -> list[tuple[HealthCheck, Reason]]:
    """Return what the run found out, not how its instances are by now."""
    checks = HealthCheck.objects.visible_to(request.user).filter(run=run, pk__gt=after, pk__lte=progress.last)
    return [(check, reason_of(check.reason)) for check in checks.select_related("instance").order_by("pk")]


def _after(request: HtmxHttpRequest) -> int:
    """Return the key of the last probe the page has seen already."""
    after = request.GET.get("after", "0")
    if not after.isdecimal() or len(after) > 18:
        raise Http404("There is no such progress.")
    return int(after)


def _chosen(request: HtmxHttpRequest) -> list[UUID]:
    visible = AMCInstance.objects.visible_to(request.user).enabled()
    if request.POST.get("all"):
        chosen = InstanceFilter(request.POST, user=request.user).apply(visible)
    else:
        chosen = visible.filter(pk__in=_uuids(request.POST.getlist("instance")))
    return list(chosen.order_by().values_list("pk", flat=True))


def _uuids(texts: list[str]) -> list[UUID]:
    found = []
    for text in texts:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found
