"""Run the tests on ten days that are unlike each other: `python -m tests.dates [ARGUMENTS OF PYTEST]`.

The clock moves for the whole session and for the processes it starts. `--day 2028-02-29T12:00` runs one day only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests import clock

DAYS = {
    "2026-12-31T12:00": "the last day of a year",
    "2027-01-01T00:00": "the first moment of a year",
    "2027-02-28T12:00": "the end of a short month",
    "2027-03-14T06:59": "a minute before American clocks go forward",
    "2027-03-28T00:59": "a minute before European clocks go forward",
    "2027-04-30T23:59": "a minute before midnight and the end of a month",
    "2027-10-31T00:59": "a minute before European clocks go back, on the last day of a month",
    "2027-11-07T05:59": "a minute before American clocks go back",
    "2028-02-29T12:00": "29 February",
}


def all_days() -> dict[str, str]:
    """Return the ten moments, in UTC, and what is special about each."""
    ahead = datetime.now(UTC) + timedelta(days=5 * 365)
    return {**DAYS, f"{ahead:%Y-%m-%dT%H:%M}": "five years ahead"}


def run(day: str, arguments: Sequence[str]) -> int:
    """Run pytest from that moment on; returns its exit code."""
    with tempfile.TemporaryDirectory(prefix="amchelper-clock-") as folder:
        file = Path(folder) / "clock"
        moment = datetime.fromisoformat(day).replace(tzinfo=UTC)
        clock.move(file, moment.timestamp() - clock.real_time())
        # Data are built by month, and what another day left behind is old only by the clock.
        environment = {**clock.environment(file), "TEST_STORE": f"{folder}/store"}
        # time-machine is a plugin of pytest too, and moves the clock before pytest can rewrite its assertions.
        quiet = ("-W", "ignore:Module already imported so cannot be rewritten")
        command = [sys.executable, "-m", "pytest", *quiet, *arguments]
        return subprocess.run(command, env=environment, check=False).returncode


def say_outcomes(outcomes: Mapping[str, int], days: Mapping[str, str]) -> None:
    """Write a line per day that has been run."""
    for day, code in outcomes.items():
        outcome = "passed" if code == os.EX_OK else f"FAILED ({code})"
        _say(f"{day} UTC  {outcome:<10}  {days.get(day, '')}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run every day asked for; returns the worst exit code."""
    parser = argparse.ArgumentParser(prog="tests.dates", description=__doc__, allow_abbrev=False)
    parser.add_argument("--day", action="append", help="a moment in UTC such as 2028-02-29T12:00; may be repeated")
    options, arguments = parser.parse_known_args()
    days = all_days()
    outcomes: dict[str, int] = {}
    for day in options.day or days:
        _say(f"== {day} UTC: {days.get(day, 'as asked')}")
        outcomes[day] = run(day, arguments)
    say_outcomes(outcomes, days)
    return max(outcomes.values())


if __name__ == "__main__":
    sys.exit(main())
