"""`make demo` leaves nothing running behind a closed terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 20


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def start_in_terminal(procfile: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start the script as the only program of a terminal of its own; returns that terminal's other end too."""
    master, slave = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)

    started = subprocess.Popen(
        [sys.executable, str(ROOT / "scripts" / "run_processes.py"), "-f", str(procfile), "start"],
        stdin=slave, stdout=slave, stderr=slave, cwd=ROOT, preexec_fn=take_terminal,
    )  # fmt: skip
    os.close(slave)
    return started, master


def read_pids(master: int, count: int) -> list[int]:
    """Read until so many processes have said their number and the script knows of them all."""
    said = ""
    while said.count("started (pid=") < count or said.count("mine is") < count:
        assert select.select([master], [], [], SECONDS)[0], f"it does not go on after: {said}"
        said += os.read(master, 1024).decode()
    return [int(pid) for pid in re.findall(r"mine is (\d+)", said)]


def test_closing_the_terminal_stops_every_process(tmp_path: Path) -> None:
    procfile = tmp_path / "Procfile"
    # They end by themselves when the test fails.
    procfile.write_text("".join(f"{name}: echo mine is $$; exec sleep 60\n" for name in ("one", "two")))
    script, master = start_in_terminal(procfile)
    pids = read_pids(master, 2)
    os.close(master)
    script.wait(timeout=SECONDS)
    end = time.monotonic() + SECONDS
    while any(map(is_running, pids)):
        assert time.monotonic() < end, "a process goes on without its terminal"
        time.sleep(0.05)
