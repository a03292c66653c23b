"""The processes of a campaign: a local AMC, workers that get killed, beats."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tests.shared_data import DATA

CELERY = (sys.executable, "-m", "celery", "--quiet", "-A", "amchelper")
WORKER = ("--pool", "threads", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO")


class Process:
    """A child of ours with a log file, which can be killed and started again."""

    def __init__(self, name: str, command: tuple[str, ...], log: Path) -> None:
        self.name, self.command, self.log = name, command, log
        self.starts = 0
        self._log_begins = 0
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its log goes on."""
        self._log_begins = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as file:
            self._child = subprocess.Popen(self.command, stdout=file, stderr=subprocess.STDOUT)
        self.starts += 1

    def kill(self) -> None:
        """Kill it with SIGKILL, as a machine that lost power would."""
        if self._child is not None:
            self._child.kill()
            self._child.wait()

    def stop(self) -> None:
        """Ask it to end, and kill it when it does not."""
        if self._child is None:
            return
        self._child.terminate()
        try:
            self._child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def is_alive(self) -> bool:
        """Tell whether it runs."""
        return self._child is not None and self._child.poll() is None

    @property
    def is_ready(self) -> bool:
        """Tell whether a worker said, since its last start, that it takes work."""
        return self.is_alive and b" ready" in self.log.read_bytes()[self._log_begins :]

    def tail(self, lines: int = 15) -> str:
        """Give the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class LocalAmc:
    """A local AMC in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "amc"
        self.store.mkdir()
        DATA.mkdir(parents=True, exist_ok=True)
        (self.store / "data").symlink_to(DATA)
        self._log: IO[bytes] = (folder / "amc.log").open("ab")
        # fmt: off
        command = (
            sys.executable, "-m", "local_amc", "--port", "0", "--speed", "0.1", "--control", "--log-level", "ERROR",
            "--store", str(self.store), "--rows-per-part", "7",
        )
        # fmt: on
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._log)
        assert self._child.stdout is not None
        found = re.search(rb"http://\S+", self._child.stdout.readline())
        assert found is not None, "the local AMC did not start"
        self.url = found[0].decode()

    def control(self, method: str, route: str, body: dict[str, Any] | None = None) -> Any:
        """Call a control route."""
        request = urllib.request.Request(  # noqa: S310  our own server on loopback
            f"{self.url}/__control/{route}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310  as above
            return json.loads(response.read())

    def result(self, execution_id: str) -> bytes:
        """Give a result as AMC holds it: its parts under one header."""
        parts = sorted((self.store / "results" / execution_id).iterdir(), key=lambda path: int(path.stem))
        header, _, _ = parts[0].read_bytes().partition(b"\n")
        return parts[0].read_bytes() + b"".join(
            part.read_bytes().removeprefix(header + b"\n") for part in parts[1:]
        )

    def stop(self) -> None:
        """End it."""
        self._child.terminate()
        self._child.wait(timeout=30)
        self._log.close()


@contextmanager
def running(folder: Path) -> Iterator[list[Process]]:
    """Run two workers and two beats; gives the workers."""
    workers = [
        Process(
            f"worker {n}",
            (*CELERY, "worker", *WORKER, "--concurrency", "10", "-n", f"w{n}@%h"),
            folder / f"w{n}.log",
        )
        for n in (1, 2)
    ]
    beats = [
        Process(f"beat {n}", (*CELERY, "beat", "--schedule", str(folder / f"beat{n}")), folder / f"beat{n}.log")
        for n in (1, 2)
    ]
    for process in [*workers, *beats]:
        process.start()
    try:
        yield workers
        for beat in beats:
            assert beat.is_alive, f"{beat.name} ended:\n{beat.tail()}"
    finally:
        for process in [*workers, *beats]:
            process.stop()


def wait_until_up(process: Process, seconds: float = 60) -> None:
    """Wait until a worker says that it is ready."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.is_ready:
            return
        time.sleep(0.2)
    raise AssertionError(f"{process.name} did not start:\n{process.tail()}")
