"""How a page finds the one object it is about: to show it, to change it, or to start something with it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404

from amchelper.access import get_to_edit, get_to_run, get_visible
from amchelper.models import User
from instances.models import AmazonConnection, AMCAccount, AMCInstance, HealthCheckBatch


def get_instance(user: User, pk: UUID, *, on_own_page: bool = False) -> AMCInstance:
    """Return an instance to show, with account, login, brands and rights; raises Http404.

    On an instance's own pages a foreign one raises PermissionDenied ("Access denied"); below it nothing exists.
    """
    return _find_instance(get_visible, user, pk, on_own_page)


def get_instance_to_edit(user: User, pk: UUID, *, on_own_page: bool = False) -> AMCInstance:
    """Return an instance to change, as `get_instance` does; raises PermissionDenied for one to look at only."""
    return _find_instance(get_to_edit, user, pk, on_own_page)


def get_instance_to_run(user: User, pk: UUID, *, on_own_page: bool = False) -> AMCInstance:
    """Return an instance to check or to run something on, as `get_instance_to_edit` does."""
    return _find_instance(get_to_run, user, pk, on_own_page)


def get_connection(user: User, pk: UUID) -> AmazonConnection:
    """Return an Amazon login to show, with rights; raises Http404."""
    return get_visible(AmazonConnection.objects.with_rights(user), user, "connection", pk=pk)


def get_connection_to_edit(user: User, pk: UUID) -> AmazonConnection:
    """Return an Amazon login to change; raises Http404, PermissionDenied."""
    return get_to_edit(AmazonConnection.objects.with_rights(user), user, "connection", pk=pk)


def get_connection_to_run(user: User, pk: UUID) -> AmazonConnection:
    """Return an Amazon login to ask Amazon with; raises Http404, PermissionDenied."""
    return get_to_run(AmazonConnection.objects.with_rights(user), user, "connection", pk=pk)


def get_account_to_edit(user: User, pk: UUID) -> AMCAccount:
    """Return an AMC account with its login to change; raises Http404, PermissionDenied."""
    return get_to_edit(AMCAccount.objects.select_related("connection"), user, "account", pk=pk)


def get_batch(user: User, pk: UUID) -> HealthCheckBatch:
    """Return a batch of health checks to show; raises Http404."""
    return get_visible(HealthCheckBatch.objects.all(), user, "health check", pk=pk)


def _find_instance(get: Callable[..., AMCInstance], user: User, pk: UUID, on_own_page: bool) -> AMCInstance:
    try:
        return get(AMCInstance.objects.with_relations().with_rights(user), user, "instance", pk=pk)
    except Http404:
        if on_own_page and AMCInstance.objects.filter(pk=pk).exists():
            raise PermissionDenied("Access denied") from None
        raise
