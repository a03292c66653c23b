"""Lint a template's SQL for its instance."""

from __future__ import annotations

from instances.models import AMCInstance
from instances.services.configuration import get_instance_configuration
from templates_app.sql.lint import Finding, lint

SANDBOX = "SANDBOX"


def lint_for(instance: AMCInstance, sql: str) -> list[Finding]:
    """Return the findings for an instance: its advertiser types decide which tables have data."""
    if not sql.strip():
        return []
    types = get_instance_configuration(instance.pk).advertiser_types
    return lint(
        sql, advertiser_types=types or None, aggregation_controls=instance.instance_type.upper() != SANDBOX
    )
