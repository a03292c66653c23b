"""One shape of the product under fire; started by `tests.campaign` with the settings in the environment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import quantiles
from typing import TYPE_CHECKING

from tests.campaign.faults import arm, expire_tokens, fired
from tests.campaign.processes import LocalAmc, running, wait_until_up

if TYPE_CHECKING:
    from templates_app.models import Execution

_REPORT_EVERY, _EXPIRE_EVERY, _SAMPLE_EVERY = 20.0, 15.0, 1.0


def main() -> int:
    """Prepare, run, judge; gives the exit code."""
    folder, runs, kill_every, minutes = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4])
    amc = LocalAmc(folder)
    try:
        os.environ.update(LOCAL_AMC_URL=amc.url, DJANGO_SETTINGS_MODULE="amchelper.settings")
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], check=True)
        import django

        django.setup()
        return Campaign(amc, folder, kill_every=kill_every, minutes=minutes).run(runs)
    finally:
        amc.stop()


class Campaign:
    """Start runs, kill workers, and look at what became of it."""

    def __init__(self, amc: LocalAmc, folder: Path, *, kill_every: float, minutes: float) -> None:
        self.amc, self.folder = amc, folder
        self.kill_every, self.end = kill_every, time.monotonic() + minutes * 60
        self.kills = 0
        self.most_open: Counter[str] = Counter()

    def run(self, count: int) -> int:
        """Let so many runs go through it; gives the exit code."""
        from tests.campaign.verification import violations
        from tests.campaign.world import build, start_runs

        templates = build()
        arm(self.amc)
        began = time.monotonic()
        with running(self.folder) as workers:
            self.workers = workers
            for worker in workers:
                wait_until_up(worker)
            started = start_runs(templates, count)
            say(f"started {len(started)} runs in {time.monotonic() - began:.0f} s")
            self._wait()
        self._report(time.monotonic() - began)
        found = violations(self.amc, templates, dict(self.most_open))
        for violation in found[:30]:
            say(f"VIOLATION {violation}")
        say(f"violations: {len(found)}")
        return int(bool(found))

    def _wait(self) -> None:
        """Kill workers in turn until all runs have ended."""
        from templates_app.models import Execution

        due = dict.fromkeys(("kill", "report", "expire", "sample"), time.monotonic())
        due["kill"] += self.kill_every
        while Execution.objects.open().exists() and time.monotonic() < self.end:
            now = time.monotonic()
            for name, every, act in (
                ("kill", self.kill_every, self._kill_one),
                ("report", _REPORT_EVERY, self._say_progress),
                ("expire", _EXPIRE_EVERY, lambda: expire_tokens(self.amc)),
                ("sample", _SAMPLE_EVERY, self._sample),
            ):
                if now >= due[name]:
                    act()
                    due[name] = now + every
            time.sleep(0.1)

    def _kill_one(self) -> None:
        worker, other = (self.workers[(self.kills + n) % 2] for n in (0, 1))
        if not (worker.is_ready and other.is_ready):
            return  # else nobody would ever work
        worker.kill()
        self.kills += 1
        worker.start()

    def _sample(self) -> None:
        """Remember how many runs an instance ever had open at once."""
        from django.db.models import Count

        from templates_app.models import Execution

        rows = Execution.objects.at_amc().order_by().values_list("instance__instance_id").annotate(Count("pk"))
        for instance_id, count in rows:
            self.most_open[instance_id] = max(self.most_open[instance_id], count)

    def _say_progress(self) -> None:
        from templates_app.models import Execution

        states = Counter(Execution.objects.values_list("state", flat=True))
        say("  " + ", ".join(f"{state} {count}" for state, count in sorted(states.items())))

    def _report(self, seconds: float) -> None:
        from templates_app.models import Execution

        done = list(Execution.objects.filter(finished_at__isnull=False))
        say(
            f"{len(done)} runs ended in {seconds:.0f} s ({len(done) / seconds:.1f}/s), {self.kills} workers killed"
        )
        say(f"states: {dict(Counter(run.state for run in done))}")
        if len(done) > 1:
            say(f"seconds from queued to stored: {_spread(done)}")
        strikes = fired(self.amc)
        calls = len(self.amc.control("GET", "requests")["requests"])
        share = sum(strikes.values()) / max(1, calls)
        say(
            f"calls to AMC: {calls}{'+' if calls >= 20_000 else ''}, faults: {sum(strikes.values())} ({share:.0%})"
        )
        say("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(strikes.items())))
        say(f"most runs open at once per instance: {dict(self.most_open)}")


def _spread(done: list[Execution]) -> str:
    seconds = sorted((run.finished_at - run.queued_at).total_seconds() for run in done if run.finished_at)
    cuts = quantiles(seconds, n=20)
    return f"median {cuts[9]:.0f}, 95 % within {cuts[18]:.0f}, longest {seconds[-1]:.0f}"


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
