"""The local AMC: building an instance's data from nothing, then compiling and executing every query of a corpus.

With AMC_CORPUS its judged queries are taken, else those below. Run: `.venv/bin/python tests/bench/local_amc.py`.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

# The path above is needed by all below.
import duckdb

from local_amc import engine
from local_amc.fixtures import build_instances
from local_amc.sql.catalogue import build
from local_amc.sql.compiler import compile_query
from local_amc.sql.errors import Source, SqlError
from local_amc.sql.functions import Run
from local_amc.sql.parameters import declare
from local_amc.sql.privacy import PrivacyOptions
from local_amc.warehouse import Warehouse
from tests.local_amc.outcomes import corpus, declared

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


def measure_query(cursor: duckdb.DuckDBPyConnection, sql: str) -> tuple[float, float]:
    """Return the seconds a query takes to compile and to check and execute; raises SqlError."""
    now = datetime.now(UTC).replace(tzinfo=None)
    run = Run(now - WINDOW, now, now, declare(declared(sql), {}))
    source = Source(sql)
    began = time.perf_counter()
    compiled = compile_query(sql, run, build())
    ready = time.perf_counter()
    prepared = engine.prepare(cursor, compiled, PrivacyOptions(), source)
    for _ in engine.rows(cursor, prepared, source):
        pass
    return ready - began, time.perf_counter() - ready


def measure_queries(folder: str, queries: list[str]) -> list[tuple[float, float]]:
    """Measure all queries that run; those that read uploaded tables do not run here."""
    found: list[tuple[float, float]] = []
    warehouse = Warehouse(folder, SEED)
    with warehouse.cursor(build_instances(SEED)[INSTANCE], datetime.now(UTC)) as cursor:
        for sql in [queries[0], *queries]:
            try:
                found.append(measure_query(cursor, sql))
            except SqlError:
                continue
    warehouse.close()
    # The first one warmed up what is built once per process.
    return found[1:]


def main() -> int:
    """Print the figures; the exit code tells whether the targets were met."""
    has_corpus = "AMC_CORPUS" in os.environ
    queries = [query.sql for query in corpus() if query.is_judged] if has_corpus else QUERIES
    with tempfile.TemporaryDirectory(prefix="local-amc-bench-") as folder:
        built, work = measure_build(folder)
        found = measure_queries(folder, queries)
    if not found:
        raise SystemExit("The benchmark is void: no query ran.")
    totals = sorted(compiling + executing for compiling, executing in found)
    median, p95 = statistics.median(totals), totals[min(len(totals) - 1, int(len(totals) * 0.95))]
    share = sum(compiling for compiling, _ in found) / sum(totals)
    of_what = "judged queries of AMC_CORPUS" if has_corpus else "queries of its own, as AMC_CORPUS is not set"
    print(
        f"local_amc: data of {INSTANCE} from nothing {built:.1f} s (target <= {TARGET_BUILD_SECONDS} s), "
        f"{work:.1f} s of the processors"
    )
    print(f"local_amc: {len(found)} of {len(queries)} {of_what} ran")
    print(
        f"local_amc: compile and execute: median {median * 1000:.0f} ms (target <= "
        f"{TARGET_MEDIAN_SECONDS * 1000:.0f} ms), p95 {p95 * 1000:.0f} ms, compiling is {share:.0%} of the time"
    )
    return int(built > TARGET_BUILD_SECONDS or median > TARGET_MEDIAN_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
