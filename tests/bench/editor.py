"""What a keystroke costs at the server: detecting parameters and previewing 100 KB of SQL.

Prints milliseconds and the ratio to reading the same text with Python's own `str.splitlines`. Target: under 50 ms.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from instances.services.mappings import MappedValues  # noqa: E402  needs settings
from templates_app.presenters.parameter_fields import parameter_context, submitted_values  # noqa: E402  needs settings

SIZE, TARGET_MS, ROUNDS = 100_000, 50.0, 15
_BLOCK = """
    -- traffic of one month
    SELECT campaign, 'x: {{brand}}' AS label, SUM(impressions) AS impressions
    FROM dsp_impressions
    WHERE campaign_id_string IN ({{campaign_ids}}) AND impression_date >= :start_date AND advertiser <> $advertiser
    GROUP BY 1, 2
    UNION ALL
"""


def median_ms(work: Callable[[], object]) -> float:
    """Return the median time of a call in milliseconds."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def main() -> int:
    """Measure and print; returns 1 when the target is missed."""
    sql = (_BLOCK * (SIZE // len(_BLOCK) + 1))[:SIZE]
    campaigns = [str(10**17 + number) for number in range(500)]
    posted = {"value:start_date": "2026-01-01", "value:brand": "O'Neill", "value:advertiser": "Northwind"}
    mapped = MappedValues(campaigns=campaigns)

    def keystroke() -> object:
        return parameter_context(sql, submitted_values(sql, posted, mapped))

    taken, floor = median_ms(keystroke), median_ms(sql.splitlines)
    sys.stdout.write(f"keystroke on {len(sql):,} characters: {taken:.1f} ms, {taken / floor:.0f} x splitlines\n")
    return int(taken > TARGET_MS)


if __name__ == "__main__":
    sys.exit(main())
