"""Lists of templates, one template, its versions, and what is done with it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from amchelper.access import MissingRowError
from amchelper.deletion import ask_before_deletion
from amchelper.exceptions import AmcHelperError
from amchelper.htmx import HtmxHttpRequest, redirect_page, render_page
from amchelper.http import Breadcrumbs, parse_number
from instances.models import AMCInstance
from instances.presenters.breadcrumbs import instance_breadcrumbs
from instances.services.access import get_instance
from templates_app.forms import CopyForm, TemplateFilter
from templates_app.models import InstanceTemplate, TemplateVersion
from templates_app.presenters.diffs import details_of, side_by_side
from templates_app.services import templates as services
from templates_app.services.cache import list_templates, read_template
from templates_app.sql.parameters import detect

PER_PAGE = 24
VERSIONS_SHOWN = 50


@require_GET
def template_list(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    instance = get_instance(request.user, pk)
    filters = TemplateFilter(request.GET)
    chosen = filters.chosen
    cards = list_templates(instance.pk)
    shown_archived = bool(chosen.get("archived"))
    candidates = [card for card in cards if card.is_archived == shown_archived]
    words = str(chosen.get("q", "")).casefold().split()
    found = [card for card in candidates if card.matches(words, str(chosen.get("tag", "")))]
    tags = sorted({tag for card in candidates for tag in card.tags}, key=str.casefold)
    context = {
        "instance": instance,
        "page": Paginator(found, PER_PAGE).get_page(request.GET.get("page")),
        "total": len(candidates),
        "archived_count": sum(card.is_archived for card in cards),
        "chosen": chosen,
        "tags": tags,
        "breadcrumbs": instance_breadcrumbs(instance),
        "tab": "templates",
    }
    return render_page(
        request, "templates_app/template_list.html", "templates_app/_partials/template_cards.html", context
    )


@require_GET
def template_suggestions(request: HtmxHttpRequest) -> HttpResponse:
    """Suggest names of templates for what is typed into a filter."""
    suggestions = InstanceTemplate.objects.visible_to(request.user).suggestions(request.GET.get("template", ""))
    return render(request, "_partials/suggestions.html", {"suggestions": suggestions})


@require_GET
def template_detail(request: HtmxHttpRequest, pk: UUID, template_id: str) -> HttpResponse:
    instance = get_instance(request.user, pk)
    template = read_template(instance.pk, template_id)
    if template is None:
        raise MissingRowError(services.NOUN)
    context = {
        "instance": instance,
        "template": template,
        "parameters": [(p, template.parameter_values.get(p.name)) for p in detect(template.source_sql)],
        "breadcrumbs": template_breadcrumbs(instance, here=template.name),
        "tab": "templates",
    }
    return render(request, "templates_app/template_detail.html", context)


@require_http_methods(["GET", "POST"])
def template_copy(request: HtmxHttpRequest, pk: UUID, template_id: str) -> HttpResponse:
    """Choose another instance, and go on in the editor there; nothing is saved before that."""
    template = services.get_template_to_edit(request.user, pk, template_id)
    form = CopyForm(request.POST or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        address = reverse("templates:template-create", args=[form.cleaned_data["instance"].pk])
        return redirect_page(request, f"{address}?from={template.template_id}")
    return render(request, "templates_app/template_copy.html", _context(template, "Copy", form=form))


@require_POST
def template_archive(request: HtmxHttpRequest, pk: UUID, template_id: str) -> HttpResponse:
    template = services.get_template_to_edit(request.user, pk, template_id)
    archived = request.POST.get("archived") != "0"
    services.set_archived(template, actor=request.user, archived=archived)
    what = "is archived. Its schedules skip until you bring it back" if archived else "is back in the list"
    messages.success(request, f"{template.name} {what}.")
    return redirect_page(request, template)


@require_http_methods(["GET", "POST"])
def template_delete(request: HtmxHttpRequest, pk: UUID, template_id: str) -> HttpResponse:
    template = services.get_template_to_edit(request.user, pk, template_id)
    rows = InstanceTemplate.objects.filter(pk=template.pk)
    asked = ask_before_deletion(request, rows, name=template.name, actor=request.user)
    if asked is None:
        messages.success(request, f"{template.name} was deleted.")
        return redirect_page(request, "templates:template-list", template.instance_id)
    context = _context(template, "Delete", run_count=template.executions.count(), **asked)
    return render(request, "templates_app/template_confirm_delete.html", context)


@require_GET
def template_versions(request: HtmxHttpRequest, pk: UUID, template_id: str) -> HttpResponse:
    """List the versions, and compare two: the chosen one with the one before it, or with another."""
    template = services.get_template(request.user, pk, template_id)
    versions = TemplateVersion.objects.visible_to(request.user).filter(template=template).select_related("user")
    page = Paginator(versions, VERSIONS_SHOWN).get_page(request.GET.get("page"))
    new = parse_number(request.GET.get("new"), template.version)
    old = parse_number(request.GET.get("old"), new - 1)
    pair = {version.number: version for version in versions.filter(number__in=[old, new])}
    if new not in pair:
        raise Http404("There is no such version.")
    before, after = pair.get(old), pair[new]
    context = _context(
        template,
        "Versions",
        page=page,
        before=before,
        after=after,
        old_title=f"Version {before.number}" if before else "Nothing before",
        new_title=f"Version {after.number}",
        details_diff=side_by_side(_details(before), _details(after)),
        source_diff=side_by_side(before.source_sql if before else "", after.source_sql),
        finished_diff=side_by_side(before.sql_query if before else "", after.sql_query),
    )
    return render(request, "templates_app/template_versions.html", context)


@require_POST
def template_restore(request: HtmxHttpRequest, pk: UUID, template_id: str, number: int) -> HttpResponse:
    template = services.get_template_to_edit(request.user, pk, template_id)
    version = parse_number(request.POST.get("version"), 0)
    try:
        saved = services.restore_version(actor=request.user, template=template, number=number, version=version)
    except AmcHelperError as error:
        messages.error(request, error.message)
        return redirect("templates:template-versions", pk, template_id)
    messages.success(request, f"Version {number} is restored as version {saved.version}.")
    return redirect_page(request, saved)


def template_breadcrumbs(
    instance: AMCInstance, template: InstanceTemplate | None = None, *, here: str
) -> Breadcrumbs:
    """Return the way to a page of templates, below one of them where it is given."""
    listed = ("Templates", reverse("templates:template-list", args=[instance.pk]))
    own = [(template.name, template.get_absolute_url())] if template else []
    return instance_breadcrumbs(instance, listed, *own, here=here)


def _context(template: InstanceTemplate, here: str, **extra: Any) -> dict[str, Any]:
    return {
        "instance": template.instance,
        "template": template,
        "breadcrumbs": template_breadcrumbs(template.instance, template, here=here),
        "tab": "templates",
        **extra,
    }


def _details(version: TemplateVersion | None) -> str:
    return details_of(services.Content.of(version)) if version is not None else ""
