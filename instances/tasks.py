"""Celery tasks: one line each into a service."""

from __future__ import annotations

from celery import shared_task

from instances.services import health_runs


@shared_task
def advance_health_run(run_id: str) -> None:
    """Check what a run has left."""
    health_runs.advance_run(run_id)


@shared_task
def tick_health() -> None:
    """Start the scheduled run when it is due and go on with runs that got stuck."""
    health_runs.tick(send=advance_health_run.delay)


@shared_task
def prune_health() -> None:
    """Turn old probes into hourly summaries."""
    health_runs.prune()
