"""What a campaign tells while it goes on and at its end."""

from __future__ import annotations

import sys
from collections import Counter
from statistics import quantiles
from typing import TYPE_CHECKING

from tests.campaign.faults import Strikes

if TYPE_CHECKING:
    from executions.models import Execution


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def statuses() -> str:
    """Count the runs in each status."""
    from executions.models import Execution

    counts = Counter(Execution.objects.values_list("status", flat=True))
    return ", ".join(f"{status} {count}" for status, count in sorted(counts.items()))


def report(seconds: float, *, kills: int, blackouts: int, strikes: Strikes) -> None:
    """Say how fast it went, and through what."""
    from executions.models import Execution

    done = list(Execution.objects.filter(finished_at__isnull=False))
    say(f"{len(done)} runs ended in {seconds:.0f} s ({len(done) / seconds:.1f}/s): {statuses()}")
    say(f"workers killed: {kills}, and everything at once: {blackouts}")
    if len(done) > 1:
        say(f"seconds from queued to stored: {_spread([_seconds(run) for run in done])}")
    fired, calls = strikes.fired(), strikes.count_calls()
    say(f"calls to AMC: {calls}, faults: {fired.total()} ({fired.total() / max(1, calls):.0%})")
    say("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(fired.items())))


def _seconds(run: Execution) -> float:
    return (run.finished_at - run.queued_at).total_seconds() if run.finished_at else 0.0


def _spread(seconds: list[float]) -> str:
    cuts = quantiles(seconds, n=20)
    return f"median {cuts[9]:.0f}, 95 % within {cuts[18]:.0f}, longest {max(seconds):.0f}"
