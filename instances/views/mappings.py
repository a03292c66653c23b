"""The mappings tab of an instance: which ASINs and campaigns belong to which brand."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from amchelper.downloads import CSV, Download, begin_download, download_response
from amchelper.exceptions import AmcHelperError
from amchelper.htmx import HtmxHttpRequest, redirect_page, render_page, wants_fragment
from amchelper.http import parse_key
from amchelper.limits import EXPORTS, UPLOADS, limited
from amchelper.security_events import log_event
from amchelper.words import counted
from instances.forms.mappings import MappingFilter, MappingForm, ReplaceForm, stage
from instances.models import AMCInstance, MappingKind
from instances.models.mapping import ASINQuerySet, CampaignQuerySet
from instances.presenters.breadcrumbs import instance_breadcrumbs
from instances.services import mappings as services
from instances.services.access import get_instance, get_instance_to_edit
from instances.services.mapping_files import COLUMNS
from instances.services.mapping_text import MAX_ROWS

PER_PAGE = 100
ERRORS_SHOWN = 100
SAMPLES_SHOWN = 6
BYTE_ORDER_MARK = "\ufeff"


@require_GET
def mapping_list(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    instance = get_instance(request.user, pk)
    filters = MappingFilter(request.GET, instance=instance)
    rows = filters.rows().select_related("brand").order_by("brand__folded", *_order(filters), "pk")
    page = Paginator(rows, PER_PAGE).get_page(request.GET.get("page"))
    brands = services.count_by_brand(instance)
    context = {
        "filters": filters,
        "page": page,
        "brands": brands,
        "total": sum(sum(row.kinds.values()) for row in brands),
        "tiles": _tiles(filters, brands),
        **_frame(instance),
    }
    response = render_page(
        request, "instances/mapping_list.html", "instances/_partials/mapping_table.html", context
    )
    if wants_fragment(request):
        number = {"page": str(page.number)} if page.number > 1 else {}
        response["HX-Push-Url"] = request.path + filters.address(**number)
    return response


@require_http_methods(["GET", "POST"])
@limited(UPLOADS)
def mapping_create(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Add rows at once, or show what replacing by them would change."""
    instance = get_instance_to_edit(request.user, pk)
    if request.method == "GET":
        return _form(request, instance, MappingForm(instance=instance, initial=request.GET.dict()))
    form = MappingForm(request.POST, request.FILES, instance=instance)
    if not form.is_valid():
        return _form(request, instance, form)
    if request.POST.get("action") == "replace":
        return _preview(request, instance, form, form.entries)
    try:
        changes = services.add_mappings(instance, form.entries, actor=request.user)
    except AmcHelperError as error:
        form.add_error(None, error.message)
        return _form(request, instance, form)
    there = f" {counted(changes.kept, 'was', 'were')} there already." if changes.kept else ""
    messages.success(request, f"{counted(changes.added, 'mapping')} added.{there}")
    if form.notes:
        messages.warning(request, " ".join(form.notes))
    return _to_list(request, instance, form.entries)


@require_POST
@limited(UPLOADS)
def mapping_replace(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Replace by the rows that `mapping_create` showed."""
    instance = get_instance_to_edit(request.user, pk)
    form = ReplaceForm(request.POST, instance=instance)
    if not form.is_valid():
        messages.error(request, " ".join(str(text) for texts in form.errors.values() for text in texts))
        return redirect_page(request, "instances:mapping-create", instance.pk)
    try:
        changes = services.replace_mappings(
            instance, form.entries, actor=request.user, fingerprint=form.fingerprint
        )
    except AmcHelperError as error:
        messages.error(request, error.message)
        return _preview(request, instance, MappingForm(instance=instance), form.entries)
    messages.success(
        request, f"Replaced: {changes.added:,} added, {changes.removed:,} removed, {changes.kept:,} kept."
    )
    return _to_list(request, instance, form.entries)


@require_POST
def mapping_remove(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Ask, and when the answer comes with the same number, remove the ticked rows or all that match."""
    instance = get_instance_to_edit(request.user, pk)
    filters = MappingFilter(request.POST, instance=instance)
    rows = _chosen(request, filters)
    count = rows.count()
    if not count:
        messages.warning(request, "Nothing was removed: tick at least one row.")
    elif request.POST.get("count") == str(count):
        removed = services.remove_mappings(instance, rows, actor=request.user)
        messages.success(request, f"{counted(removed, 'mapping')} removed.")
    else:
        return _confirm_remove(request, instance, filters, rows, count)
    return redirect_page(request, reverse("instances:mapping-list", args=[instance.pk]) + filters.address())


@require_GET
@limited(EXPORTS, "GET")
def mapping_export(request: HtmxHttpRequest, pk: UUID) -> HttpResponseBase:
    instance = get_instance(request.user, pk)
    # The mark tells spreadsheets that this is UTF-8.
    chunks = (part.encode() for parts in ([BYTE_ORDER_MARK], services.export_rows(instance)) for part in parts)
    try:
        download = begin_download(lambda: Download(f"mappings-{instance.instance_id}.csv", CSV, chunks, chunks))
    except AmcHelperError as error:
        messages.error(request, error.message)
        return redirect_page(request, "instances:mapping-list", instance.pk)
    log_event("exported", request, user=request.user, what="mappings", instance=instance.pk)
    return download_response(download)


def _form(request: HtmxHttpRequest, instance: AMCInstance, form: MappingForm, **extra: Any) -> HttpResponse:
    context = {
        "form": form,
        "errors": form.line_errors[:ERRORS_SHOWN],
        "errors_more": max(0, len(form.line_errors) - ERRORS_SHOWN),
        "has_all_errors": form.has_all_errors,
        "columns": COLUMNS,
        "max_rows": MAX_ROWS,
        "has_brands": bool(instance.brands.all()),
        **extra,
        **_frame(instance, "Add"),
    }
    return render_page(request, "instances/mapping_form.html", "instances/_partials/mapping_form.html", context)


def _preview(
    request: HtmxHttpRequest, instance: AMCInstance, form: MappingForm, entries: list[services.Entry]
) -> HttpResponse:
    preview = services.preview_replace(instance, entries)
    try:
        staged = stage(instance, entries, preview.fingerprint)
    except ValidationError as error:
        form.add_error(None, error)
        return _form(request, instance, form)
    shown = {"samples": f":{SAMPLES_SHOWN}", "samples_shown": SAMPLES_SHOWN}
    return _form(request, instance, form, preview=preview, staged=staged, **shown)


def _confirm_remove(
    request: HtmxHttpRequest,
    instance: AMCInstance,
    filters: MappingFilter,
    rows: ASINQuerySet | CampaignQuerySet,
    count: int,
) -> HttpResponse:
    samples = list(rows.select_related("brand")[:SAMPLES_SHOWN])
    context = {
        "filters": filters,
        "count": count,
        "samples": samples,
        "more": count - len(samples),
        "takes_all": bool(request.POST.get("all")),
        "ticked": [] if request.POST.get("all") else [row.pk for row in rows],
        "changed": "count" in request.POST,
        "back": reverse("instances:mapping-list", args=[instance.pk]) + filters.address(),
        **_frame(instance, "Remove"),
    }
    return render(request, "instances/mapping_confirm_remove.html", context)


def _chosen(request: HtmxHttpRequest, filters: MappingFilter) -> ASINQuerySet | CampaignQuerySet:
    """Return the rows a form means: all that match its filters, or the ticked ones."""
    rows = filters.rows()
    if request.POST.get("all"):
        return rows
    ticked = [key for key in map(parse_key, request.POST.getlist("row")) if key is not None]
    return rows.filter(pk__in=ticked)


def _tiles(filters: MappingFilter, brands: list[services.BrandCounts]) -> list[tuple[MappingKind, int, str]]:
    """Return kinds with their counts, of the chosen brand or of all, and where to see them."""
    chosen = filters.chosen.get("brand", "")
    shown = [row for row in brands if chosen in ("", str(row.brand.pk))]
    return [
        (kind, sum(row.kinds[kind] for row in shown), filters.address(kind=kind.value)) for kind in MappingKind
    ]


def _order(filters: MappingFilter) -> list[str]:
    return ["asin"] if filters.kind == MappingKind.ASIN else ["folded"]


def _to_list(request: HtmxHttpRequest, instance: AMCInstance, entries: list[services.Entry]) -> HttpResponse:
    """Go to the list, where it shows what was just saved."""
    return redirect_page(
        request, f"{reverse('instances:mapping-list', args=[instance.pk])}?kind={entries[0].kind.value}"
    )


def _frame(instance: AMCInstance, here: str = "") -> dict[str, Any]:
    listed = ("Mappings", reverse("instances:mapping-list", args=[instance.pk]))
    way = instance_breadcrumbs(instance, listed, here=here) if here else instance_breadcrumbs(instance)
    return {"instance": instance, "tab": "mappings", "breadcrumbs": way}
