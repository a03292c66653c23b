"""The editor of a template: the page, and what is re-rendered while somebody types."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBadRequest, JsonResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from amc_facts.functions import GROUPS
from amc_facts.tables import TABLES
from amchelper.htmx import HtmxHttpRequest, redirect_page, render_page
from instances.models import AMCInstance
from instances.services.access import get_instance_or_404
from templates_app.errors import IncompleteTemplateError, StaleTemplateError
from templates_app.forms.templates import MAX_SQL, TemplateForm
from templates_app.models import InstanceTemplate
from templates_app.presenters.parameter_fields import (
    ParameterField,
    autofilled,
    fields_of,
    grouped,
    preview_of,
    refreshed,
    submitted_fields,
    values_of,
)
from templates_app.services import templates as services
from templates_app.services.diffs import side_by_side
from templates_app.services.linting import lint_for
from templates_app.services.mapped import Mapped, mapped_for
from templates_app.sql.lint import apply_fix

_KEYWORDS = (
    "SELECT DISTINCT FROM WHERE GROUP BY HAVING WITH AS UNION ALL INNER LEFT FULL OUTER CROSS JOIN ON AND OR NOT IN "
    "IS NULL CASE WHEN THEN ELSE END BETWEEN LIKE SIMILAR TO OVER PARTITION ORDER VALUES TABLE CAST INTERVAL"
)


@require_http_methods(["GET", "POST"])
def template_create(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    instance = get_instance_or_404(request.user, pk)
    if request.method == "POST":
        return _submitted(request, instance, None)
    initial, fields = _starting_point(request, instance)
    return _page(request, instance, None, TemplateForm(initial=initial), fields)


@require_http_methods(["GET", "POST"])
def template_update(request: HtmxHttpRequest, pk: UUID, template_id: str) -> HttpResponse:
    template = services.get_template(request.user, pk, template_id)
    if request.method == "POST":
        return _submitted(request, template.instance, template)
    form = TemplateForm(instance=template, initial={"tags": ", ".join(template.tags), "version": template.version})
    fields = fields_of(
        template.source_sql,
        template.parameter_values,
        mapped_for(template.instance),
        auto=template.autofilled,
        # What was saved was complete; an input that is empty now belongs to a parameter saved without one.
        touched=list(template.parameter_values),
    )
    return _page(request, template.instance, template, form, fields)


@require_POST
def template_parameters(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Return the inputs of the parameters the SQL has now, and with them the preview."""
    return _fragment(request, pk, "templates_app/_partials/parameter_panel.html")


@require_POST
def template_preview(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Return the finished SQL as far as it goes."""
    return _fragment(request, pk, "templates_app/_partials/preview.html")


@require_POST
def template_lint(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    """Return what AMC would refuse, or what surprises."""
    instance = get_instance_or_404(request.user, pk)
    sql = _sql(request.POST)
    if len(sql) > MAX_SQL:
        return HttpResponseBadRequest("This SQL is too long.")
    context = {"findings": lint_for(instance, sql), "has_fixes": True}
    return render(request, "templates_app/_partials/lint.html", context)


@require_GET
@cache_control(private=True, max_age=3600)
def schema(request: HtmxHttpRequest) -> HttpResponse:
    """Return what the editor completes: keywords, functions, tables and their columns."""
    return JsonResponse(
        {
            "keywords": _KEYWORDS.split(),
            "functions": [{"name": name, "group": group} for group, names in GROUPS.items() for name in names],
            "tables": {
                table.name: [[c.name, c.type, c.threshold] for c in table.columns.values()]
                for table in TABLES.values()
            },
        }
    )


def _submitted(request: HtmxHttpRequest, instance: AMCInstance, template: InstanceTemplate | None) -> HttpResponse:
    posted = request.POST.copy()
    action = posted.get("action", "save")
    if action.startswith("fix:"):
        posted["source_sql"] = _fixed(instance, _sql(posted), action)
    form = TemplateForm(posted, instance=template)
    mapped = mapped_for(instance)
    fields = submitted_fields(_sql(posted), _texts(posted), mapped)
    if action == "refresh":
        fields = refreshed(fields, mapped)
    if action != "save" or not form.is_valid():
        # "Update" shows what the button beside it shows by itself when scripts run.
        return _page(request, instance, template, form, fields, shows_errors=action == "save")
    return _save(request, instance, template, form, fields)


def _save(
    request: HtmxHttpRequest,
    instance: AMCInstance,
    template: InstanceTemplate | None,
    form: TemplateForm,
    fields: list[ParameterField],
) -> HttpResponse:
    content = form.content(values_of(fields), autofilled(fields))
    try:
        if template is None:
            saved = services.create_template(user=request.user, instance=instance, content=content)
        else:
            version = form.cleaned_data["version"] or 0
            saved = services.update_template(
                template=template, user=request.user, content=content, version=version
            )
    except IncompleteTemplateError as error:
        form.add_error("source_sql" if not error.parameter else None, f"{error.message} (line {error.line})")
        return _page(request, instance, template, form, fields, incomplete=error)
    except StaleTemplateError as error:
        form.add_error(None, error.message)
        # What is shown is what a second, deliberate save goes on top of.
        form.data = {**form.data.dict(), "version": error.current.version}  # type: ignore[attr-defined]  # POST
        current = services.Content.of(error.current)
        diffs = {
            "diff": side_by_side(current.source_sql, content.source_sql),
            "details_diff": side_by_side(current.details(), content.details()),
        }
        return _page(request, instance, template, form, fields, stale=error.current, **diffs)
    messages.success(request, f"{saved.name} is saved as version {saved.version}.")
    return redirect_page(request, saved)


def _page(
    request: HtmxHttpRequest,
    instance: AMCInstance,
    template: InstanceTemplate | None,
    form: TemplateForm,
    fields: list[ParameterField],
    **extra: Any,
) -> HttpResponse:
    sql = str(form["source_sql"].value() or "").replace("\r\n", "\n")
    own: list[tuple[str, str | None]] = (
        [(template.name, template.get_absolute_url()), ("Edit", None)] if template else []
    )
    context = {
        "instance": instance,
        "template": template,
        "form": form,
        **_parameters(sql, fields),
        "findings": lint_for(instance, sql) if len(sql) <= MAX_SQL else [],
        "has_fixes": True,
        "breadcrumbs": [*trail(instance), *(own or [("New", None)])],
        "tab": "templates",
        **extra,
    }
    return render_page(
        request, "templates_app/template_form.html", "templates_app/_partials/template_form.html", context
    )


def _fragment(request: HtmxHttpRequest, pk: UUID, template_name: str) -> HttpResponse:
    instance = get_instance_or_404(request.user, pk)
    sql = _sql(request.POST)
    if len(sql) > MAX_SQL:
        return HttpResponseBadRequest("This SQL is too long.")
    fields = submitted_fields(sql, _texts(request.POST), mapped_for(instance))
    return render(request, template_name, {"instance": instance, "is_swap": True, **_parameters(sql, fields)})


def _parameters(sql: str, fields: list[ParameterField]) -> dict[str, Any]:
    """Return the context of the parameter panel and the preview."""
    return {
        "fields": fields,
        "groups": grouped(fields),
        "set_count": sum(field.is_set for field in fields),
        "has_outdated": any(field.is_outdated for field in fields),
        "preview": preview_of(sql, fields),
    }


def _starting_point(
    request: HtmxHttpRequest, instance: AMCInstance
) -> tuple[dict[str, Any], list[ParameterField]]:
    """Return what a new template begins with: nothing, or the one it is a copy of."""
    source_id = request.GET.get("from", "")
    source = InstanceTemplate.objects.visible_to(request.user).filter(template_id=source_id).first()
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
    values = {
        name: value for name, value in source.parameter_values.items() if is_here or name not in source.autofilled
    }
    mapped = mapped_for(instance) if not is_here else Mapped()
    fields = fields_of(source.source_sql, values, mapped, auto=source.autofilled if is_here else ())
    return initial, fields


def _fixed(instance: AMCInstance, sql: str, action: str) -> str:
    """Apply the fix a button without JavaScript asks for: the number of its finding in the list."""
    findings = lint_for(instance, sql)
    number = action.removeprefix("fix:")
    if is_number(number) and int(number) < len(findings):
        fix = findings[int(number)].fix
        return apply_fix(sql, fix) if fix is not None else sql
    return sql


def _texts(posted: QueryDict) -> dict[str, str]:
    return {name: str(value) for name, value in posted.items()}


def _sql(posted: QueryDict) -> str:
    return (posted.get("source_sql") or "").replace("\r\n", "\n")


def is_number(text: str) -> bool:
    """Return whether a text of a request is a number that can count something."""
    return text.isascii() and text.isdecimal() and len(text) < 9


def trail(instance: AMCInstance) -> list[tuple[str, str | None]]:
    """Return the breadcrumbs down to an instance's templates."""
    return [
        ("Instances", reverse("instances:instance-list")),
        (instance.name, instance.get_absolute_url()),
        ("Templates", reverse("templates:template-list", args=[instance.pk])),
    ]
