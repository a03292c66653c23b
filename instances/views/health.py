"""How connectivity was over the last day."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from amchelper.htmx import HtmxHttpRequest
from amchelper.http import breadcrumbs
from instances.models import AMCInstance, HealthCheck, HealthCheckBatch
from instances.presenters.overview import health_tiles, hour_blocks, incidents, region_figures

INCIDENTS_SHOWN = 50
BATCHES_SHOWN = 8


@require_GET
def health_list(request: HtmxHttpRequest) -> HttpResponse:
    instances = AMCInstance.objects.visible_to(request.user)
    checks = HealthCheck.objects.visible_to(request.user)
    failing = instances.failing().with_relations().longest_first()
    context = {
        "tiles": health_tiles(instances.health_counts()),
        "regions": region_figures(checks),
        "blocks": hour_blocks(checks),
        "incidents": incidents(failing[:INCIDENTS_SHOWN]),
        "more_incidents": max(0, failing.count() - INCIDENTS_SHOWN),
        "batches": HealthCheckBatch.objects.visible_to(request.user)[:BATCHES_SHOWN],
        "can_run": instances.runnable_by(request.user).exists(),
        "breadcrumbs": breadcrumbs(here="Health"),
    }
    return render(request, "instances/health_list.html", context)
