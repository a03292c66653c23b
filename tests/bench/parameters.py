"""Parameters of templates: detect and substitute on 1 MB of SQL against sqlparse's tokenizer, and long lists.

A ratio is the tokenizer's time on the same text divided by ours. Run: `.venv/bin/python tests/bench/parameters.py`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from sqlparse import lexer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from templates_app.sql.parameters import detect, substitute

LENGTH, ITEMS = 1_000_000, 10_000
TARGET_RATIO, TARGET_SECONDS = 10, 0.05

# One query in the size and mixture of published ones; {n} makes every copy different.
QUERY = """
-- Path to purchase of campaign group {n}: what the brand's shoppers saw before they bought
WITH tracked (asin) AS (
  VALUES {{{{tracked_asins}}}}
), traffic_{n} AS (
  /* impressions and clicks of both channels,
     one row per user and campaign */
  SELECT user_id, campaign, 'sponsored' AS channel, SUM(impressions) AS impressions, SUM(clicks) AS clicks
  FROM sponsored_ads_traffic
  WHERE event_dt_utc >= TIMESTAMP '{{{{start_date}}}} 00:00:00' AND event_dt_utc < :end_date
    AND campaign_id IN $campaign_ids AND campaign NOT LIKE '%{{{{exclude}}}}%'
  GROUP BY user_id, campaign
), purchases AS (
  SELECT user_id, SUM(total_product_sales) AS sales, COUNT(DISTINCT conversion_id) AS orders
  FROM amazon_attributed_events_by_conversion_time
  WHERE tracked_asin IN (SELECT asin FROM tracked) AND DATE_TRUNC('day', conversion_event_dt) > '2025-01-01'
  GROUP BY user_id
)
SELECT t.campaign, t.channel, SUM(t.impressions)::DECIMAL / NULLIF(SUM(t.clicks), 0) AS "cost: per click",
  CASE WHEN SUM(p.orders) > {n} THEN 'it''s many' ELSE 'few' END AS volume, COALESCE(SUM(p.sales), 0) AS sales
FROM traffic_{n} t LEFT JOIN purchases p ON p.user_id = t.user_id
GROUP BY 1, 2 HAVING COUNT(DISTINCT t.user_id) >= {{{{ min_users }}}};
"""
VALUES: dict[str, object] = {
    "tracked_asins": ["B000000001", "B000000002", "B000000003"],
    "start_date": "2025-01-01",
    "end_date": "2025-02-01T00:00:00Z",
    "campaign_ids": "576460752303423488\n576460752303423489",
    "exclude": "Men's",
    "min_users": "50",
}


def best_of(count: int, work: Callable[[], object]) -> float:
    """Return the shortest of several runs; the others measure what else the machine does."""
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def measure_text() -> list[bool]:
    """Compare detect and substitute with the tokenizer."""
    sql = "".join(QUERY.format(n=number) for number in range(LENGTH // len(QUERY) + 1))
    tokenizer = best_of(3, lambda: list(lexer.tokenize(sql)))  # type: ignore[no-untyped-call]
    print(f"{len(sql):,} characters, sqlparse's tokenizer {tokenizer:.3f} s")
    reached = []
    for name, work in (("detect", lambda: detect(sql)), ("substitute", lambda: substitute(sql, VALUES))):
        seconds = best_of(5, work)
        reached.append(tokenizer / seconds >= TARGET_RATIO)
        print(f"{name}: {seconds * 1000:.1f} ms, {tokenizer / seconds:.0f} times as fast (target {TARGET_RATIO})")
    return reached


def measure_list() -> list[bool]:
    """Time a list of ASINs, as a list and as the text of a textarea."""
    asins = [f"B{number:09d}" for number in range(ITEMS)]
    reached = []
    for name, value in (("a list", asins), ("a textarea", "\n".join(asins))):
        seconds = best_of(5, partial(substitute, "WHERE asin IN ({{asins}})", {"asins": value}))
        reached.append(seconds < TARGET_SECONDS)
        print(f"{ITEMS:,} ASINs from {name}: {seconds * 1000:.1f} ms (target {TARGET_SECONDS * 1000:.0f} ms)")
    return reached


if __name__ == "__main__":
    sys.exit(0 if all([*measure_text(), *measure_list()]) else 1)
