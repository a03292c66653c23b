"""The local AMC: building an instance's data from nothing, then compiling and executing every query of a corpus.

Two floors stand beside: the SQL that came out of compiling, thresholds included, run by DuckDB alone, and the same
without the users behind every row. With AMC_CORPUS its judged queries are taken, else those below.
Run: `.venv/bin/python tests/bench/local_amc.py`.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# The path above is needed by all below.
import duckdb

from amc_facts.tables import Table
from local_amc import engine
from local_amc.fixtures import Instance, build_instances
from local_amc.runs.uploads import check_upload, table_of
from local_amc.sql.catalogue import build
from local_amc.sql.compiler import Rules, compile_query
from local_amc.sql.errors import Source, SqlError
from local_amc.sql.functions import Run
from local_amc.sql.parameters import declare
from local_amc.sql.privacy import PrivacyOptions
from local_amc.warehouse import Warehouse
from tests.local_amc.outcomes import (
    Published,
    columns_to_upload,
    corpus,
    declared,
    missing_table,
    returns_users,
    wants_rows,
)

SEED, INSTANCE, WINDOW = 7, "amclocalus1", timedelta(days=60)
TARGET_BUILD_SECONDS, TARGET_MEDIAN_SECONDS = 15, 0.1

# In the mixture of published ones: a plain total, reach and frequency, a funnel, attribution, paths, ranks.
QUERIES = [
    "SELECT campaign, SUM(impressions) AS shown, SUM(total_cost) / 100000 AS cost FROM dsp_impressions GROUP BY 1",
    """
    WITH seen AS (SELECT user_id, SUM(impressions) AS i FROM dsp_impressions WHERE user_id IS NOT NULL GROUP BY 1)
    SELECT CASE WHEN i >= 10 THEN '10+' ELSE CAST(i AS VARCHAR) END AS frequency, COUNT(DISTINCT user_id) AS users
    FROM seen GROUP BY 1
    """,
    """
    SELECT COALESCE(ad_product_type, 'dsp') AS product, SUM(total_purchases) AS purchases,
      SUM(total_product_sales) AS sales, COUNT(DISTINCT IF(new_to_brand, user_id, NULL)) AS new_buyers
    FROM amazon_attributed_events_by_traffic_time GROUP BY 1
    """,
    """
    WITH touched AS (
      SELECT user_id, 'dsp' AS channel, MIN(impression_dt_utc) AS first_at FROM dsp_impressions GROUP BY 1
      UNION ALL
      SELECT user_id, ad_product_type, MIN(event_dt_utc) FROM sponsored_ads_traffic GROUP BY 1, 2
    ), paths AS (
      SELECT user_id, ARRAY_TO_STRING(ARRAY_SORT(COLLECT(DISTINCT channel)), ' + ') AS path FROM touched
      WHERE user_id IS NOT NULL GROUP BY 1
    ), bought AS (SELECT user_id, SUM(total_product_sales) AS sales FROM conversions GROUP BY 1)
    SELECT path, COUNT(DISTINCT p.user_id) AS users, COUNT(DISTINCT b.user_id) AS buyers, SUM(b.sales) AS sales
    FROM paths p LEFT JOIN bought b ON p.user_id = b.user_id GROUP BY 1
    """,
    """
    SELECT campaign, clicks, place FROM (
      SELECT campaign, SUM(clicks) AS clicks, RANK() OVER (ORDER BY SUM(clicks) DESC) AS place
      FROM TABLE(EXTEND_TIME_WINDOW('sponsored_ads_traffic', 'P28D', 'P0D')) GROUP BY 1
    ) WHERE place <= 20
    """,
]


def measure_build(folder: str) -> tuple[float, float]:
    """Build an instance's data in an empty folder; returns seconds by the clock and of the processors."""
    began, worked = time.perf_counter(), time.process_time()
    warehouse = Warehouse(folder, SEED)
    with warehouse.cursor(build_instances(SEED)[INSTANCE], datetime.now(UTC)):
        seconds, work = time.perf_counter() - began, time.process_time() - worked
    warehouse.close()
    return seconds, work


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds that one query took: in its parts, and as SQL of DuckDB's own, with and without users."""

    compiling: float
    executing: float
    raw: float
    without_users: float

    @property
    def total(self) -> float:
        return self.compiling + self.executing


class Bench:
    """Compiles and executes queries on one instance as a run does, with what published ones need."""

    def __init__(self, cursor: duckdb.DuckDBPyConnection, upload: Callable[[Table], None]) -> None:
        self._cursor, self._upload = cursor, upload
        self._uploads: list[Table] = []
        self._now = datetime.now(UTC).replace(tzinfo=None)

    def measure(self, query: Published) -> Timing | None:
        """Return how long a query takes; None when a report refuses it because it returns user_id.

        Raises SqlError for any other refusal.
        """
        rules = Rules()
        while True:
            try:
                return self._measure(query.sql, rules)
            except SqlError as problem:
                reason = str(problem)
                if returns_users(reason):
                    return None
                if table := missing_table(query, reason):
                    body = check_upload({"name": table, "columns": columns_to_upload(table, query.sql)})
                    self._uploads.append(table_of(body))
                    self._upload(self._uploads[-1])
                elif wants_rows(query, reason) and rules.controls_aggregation:
                    rules = Rules(controls_aggregation=False)
                else:
                    raise

    def _measure(self, sql: str, rules: Rules) -> Timing:
        run = Run(self._now - WINDOW, self._now, self._now, declare(declared(sql), {}))
        source, catalogue = Source(sql), build(self._uploads)
        began = time.perf_counter()
        compiled = compile_query(sql, run, catalogue, rules)
        ready = time.perf_counter()
        prepared = engine.prepare(self._cursor, compiled, PrivacyOptions(), source)
        for _ in engine.rows(self._cursor, prepared, source):
            pass
        executed = time.perf_counter()
        bare = compile_query(sql, run, catalogue, Rules(controls_aggregation=False)).sql
        return Timing(ready - began, executed - ready, self._seconds(prepared.sql), self._seconds(bare))

    def _seconds(self, sql: str) -> float:
        """Return how long DuckDB takes for its own SQL."""
        began = time.perf_counter()
        self._cursor.execute(sql).fetchall()
        return time.perf_counter() - began


def measure_queries(folder: str, queries: list[Published]) -> tuple[list[Timing], int]:
    """Return the times of all queries that ran, and how many were refused as they return user_id."""
    found: list[Timing] = []
    refused = 0
    instance, now = build_instances(SEED)[INSTANCE], datetime.now(UTC)
    with closing(Warehouse(folder, SEED)) as warehouse, warehouse.cursor(instance, now) as cursor:
        bench = Bench(cursor, partial(_create, warehouse, instance, now))
        # What is built once per process is none of the queries'.
        bench.measure(Published("the first one", "runs", "", QUERIES[0]))
        for query in queries:
            try:
                timing = bench.measure(query)
            except SqlError as problem:
                print(f"local_amc: {query.name} did not run: {problem}")
                continue
            refused += timing is None
            found += [timing] if timing is not None else []
    return found, refused


def _create(warehouse: Warehouse, instance: Instance, now: datetime, table: Table) -> None:
    """Create an uploaded table, which all cursors of the instance see from then on."""
    with warehouse.cursor(instance, now, [table]):
        pass


def main() -> int:
    """Print the figures; the exit code tells whether the targets were met."""
    has_corpus = "AMC_CORPUS" in os.environ
    own = [Published(f"query {place}", "runs", "", sql) for place, sql in enumerate(QUERIES, 1)]
    queries = [query for query in corpus() if query.is_judged] if has_corpus else own
    with tempfile.TemporaryDirectory(prefix="local-amc-bench-") as folder:
        built, work = measure_build(folder)
        found, refused = measure_queries(folder, queries)
    if not found:
        raise SystemExit("The benchmark is void: no query ran.")
    totals = sorted(timing.total for timing in found)
    median, p95 = statistics.median(totals), totals[min(len(totals) - 1, int(len(totals) * 0.95))]
    share = sum(timing.compiling for timing in found) / sum(totals)
    of_what = "judged queries of AMC_CORPUS" if has_corpus else "queries of its own, as AMC_CORPUS is not set"
    print(
        f"local_amc: data of {INSTANCE} from nothing {built:.1f} s (target <= {TARGET_BUILD_SECONDS} s), "
        f"{work:.1f} s of the processors"
    )
    print(
        f"local_amc: {len(found)} of {len(queries)} {of_what} ran, {refused} were refused as they return user_id"
    )
    print(
        f"local_amc: compile and execute: median {median * 1000:.0f} ms (target <= "
        f"{TARGET_MEDIAN_SECONDS * 1000:.0f} ms), p95 {p95 * 1000:.0f} ms, compiling is {share:.0%} of the time"
    )
    for name, floor in (
        ("the compiled SQL in DuckDB alone", [timing.raw for timing in found]),
        ("the same without the users of every row", [timing.without_users for timing in found]),
    ):
        print(
            f"local_amc: {name}: median {statistics.median(floor) * 1000:.0f} ms, sum {sum(floor):.2f} s; "
            f"the whole takes {sum(totals) / sum(floor):.1f} times as long"
        )
    return int(built > TARGET_BUILD_SECONDS or median > TARGET_MEDIAN_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
