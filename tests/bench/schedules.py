"""Due slots: time to claim them and queue their runs with two workers, and whether it grows in proportion.

Every schedule has one slot due; two processes tick at once, as two workers do. Every slot must get exactly one run.
Runs on SQLite, and on PostgreSQL when TEST_DATABASE_URL names one. Run: `.venv/bin/python tests/bench/schedules.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

COUNTS, WORKERS = (1_000, 10_000), 2
TARGET_SECONDS = 30.0
# Per slot, ten times as many may cost this much more.
TARGET_GROWTH = 1.5
INSTANCES = 50


def measure() -> int:
    """Measure on the database of the settings; the exit code tells whether the targets were met."""
    import django

    django.setup()
    import logging

    from django.test.runner import DiscoverRunner

    logging.disable(logging.INFO)
    # A database in memory cannot be shared with other processes.
    from django.db import connection

    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(Path(tempfile.mkdtemp()) / "bench.sqlite3")
    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        totals = [measure_count(connection.vendor, count) for count in COUNTS]
    finally:
        runner.teardown_databases(databases)
    small, large = COUNTS
    growth = (totals[1] / large) / (totals[0] / small)
    print(
        f"schedules: {connection.vendor}: {large} claimed and queued in {totals[1]:.1f} s "
        f"(target <= {TARGET_SECONDS:.0f} s), "
        f"{growth:.2f} times the cost per slot of {small} (target <= {TARGET_GROWTH})"
    )
    return int(totals[1] > TARGET_SECONDS or growth > TARGET_GROWTH)


def measure_count(vendor: str, count: int) -> float:
    """Claim so many slots, then queue their runs; returns the seconds of both together."""
    build(count)
    claimed = run("claim", count)
    print_line(vendor, "claimed", count, claimed)
    queued = run("start", count)
    print_line(vendor, "queued", count, queued)
    check(count)
    return claimed + queued


def print_line(vendor: str, what: str, count: int, seconds: float) -> None:
    """Print the figures of one step."""
    each = seconds / count * 1e3
    print(
        f"schedules: {vendor}: {WORKERS} workers {what} {count} slots in {seconds:.1f} s, {each:.2f} ms each",
        flush=True,
    )


def build(count: int) -> None:
    """Make schedules with one slot due, and nothing else."""
    import datetime as dt

    from django.utils import timezone

    from executions.models import Execution
    from schedules.models import Schedule
    from templates_app.services.templates import Content, create_template
    from tests.factories import AccountFactory, InstanceFactory, UserFactory

    Execution.objects.all().delete()
    Schedule.objects.all().delete()
    user = UserFactory.create()
    account = AccountFactory.create(connection__user=user)
    content = Content(name="Reach", source_sql="SELECT 1 AS x")
    templates = [
        create_template(actor=user, instance=InstanceFactory.create(account=account, user=user), content=content)
        for _ in range(INSTANCES)
    ]
    due = timezone.now().replace(second=0, microsecond=0)
    planned = {"planned_until": due - dt.timedelta(seconds=1), "next_run_at": due}
    Schedule.objects.bulk_create(
        (
            Schedule(
                created_by=user, instance=template.instance, template=template, name=f"Schedule {number}",
                kind="daily", time=due.time(), zone="UTC", **planned,
            )
            for number in range(count)
            for template in [templates[number % INSTANCES]]
        ),
        batch_size=500,
    )  # fmt: skip


def run(step: str, count: int) -> float:
    """Let the workers do a step together; returns the seconds from the first one's begin to the last one's end."""
    command = [sys.executable, str(Path(__file__).resolve()), step]
    environment = {**os.environ, "DATABASE_URL": database_url(), "READ_DOT_ENV": "false"}
    begin = time.time() + 6
    workers = [
        subprocess.Popen([*command, str(begin)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(WORKERS)
    ]
    begins, ends = [], []
    done = 0
    for worker in workers:
        output, _ = worker.communicate(timeout=900)
        if worker.returncode:
            raise SystemExit(f"A worker of step {step} failed.")
        began, end, number = json.loads(output.splitlines()[-1])
        begins.append(began)
        ends.append(end)
        done += number
    if done != count:
        raise SystemExit(f"The benchmark is void: {done} of {count} slots in step {step}.")
    return float(max(ends) - min(begins))


def check(count: int) -> None:
    """Refuse figures of work that was not done, or done twice."""
    from executions.models import Execution
    from schedules.models import ScheduleSlot

    started = ScheduleSlot.objects.filter(status="STARTED").count()
    if started != count or Execution.objects.count() != count:
        raise SystemExit(f"The benchmark is void: {started} slots started of {count}.")


def database_url() -> str:
    """Return the address of the test database, for the workers."""
    from django.db import connection

    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{settings['NAME']}"
    login = f"{quote(settings['USER'] or '')}:{quote(settings['PASSWORD'] or '')}"
    return f"postgres://{login}@{settings['HOST'] or '127.0.0.1'}:{settings['PORT'] or 5432}/{settings['NAME']}"


def work(step: str, begin: float) -> None:
    """Do one step as a worker and print when it ended and how many slots it was."""
    import django

    django.setup()
    import logging

    from django.db import connection

    from schedules.services.slots import claim_due
    from schedules.services.steps import start_claimed

    logging.disable(logging.INFO)
    connection.ensure_connection()
    time.sleep(max(0.0, begin - time.time()))
    began = end = time.time()
    done = 0
    idle = 0
    # A worker that finds everything taken ticks again, until the other one has finished too.
    while idle < 3:
        number = claim_due() if step == "claim" else start_claimed()
        if number:
            done, end, idle = done + number, time.time(), 0
        else:
            idle += 1
            time.sleep(0.5)
    print(json.dumps([began, end, done]))


def main() -> int:
    """Measure on SQLite, then on PostgreSQL in a process of its own."""
    if len(sys.argv) == 3:
        work(sys.argv[1], float(sys.argv[2]))
        return 0
    if os.environ.get("BENCH_ON"):
        return measure()
    addresses = ["", os.environ.get("TEST_DATABASE_URL", "")]
    missed = 0
    for address in dict.fromkeys(addresses):
        environment = {**os.environ, "BENCH_ON": "1", "DATABASE_URL": address}
        if not address:
            del environment["DATABASE_URL"]
        missed |= subprocess.run([sys.executable, __file__], cwd=ROOT, env=environment, check=False).returncode
    if not addresses[1]:
        print("schedules: PostgreSQL was not measured, TEST_DATABASE_URL is not set")
    return missed


if __name__ == "__main__":
    raise SystemExit(main())
