"""One shape of the product under fire; started by `tests.campaign` with the settings in the environment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from tests.campaign.faults import Strikes
from tests.campaign.logs import findings
from tests.campaign.processes import LocalAmc, running
from tests.campaign.report import report, say, statuses

_REPORT_EVERY, _EXPIRE_EVERY, _SAMPLE_EVERY = 20.0, 15.0, 1.0
# How much has been started, and how much has ended, when everything dies at once.
_BLACKOUTS = ((0.5, 0.0), (1.0, 0.5))
# Of all runs.
_PLANNED_SHARE = 0.2


@dataclass(frozen=True)
class Options:
    """What the command line says about a shape; `runs` counts those of slots too."""

    folder: Path
    runs: int
    kill_every: float
    minutes: float


def main() -> int:
    """Prepare, run, judge; returns the exit code."""
    options = Options(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]))
    amc = LocalAmc(options.folder)
    try:
        os.environ.update(LOCAL_AMC_URL=amc.url, DJANGO_SETTINGS_MODULE="amchelper.settings")
        subprocess.run([sys.executable, "manage.py", "migrate", "--verbosity", "0"], check=True)
        import django

        django.setup()
        return Campaign(amc, options).run()
    finally:
        amc.stop()


class Campaign:
    """Start runs, kill workers, kill everything, and look at what became of it."""

    def __init__(self, amc: LocalAmc, options: Options) -> None:
        self.amc, self.options = amc, options
        self.end = time.monotonic() + options.minutes * 60
        self.strikes = Strikes(amc)
        self.kills = self.blackouts = 0
        self.most_open: Counter[str] = Counter()

    def run(self) -> int:
        """Let the runs go through it; returns the exit code."""
        from tests.campaign.world import SLOTS, build, plan, templates

        build()
        planned = plan(templates(), int(self.options.runs * _PLANNED_SHARE))
        self.slots = SLOTS * len(planned)
        self.started = self.options.runs - self.slots
        self.strikes.arm()
        began = time.monotonic()
        with running(self.options.folder, self.started) as fleet:
            self.fleet = fleet
            self._wait()
        report(time.monotonic() - began, kills=self.kills, blackouts=self.blackouts, strikes=self.strikes)
        say(f"most runs open at once per instance: {dict(self.most_open)}")
        found = list(self._violations(planned))
        for violation in found[:30]:
            say(f"VIOLATION {violation}")
        say(f"violations: {len(found)}")
        return int(bool(found))

    def _wait(self) -> None:
        """Kill workers in turn until all runs have ended."""
        due = dict.fromkeys(("kill", "report", "expire", "sample"), time.monotonic())
        due["kill"] += self.options.kill_every
        while time.monotonic() < self.end and not self._is_over():
            now = time.monotonic()
            for name, every, act in (
                ("kill", self.options.kill_every, self._kill_one),
                ("report", _REPORT_EVERY, self._say_progress),
                ("expire", _EXPIRE_EVERY, self.strikes.expire_tokens),
                ("sample", _SAMPLE_EVERY, self._sample),
            ):
                if now >= due[name]:
                    act()
                    due[name] = now + every
            time.sleep(0.1)

    def _is_over(self) -> bool:
        from executions.models import Execution
        from schedules.models import ScheduleSlot

        if not self.fleet.has_started_all or Execution.objects.open().exists():
            return False
        return ScheduleSlot.objects.filter(finished_at__isnull=False).count() >= self.slots

    def _kill_one(self) -> None:
        worker, other = (self.fleet.workers[(self.kills + n) % 2] for n in (0, 1))
        if not (worker.is_ready and other.is_ready):
            return  # else nobody would ever work
        worker.kill()
        self.kills += 1
        worker.start()

    def _sample(self) -> None:
        """Remember how many runs an instance ever had open at once, and see whether it is time to kill everything."""
        from django.db.models import Count

        from executions.models import Execution

        rows = Execution.objects.at_amc().order_by().values_list("instance__instance_id").annotate(Count("pk"))
        for instance_id, count in rows:
            self.most_open[instance_id] = max(self.most_open[instance_id], count)
        if self.blackouts < len(_BLACKOUTS):
            started, ended = _BLACKOUTS[self.blackouts]
            by_hand = Execution.objects.filter(schedule=None).count()
            all_ended = Execution.objects.filter(finished_at__isnull=False).count()
            if by_hand >= started * self.started and all_ended >= ended * self.options.runs:
                self._black_out()

    def _black_out(self) -> None:
        """Kill everything of ours in the same moment, the local AMC too, and start it again as it is."""
        self.strikes.keep()
        victims = [*self.fleet.all, self.amc.process]
        for process in victims:
            process.send_kill()
        for process in victims:
            process.kill()
        self.blackouts += 1
        say(f"  everything killed, the {self.blackouts}. time")
        self.amc.start()
        self.strikes.arm()
        self.fleet.start()

    def _say_progress(self) -> None:
        self.strikes.count_calls()
        say(f"  {statuses()}")

    def _violations(self, planned: dict[UUID, set[datetime]]) -> Iterator[str]:
        from tests.campaign.verification import violations

        yield from violations(self.amc, started=self.started, planned=planned, most_open=self.most_open)
        yield from findings(sorted(self.options.folder.glob("*.log")))
        yield from (f"this fault never struck: {name}" for name in self.strikes.idle())
        if not self.kills or self.blackouts < len(_BLACKOUTS):
            yield f"only {self.kills} workers were killed, and everything {self.blackouts} times"


if __name__ == "__main__":
    sys.exit(main())
