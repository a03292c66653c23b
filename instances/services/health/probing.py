"""Ask AMC about instances, one or many at a time, and turn whatever happens into verdicts."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from queue import Empty, SimpleQueue
from uuid import UUID

from django.utils import timezone

from amchelper.exceptions import AmcHelperError, UndecryptableError
from instances.amc.client import PROBE, AmcClient
from instances.amc.errors import AmcError
from instances.amc.types import AmcInstance, InstanceRef
from instances.models import AMCInstance, Health
from instances.models.reasons import reason_of
from instances.services.amazon import LoginSession

logger = logging.getLogger(__name__)

# A caller hears at least this often that probes are under way: it has a lease to keep, and results to store.
QUIET_SECONDS = 0.5


@dataclass(frozen=True)
class ProbeResult:
    """What one probe found out about one instance."""

    instance_pk: UUID
    checked_at: datetime
    verdict: str
    reason: str = ""
    http_status: int | None = None
    latency_ms: int | None = None
    request_id: str = ""
    error: str = ""
    found: AmcInstance | None = None


def probe(client: AmcClient, instance_pk: UUID, ref: InstanceRef) -> ProbeResult:
    """Ask AMC about one instance; every outcome, a crash included, is a result."""
    try:
        return result_of_answer(instance_pk, ref, client.get_instance(ref))
    # One bad instance must never hide the others, so nothing leaves this function but a result.
    except Exception as error:
        return result_of_error(instance_pk, error)


def probe_all(instances: Sequence[AMCInstance], *, max_workers: int) -> Generator[ProbeResult | None]:
    """Probe `instances`, which come from `for_probing()`; yields the results as they come, None while none comes.

    The pool does network only. Every login's calls share one token and one throttle; refreshed tokens and revoked
    logins are noted from the calling thread at the end. Closing the generator stops the probing.
    """
    with ExitStack() as stack:
        sessions: dict[UUID, LoginSession | AmcHelperError] = {}
        failed: list[ProbeResult] = []
        targets: list[tuple[AmcClient, UUID, InstanceRef]] = []
        by_pk: dict[UUID, LoginSession] = {}
        for instance in instances:
            try:
                ref = instance.ref
                session = by_pk[instance.pk] = _session_of(instance, sessions, stack, pool_size=max_workers)
                targets.append((session.client(instance.region or instance.account.region), instance.pk, ref))
            except (AmcHelperError, ValueError) as error:
                # A login that cannot be used fails its instances without a call.
                failed.append(result_of_error(instance.pk, error))
        yield from failed
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=max_workers))
        # Before the pool waits for its threads: after Ctrl-C, or without a lease, the rest is of no use.
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        # A time limit of the caller's holds in the pool too.
        futures = [pool.submit(copy_context().run, partial(probe, *target)) for target in targets]
        for result in _as_they_come(futures):
            if result is not None and result.reason == "reconnect_required":
                by_pk[result.instance_pk].note_revoked(result.error)
            yield result


def _as_they_come(futures: Sequence[Future[ProbeResult]]) -> Iterator[ProbeResult | None]:
    finished: SimpleQueue[Future[ProbeResult]] = SimpleQueue()
    for future in futures:
        future.add_done_callback(finished.put)
    left = len(futures)
    while left:
        try:
            result = finished.get(timeout=QUIET_SECONDS).result()
        except Empty:
            yield None
        else:
            left -= 1
            yield result


def _session_of(
    instance: AMCInstance,
    sessions: dict[UUID, LoginSession | AmcHelperError],
    stack: ExitStack,
    *,
    pool_size: int,
) -> LoginSession:
    """Return the session of the instance's login, which is opened once; raises what opening it raised."""
    connection = instance.account.connection
    if connection.pk not in sessions:
        try:
            sessions[connection.pk] = stack.enter_context(
                LoginSession(connection, policy=PROBE, pool_size=pool_size)
            )
        except AmcHelperError as error:
            sessions[connection.pk] = error
    session = sessions[connection.pk]
    if isinstance(session, AmcHelperError):
        raise session
    return session


def result_of_answer(instance_pk: UUID, ref: InstanceRef, found: AmcInstance) -> ProbeResult:
    """Return the verdict AMC's description of the instance stands for."""
    reason, error = "", ""
    if found.instance_id != ref.instance_id:
        reason, error = "unexpected_answer", f"AMC described another instance: {found.instance_id}."
    elif found.is_usable:
        pass
    elif found.is_provisioning:
        reason, error = "provisioning", f"AMC reports {found.creation_status}."
    elif found.has_failed:
        reason, error = "creation_failed", f"AMC reports {found.creation_status}."
    else:
        reason, error = "unknown_status", f"AMC reports {found.creation_status or 'no state'}."
    return ProbeResult(
        instance_pk=instance_pk,
        checked_at=timezone.now(),
        verdict=reason_of(reason).verdict,
        reason=reason,
        http_status=found.call.http_status,
        latency_ms=found.call.latency_ms,
        request_id=found.call.request_id,
        error=error,
        found=found,
    )


def fix_of(error: Exception | None) -> str:
    """Return what to do about an error of Amazon's; empty where there is nothing to say."""
    return reason_of(error.reason).fix if isinstance(error, AmcError) else ""


def result_of_error(instance_pk: UUID, error: Exception) -> ProbeResult:
    """Return the verdict an error stands for; an error of ours is logged and shown as internal."""
    now = timezone.now()
    if isinstance(error, AmcError):
        call = error.call
        return ProbeResult(
            instance_pk=instance_pk,
            checked_at=now,
            verdict=reason_of(error.reason).verdict,
            reason=error.reason,
            http_status=call.http_status if call else None,
            latency_ms=call.latency_ms if call else None,
            request_id=call.request_id if call else "",
            error=error.message[:500],
        )
    if isinstance(error, UndecryptableError):
        reason, message = "unreadable_credentials", error.message
    elif isinstance(error, AmcHelperError | ValueError):
        reason, message = "bad_request", str(error)
    else:
        logger.error("probe crashed instance=%s", instance_pk, exc_info=error)
        reason, message = "internal", "Internal error"
    return ProbeResult(
        instance_pk=instance_pk,
        checked_at=now,
        verdict=Health.ERROR if reason == "internal" else Health.UNHEALTHY,
        reason=reason,
        error=message[:500],
    )
