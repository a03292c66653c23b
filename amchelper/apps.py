"""App configuration of the project package."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.core.management import call_command
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.models import QuerySet
from django.db.models.signals import post_migrate


class AmcHelperConfig(AppConfig):
    """Register the system checks and tune SQLite connections."""

    name = "amchelper"
    verbose_name = "AMC Helper"

    def ready(self) -> None:
        # Registered by import, which needs loaded settings and apps.
        import amchelper.checks
        import amchelper.sessions  # noqa: F401
        from amchelper import security_events

        security_events.connect()
        _register_kinds()
        post_migrate.connect(_create_cache_table, sender=self, dispatch_uid="amchelper.cache_table")
        connection_created.connect(_use_sqlite_limit, dispatch_uid="amchelper.sqlite_limit")
        connection_created.connect(_keep_sqlite_private, dispatch_uid="amchelper.sqlite_private")


def _lock_out(rows: QuerySet[Any]) -> None:
    rows.update(is_active=False)


def _register_kinds() -> None:
    """Make known what goes with users beside the apps' own rows."""
    from allauth.account.models import EmailAddress, EmailConfirmation  # models exist only now
    from allauth.mfa.models import Authenticator
    from allauth.usersessions.models import UserSession
    from django.contrib.admin.models import LogEntry

    from amchelper.dependents import DependentKind, register
    from amchelper.models import User

    register(
        # First nobody can sign in as them, and no schedule of theirs starts anything.
        DependentKind(User, "user", prepare=_lock_out),
        DependentKind(EmailAddress, "e-mail address", "e-mail addresses"),
        DependentKind(EmailConfirmation, "open confirmation of an address", "open confirmations of addresses"),
        DependentKind(Authenticator, "second factor"),
        DependentKind(UserSession, "session"),
        DependentKind(LogEntry, "entry of the admin's log", "entries of the admin's log"),
    )


def _create_cache_table(*, using: str, verbosity: int, **kwargs: Any) -> None:
    call_command("createcachetable", database=using, verbosity=max(0, verbosity - 1))


def _use_sqlite_limit(*, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Let bulk inserts use as many variables as this SQLite allows, not the 999 of versions before 2020."""
    if connection.vendor == "sqlite":
        limit = connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER)
        connection.features.max_query_params = min(limit, 30_000)


def _keep_sqlite_private(*, connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Let nobody but its owner read the database file; SQLite gives its side files the same rights."""
    if connection.vendor != "sqlite":
        return
    file = Path(str(connection.settings_dict["NAME"]))
    with suppress(OSError):
        if file.is_file() and file.stat().st_mode & 0o077:
            file.chmod(0o600)
