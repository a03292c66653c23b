"""Bulk health checks: wall time against the floor, and the number of SQL statements.

1,000 instances, a server in a process of its own that answers after 100 ms, 64 probes at a time. The floor is
N x latency / concurrency. Run: `.venv/bin/python tests/bench/health.py`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"

COUNT, LATENCY_SECONDS, CONCURRENCY = 1000, 0.1, 64
# Results are stored once a second, at most 250 in a transaction of about six statements.
TARGET_RATIO, TARGET_STATEMENTS = 1.5, 50


def serve(pipe: Connection) -> None:
    """Answer every token and instance request, the latter after the latency."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                length = 0
                while (header := await reader.readline()) not in (b"\r\n", b""):
                    if header.lower().startswith(b"content-length:"):
                        length = int(header.split(b":")[1])
                if length:
                    await reader.readexactly(length)
                path = line.split()[1].decode()
                if path.startswith("/auth"):
                    body = {"access_token": "Atza|bench", "refresh_token": "Atzr|bench", "expires_in": 3600}
                else:
                    await asyncio.sleep(LATENCY_SECONDS)
                    body = {"instance": {"instanceId": path.rsplit("/", 1)[1], "creationStatus": "COMPLETED"}}
                data = json.dumps(body).encode()
                writer.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
                    % (len(data), data)
                )
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=512)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def build(count: int) -> Sequence[object]:
    """Make a user, a login and the instances."""
    from instances.models import AMCInstance
    from tests.factories import AccountFactory, InstanceFactory

    account = AccountFactory.create()
    AMCInstance.objects.bulk_create(
        InstanceFactory.build(account=account, user=account.connection.user, instance_id=f"amcbench{n:04d}")
        for n in range(count)
    )
    return [account]


def measure() -> tuple[float, int]:
    """Load, check and store; returns seconds and statements."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    from instances.models import AMCInstance, Health, HealthCheckBatch
    from instances.services.health.batches import check_instances, hold_batch

    with CaptureQueriesContext(connection) as queries:
        began = time.perf_counter()
        instances = list(AMCInstance.objects.for_probing())
        claim = hold_batch([i.pk for i in instances], actor=None, trigger=HealthCheckBatch.Trigger.COMMAND)
        results = check_instances(instances, claim, max_workers=CONCURRENCY)
        seconds = time.perf_counter() - began
    healthy = AMCInstance.objects.filter(health_status=Health.HEALTHY, last_health_check__gte=claim.row.started_at)
    if len(results) != COUNT or healthy.count() != COUNT:
        raise SystemExit("The benchmark is void: not every instance was found healthy.")
    return seconds, len(queries)


def main() -> int:
    """Print the figures; the exit code tells whether the targets were met."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    server.start()
    os.environ["LOCAL_AMC_URL"] = f"http://127.0.0.1:{here.recv()}"

    import django

    django.setup()

    logging.disable(logging.INFO)
    from django.conf import settings
    from django.test.runner import DiscoverRunner

    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        build(COUNT)
        seconds, statements = measure()
    finally:
        runner.teardown_databases(databases)
        server.terminate()
    floor = COUNT * LATENCY_SECONDS / CONCURRENCY
    ratio = seconds / floor
    print(f"health: {COUNT} instances, {CONCURRENCY} at a time, on {settings.DATABASES['default']['ENGINE']}")
    print(f"health: wall time / floor = {ratio:.2f} (target <= {TARGET_RATIO})")
    print(f"health: SQL statements = {statements} (target <= {TARGET_STATEMENTS})")
    return int(ratio > TARGET_RATIO or statements > TARGET_STATEMENTS)


if __name__ == "__main__":
    raise SystemExit(main())
