"""Add and edit an instance; the connection is tested before it is saved."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from amchelper.access import MissingRowError
from amchelper.exceptions import AmcHelperError
from amchelper.htmx import HtmxHttpRequest, redirect_page, render_page, wants_fragment
from amchelper.http import breadcrumbs
from amchelper.limits import CHECKS, limited
from instances.errors import InstanceConnectionError, InvalidInstanceConfiguration, StaleInstanceError
from instances.forms.instances import InstanceForm
from instances.models import AMCInstance, Status
from instances.presenters.breadcrumbs import instance_breadcrumbs
from instances.services import instances as services
from instances.services.access import get_instance_to_edit
from instances.services.brands import suggest_brands
from instances.services.connection_test import ConnectionTest

SUGGESTIONS = 500


@require_http_methods(["GET", "POST"])
@limited(CHECKS)
def instance_create(request: HtmxHttpRequest) -> HttpResponse:
    if request.method == "POST":
        form = InstanceForm(request.POST, user=request.user)
        return _submitted(request, form, None)
    account = request.GET.get("account", "")
    return _page(request, InstanceForm(user=request.user, initial={"account": account}), None)


@require_http_methods(["GET", "POST"])
@limited(CHECKS)
def instance_update(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    try:
        instance = get_instance_to_edit(request.user, pk, on_own_page=True)
    except MissingRowError:
        if request.method != "POST":
            raise
        return _deleted_meanwhile(request)
    if request.method == "POST":
        form = InstanceForm(request.POST, user=request.user, instance=instance)
        return _submitted(request, form, instance)
    return _page(request, InstanceForm(user=request.user, instance=instance), instance)


def _submitted(request: HtmxHttpRequest, form: InstanceForm, instance: AMCInstance | None) -> HttpResponse:
    if not form.is_valid():
        return _page(request, form, instance)
    test: ConnectionTest | None = None
    try:
        _refuse_stale(form, instance)
        if request.POST.get("action") == "test":
            return _page(request, form, instance, test=services.try_connection(form.values()))
        saved, text = _save(request, form, instance)
    except InstanceConnectionError as error:
        test = error.test
    except StaleInstanceError as error:
        return _stale_page(request, form, error)
    except InvalidInstanceConfiguration as error:
        form.add_error(error.field or None, error.message)
    else:
        messages.success(request, text)
        return redirect_page(request, saved)
    return _page(request, form, instance, test=test)


def _deleted_meanwhile(request: HtmxHttpRequest) -> HttpResponse:
    """Keep what was typed into the page of an instance that is gone, to be added again."""
    form = InstanceForm(request.POST, user=request.user)
    form.full_clean()
    form.add_error(
        None, "This instance was deleted meanwhile. What you typed is kept here: save it to add it again."
    )
    response = _page(request, form, None, form_action=reverse("instances:instance-create"))
    # htmx swaps no other.
    response.status_code = 200 if wants_fragment(request) else 404
    return response


def _save(request: HtmxHttpRequest, form: InstanceForm, instance: AMCInstance | None) -> tuple[AMCInstance, str]:
    """Save as the button says, and return it with the sentence that tells so; raises AmcHelperError."""
    values, version = form.values(), str(form.cleaned_data["version"])
    if request.POST.get("action") == "draft":
        if instance is None:
            saved = services.save_draft(actor=request.user, values=values)
        else:
            saved = services.save_draft(actor=request.user, values=values, instance=instance, version=version)
        return saved, f"{saved.name} is saved. Its connection was not tested."
    if instance is not None and not _is_tested_on_save(values, instance):
        saved = services.save_details(actor=request.user, values=values, instance=instance, version=version)
        return saved, f"{saved.name} is saved."
    test = services.try_connection(values)
    saved = services.save_tested(actor=request.user, values=values, test=test, instance=instance, version=version)
    return saved, f"The connection works. {saved.name} is saved."


def _is_tested_on_save(values: services.InstanceValues, instance: AMCInstance) -> bool:
    return instance.status == Status.PENDING or values.needs_test(instance)


def _refuse_stale(form: InstanceForm, instance: AMCInstance | None) -> None:
    """Refuse before the user waits for Amazon; saving refuses again, with the row locked."""
    version = form.cleaned_data["version"]
    if instance is not None and version and version != services.version_of(instance):
        raise StaleInstanceError(services.STALE)


def _stale_page(request: HtmxHttpRequest, form: InstanceForm, error: AmcHelperError) -> HttpResponse:
    current = get_instance_to_edit(request.user, form.instance.pk, on_own_page=True)
    differences = services.changed_fields(current, form.values())
    form.add_error(None, error.message)
    # What is shown is what a second, deliberate save overwrites.
    form.data = {**form.data.dict(), "version": services.version_of(current)}  # type: ignore[attr-defined]  # POST
    return _page(request, form, current, differences=differences)


def _page(
    request: HtmxHttpRequest, form: InstanceForm, instance: AMCInstance | None, **extra: Any
) -> HttpResponse:
    wrong = next((name for name in form.errors if name in form.fields), None)
    if wrong:
        form.fields[wrong].widget.attrs["autofocus"] = True  # the reader goes on where something is to do
    context = {
        "form": form,
        "instance": instance,
        "suggestions": suggest_brands(request.user, limit=SUGGESTIONS),
        "has_account": form.fields["account"].queryset.exists(),  # type: ignore[attr-defined]  # a model's field
        "tests_on_save": instance is None or instance.status == Status.PENDING,
        "may_draft": bool(extra.get("test")) or (instance is not None and instance.status == Status.PENDING),
        "breadcrumbs": instance_breadcrumbs(instance, here="Settings")
        if instance
        else breadcrumbs(("Instances", reverse("instances:instance-list")), here="Add"),
        "tab": "settings",
        **extra,
    }
    return render_page(request, "instances/instance_form.html", "instances/_partials/instance_form.html", context)
