"""Pages of connections."""

from __future__ import annotations

from urllib.parse import urlencode
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.db.models import Count, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from amchelper.access import MissingRowError
from amchelper.deletion import ask_before_deletion
from amchelper.dependents import stopped_with
from amchelper.exceptions import AmcHelperError
from amchelper.htmx import HtmxHttpRequest, redirect_page
from amchelper.http import breadcrumbs, parse_uuid
from amchelper.limits import CHECKS, limited
from instances.forms.connections import AccountForm, ConnectionForm, RefreshTokenForm
from instances.models import AmazonConnection, AMCAccount, AMCInstance, HealthCheckBatch
from instances.presenters.breadcrumbs import connection_breadcrumbs
from instances.services.access import get_account_to_edit, get_connection, get_connection_to_edit
from instances.services.connections import (
    ConsentError,
    add_account,
    connect_with_refresh_token,
    disconnect,
    finish_consent,
    start_consent,
    update_connection,
)
from instances.services.health.batches import queue_batch

_NAMED_ON_DELETE = 10


@require_GET
def connection_list(request: HtmxHttpRequest) -> HttpResponse:
    connections = list(_with_counts(AmazonConnection.objects.visible_to(request.user).with_rights(request.user)))
    # What was typed before Amazon said no comes back in the address.
    initial = {name: request.GET[name] for name in ("label", "region") if name in request.GET}
    if not connections:
        initial.setdefault("label", "Amazon login")
    context = {
        "connections": connections,
        "form": ConnectionForm(user=request.user, initial=initial),
        "breadcrumbs": breadcrumbs(here="Connections"),
    }
    return render(request, "instances/connection_list.html", context)


@require_POST
def connection_start(request: HtmxHttpRequest) -> HttpResponse:
    form = ConnectionForm(request.POST, user=request.user)
    if form.is_valid():
        try:
            return _to_amazon(request, label=form.cleaned_data["label"], region=form.cleaned_data["region"])
        except AmcHelperError as error:
            form.add_error(None, error.message)
    context = {"form": form, "breadcrumbs": connection_breadcrumbs(here="Connect with Amazon")}
    return render(request, "instances/connection_form.html", context)


@require_GET
def connection_callback(request: HtmxHttpRequest) -> HttpResponse:
    try:
        connection, is_new = finish_consent(session=request.session, actor=request.user, answer=request.GET.dict())
    except ConsentError as error:
        messages.error(request, error.message)
        return redirect_page(request, _where_it_started(request, error))
    return _connected(request, connection, is_new=is_new)


@require_http_methods(["GET", "POST"])
@sensitive_post_parameters("refresh_token")
@limited(CHECKS)
def connection_paste(request: HtmxHttpRequest) -> HttpResponse:
    connection = _named_connection(request)
    form = RefreshTokenForm(request.POST or None, user=request.user, instance=connection)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            kept, is_new = connect_with_refresh_token(
                actor=request.user,
                refresh_token=data["refresh_token"],
                label=connection.label if connection else data["label"],
                region=connection.region if connection else data["region"],
                connection=connection,
            )
            return _connected(request, kept, is_new=is_new)
        except AmcHelperError as error:
            form.add_error("refresh_token", error.message)
    context = {
        "form": form,
        "connection": connection,
        "breadcrumbs": connection_breadcrumbs(connection, here="Paste a refresh token"),
    }
    return render(request, "instances/connection_paste.html", context)


@require_GET
def connection_detail(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    connection = get_connection(request.user, pk)
    accounts = list(connection.accounts.annotate(instance_count=Count("instances")))
    context = {
        "connection": connection,
        "accounts": accounts,
        "instance_count": AMCInstance.objects.filter(account__connection=connection).count(),
        "breadcrumbs": connection_breadcrumbs(here=connection.label),
    }
    return render(request, "instances/connection_detail.html", context)


@require_http_methods(["GET", "POST"])
def connection_update(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    connection = get_connection_to_edit(request.user, pk)
    label = connection.label
    breadcrumbs_to_form = connection_breadcrumbs(connection, here="Edit")
    form = ConnectionForm(request.POST or None, user=request.user, instance=connection)
    if request.method == "POST" and form.is_valid():
        try:
            update_connection(connection, actor=request.user)
        except AmcHelperError as error:
            form.add_error("label", error.message)
        else:
            messages.success(request, f"“{connection.label}” was saved.")
            return redirect_page(request, connection)
    context = {
        "form": form,
        "connection": connection,
        # The form has put what was typed into `connection` already.
        "label": label,
        "breadcrumbs": breadcrumbs_to_form,
    }
    return render(request, "instances/connection_edit.html", context)


@require_POST
def connection_reconnect(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    connection = get_connection_to_edit(request.user, pk)
    try:
        return _to_amazon(request, label=connection.label, region=connection.region, connection=connection)
    except AmcHelperError as error:
        messages.error(request, error.message)
        return redirect_page(request, connection)


@require_http_methods(["GET", "POST"])
def connection_disconnect(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    connection = get_connection_to_edit(request.user, pk)
    if request.method == "POST":
        disconnect(connection, actor=request.user)
        messages.success(request, f"“{connection.label}” was disconnected. Its accounts and instances are kept.")
        return redirect_page(request, connection)
    context = {
        "connection": connection,
        "stopped": stopped_with(AmazonConnection.objects.filter(pk=connection.pk)),
        "instance_count": AMCInstance.objects.filter(account__connection=connection).count(),
        "account_count": connection.accounts.count(),
        "breadcrumbs": connection_breadcrumbs(connection, here="Disconnect"),
    }
    return render(request, "instances/connection_disconnect.html", context)


@require_http_methods(["GET", "POST"])
def connection_delete(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    connection = get_connection_to_edit(request.user, pk)
    asked = ask_before_deletion(
        request, AmazonConnection.objects.filter(pk=connection.pk), name=connection.label, actor=request.user
    )
    if asked is None:
        messages.success(request, f"“{connection.label}” was deleted.")
        return redirect_page(request, "instances:connection-list")
    instances = AMCInstance.objects.filter(account__connection=connection).only("name", "instance_id")
    context = {
        **asked,
        "connection": connection,
        "instances": instances[:_NAMED_ON_DELETE],
        "instance_count": instances.count(),
        "breadcrumbs": connection_breadcrumbs(connection, here="Delete"),
    }
    return render(request, "instances/connection_delete.html", context)


@require_http_methods(["GET", "POST"])
def account_create(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    connection = get_connection_to_edit(request.user, pk)
    form = AccountForm(request.POST or None, connection=connection)
    if request.method == "POST" and form.is_valid():
        account = form.save(commit=False)
        try:
            add_account(account, actor=request.user)
        except AmcHelperError as error:
            form.add_error("account_id", error.message)
        else:
            messages.success(request, f"{account} was added. Discover to see its instances.")
            return redirect_page(request, connection)
    context = {
        "form": form,
        "connection": connection,
        "breadcrumbs": connection_breadcrumbs(connection, here="Add account"),
    }
    return render(request, "instances/account_form.html", context)


@require_http_methods(["GET", "POST"])
def account_delete(request: HtmxHttpRequest, pk: UUID) -> HttpResponse:
    account = get_account_to_edit(request.user, pk)
    connection = account.connection
    asked = ask_before_deletion(
        request, AMCAccount.objects.filter(pk=account.pk), name=account.account_id, actor=request.user
    )
    if asked is None:
        messages.success(request, f"{account} was deleted here. At Amazon nothing changed.")
        return redirect_page(request, connection)
    context = {
        **asked,
        "account": account,
        "connection": connection,
        "breadcrumbs": connection_breadcrumbs(connection, here="Delete account"),
    }
    return render(request, "instances/account_confirm_delete.html", context)


def _with_counts(connections: QuerySet[AmazonConnection]) -> QuerySet[AmazonConnection]:
    return connections.annotate(
        account_count=Count("accounts", distinct=True),
        instance_count=Count("accounts__instances", distinct=True),
    )


def _named_connection(request: HtmxHttpRequest) -> AmazonConnection | None:
    """Return the connection whose token is to be replaced; None when a new one is to be made."""
    text = request.GET.get("connection", "")
    if not text:
        return None
    pk = parse_uuid(text)
    if pk is None:
        raise MissingRowError("connection")
    return get_connection_to_edit(request.user, pk)


def _to_amazon(
    request: HtmxHttpRequest, *, label: str, region: str, connection: AmazonConnection | None = None
) -> HttpResponse:
    path = reverse("instances:connection-callback")
    # Amazon accepts registered return addresses only, so the address people opened does not decide. The local
    # AMC accepts every one, and the session is where they are: localhost is not 127.0.0.1.
    in_demo = settings.DEBUG and settings.LOCAL_AMC_URL
    back = request.build_absolute_uri(path) if in_demo else f"{settings.SITE_URL}{path}"
    url = start_consent(
        session=request.session,
        actor=request.user,
        redirect_uri=back,
        label=label,
        region=region,
        connection=connection,
    )
    return redirect_page(request, url)


def _connected(request: HtmxHttpRequest, connection: AmazonConnection, *, is_new: bool) -> HttpResponse:
    if is_new:
        messages.success(request, f"“{connection.label}” is connected. Now see what it reaches.")
        return redirect_page(request, "instances:connection-discover", connection.pk)
    instances = AMCInstance.objects.runnable_by(request.user).enabled().filter(account__connection=connection)
    pks = list(instances.values_list("pk", flat=True))
    if pks:
        queue_batch(pks, actor=request.user, trigger=HealthCheckBatch.Trigger.SAVE)
    checked = " Its instances are being checked." if pks else ""
    messages.success(request, f"“{connection.label}” is connected again.{checked}")
    return redirect_page(request, connection)


def _where_it_started(request: HtmxHttpRequest, error: ConsentError) -> str:
    consent = error.consent
    if consent is None:
        return reverse("instances:connection-list")
    # It may have been deleted while its owner was at Amazon.
    if (
        consent.connection
        and AmazonConnection.objects.visible_to(request.user).filter(pk=consent.connection).exists()
    ):
        return reverse("instances:connection-detail", args=[consent.connection])
    typed = urlencode({"label": consent.label, "region": consent.region})
    return f"{reverse('instances:connection-list')}?{typed}#connect"
