"""What an instance's mappings offer to parameters."""

from __future__ import annotations

from instances.models import AMCInstance
from instances.services.mappings import mapped_values
from templates_app.services.parameter_fields import Mapped


def mapped_for(instance: AMCInstance) -> Mapped:
    """Return the mapped ASINs and campaigns of all brands of an instance. Two queries."""
    found = mapped_values(instance)
    return Mapped(asins=found.asins, campaigns=found.campaigns)
