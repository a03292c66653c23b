"""Pages of instances."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Max
from django.http import HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from amchelper.deletion import ask_before_deletion
from amchelper.exceptions import AmcHelperError
from amchelper.htmx import HtmxHttpRequest, query_of_page, redirect_page, render_page, wants_fragment
from amchelper.http import breadcrumbs
from amchelper.limits import CHECKS, limited
from amchelper.models import User
from instances.forms.filters import InstanceFilter
from instances.models import AmazonConnection, AMCAccount, AMCInstance, HealthCheck
from instances.models.instance import InstanceQuerySet
from instances.models.reasons import reason_of
from instances.presenters.breadcrumbs import instance_breadcrumbs
from instances.presenters.listing import CHECKS_SHOWN, instance_rows, uptime_blocks, uptime_label
from instances.presenters.overview import health_tiles
from instances.services.access import get_instance, get_instance_to_edit
from instances.services.brands import suggest_brands
from instances.services.instances import disable, enable

PER_PAGE = 25
PROBES_SHOWN = 20


@require_GET
def instance_list(request: HtmxHttpRequest) -> HttpResponse:
    visible = AMCInstance.objects.visible_to(request.user)
    filters = InstanceFilter(request.GET, user=request.user)
    page = Paginator(filters.apply(visible.with_relations().with_rights(request.user)), PER_PAGE).get_page(
        request.GET.get("page")
    )
    rows = instance_rows(list(page), request.user)
    context = {
        "filters": filters,
        "page": page,
        "rows": rows,
        "can_run": any(row.instance.can_run for row in rows),  # type: ignore[attr-defined]  # annotated
        **list_tiles(request.user, filters.chosen.get("health", "")),
        "breadcrumbs": breadcrumbs(),
    }
    if not wants_fragment(request):
        context["summary"] = _summary(visible)
    if not context["total"]:
        context["has_connection"] = AmazonConnection.objects.visible_to(request.user).exists()
        context["has_account"] = AMCAccount.objects.visible_to(request.user).exists()
    fragment = "instances/_partials/instance_table.html"
    response = render_page(request, "instances/instance_list.html", fragment, context)
    if wants_fragment(request):
        number = {"page": str(page.number)} if page.number > 1 else {}
        response["HX-Push-Url"] = request.path + filters.address(**number)
    return response


@require_GET
def instance_detail(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    instance = get_instance(request.user, pk, on_own_page=True)
    context = {**_panel(request, instance), "breadcrumbs": instance_breadcrumbs(instance), "tab": "overview"}
    return render(request, "instances/instance_detail.html", context)


@require_http_methods(["GET", "POST"])
def instance_delete(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    instance = get_instance_to_edit(request.user, pk, on_own_page=True)
    asked = ask_before_deletion(
        request, AMCInstance.objects.filter(pk=instance.pk), name=instance.name, actor=request.user
    )
    if asked is None:
        messages.success(request, f"{instance.name} was deleted here. At Amazon nothing changed.")
        return redirect_page(request, "instances:instance-list")
    context = {
        **asked,
        "instance": instance,
        "breadcrumbs": instance_breadcrumbs(
            instance, ("Settings", reverse("instances:instance-update", args=[instance.pk])), here="Delete"
        ),
    }
    return render(request, "instances/instance_confirm_delete.html", context)


@require_POST
@limited(CHECKS)
def instance_enable(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    instance = get_instance_to_edit(request.user, pk, on_own_page=True)
    try:
        check = enable(instance=instance, actor=request.user)
    except AmcHelperError as error:
        return _refused(request, instance, error)
    text = f"{instance.name} is enabled and was checked: {check.get_verdict_display()}."
    return render_instance_change(request, instance, text)


@require_POST
def instance_disable(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    instance = get_instance_to_edit(request.user, pk, on_own_page=True)
    try:
        disable(instance=instance, actor=request.user)
    except AmcHelperError as error:
        return _refused(request, instance, error)
    text = f"{instance.name} is disabled. It is no longer checked by itself."
    return render_instance_change(request, instance, text)


@require_GET
def instance_suggestions(request: HtmxHttpRequest) -> HttpResponse:
    """Suggest instances for what is typed into a form; with `to=copy` those that something can be copied to."""
    instances = AMCInstance.objects.visible_to(request.user)
    if request.GET.get("to") == "copy":
        instances = AMCInstance.objects.editable_by(request.user).usable()
    suggestions = instances.suggestions(request.GET.get("instance", ""))
    return render(request, "_partials/suggestions.html", {"suggestions": suggestions})


@require_GET
def brand_list(request: HtmxHttpRequest) -> HttpResponse:
    return JsonResponse({"brands": suggest_brands(request.user, request.GET.get("q", ""))})


@require_GET
def brand_suggestions(request: HtmxHttpRequest) -> HttpResponse:
    """Suggest brands for what is typed into the filter."""
    suggestions = suggest_brands(request.user, request.GET.get("brand", ""))
    return render(request, "_partials/suggestions.html", {"suggestions": suggestions})


def render_instance_change(request: HtmxHttpRequest, instance: AMCInstance, text: str) -> HttpResponse:
    """Answer a POST about one instance: its row or its health panel for htmx, else the page it came from."""
    messages.success(request, text)
    target = request.htmx.target or "" if wants_fragment(request) else ""
    if target == f"instance-{instance.pk}":
        fresh = get_instance(request.user, instance.pk)
        context = {
            "row": instance_rows([fresh], request.user)[0],
            "oob_tiles": True,
            **list_tiles(request.user, health_in_address(request)),
        }
        return render(request, "instances/_partials/instance_row_change.html", context)
    if target == "health-panel":
        context = _panel(request, get_instance(request.user, instance.pk))
        return render(request, "instances/_partials/instance_health_panel.html", context)
    return back_or(request, instance)


def _refused(request: HtmxHttpRequest, instance: AMCInstance, error: AmcHelperError) -> HttpResponse:
    messages.error(request, error.message)
    return back_or(request, instance)


def back_or(request: HtmxHttpRequest, otherwise: Any) -> HttpResponse:
    """Send back to the page that a form names in `next`, when it is one of ours, else to `otherwise`."""
    to = request.POST.get("next", "")
    hosts = {request.get_host()}
    # Only a path: what else looks harmless would be taken for the name of a view.
    if to.startswith("/") and url_has_allowed_host_and_scheme(
        to, allowed_hosts=hosts, require_https=request.is_secure()
    ):
        return redirect_page(request, to)
    return redirect_page(request, otherwise)


def list_tiles(user: User, chosen: str) -> dict[str, Any]:
    """Return the context of `_partials/instance_tiles.html`; `chosen` is the health that filters the list."""
    counts = AMCInstance.objects.visible_to(user).health_counts()
    tiles = health_tiles(counts)
    # A second click on the tile that filters takes the filter away.
    marked = [(tile, (tile.health or "UNKNOWN") == chosen) for tile in tiles]
    return {"tiles": marked, "total": sum(counts.values())}


def _summary(instances: InstanceQuerySet) -> dict[str, Any]:
    return instances.order_by().aggregate(regions=Count("region", distinct=True), checked=Max("last_health_check"))


def _panel(request: HtmxHttpRequest, instance: AMCInstance) -> dict[str, Any]:
    latest = HealthCheck.objects.latest_per_instance(request.user, [instance.pk], CHECKS_SHOWN)
    checks = latest.get(instance.pk, [])
    probes = [(check, reason_of(check.reason)) for check in reversed(checks[-PROBES_SHOWN:])]
    return {
        "instance": instance,
        "reason": reason_of(instance.health_reason) if instance.health_reason else None,
        "last": checks[-1] if checks and instance.last_health_check else None,
        "blocks": uptime_blocks(checks),
        "blocks_label": uptime_label(checks),
        "probes": probes,
        "login": instance.account.connection.health_hint(),
    }


def health_in_address(request: HtmxHttpRequest) -> str:
    """Return the health filter of the list that sent an htmx request."""
    return query_of_page(request).get("health") or ""
