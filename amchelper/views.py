"""Home, and the way to the admin."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET

from amchelper.htmx import HtmxHttpRequest, wants_fragment
from executions.models import Execution
from instances.models import AmazonConnection, AMCInstance
from instances.models.reasons import reason_of
from instances.presenters.overview import health_tiles
from schedules.models import Schedule
from schedules.presenters.schedule_lists import in_order, schedule_rows
from templates_app.models import InstanceTemplate

FAILING_SHOWN = 10
RUNS_SHOWN = 8
SCHEDULES_SHOWN = 6


@require_GET
def home(request: HtmxHttpRequest) -> HttpResponse:
    runs = _runs(request)
    if wants_fragment(request):
        return render(request, "_partials/home_runs.html", runs)
    instances = AMCInstance.objects.visible_to(request.user)
    failing = instances.failing().with_relations().order_by("-health_status", "health_since", "name")
    tiles = health_tiles(instances.health_counts())
    upcoming = Schedule.objects.visible_to(request.user).filter(next_run_at__isnull=False)
    context = {
        "tiles": tiles,
        "total": sum(tile.count for tile in tiles),
        "failing": [(instance, reason_of(instance.health_reason)) for instance in failing[:FAILING_SHOWN]],
        # Not from the tiles: they count disabled instances too.
        "failing_count": failing.count(),
        "has_connection": AmazonConnection.objects.visible_to(request.user).exists(),
        "has_checked": any(tile.count for tile in tiles if tile.health),
        "has_template": InstanceTemplate.objects.visible_to(request.user).exists(),
        "upcoming": schedule_rows(in_order(upcoming)[:SCHEDULES_SHOWN]),
        **runs,
    }
    return render(request, "home.html", context)


def _runs(request: HtmxHttpRequest) -> dict[str, Any]:
    """Return the newest runs, and whether any of them can still change."""
    mine = Execution.objects.visible_to(request.user).for_lists()
    runs = list(mine[:RUNS_SHOWN])
    return {"latest_runs": runs, "is_live": any(run.is_open for run in runs)}


@login_not_required
def admin_login(request: HttpRequest) -> HttpResponse:
    """Send to the one sign-in page; users signed in without the right are told so instead of going round."""
    if request.user.is_authenticated:
        raise PermissionDenied("The admin is for staff.")
    query = urlencode({"next": request.GET.get("next") or reverse("admin:index")})
    return HttpResponseRedirect(f"{reverse('account_login')}?{query}")
