"""The ways down to pages of instances and connections."""

from __future__ import annotations

from django.urls import reverse

from amchelper.http import Breadcrumbs, breadcrumbs
from instances.models import AmazonConnection, AMCInstance


def instance_breadcrumbs(
    instance: AMCInstance, *parents: tuple[str, object], here: str | None = None
) -> Breadcrumbs:
    """Return the way to a page below an instance; without `here` the page is one of the instance's own tabs."""
    listed = ("Instances", reverse("instances:instance-list"))
    if here is None:
        return breadcrumbs(listed, here=instance.name)
    return breadcrumbs(listed, (instance.name, instance.get_absolute_url()), *parents, here=here)


def connection_breadcrumbs(connection: AmazonConnection | None = None, *, here: str) -> Breadcrumbs:
    """Return the way to a page of connections, below one of them where it is given."""
    own = [(connection.label, connection.get_absolute_url())] if connection else []
    return breadcrumbs(("Connections", reverse("instances:connection-list")), *own, here=here)
