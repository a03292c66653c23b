"""Clocks of test runs move in every process."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests import clock

DAYS = 400
SAY = "import time; print(time.time(), flush=True)"
# Its child, a fork of it, and itself, once the file has changed.
FAMILY = f"""
import os, subprocess, sys, time
{SAY}
subprocess.run([sys.executable, "-c", {SAY!r}])
if not os.fork():
    input()
    while time.time() > {{soon}}:
        time.sleep(0.02)
    {SAY}
    sys.exit()
os.wait()
"""


def test_the_file_moves_a_process_its_children_and_forks_while_they_run(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    ahead = timedelta(days=DAYS).total_seconds()
    clock.move(file, ahead)
    soon = clock.real_time() + ahead / 2
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY.format(soon=soon)],
        env=clock.environment(file), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        first, child = float(process.stdout.readline()), float(process.stdout.readline())
        clock.move(file, 0)
        fork, _ = process.communicate("\n", timeout=60)
    now = clock.real_time()
    assert abs(first - now - ahead) < 120
    assert abs(child - now - ahead) < 120
    assert abs(float(fork) - now) < 120


def test_times_go_on_from_the_moment_set(tmp_path: Path) -> None:
    file = tmp_path / "clock"
    leap_day = datetime(2028, 2, 29, 12, tzinfo=UTC)
    clock.move(file, leap_day.timestamp() - clock.real_time())
    code = (
        "import time; from datetime import UTC, datetime; first = datetime.now(UTC); time.sleep(0.01); "
        "print(first.date(), datetime.now(UTC) > first)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=clock.environment(file), capture_output=True, text=True, check=True
    )
    assert done.stdout == "2028-02-29 True\n"
