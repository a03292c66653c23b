"""Options of a running server, which the control route can change."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from local_amc.sql.compiler import Rules

ROWS_PER_PART = 500_000


@dataclass
class Options:
    """Shared by all parts of a server; names and values are those of `/__control/options`."""

    terms_on_list: bool = False
    wraps_answers: bool = False
    rows_per_part: int = ROWS_PER_PART
    accepts_order_by: bool = False
    refuses_at_post: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the options by name."""
        return asdict(self)

    def update(self, values: dict[str, Any]) -> None:
        """Set some of the options by name; the caller has checked names and types."""
        for name, value in values.items():
            setattr(self, name, value)

    def sql_rules(self, *, controls_aggregation: bool = True) -> Rules:
        """Return the rules that SQL is compiled by."""
        return Rules(controls_aggregation=controls_aggregation, accepts_order_by=self.accepts_order_by)
