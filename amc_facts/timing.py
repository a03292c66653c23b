"""How AMC's data come in. Source: AMC's pages on data freshness and attribution."""

from __future__ import annotations

# Conversions are credited to traffic of up to this many days before, so younger days still grow.
ATTRIBUTION_DAYS = 14
# Events need up to this long to arrive.
INGESTION_HOURS = 48
