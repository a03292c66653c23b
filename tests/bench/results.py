"""Processor time and memory of converting results, large, wide and small, and how long pages take.

The floor is DuckDB's own `COPY (FROM read_csv(…)) TO …` of the same file, measured in turns with ours, each in a
process of its own. Run: `.venv/bin/python tests/bench/results.py`.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

ROWS, ROUNDS = 2_000_000, 7
MEMORY_TARGET_MB, PAGE_TARGET_MS = 200, 300
MEGABYTE = 1_000_000
# What AMC declares for the columns of the large result.
TYPES = {
    "campaign_id": "LONG",
    "campaign": "STRING",
    "event_date": "DATE",
    "event_dt": "TIMESTAMP",
    "impressions": "LONG",
    "clicks": "LONG",
    "spend": "DECIMAL",
    "ctr": "DOUBLE",
}
# Turns of ours and the floor's; a small result is converted so many times in each.
TURNS, TIMES = 3, 30
# Beside the tables that DuckDB lays out for every column, which take 29 KB each.
MANY_COLUMNS_TARGET_MB = 300
# Processor time in terms of the floor's; None is told, not judged.
CPU_TARGETS = {"large": 1.5, "undeclared": None, "columns": 3.0, "wide": 3.0, "mixed": 3.0, "small": 1.2}
SORTS: dict[str, list[tuple[str, str]]] = {
    "first page": [],
    "sorted by a number": [("impressions", "desc")],
    "sorted by a decimal": [("spend", "desc")],
    "sorted by a 19-digit ID": [("campaign_id", "asc")],
    "sorted by a text": [("campaign", "desc")],
    "sorted by three columns": [("event_date", "asc"), ("campaign", "asc"), ("spend", "desc")],
}


def write_all(folder: Path) -> None:
    """Write the results, the same every time."""
    write_large(folder / "large.csv", ROWS)
    (folder / "undeclared.csv").symlink_to(folder / "large.csv")
    write_large(folder / "small.csv", 20)
    write_wide(folder / "columns.csv", 1_000, 1_000, ["1"])
    write_wide(folder / "wide.csv", 5_000, 100, ["1"])
    write_wide(folder / "mixed.csv", 1_000, 1_000, ["17", "0.25", "Spring sale", "2026-10-01", "", "1.5E-7"])


def write_large(path: Path, rows: int) -> None:
    """Write an everyday result."""
    days = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(TYPES) + "\n")
        for number in range(rows):
            mixed = number * 2_654_435_761 % 2**32
            day = days[mixed % 365]
            impressions = mixed % 100_003
            clicks = impressions // 90
            file.write(
                f'{1_000_000_000_000_000_000 + mixed * 1_000_003},"Spring, ""sale"" {mixed % 5_000}",{day},'
                f"{day}T{mixed % 24:02}:00:00.000Z,{impressions},{clicks},{mixed % 1000}.{mixed:017},"
                f"{clicks / (impressions + 1)!r}\n"
            )


def write_wide(path: Path, columns: int, rows: int, values: Sequence[str]) -> None:
    """Write a result whose columns hold one value each, in turn."""
    row = ",".join(values[number % len(values)] for number in range(columns))
    path.write_text(",".join(f"c{number}" for number in range(columns)) + "\n" + f"{row}\n" * rows)


def convert(csv: Path) -> dict[str, Any]:
    """Convert as the application does; returns seconds of the processor, rows and the peak of this process."""
    from executions.results.conversion import convert as convert_result
    from instances.amc.executions import OutputColumn

    declared = [OutputColumn(name, kind, "") for name, kind in TYPES.items()]
    target = csv.with_suffix(".parquet")
    is_declared = csv.stem in {"large", "small"}

    def once() -> None:
        convert_result(csv, target, columns=declared if is_declared else None)

    return measured(csv, target, once)


def floor(csv: Path) -> dict[str, Any]:
    """Let DuckDB convert the same file, with whatever types it guesses."""
    import duckdb

    target = csv.with_suffix(".floor.parquet")

    def once() -> None:
        with duckdb.connect() as connection:
            connection.execute(f"COPY (FROM read_csv('{csv}')) TO '{target}' (FORMAT parquet)")

    return measured(csv, target, once)


def measured(csv: Path, target: Path, once: Callable[[], None]) -> dict[str, Any]:
    """Do it once, or a small one many times after a first; returns what one took of the processor, and the peak."""
    import duckdb

    times = 1
    if csv.stem == "small":
        times = TIMES
        once()
    before, began = cpu_seconds(), time.perf_counter()
    for _ in range(times):
        once()
    cpu, seconds = (cpu_seconds() - before) / times, (time.perf_counter() - began) / times
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    [(rows,)] = duckdb.connect().execute("SELECT count(*) FROM read_parquet(?)", [str(target)]).fetchall()
    with csv.open() as file:
        if rows != sum(1 for _ in file) - 1:
            raise SystemExit("The benchmark is void: rows are missing.")
    return {"cpu": cpu, "seconds": seconds, "peak": peak}


def cpu_seconds() -> float:
    """Return what this process had of the processor, its threads included."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def pages(folder: Path) -> dict[str, Any]:
    """Time every page, and a plain count of the file, in milliseconds: the median of several."""
    from executions.results.connection import open_files
    from executions.results.paging import page

    path = folder / "large.parquet"

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


def run(part: str, path: Path) -> dict[str, Any]:
    """Run a part of this program in a process of its own."""
    program = [sys.executable, str(Path(__file__).resolve()), part, str(path)]
    done = subprocess.run(program, stdout=subprocess.PIPE, text=True, check=True, timeout=900)
    figures: dict[str, Any] = json.loads(done.stdout)
    return figures


def compare(csv: Path) -> bool:
    """Measure a conversion in turns with its floor and print it; returns whether the targets were met."""
    turns = [(run("convert", csv), run("floor", csv)) for _ in range(TURNS)]
    ratio = median([ours["cpu"] / floor["cpu"] for ours, floor in turns])
    peak = max(ours["peak"] for ours, _ in turns) / MEGABYTE
    ours, raw = (median([turn[place]["cpu"] for turn in turns]) for place in (0, 1))
    target = CPU_TARGETS[csv.stem]
    memory_target = MANY_COLUMNS_TARGET_MB if csv.stem == "wide" else MEMORY_TARGET_MB
    print(
        f"results: {csv.stem}: {csv.stat().st_size / MEGABYTE:.1f} MB in {ours * 1000:.0f} ms of the processor,"
        f" {ratio:.2f} x raw DuckDB ({raw * 1000:.0f} ms; target {f'<= {target}' if target else 'none'}),"
        f" peak memory {peak:.0f} MB (raw {max(raw['peak'] for _, raw in turns) / MEGABYTE:.0f},"
        f" target < {memory_target})"
    )
    return (target is None or ratio <= target) and peak < memory_target


def median(values: Sequence[float]) -> float:
    """Return the value in the middle."""
    return sorted(values)[len(values) // 2]


def main() -> int:
    """Print the figures; the exit code tells whether the targets were met."""
    with tempfile.TemporaryDirectory(prefix="amc-bench-") as name:
        folder = Path(name)
        write_all(folder)
        is_met = [compare(folder / f"{stem}.csv") for stem in CPU_TARGETS]
        paged = run("pages", folder)
    print(f"results: count(*) = {paged['count']:.0f} ms, connection included")
    for title, milliseconds in paged["pages"].items():
        ratio = milliseconds / paged["count"]
        print(f"results: {title} = {milliseconds:.0f} ms, {ratio:.1f} x count(*) (target <= {PAGE_TARGET_MS} ms)")
    return int(not all(is_met) or max(paged["pages"].values()) > PAGE_TARGET_MS)


PARTS = {"convert": convert, "floor": floor, "pages": pages}

if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(PARTS[sys.argv[1]](Path(sys.argv[2]))))
    else:
        raise SystemExit(main())
