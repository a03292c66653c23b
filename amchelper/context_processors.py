"""What every page shows: the side navigation, and to staff that the disk is nearly full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject

from amchelper.disk import free_bytes, missing_bytes

# (URL name, label, icon, prefixes of URL names that light the entry up)
NAVIGATION = (
    ("home", "Home", "home", ("home",)),
    (
        "instances:instance-list",
        "Instances",
        "database",
        ("instance-", "brand-", "check-", "template-", "mapping-", "run"),
    ),
    ("executions:execution-list", "Runs", "player-play", ("execution-", "export-")),
    ("schedules:schedule-list", "Schedules", "calendar-repeat", ("schedule-",)),
    ("instances:health-list", "Health", "heartbeat", ("health-",)),
    ("instances:connection-list", "Connections", "plug-connected", ("connection-", "account-")),
)


@dataclass(frozen=True)
class NavItem:
    """One entry of the side navigation."""

    label: str
    url: str
    icon: str
    active: bool


def navigation(request: HttpRequest) -> dict[str, list[NavItem]]:
    """Return the navigation entries that exist, with the present one marked."""
    match = request.resolver_match
    here = (match.url_name or "") if match else ""
    items = []
    for name, label, icon, prefixes in NAVIGATION:
        try:
            url = reverse(name)
        except NoReverseMatch:
            continue
        items.append(NavItem(label, url, icon, here.startswith(prefixes)))
    return {"nav_items": items}


def disk_shortage(request: HttpRequest) -> dict[str, Any]:
    """Return how much is left on a disk that is short of space, for staff; lazy, so fragments do not look."""

    def find() -> str:
        is_staff = getattr(getattr(request, "user", None), "is_staff", False)
        return filesizeformat(free_bytes()) if is_staff and missing_bytes() else ""

    return {"disk_shortage": SimpleLazyObject(find)}
