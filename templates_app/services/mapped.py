"""What an instance's mappings offer to parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from instances.models import AMCInstance
from instances.services.mappings import mapped_values


@dataclass(frozen=True)
class Mapped:
    """What the mappings of an instance offer, in stored order and without duplicates."""

    asins: Sequence[str] = ()
    campaigns: Sequence[str] = ()

    def items(self, kind: str) -> Sequence[str]:
        """Return what fills a parameter of a type."""
        return {"asin": self.asins, "campaign": self.campaigns}.get(kind, ())


def mapped_for(instance: AMCInstance) -> Mapped:
    """Return the mapped ASINs and campaigns of all brands of an instance. Two queries."""
    found = mapped_values(instance)
    return Mapped(asins=found.asins, campaigns=found.campaigns)
