"""The synthetic data of an instance: all of AMC's tables, built by SQL inside DuckDB, the same for the same seed."""

from __future__ import annotations

from datetime import date

import duckdb

from local_amc.data import (
    ad_server,
    attribution,
    campaigns,
    conversions,
    dsp,
    households,
    products,
    segments,
    sponsored,
    stores,
    streaming,
    users,
)
from local_amc.data.generators import TableGenerator

# Raise it whenever other rows come out for the same seed, so that databases built before are built again: after a
# change here, and after an update of DuckDB that changes its hash().
DATA_VERSION = 2

# Later steps read what earlier ones made.
_STEPS = (
    users.build,
    products.build,
    segments.build,
    campaigns.build,
    dsp.build,
    sponsored.build,
    conversions.build,
    attribution.build,
    stores.build,
    streaming.build,
    households.build,
    ad_server.build,
)


def build(
    connection: duckdb.DuckDBPyConnection,
    *,
    seed: int,
    first_day: date,
    last_day: date,
    advertiser_types: frozenset[str],
) -> None:
    """Create schema `raw` with every table of AMC, filled from `first_day` to `last_day`.

    What belongs to one day depends on seed and day only, never on the range asked for. A build that is stopped leaves
    some of the tables, so build into a file of another name and rename it: in one transaction it takes half as long
    again.
    """
    generator = TableGenerator(
        connection, seed=seed, first_day=first_day, last_day=last_day, types=advertiser_types
    )
    generator.open()
    for step in _STEPS:
        step(generator)
    generator.publish_missing()
    generator.close()
