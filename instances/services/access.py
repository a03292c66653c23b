"""How a page finds the one object it is about."""

from __future__ import annotations

from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.http import Http404

from amchelper.models import User
from instances.models import AmazonConnection, AMCAccount, AMCInstance


def get_instance(user: User, pk: UUID) -> AMCInstance:
    """Return the user's instance with account, login and brands.

    Raises PermissionDenied ("Access denied") for another user's instance, on the instance's own pages only;
    everything below an instance raises Http404 through `get_instance_or_404`.
    """
    instance = AMCInstance.objects.visible_to(user).with_relations().filter(pk=pk).first()
    if instance is not None:
        return instance
    if AMCInstance.objects.filter(pk=pk).exists():
        raise PermissionDenied("Access denied")
    raise Http404("There is no such instance.")


def get_instance_or_404(user: User, pk: UUID) -> AMCInstance:
    """Return the user's instance, or raise Http404 whether it is missing or another user's."""
    instance = AMCInstance.objects.visible_to(user).with_relations().filter(pk=pk).first()
    if instance is None:
        raise Http404("There is no such instance.")
    return instance


def get_connection(user: User, pk: UUID) -> AmazonConnection:
    """Return the user's Amazon login, or raise Http404 whether it is missing or another user's."""
    connection = AmazonConnection.objects.visible_to(user).filter(pk=pk).first()
    if connection is None:
        raise Http404("There is no such connection.")
    return connection


def get_account(user: User, pk: UUID) -> AMCAccount:
    """Return the user's AMC account with its login, or raise Http404 whether it is missing or another user's."""
    account = AMCAccount.objects.visible_to(user).select_related("connection").filter(pk=pk).first()
    if account is None:
        raise Http404("There is no such account.")
    return account
