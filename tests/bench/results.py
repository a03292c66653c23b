"""Memory of converting a large result, and how long its pages take.

Two million rows of CSV are written to a temporary folder; conversion and pages run in a process of their own each.
Run: `.venv/bin/python tests/bench/results.py`.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

ROWS, ROUNDS = 2_000_000, 7
MEMORY_TARGET_MB, PAGE_TARGET_MS = 200, 300
MEGABYTE = 1_000_000
HEADER = "campaign_id,campaign,event_date,event_dt,impressions,clicks,spend,ctr,asin,new_to_brand\n"
SORTS: dict[str, list[tuple[str, str]]] = {
    "first page": [],
    "sorted by a number": [("impressions", "desc")],
    "sorted by a decimal": [("spend", "desc")],
    "sorted by a 19-digit ID": [("campaign_id", "asc")],
    "sorted by a text": [("asin", "desc")],
    "sorted by three columns": [("new_to_brand", "asc"), ("campaign", "asc"), ("spend", "desc")],
}


def write_csv(path: Path) -> None:
    """Write the result, row by row; the same rows every time."""
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(HEADER)
        for number in range(ROWS):
            mixed = number * 2_654_435_761 % 2**32
            day = days[mixed % 365]
            impressions = mixed % 100_003
            clicks = impressions // 90
            file.write(
                f'{1_000_000_000_000_000_000 + mixed * 1_000_003},"Spring, ""sale"" {mixed % 5_000}",{day},'
                f"{day}T{mixed % 24:02}:00:00.000Z,{impressions},{clicks},{mixed % 1000}.{mixed:017},"
                f"{clicks / (impressions + 1)!r},B0{mixed % 100_000:08},{'true' if mixed % 3 else 'false'}\n"
            )


def convert(folder: Path) -> dict[str, Any]:
    """Convert as the application does; returns seconds and the peak of this process."""
    from executions.results.conversion import convert as convert_result

    began = time.perf_counter()
    facts = convert_result(folder / "result.csv", folder / "result.parquet", columns=None)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "rows": facts.rows,
        "bytes": facts.bytes,
        "stored": facts.parquet_bytes,
        "seconds": seconds,
        "peak": peak,
    }


def pages(folder: Path) -> dict[str, Any]:
    """Time every page, and a plain count of the file, in milliseconds: the median of several."""
    from executions.results.connection import open_files
    from executions.results.paging import page

    path = folder / "result.parquet"

    def count() -> None:
        with open_files(path) as connection:
            connection.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchall()

    def show(sort: list[tuple[str, str]]) -> None:
        shown = page(path, size=50, sort=sort)
        if len(shown.rows) != 50 or shown.total != ROWS:
            raise SystemExit("The benchmark is void: the page is not complete.")

    timed = {name: median_ms(lambda sort=sort: show(sort)) for name, sort in SORTS.items()}  # type: ignore[misc]
    return {"count": median_ms(count), "pages": timed}


def median_ms(work: Callable[[], None]) -> float:
    """Do something several times and give the median time."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        times.append((time.perf_counter() - began) * 1000)
    return sorted(times)[ROUNDS // 2]


def run(part: str, folder: Path) -> dict[str, Any]:
    """Run a part of this program in a process of its own."""
    program = [sys.executable, str(Path(__file__).resolve()), part, str(folder)]
    done = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def main() -> int:
    """Print the figures; the exit code tells whether the targets were met."""
    with tempfile.TemporaryDirectory(prefix="amc-bench-") as name:
        folder = Path(name)
        write_csv(folder / "result.csv")
        converted, paged = run("convert", folder), run("pages", folder)
    if converted["rows"] != ROWS:
        raise SystemExit("The benchmark is void: rows are missing.")
    peak = converted["peak"] / MEGABYTE
    print(
        f"results: {ROWS:,} rows, {converted['bytes'] / MEGABYTE:.0f} MB of CSV to"
        f" {converted['stored'] / MEGABYTE:.0f} MB in {converted['seconds']:.1f} s"
    )
    print(f"results: peak memory = {peak:.0f} MB (target < {MEMORY_TARGET_MB})")
    print(f"results: count(*) = {paged['count']:.0f} ms, connection included")
    for name, milliseconds in paged["pages"].items():
        ratio = milliseconds / paged["count"]
        print(f"results: {name} = {milliseconds:.0f} ms, {ratio:.1f} x count(*) (target <= {PAGE_TARGET_MS} ms)")
    slowest = max(paged["pages"].values())
    return int(peak >= MEMORY_TARGET_MB or slowest > PAGE_TARGET_MS)


if __name__ == "__main__":
    if sys.argv[1:2] == ["convert"]:
        print(json.dumps(convert(Path(sys.argv[2]))))
    elif sys.argv[1:2] == ["pages"]:
        print(json.dumps(pages(Path(sys.argv[2]))))
    else:
        raise SystemExit(main())
