"""What of the templates' app goes with rows that are deleted."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from amchelper.dependents import DependentKind, named, register
from templates_app.models import InstanceTemplate, TemplateVersion
from templates_app.services.cache import forget


def register_kinds() -> None:
    """Make the kinds of this app known."""
    register(
        DependentKind(
            InstanceTemplate,
            "template",
            describe=lambda rows: [named(rows, "template")],
            prepare=_take_out_of_use,
        ),
        DependentKind(TemplateVersion, "saved version of templates", "saved versions of templates"),
    )


def _take_out_of_use(rows: QuerySet[Any]) -> None:
    # No schedule starts a run while much that belongs to it goes.
    rows.update(archived_at=timezone.now())
    forget(*rows.only("instance_id", "template_id"))
