"""Pages of lists: CPU against a bare view with as many rows, SQL, statements and bytes, at two sizes of everything.

Each list is asked for in this process through all middleware, with 1,000 finished runs and 10 instances, and with
100,000 and 2,000. The floor is the view that a list cannot do without: the same middleware, one statement, as many
rows in a plain table. Runs on SQLite, and on PostgreSQL when TEST_DATABASE_URL names one. Run:
`.venv/bin/python tests/bench/pages.py`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from amchelper.models import User

# (finished runs, instances of the one who looks)
SIZES = ((1_000, 10), (100_000, 2_000))
ROUNDS, SHOWN = 15, 25
# Of the others so many ever ran, in turn.
OTHERS, RAN = 200, 3
# Times the floor's CPU, SQL of one page, and growth from the small size to the large.
TARGET_RATIO, TARGET_SQL_MS, TARGET_GROWTH = 5.0, 5.0, 1.5


@dataclass(frozen=True)
class Cost:
    """What one page takes."""

    cpu_ms: float
    sql_ms: float
    statements: int
    kilobytes: float


def floor_view(request: HttpRequest) -> HttpResponse:
    """Show as many rows as a list, from one statement, with nothing around them."""
    from django.http import HttpResponse
    from django.template import engines

    from instances.models import AMCInstance

    rows = AMCInstance.objects.visible_to(request.user).values("name", "instance_id", "region", "status")[:SHOWN]
    template = engines["django"].from_string(
        "<table>{% for row in rows %}<tr><td>{{ row.name }}<td>{{ row.instance_id }}<td>{{ row.region }}"
        "<td>{{ row.status }}{% endfor %}</table>"
    )
    return HttpResponse(template.render({"rows": rows}, request))


def addresses() -> dict[str, str]:
    """Return the pages that are measured, by name; the floor comes first."""
    from django.urls import reverse

    from instances.models import AMCInstance

    # The one with all the templates.
    instance = AMCInstance.objects.get(instance_id="amcbench-0-0")
    names = {"home": "home", "runs": "executions:execution-list", "schedules": "schedules:schedule-list"}
    pages = {name: reverse(view) for name, view in names.items()}
    return {
        "floor": "/floor/",
        **pages,
        "runs, page 40": f"{pages['runs']}?page=40",
        "instances": reverse("instances:instance-list"),
        "templates": reverse("templates:template-list", args=[instance.pk]),
    }


def build(runs: int, instances: int) -> tuple[User, User]:
    """Make one who owns nearly everything and 200 others; returns the former and one who ran long ago."""
    from instances.models import AMCInstance
    from tests.factories import AccountFactory, InstanceFactory

    owners = []
    for number in range(OTHERS + 1):
        account = AccountFactory.create()
        owned = [
            InstanceFactory.build(
                account=account,
                user=account.connection.user,
                name=f"Instance {n}",
                instance_id=f"amcbench-{number}-{n}",
            )
            for n in range(5 if number else instances)
        ]
        owners.append(AMCInstance.objects.bulk_create(owned, batch_size=500))
    build_plans(owners[0])
    build_runs(runs, owners)
    return owners[0][0].user, owners[-2][0].user


def build_plans(owned: list[Any]) -> None:
    """Make 300 schedules, one template on each instance, and 200 on the first."""
    import datetime as dt

    from django.utils import timezone

    from schedules.models import Schedule
    from templates_app.models import InstanceTemplate

    text = "SELECT 1 AS x" + " " * 2_000
    kept = [
        InstanceTemplate(user=one.user, instance=one, name=f"Reach {number}", source_sql=text, sql_query=text)
        for number, one in enumerate([*owned, *(owned[0] for _ in range(200))])
    ]
    InstanceTemplate.objects.bulk_create(kept, batch_size=200)
    now = timezone.now()
    Schedule.objects.bulk_create(
        Schedule(
            created_by=template.instance.user, instance=template.instance, template=template, name=f"Plan {number}",
            kind="daily", time=dt.time(9), zone="UTC", planned_until=now, next_run_at=now + dt.timedelta(hours=number),
        )
        for number in range(300)
        for template in [kept[number % len(owned)]]
    )  # fmt: skip


def build_runs(count: int, owners: list[list[Any]]) -> None:
    """Make finished runs, the oldest first: nine of ten are the first owner's, and all of the newest tenth."""
    import datetime as dt

    from django.utils import timezone

    from executions.models import Execution

    now, text = timezone.now(), "SELECT 1 AS x" + " " * 1_000
    queued_at = Execution._meta.get_field("queued_at")
    queued_at.auto_now_add = False
    rows = []
    for number in range(count):
        owner = owners[-2 - number // 10 % RAN] if number % 10 == 0 and number < count * 0.9 else owners[0]
        instance = owner[number % len(owner)]
        at = now - dt.timedelta(minutes=count - number)
        row = Execution(
            created_by_id=instance.user_id, instance=instance, template_name="Reach", template_version=1,
            name=f"Run {number}", source_sql=text, sql_query=text, window_start=at.date(), window_end=at.date(),
            status="SUCCEEDED", queued_at=at, finished_at=at,
        )  # fmt: skip
        row.complete()
        rows.append(row)
        if len(rows) == 1_000 or number == count - 1:
            Execution.objects.bulk_create(rows)
            rows = []


@contextmanager
def with_floor() -> Iterator[None]:
    """Add the floor's address to the product's."""
    import types

    from django.test import override_settings
    from django.urls import include, path

    module = types.ModuleType("bench_urls")
    module.urlpatterns = [path("floor/", floor_view), path("", include("amchelper.urls"))]  # type: ignore[attr-defined]
    sys.modules["bench_urls"] = module
    with override_settings(ROOT_URLCONF="bench_urls"):
        yield


def measure(user: User, pages: dict[str, str]) -> dict[str, Cost]:
    """Ask for each page in turn, again and again, so that a loud moment hits all alike; returns medians."""
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    client = Client()
    client.force_login(user)
    cpu: dict[str, list[float]] = {name: [] for name in pages}
    sql: dict[str, list[float]] = {name: [] for name in pages}
    size, statements = {}, {}
    for number in range(ROUNDS + 2):
        for name, page in pages.items():
            began = time.thread_time()
            answer = client.get(page)
            spent = time.thread_time() - began
            if answer.status_code != 200:
                raise SystemExit(f"The benchmark is void: {name} answered {answer.status_code}.")
            with CaptureQueriesContext(connection) as queries, timed_sql() as seconds:
                client.get(page)
            # The first rounds fill caches.
            if number >= 2:
                cpu[name].append(spent)
                sql[name].append(sum(seconds))
            size[name], statements[name] = len(answer.content) / 1024, len(queries)
    return {
        name: Cost(
            statistics.median(cpu[name]) * 1e3, statistics.median(sql[name]) * 1e3, statements[name], size[name]
        )
        for name in pages
    }


@contextmanager
def timed_sql() -> Iterator[list[float]]:
    """Note how long each statement takes, finer than Django's own log."""
    from django.db import connection

    seconds: list[float] = []

    def note(execute: Callable[..., Any], *arguments: Any) -> Any:
        began = time.perf_counter()
        result = execute(*arguments)
        seconds.append(time.perf_counter() - began)
        return result

    with connection.execute_wrapper(note):
        yield seconds


def measure_size(runs: int, instances: int) -> dict[str, dict[str, Cost]]:
    """Build and measure one size in a database of its own; returns costs by page, by who looks."""

    from django.db import connection
    from django.test.runner import DiscoverRunner

    if connection.vendor == "sqlite":
        connection.settings_dict["TEST"]["NAME"] = str(Path(tempfile.mkdtemp()) / "bench.sqlite3")
    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        owner, small = build(runs, instances)
        with connection.cursor() as cursor:
            # As autovacuum does on PostgreSQL; SQLite stays without statistics, as it is used.
            if connection.vendor == "postgresql":
                cursor.execute("VACUUM ANALYZE")
        pages = addresses()
        with with_floor():
            of_small = {name: page for name, page in pages.items() if name != "templates"}
            return {"owner": measure(owner, pages), "small owner": measure(small, of_small)}
    finally:
        runner.teardown_databases(databases)


def report(vendor: str, results: list[dict[str, dict[str, Cost]]]) -> bool:
    """Print the figures; returns whether all targets were met."""
    (runs, instances), reached = SIZES[-1], True
    for who in results[0]:
        small, large = results[0][who], results[-1][who]
        for name, cost in large.items():
            if name == "floor":
                continue
            ratio, growth = cost.cpu_ms / large["floor"].cpu_ms, cost.cpu_ms / small[name].cpu_ms
            fits = ratio <= TARGET_RATIO and cost.sql_ms <= TARGET_SQL_MS and growth <= TARGET_GROWTH
            reached = reached and fits
            print(
                f"pages: {vendor}: {who}, {name}: {ratio:.1f} x floor (target <= {TARGET_RATIO:g}), "
                f"{growth:.2f} x from {SIZES[0][0]:,} to {runs:,} runs and {SIZES[0][1]} to {instances:,} instances "
                f"(<= {TARGET_GROWTH}), SQL {small[name].sql_ms:.1f} -> {cost.sql_ms:.1f} ms (<= {TARGET_SQL_MS:g}), "
                f"{small[name].statements} -> {cost.statements} statements, "
                f"{small[name].kilobytes:.0f} -> {cost.kilobytes:.0f} KB{'' if fits else '  MISSED'}"
            )
    return reached


def main() -> int:
    """Measure on SQLite, then on PostgreSQL, each in its own process; the exit code tells whether targets were met."""
    if os.environ.get("BENCH_ON"):
        import logging

        import django

        django.setup()
        logging.disable(logging.INFO)
        from django.db import connection

        return int(not report(connection.vendor, [measure_size(*size) for size in SIZES]))
    missed = 0
    for address in dict.fromkeys(["", os.environ.get("TEST_DATABASE_URL", "")]):
        environment = {**os.environ, "BENCH_ON": "1", "DATABASE_URL": address}
        if not address:
            del environment["DATABASE_URL"]
        missed |= subprocess.run([sys.executable, __file__], cwd=ROOT, env=environment, check=False).returncode
    if not os.environ.get("TEST_DATABASE_URL"):
        print("pages: PostgreSQL was not measured, TEST_DATABASE_URL is not set")
    return missed


if __name__ == "__main__":
    raise SystemExit(main())
