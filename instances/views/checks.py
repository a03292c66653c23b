"""Check one instance now, or many in the background with live progress."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from amchelper.htmx import HtmxHttpRequest, redirect_page, render_page, wants_fragment
from instances.forms.filters import InstanceFilter
from instances.models import AMCInstance, HealthRun
from instances.models.reasons import reason_of
from instances.services.access import get_instance
from instances.services.health import check_instance
from instances.services.health_runs import queue_run
from instances.services.listing import instance_rows
from instances.services.progress import progress_of
from instances.tasks import advance_health_run
from instances.views.instances import list_tiles, render_instance_change


@require_POST
def check_create(request: HtmxHttpRequest) -> HttpResponse:
    """Start a run over the ticked instances, or over everything the list's filters show."""
    pks = _chosen(request)
    if not pks:
        messages.warning(request, "Nothing was checked: tick at least one instance, or check all.")
        return redirect_page(request, "instances:instance-list")
    run = queue_run(pks, user=request.user, trigger=HealthRun.Trigger.LIST, send=advance_health_run.delay)
    if wants_fragment(request):
        return _progress(request, run)
    return redirect_page(request, "instances:check-detail", run.pk)


@require_GET
def check_detail(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    run = get_object_or_404(HealthRun.objects.visible_to(request.user), pk=pk)
    return _progress(request, run)


@require_POST
def instance_check(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    instance = get_instance(request.user, pk)
    check = check_instance(instance, user=request.user, trigger=HealthRun.Trigger.PAGE)
    return render_instance_change(request, instance, f"{instance.name}: {check.get_verdict_display()}.")


def _progress(request: HtmxHttpRequest, run: HealthRun) -> HttpResponse:
    progress = progress_of(run, after=_after(request))
    found = AMCInstance.objects.visible_to(request.user).filter(pk__in=progress.changed).with_relations()
    # On the list page the rows themselves are swapped; the run's own page has a plainer table.
    from_list = request.POST.get("list") == "1" or request.GET.get("list") == "1"
    context = {
        "run": run,
        "progress": progress,
        "from_list": from_list,
        "oob": wants_fragment(request),
        "rows": instance_rows(list(found), request.user) if from_list else [],
        "results": [] if from_list else [(instance, reason_of(instance.health_reason)) for instance in found],
        "breadcrumbs": [("Instances", reverse("instances:instance-list")), ("Health check", None)],
    }
    if from_list:
        context |= list_tiles(request.user, "")
    return render_page(request, "instances/check_detail.html", "instances/_partials/check_progress.html", context)


def _after(request: HtmxHttpRequest) -> int:
    """Give the key of the last probe the page has seen already."""
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
