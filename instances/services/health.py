"""Probe instances and keep what was found out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from amchelper.models import User
from instances.amc.client import AmcClient
from instances.amc.types import AmcInstance, InstanceRef
from instances.models import AMCInstance, HealthCheck, HealthRun


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
    raise NotImplementedError


def result_of_error(instance_pk: UUID, error: Exception) -> ProbeResult:
    """Give the verdict an error stands for."""
    raise NotImplementedError


def result_of_answer(instance_pk: UUID, found: AmcInstance) -> ProbeResult:
    """Give the verdict AMC's description of the instance stands for."""
    raise NotImplementedError


def record_results(run: HealthRun, results: list[ProbeResult]) -> None:
    """Store probes and move their instances along the life cycle, in a constant number of statements."""
    raise NotImplementedError


def check_instance(instance: AMCInstance, *, user: User | None, trigger: str) -> HealthCheck:
    """Probe one instance now and store the result."""
    raise NotImplementedError
