"""The first page of the day."""

from __future__ import annotations

from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from amchelper.htmx import HtmxHttpRequest
from instances.models import AmazonConnection, AMCInstance
from instances.models.reasons import reason_of
from instances.services.overview import health_tiles

FAILING_SHOWN = 10


@require_GET
def home(request: HtmxHttpRequest) -> HttpResponse:
    instances = AMCInstance.objects.visible_to(request.user)
    failing = instances.failing().with_relations().order_by("-health_status", "health_since", "name")
    connections = AmazonConnection.objects.visible_to(request.user)
    tiles = health_tiles(instances.health_counts())
    total = sum(tile.count for tile in tiles)
    context = {
        "tiles": tiles,
        "total": total,
        "failing": [(instance, reason_of(instance.health_reason)) for instance in failing[:FAILING_SHOWN]],
        # Not from the tiles: they count disabled instances too.
        "failing_count": failing.count(),
        "has_connection": connections.exists(),
        "has_checked": any(tile.count for tile in tiles if tile.health),
    }
    return render(request, "instances/home.html", context)
