"""Celery tasks: one line each into a service."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from instances.services import mapping_changes
from instances.services.health import batches, history


@shared_task
def advance_health_batch(pk: str) -> None:
    """Check what a batch has left."""
    batches.advance_batch(UUID(pk))


@shared_task
def tick_health() -> None:
    """Start the scheduled batch when it is due and go on with batches that got stuck."""
    batches.tick()


@shared_task
def prune_health() -> None:
    """Turn old probes into hourly summaries."""
    history.prune()


@shared_task
def sweep_mappings() -> None:
    """Remove what unfinished changes of mappings and removed brands left behind."""
    mapping_changes.sweep()
