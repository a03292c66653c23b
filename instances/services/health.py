"""Check instances and keep what was found out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from amchelper.exceptions import AmcHelperError, InvalidStateError
from amchelper.models import User
from instances.amc.auth import TokenSource
from instances.amc.client import PROBE, AmcClient
from instances.amc.hosts import hosts_for
from instances.amc.throttle import get_throttle
from instances.amc.types import InstanceRef
from instances.models import AmazonConnection, AMCInstance, HealthCheck, HealthCheckBatch
from instances.models.health import RUN_LEASE
from instances.services.amazon import keep_tokens, token_source
from instances.services.health_records import record_results
from instances.services.probes import ProbeResult, probe, result_of_error

# Results are stored in growing intervals: the first rows show at once, a thousand cost few statements.
FIRST_FLUSH_SECONDS = 1.0
FLUSH_GROWTH = 2.0
LONGEST_FLUSH_SECONDS = RUN_LEASE.total_seconds() / 4


@dataclass(frozen=True)
class Target:
    """One instance to probe; `key` tells later whether it still is the same instance at AMC."""

    pk: UUID
    connection: AmazonConnection
    region: str
    ref: InstanceRef
    key: tuple[str, UUID]


@dataclass
class _Work:
    """What one act of checking has open: sources and clients, and results without a call."""

    sources: dict[UUID, TokenSource] = field(default_factory=dict)
    clients: dict[tuple[UUID, str], AmcClient] = field(default_factory=dict)
    failed: list[ProbeResult] = field(default_factory=list)


def check_instance(instance: AMCInstance, *, user: User | None, trigger: str) -> HealthCheck:
    """Probe one instance now, store the result, refresh `instance` and give the stored probe.

    Raises InvalidStateError when the instance was linked elsewhere or deleted meanwhile.
    """
    run = start_run([instance.pk], user=user, trigger=trigger)
    check_instances([instance], run=run)
    check = HealthCheck.objects.filter(run=run, instance=instance).order_by("pk").last()
    if check is None:
        raise InvalidStateError(
            f"{instance.name} was changed or deleted while it was being checked. Reload the page and check again."
        )
    instance.refresh_from_db()
    return check


def start_run(
    pks: Iterable[UUID], *, user: User | None, trigger: str, slot: str | None = None
) -> HealthCheckBatch:
    """Record that instances are about to be checked; the caller holds the lease."""
    ids = [str(pk) for pk in pks]
    return HealthCheckBatch.objects.create(
        user=user,
        trigger=trigger,
        instance_ids=ids,
        total=len(ids),
        slot=slot,
        lease_expires_at=timezone.now() + RUN_LEASE,
    )


def check_instances(
    instances: Sequence[AMCInstance],
    *,
    run: HealthCheckBatch,
    max_workers: int | None = None,
    on_results: Callable[[Sequence[ProbeResult]], None] | None = None,
) -> list[ProbeResult]:
    """Probe instances concurrently and store the results in batches from this thread.

    `instances` come from `for_probing()`. The pool does network only. `on_results` is
    called after each stored batch.
    """
    workers = max(1, min(max_workers or settings.HEALTH_CHECK_CONCURRENCY, len(instances)))
    work = _Work()
    targets = _targets(instances, work)
    results: list[ProbeResult] = []
    keys = {target.pk: target.key for target in targets}
    batcher = _Batcher(run, keys, on_results)
    with ExitStack() as stack:
        _open_clients(targets, work, stack, pool_size=workers)
        usable = [t for t in targets if (t.connection.pk, t.region) in work.clients]
        for result in work.failed:
            results.append(result)
            batcher.add(result)
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=workers))
        futures = [pool.submit(probe, work.clients[t.connection.pk, t.region], t.pk, t.ref) for t in usable]
        try:
            for result in _as_they_come(futures, batcher):
                results.append(result)
        except BaseException:
            # Ctrl-C or a lost database: do not keep probing for nobody.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    batcher.flush()
    _settle_logins(targets, work, results)
    HealthCheckBatch.objects.filter(pk=run.pk).update(finished_at=timezone.now(), lease_expires_at=None)
    return results


def _targets(instances: Sequence[AMCInstance], work: _Work) -> list[Target]:
    targets = []
    for instance in instances:
        try:
            ref = instance.ref
        except ValueError as error:
            work.failed.append(result_of_error(instance.pk, AmcHelperError(str(error))))
            continue
        region = instance.region or instance.account.region
        key = (instance.instance_id, instance.account_id)
        targets.append(Target(instance.pk, instance.account.connection, region, ref, key))
    return targets


def _open_clients(targets: Sequence[Target], work: _Work, stack: ExitStack, *, pool_size: int) -> None:
    """Open one client per login and region; a login that cannot be used fails its targets without a call."""
    broken: dict[UUID, AmcHelperError] = {}
    for target in targets:
        connection = target.connection
        if connection.pk not in work.sources and connection.pk not in broken:
            try:
                work.sources[connection.pk] = token_source(connection)
            except AmcHelperError as error:
                broken[connection.pk] = error
        if connection.pk in broken:
            work.failed.append(result_of_error(target.pk, broken[connection.pk]))
        elif (connection.pk, target.region) not in work.clients:
            hosts = hosts_for(target.region, settings.LOCAL_AMC_URL)
            work.clients[connection.pk, target.region] = stack.enter_context(
                AmcClient(
                    hosts,
                    settings.AMAZON_CLIENT_ID,
                    work.sources[connection.pk],
                    local_url=settings.LOCAL_AMC_URL,
                    throttle=get_throttle(hosts.api, str(connection.pk)),
                    policy=PROBE,
                    pool_size=pool_size,
                )
            )


def _as_they_come(futures: Sequence[Future[ProbeResult]], batcher: _Batcher) -> Iterator[ProbeResult]:
    for future in as_completed(futures):
        result = future.result()
        batcher.add(result)
        yield result


class _Batcher:
    """Collect results and store them in batches."""

    def __init__(
        self,
        run: HealthCheckBatch,
        keys: dict[UUID, tuple[str, UUID]],
        on_results: Callable[[Sequence[ProbeResult]], None] | None,
    ) -> None:
        self.run, self.keys, self.on_results = run, keys, on_results
        self.waiting: list[ProbeResult] = []
        self.interval = FIRST_FLUSH_SECONDS
        self.last_flush = time.monotonic()

    def add(self, result: ProbeResult) -> None:
        """Keep a result; store what waits when it is time."""
        self.waiting.append(result)
        if time.monotonic() - self.last_flush >= self.interval:
            self.flush()
            self.interval = min(self.interval * FLUSH_GROWTH, LONGEST_FLUSH_SECONDS)

    def flush(self) -> None:
        """Store what waits."""
        if not self.waiting:
            return
        batch, self.waiting = self.waiting, []
        record_results(self.run, batch, keys=self.keys)
        self.last_flush = time.monotonic()
        if self.on_results:
            self.on_results(batch)


def _settle_logins(targets: Sequence[Target], work: _Work, results: Sequence[ProbeResult]) -> None:
    """Keep refreshed tokens and mark revoked logins, once per login, from this thread."""
    by_pk = {target.pk: target.connection for target in targets}
    revoked: dict[UUID, str] = {}
    for result in results:
        if result.reason == "reconnect_required" and result.instance_pk in by_pk:
            revoked[by_pk[result.instance_pk].pk] = result.error
    connections = {connection.pk: connection for connection in by_pk.values()}
    for pk, source in work.sources.items():
        if pk in revoked:
            connections[pk].require_reconnect(revoked[pk])
        elif source.refreshed:
            keep_tokens(connections[pk], source)


def instances_by_run(run: HealthCheckBatch) -> list[AMCInstance]:
    """Return the run's instances that it has not probed yet, with account and connection."""
    with transaction.atomic():
        done = set(run.checks.values_list("instance_id", flat=True))
        left = [pk for pk in map(UUID, run.instance_ids) if pk not in done]
        return list(AMCInstance.objects.filter(pk__in=left).for_probing())
