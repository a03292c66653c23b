"""Refuse to serve with a configuration that would lose or leak something."""

from __future__ import annotations

from django.core import checks
from django.core.exceptions import ImproperlyConfigured


def refuse_bad_configuration() -> None:
    """Run our own system checks; gunicorn and Celery, unlike manage.py, run none.

    Raises ImproperlyConfigured with every error and its hint.
    """
    errors = [
        message
        for message in checks.run_checks(include_deployment_checks=False)
        if message.level >= checks.ERROR and not message.is_silenced()
    ]
    if errors:
        raise ImproperlyConfigured("\n".join(f"{error.msg} {error.hint or ''} ({error.id})" for error in errors))
