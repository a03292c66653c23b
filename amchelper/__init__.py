"""Wiring of the product: settings, user, encryption, cache, Celery and system checks."""

from __future__ import annotations

from amchelper.celery import app as celery_app

__all__ = ["celery_app"]
