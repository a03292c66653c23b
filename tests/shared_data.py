"""Synthetic data of the local AMC that all tests share: built once per checkout, before a request waits for them."""

from __future__ import annotations

import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local_amc.fixtures import build_instances
from local_amc.warehouse import Warehouse

SEED = 7
# Files name themselves by instance, seed and month, and lock themselves: several runs of the tests may share them.
STORE = Path(os.environ.get("TEST_STORE") or Path(__file__).resolve().parents[1] / "var" / "test-data")
DATA = STORE / "data"
_USED = ("amclocalus1", "amclocalus2", "amclocalde1", "amclocalsbx")


def build_data(days: int = 1) -> Path:
    """Return the folder with the data of today and of so many days later.

    Building takes seconds, and minutes on a busy machine: longer than the product waits for an answer.
    """
    instances, now = build_instances(SEED), datetime.now(UTC)
    with closing(Warehouse(DATA, SEED)) as warehouse:
        for name in _USED:
            # Data are built by month, and the next one may begin before the tests end.
            for moment in (now, now + timedelta(days=days)):
                with warehouse.cursor(instances[name], moment):
                    pass
    return DATA
