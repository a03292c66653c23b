"""The processes of a campaign: a local AMC, workers that get killed, beats, and one that starts runs."""

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
from typing import Any

from tests.serving import PATIENCE
from tests.shared_data import DATA

CELERY = (sys.executable, "-m", "celery", "--quiet", "-A", "amchelper")
WORKER = ("--pool", "threads", "--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO")


class Process:
    """A child of ours with a log file, which can be killed and started again."""

    def __init__(
        self,
        name: str,
        command: tuple[str, ...],
        log: Path,
        *,
        ready: bytes = b" ready.\n",
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name, self.command, self.log = name, command, log
        self._ready, self._environment = ready, environment
        self._log_begins, self._started_at = 0, 0.0
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its log goes on."""
        self._log_begins = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as file:
            self._child = subprocess.Popen(
                self.command, stdout=file, stderr=subprocess.STDOUT, env=self._environment
            )
        self._started_at = time.monotonic()

    def send_kill(self) -> None:
        """Kill it with SIGKILL, as a machine that lost power would, without waiting for its end."""
        if self._child is not None:
            self._child.kill()

    def kill(self) -> None:
        """Kill it and wait until it is gone."""
        self.send_kill()
        if self._child is not None:
            self._child.wait()

    def terminate(self) -> None:
        """Ask it to end, without waiting for that."""
        if self._child is not None:
            self._child.terminate()

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
    def pid(self) -> int:
        """Return its number."""
        assert self._child is not None
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        """Return how it ended, None while it runs."""
        return None if self._child is None else self._child.poll()

    @property
    def is_ready(self) -> bool:
        """Return whether it said, since its last start, that it takes work; raises AssertionError when it cannot."""
        assert self.exit_code is None, f"{self.name} ended by itself:\n{self.tail()}"
        if self._ready in self.said():
            return True
        is_late = time.monotonic() > self._started_at + PATIENCE
        assert not is_late, f"{self.name} did not start:\n{self.tail()}"
        return False

    def wait_until_ready(self) -> None:
        """Wait until it takes work; raises AssertionError when it does not come up."""
        while not self.is_ready:
            time.sleep(0.1)

    def said(self) -> bytes:
        """Return what it logged since its last start."""
        return self.log.read_bytes()[self._log_begins :]

    def tail(self, lines: int = 15) -> str:
        """Return the end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class LocalAmc:
    """A local AMC in a process of its own, whose store survives it."""

    def __init__(self, folder: Path) -> None:
        self.store = folder / "amc"
        self.store.mkdir()
        DATA.mkdir(parents=True, exist_ok=True)
        (self.store / "data").symlink_to(DATA)
        self._log = folder / "amc.log"
        self.process = self._process(port=0)
        self.start()
        found = re.search(rb"http://\S+:(\d+)", self.process.said())
        assert found is not None
        self.url = f"http://127.0.0.1:{int(found[1])}"
        # Where clients look for it after a restart.
        self.process.command = self._process(port=int(found[1])).command

    def _process(self, *, port: int) -> Process:
        command = (
            sys.executable, "-m", "local_amc", "--port", str(port), "--speed", "0.1", "--control",
            "--log-level", "ERROR", "--store", str(self.store), "--rows-per-part", "7",
        )  # fmt: skip
        return Process("local AMC", command, self._log, ready=b"listens on http")

    def start(self) -> None:
        """Start it and wait until it listens."""
        self.process.start()
        self.process.wait_until_ready()

    def stop(self) -> None:
        """End it."""
        self.process.stop()

    def control(self, method: str, route: str, body: dict[str, Any] | None = None) -> Any:
        """Call a control route."""
        request = urllib.request.Request(  # noqa: S310  our own server on loopback
            f"{self.url}/__control/{route}",
            data=None if body is None else json.dumps(body).encode(),
            method=method,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:  # noqa: S310  as above
            return json.loads(response.read())

    def result(self, execution_id: str) -> bytes:
        """Return a result as AMC holds it: its parts under one header."""
        parts = sorted((self.store / "results" / execution_id).iterdir(), key=lambda path: int(path.stem))
        header, _, _ = parts[0].read_bytes().partition(b"\n")
        return parts[0].read_bytes() + b"".join(
            part.read_bytes().removeprefix(header + b"\n") for part in parts[1:]
        )


class Fleet:
    """Two workers, two beats, and a process that starts runs as the web would."""

    def __init__(self, folder: Path, runs: int) -> None:
        self.workers = [
            Process(
                f"worker {n}",
                (*CELERY, "worker", *WORKER, "--concurrency", "10", "-n", f"w{n}@%h"),
                folder / f"worker{n}.log",
            )
            for n in (1, 2)
        ]
        self.beats = [
            Process(
                f"beat {n}", (*CELERY, "beat", "--schedule", str(folder / f"beat{n}")), folder / f"beat{n}.log"
            )
            for n in (1, 2)
        ]
        starter = (sys.executable, "-m", "tests.campaign.starter", str(runs))
        self.starter = Process("starter", starter, folder / "starter.log")

    @property
    def all(self) -> list[Process]:
        """Return all of them."""
        return [*self.workers, *self.beats, self.starter]

    @property
    def has_started_all(self) -> bool:
        """Return whether the starter has done its work; raises AssertionError when it failed."""
        code = self.starter.exit_code
        assert code in (None, 0), f"the starter failed:\n{self.starter.tail()}"
        return code == 0

    def start(self) -> None:
        """Start all, again after a kill too."""
        for process in self.all:
            process.start()


@contextmanager
def running(folder: Path, runs: int) -> Iterator[Fleet]:
    """Run a fleet; raises AssertionError when a beat ended."""
    fleet = Fleet(folder, runs)
    try:
        fleet.start()
        yield fleet
        for beat in fleet.beats:
            assert beat.exit_code is None, f"{beat.name} ended:\n{beat.tail()}"
    finally:
        for process in fleet.all:
            process.stop()
