"""What reading text costs that was made to be slow to read: the lint, parameters and pasted mappings.

Prints the CPU time per text, and its ratio to the time for a quarter of the text: 4 is linear, 16 is quadratic. The
tests count calls of functions; only time shows what one call of a regular expression does. Target: under 5 s each.
With AMC_CORPUS also the median time the lint takes for a published query.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from templates_app.sql.lint import MAX_ANALYSED_LENGTH, lint  # noqa: E402  needs settings
from tests.instances import test_mapping_text as mappings  # noqa: E402  needs settings
from tests.templates_app.sql import test_parameters_properties as parameters  # noqa: E402  needs the path above
from tests.templates_app.sql.test_lint_robustness import REPEATED, TABLES  # noqa: E402  as above

TARGET_MS, MEDIAN_MS, ROUNDS = 5_000.0, 50.0, 3
LENGTH = 100_000
LINTED = "SELECT SUM(clicks) AS c FROM dsp_clicks a "


def milliseconds(work: Callable[[], object]) -> float:
    """Return the CPU time of the shortest of several runs."""
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        times.append((time.process_time() - began) * 1000)
    return min(times)


def read_within(around: str, text: str) -> None:
    """Read SQL with placeholders around a text."""
    parameters.read_in_every_way(around.replace("{}", text))


def cases() -> Iterator[tuple[str, str, Callable[[str], object], int]]:
    """Return reader, repeated text, work, and the length of the longer text."""
    for unit in (*REPEATED, *TABLES):
        # The longest that is parsed, and a longer one, of which only the words are read.
        for length in (MAX_ANALYSED_LENGTH - len(LINTED), LENGTH):
            yield "lint", unit, lambda text: lint(LINTED + text), length
    for unit in parameters.HOSTILE:
        for around in parameters.AROUND:
            yield "parameters", unit, partial(read_within, around), LENGTH
    for unit in mappings.HOSTILE:
        yield "mappings", unit, lambda text: mappings.read_in_every_way(f"{text}x"), 4 * LENGTH


def measure_hostile() -> bool:
    """Print a line per text; returns whether all are read in time."""
    is_fine = True
    for reader, unit, work, length in cases():
        short, long = (unit * (size // len(unit)) for size in (length // 4, length))
        taken, floor = milliseconds(partial(work, long)), milliseconds(partial(work, short))
        is_fine &= taken < TARGET_MS
        print(f"{reader:10} {unit[:20]!r:24} x {length // len(unit):<7,} {taken:8.1f} ms  {taken / floor:5.1f} x")
    return is_fine


def measure_corpus(corpus: str) -> bool:
    """Print the median time of a published query; returns whether it is short enough."""
    queries = [path.read_text() for path in sorted((Path(corpus) / "amc-queries").glob("*.sql"))]
    median = statistics.median(milliseconds(partial(lint, query)) for query in queries)
    print(f"lint of {len(queries)} published queries: median {median:.1f} ms")
    return median < MEDIAN_MS


def main() -> int:
    """Measure and print; returns 1 when a target is missed."""
    is_fine = measure_hostile()
    if corpus := os.environ.get("AMC_CORPUS"):
        is_fine &= measure_corpus(corpus)
    return int(not is_fine)


if __name__ == "__main__":
    sys.exit(main())
