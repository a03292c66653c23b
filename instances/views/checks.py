"""Check one instance now, or many in the background with live progress."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from amchelper.exceptions import AmcHelperError
from amchelper.htmx import HtmxHttpRequest, redirect_page, render_page, wants_fragment
from amchelper.http import breadcrumbs, parse_key, parse_uuids
from amchelper.limits import CHECKS, limited
from instances.forms.filters import InstanceFilter
from instances.models import AMCInstance, HealthCheck, HealthCheckBatch
from instances.models.instance import InstanceQuerySet
from instances.models.reasons import Reason, reason_of
from instances.presenters.listing import InstanceRow, instance_rows
from instances.presenters.progress import Progress, progress_of
from instances.services.access import get_batch, get_instance_to_run
from instances.services.health.batches import check_instance, queue_batch
from instances.views.instances import back_or, health_in_address, list_tiles, render_instance_change


@require_POST
@limited(CHECKS)
def check_create(request: HtmxHttpRequest) -> HttpResponse:
    """Check the ticked instances, or everything the list's filters show."""
    pks = _chosen(request)
    if not pks:
        asked = request.POST.get("all") or request.POST.getlist("instance")
        why = "none of these instances is enabled." if asked else "tick at least one instance, or check all."
        messages.warning(request, f"Nothing was checked: {why}")
        return back_or(request, "instances:instance-list")
    batch = queue_batch(pks, actor=request.user, trigger=HealthCheckBatch.Trigger.LIST)
    if wants_fragment(request):
        return _progress(request, batch)
    return redirect_page(request, "instances:check-detail", batch.pk)


@require_GET
def check_detail(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    return _progress(request, get_batch(request.user, pk))


@require_POST
@limited(CHECKS)
def instance_check(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    instance = get_instance_to_run(request.user, pk, on_own_page=True)
    try:
        check = check_instance(instance, actor=request.user, trigger=HealthCheckBatch.Trigger.PAGE)
    except AmcHelperError as error:
        messages.error(request, error.message)
        return redirect_page(request, "instances:instance-list")
    return render_instance_change(request, instance, f"{instance.name}: {check.get_verdict_display()}.")


def _progress(request: HtmxHttpRequest, batch: HealthCheckBatch) -> HttpResponse:
    after = _after(request)
    progress = progress_of(batch, after=after)
    # On the list page the rows themselves are swapped; the batch's own page has a plainer table.
    from_list = request.POST.get("list") == "1" or request.GET.get("list") == "1"
    context = {
        "batch": batch,
        "progress": progress,
        "from_list": from_list,
        "oob": wants_fragment(request),
        "rows": _changed_rows(request, progress) if from_list else [],
        "results": [] if from_list else _results(request, batch, progress, after),
        "breadcrumbs": breadcrumbs(("Instances", reverse("instances:instance-list")), here="Health check"),
    }
    if from_list:
        context |= list_tiles(request.user, health_in_address(request))
    return render_page(request, "instances/check_detail.html", "instances/_partials/check_progress.html", context)


def _changed_rows(request: HtmxHttpRequest, progress: Progress) -> list[InstanceRow]:
    visible = AMCInstance.objects.visible_to(request.user).filter(pk__in=progress.changed)
    return instance_rows(list(visible.with_relations().with_rights(request.user)), request.user)


def _results(
    request: HtmxHttpRequest, batch: HealthCheckBatch, progress: Progress, after: int
) -> list[tuple[HealthCheck, Reason]]:
    """Return what the batch found out, not how its instances are by now."""
    checks = HealthCheck.objects.visible_to(request.user).filter(batch=batch, pk__gt=after, pk__lte=progress.last)
    return [(check, reason_of(check.reason)) for check in checks.select_related("instance").order_by("pk")]


def _after(request: HtmxHttpRequest) -> int:
    """Return the key of the last probe the page has seen already."""
    after = parse_key(request.GET.get("after", "0"))
    if after is None:
        raise Http404("There is no such progress.")
    return after


def _chosen(request: HtmxHttpRequest) -> list[UUID]:
    """Return the enabled instances a form means; raises PermissionDenied when all may only be looked at."""
    runnable = _asked_for(request, AMCInstance.objects.runnable_by(request.user))
    pks = list(runnable.order_by().values_list("pk", flat=True))
    if not pks and _asked_for(request, AMCInstance.objects.visible_to(request.user)).exists():
        raise PermissionDenied("You may look at these instances, but not check them. Ask their owner.")
    return pks


def _asked_for(request: HtmxHttpRequest, instances: InstanceQuerySet) -> InstanceQuerySet:
    if request.POST.get("all"):
        return InstanceFilter(request.POST, user=request.user).apply(instances.enabled())
    return instances.enabled().filter(pk__in=parse_uuids(request.POST.getlist("instance")))
