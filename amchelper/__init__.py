"""Wiring of the product: settings, user, encryption, cache, Celery and system checks."""
