"""The editor of a template: the page, and what is re-rendered while its user types."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpResponse, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from amc_facts.functions import GROUPS
from amc_facts.tables import TABLES
from amchelper.access import MissingRowError
from amchelper.htmx import HtmxHttpRequest, redirect_page, render_page
from amchelper.http import parse_number
from amchelper.limits import PREVIEWS, limited
from instances.models import AMCInstance
from instances.services.access import get_instance_to_edit
from instances.services.mappings import MappedValues, mapped_values
from templates_app.errors import IncompleteTemplateError, StaleTemplateError
from templates_app.forms import TemplateForm
from templates_app.models import InstanceTemplate
from templates_app.presenters.diffs import details_of, side_by_side
from templates_app.presenters.parameter_fields import parameter_context, submitted_values
from templates_app.services import templates as services
from templates_app.services.drafts import (
    MAX_SQL_LENGTH,
    ParameterValue,
    autofilled,
    fill_parameters,
    lint_for,
    refill,
    texts_of,
)
from templates_app.sql.lint import apply_fix
from templates_app.sql.values import as_text
from templates_app.views.templates import template_breadcrumbs

_KEYWORDS = (
    "SELECT DISTINCT FROM WHERE GROUP BY HAVING WITH AS UNION ALL INNER LEFT FULL OUTER CROSS JOIN ON AND OR NOT IN "
    "IS NULL CASE WHEN THEN ELSE END BETWEEN LIKE SIMILAR TO OVER PARTITION ORDER VALUES TABLE CAST INTERVAL"
)


@require_http_methods(["GET", "POST"])
@limited(PREVIEWS)
def template_create(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    instance = get_instance_to_edit(request.user, pk)
    if request.method == "POST":
        return _submitted(request, instance, None)
    initial, values = _starting_point(request, instance)
    return _page(request, instance, None, TemplateForm(initial=initial), values)


@require_http_methods(["GET", "POST"])
@limited(PREVIEWS)
def template_update(request: HtmxHttpRequest, pk: UUID, template_id: str) -> HttpResponse:
    try:
        template = services.get_template_to_edit(request.user, pk, template_id)
    except MissingRowError as error:
        if request.method != "POST" or error.noun != services.NOUN:
            raise
        return _deleted_meanwhile(request, get_instance_to_edit(request.user, pk))
    if request.method == "POST":
        return _submitted(request, template.instance, template)
    form = TemplateForm(instance=template, initial={"tags": ", ".join(template.tags), "version": template.version})
    values = fill_parameters(
        template.source_sql,
        {name: as_text(value) for name, value in template.parameter_values.items()},
        mapped_values(template.instance),
        auto=template.autofilled,
        # What was saved was complete; an input that is empty now belongs to a parameter saved without one.
        touched=template.parameter_values,
    )
    return _page(request, template.instance, template, form, values)


@require_POST
@limited(PREVIEWS)
def template_parameters(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Return the inputs of the parameters the SQL has now."""
    return _fragment(request, pk, "templates_app/_partials/parameter_panel.html")


@require_POST
@limited(PREVIEWS)
def template_preview(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Return the finished SQL as far as it goes, and out of band how many parameters are set."""
    return _fragment(request, pk, "templates_app/_partials/preview.html")


@require_POST
@limited(PREVIEWS)
def template_lint(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Return what AMC would refuse, or what surprises."""
    instance = get_instance_to_edit(request.user, pk)
    context = {"findings": lint_for(instance, _checked_sql(request)), "has_fixes": True}
    return render(request, "templates_app/_partials/lint.html", context)


@require_GET
@cache_control(private=True, max_age=3600)
def schema(request: HtmxHttpRequest) -> HttpResponse:
    """Return what the editor completes: keywords, functions, tables and their columns, with what they hold."""
    return JsonResponse(
        {
            "keywords": _KEYWORDS.split(),
            "functions": [{"name": name, "group": group} for group, names in GROUPS.items() for name in names],
            "tables": {
                table.name: [[c.name, c.type, c.threshold, c.description] for c in table.columns.values()]
                for table in TABLES.values()
            },
        }
    )


def _submitted(request: HtmxHttpRequest, instance: AMCInstance, template: InstanceTemplate | None) -> HttpResponse:
    """Answer the form: save it, or show it again with what its button asked for."""
    posted = request.POST.copy()
    action = posted.get("action", "save")
    if action.startswith("fix:"):
        posted["source_sql"] = _fixed(instance, _sql(posted), action)
    form = TemplateForm(posted, instance=template)
    mapped = mapped_values(instance)
    values = submitted_values(_sql(posted), _texts(posted), mapped)
    if action == "refresh":
        values = refill(values, mapped)
    if action != "save" or not form.is_valid():
        # "Update" shows what the button beside it shows by itself when scripts run.
        return _page(request, instance, template, form, values)
    return _save(request, instance, template, form, values)


def _deleted_meanwhile(request: HtmxHttpRequest, instance: AMCInstance) -> HttpResponse:
    """Keep what was typed into the page of a template that is gone, to be saved as a new one."""
    form = TemplateForm(request.POST)
    form.full_clean()
    form.add_error(None, f"{services.DELETED} What you typed is kept here: save it as a new template.")
    values = submitted_values(_sql(request.POST), _texts(request.POST), mapped_values(instance))
    address = reverse("templates:template-create", args=[instance.pk])
    response = _page(request, instance, None, form, values, form_action=address)
    response.status_code = 404
    return response


def _save(
    request: HtmxHttpRequest,
    instance: AMCInstance,
    template: InstanceTemplate | None,
    form: TemplateForm,
    values: list[ParameterValue],
) -> HttpResponse:
    actor, content = request.user, form.content(texts_of(values), autofilled(values))
    try:
        if template is None:
            saved = services.create_template(actor=actor, instance=instance, content=content)
        else:
            version = form.cleaned_data["version"] or 0
            saved = services.update_template(actor=actor, template=template, content=content, version=version)
    except IncompleteTemplateError as error:
        for sentence in error.sentences:
            form.add_error(None, sentence)
        wrong = [problem.name for problem in error.problems if problem.name]
        return _page(request, instance, template, form, values, wrong=wrong)
    except StaleTemplateError as error:
        form.add_error(None, error.message)
        # What is shown is what a second, deliberate save goes on top of.
        form.data = {**form.data.dict(), "version": error.current.version}  # type: ignore[attr-defined]  # POST
        current = services.Content.of(error.current)
        diffs = {
            "diff": side_by_side(current.source_sql, content.source_sql),
            "details_diff": side_by_side(details_of(current), details_of(content)),
        }
        return _page(request, instance, template, form, values, stale=error.current, **diffs)
    messages.success(request, f"{saved.name} is saved as version {saved.version}.")
    return redirect_page(request, saved)


def _page(
    request: HtmxHttpRequest,
    instance: AMCInstance,
    template: InstanceTemplate | None,
    form: TemplateForm,
    values: list[ParameterValue],
    **extra: Any,
) -> HttpResponse:
    sql = _line_feeds(form["source_sql"].value())
    context = {
        "instance": instance,
        "template": template,
        "form": form,
        **parameter_context(sql, values),
        "findings": lint_for(instance, sql) if len(sql) <= MAX_SQL_LENGTH else [],
        "has_fixes": True,
        "breadcrumbs": template_breadcrumbs(instance, template, here="Edit" if template else "New"),
        "tab": "templates",
        **extra,
    }
    return render_page(
        request, "templates_app/template_form.html", "templates_app/_partials/template_form.html", context
    )


def _fragment(request: HtmxHttpRequest, pk: UUID, template_name: str) -> HttpResponse:
    instance = get_instance_to_edit(request.user, pk)
    sql = _checked_sql(request)
    values = submitted_values(sql, _texts(request.POST), mapped_values(instance))
    return render(
        request, template_name, {"instance": instance, "is_swap": True, **parameter_context(sql, values)}
    )


def _starting_point(
    request: HtmxHttpRequest, instance: AMCInstance
) -> tuple[dict[str, Any], list[ParameterValue]]:
    """Return what a new template begins with: nothing, or the one it is a copy of."""
    source_id = request.GET.get("from", "")
    source = InstanceTemplate.objects.editable_by(request.user).filter(template_id=source_id).first()
    if source is None:
        return {}, []
    is_here = source.instance_id == instance.pk
    initial = {
        "name": services.copied_name(source.name) if is_here else source.name,
        "description": source.description,
        "tags": ", ".join(source.tags),
        "source_sql": source.source_sql,
    }
    # What came from the other instance's mappings is filled from this one's.
    texts = {
        name: as_text(value)
        for name, value in source.parameter_values.items()
        if is_here or name not in source.autofilled
    }
    if is_here:
        return initial, fill_parameters(source.source_sql, texts, MappedValues(), auto=source.autofilled)
    return initial, fill_parameters(source.source_sql, texts, mapped_values(instance))


def _fixed(instance: AMCInstance, sql: str, action: str) -> str:
    """Apply the fix a button without JavaScript asks for: the number of its finding in the list."""
    findings = lint_for(instance, sql)
    number = parse_number(action.removeprefix("fix:"), len(findings))
    fix = findings[number].fix if number < len(findings) else None
    return apply_fix(sql, fix) if fix is not None else sql


def _checked_sql(request: HtmxHttpRequest) -> str:
    """Return the SQL of the form, for fragments, which have no place for its errors; raises BadRequest."""
    sql = _sql(request.POST)
    if len(sql) > MAX_SQL_LENGTH:
        raise BadRequest("This SQL is too long.")
    return sql


def _texts(posted: QueryDict) -> dict[str, str]:
    return {name: str(value) for name, value in posted.items()}


def _sql(posted: QueryDict) -> str:
    return _line_feeds(posted.get("source_sql"))


def _line_feeds(text: Any) -> str:
    return str(text or "").replace("\r\n", "\n")
