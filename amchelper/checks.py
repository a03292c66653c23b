"""System checks: every wrong combination of settings says what is wrong and what to do."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from amchelper.disk import MEGABYTE, free_bytes, missing_bytes


@register(Tags.security)
def check_keys(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Refuse to start without keys."""
    problems: list[CheckMessage] = []
    if not _has_secret_key():
        problems.append(
            Error(
                "SECRET_KEY is not set.",
                hint="Set it to a long random text; `make demo` writes one to .env.",
                id="amchelper.E001",
            )
        )
    if not settings.FERNET_KEYS:
        problems.append(
            Error(
                "FERNET_KEYS is empty, so tokens cannot be encrypted.",
                hint="Make a key with `python manage.py make_key` and put it into the environment.",
                id="amchelper.E002",
            )
        )
    elif not all(_is_fernet_key(key) for key in settings.FERNET_KEYS):
        problems.append(
            Error(
                "FERNET_KEYS holds a value that is not a Fernet key.",
                hint="Each key is 32 random bytes in URL-safe base64; several are separated by commas.",
                id="amchelper.E003",
            )
        )
    return problems


@register()
def check_cache(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Local memory is one process's own: several web processes need a shared cache."""
    local = settings.CACHES["default"]["BACKEND"].endswith(("LocMemCache", "DummyCache"))
    if local and settings.WEB_PROCESSES > 1:
        return [
            Error(
                f"{settings.WEB_PROCESSES} web processes cannot share a cache in local memory.",
                hint="Set CACHE_URL to a Redis server, or WEB_PROCESSES to 1.",
                id="amchelper.E004",
            )
        ]
    return []


@register()
def check_broker(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The filesystem broker needs a folder it can write, and belongs to one machine."""
    if not settings.CELERY_BROKER_URL.startswith("filesystem"):
        return []
    folder = settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_in"]
    if not os.access(folder, os.W_OK):
        return [
            Error(
                f"The queue's folder {folder} cannot be written.",
                hint="Give the product's user the right to write there, or set VAR_DIR or CELERY_BROKER_URL.",
                id="amchelper.E005",
            )
        ]
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.sqlite3" and not settings.DEBUG:
        return [
            Warning(
                "The queue is a folder although the database is a server: workers on other machines see no work.",
                hint="Set CELERY_BROKER_URL to Redis or RabbitMQ when there is more than one machine.",
                id="amchelper.W001",
            )
        ]
    return []


@register()
def check_amazon(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A local AMC is a development tool and needs a plain origin; Amazon needs client credentials."""
    problems: list[CheckMessage] = []
    local = settings.LOCAL_AMC_URL
    if local:
        parts = urlsplit(local)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
            problems.append(
                Error(
                    "LOCAL_AMC_URL is not an origin.",
                    hint="It looks like http://127.0.0.1:8700, without a path.",
                    id="amchelper.E006",
                )
            )
        elif parts.scheme == "http" and parts.hostname not in {"127.0.0.1", "localhost", "::1"}:
            problems.append(
                Error(
                    "LOCAL_AMC_URL would send tokens over plain HTTP to another machine.",
                    hint="Run the local AMC on this machine (127.0.0.1).",
                    id="amchelper.E007",
                )
            )
    if not settings.AMAZON_CLIENT_ID or not settings.AMAZON_CLIENT_SECRET:
        problems.append(
            Warning(
                "AMAZON_CLIENT_ID or AMAZON_CLIENT_SECRET is not set: nobody can connect an Amazon login.",
                hint="Take both from the Login with Amazon security profile.",
                id="amchelper.W002",
            )
        )
    return problems


@register()
def check_site_url(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Amazon sends people back to an address that starts with this."""
    if settings.SITE_URL:
        return []
    return [
        Error(
            "SITE_URL is not set, so nobody could come back from Amazon's consent page.",
            hint="Set it to the address users open, such as https://amc.example.com.",
            id="amchelper.E012",
        )
    ]


@register(Tags.security, deploy=True)
def check_production(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """What must not reach a server that others use."""
    problems: list[CheckMessage] = []
    if settings.DEBUG:
        problems.append(
            Error(
                "DEBUG is on in production.",
                hint="Set DEBUG=false: error pages would show settings and source.",
                id="amchelper.E008",
            )
        )
    if settings.LOCAL_AMC_URL:
        problems.append(
            Error(
                "LOCAL_AMC_URL is set in production.",
                hint="Leave it empty: the product would talk to an imitation instead of Amazon.",
                id="amchelper.E009",
            )
        )
    if not settings.SITE_URL.startswith("https://"):
        problems.append(
            Error(
                "SITE_URL is not an https address.",
                hint="Set it to the address users open; Amazon sends them back there after consent.",
                id="amchelper.E010",
            )
        )
    return problems


@register()
def check_disk(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Below the reserve nothing is stored any more."""
    if not missing_bytes():
        return []
    free = free_bytes() // MEGABYTE
    return [
        Warning(
            f"Only {free:,} MB are free on the disk of {settings.RESULTS_DIR} or {settings.VAR_DIR}, less than "
            f"MIN_FREE_DISK_MB ({settings.MIN_FREE_DISK_MB:,}): results wait at AMC, and no spreadsheet is made.",
            hint="Make room on that disk, or keep less (RESULT_RETENTION_DAYS, RESULT_STORAGE_BYTES).",
            id="amchelper.W003",
        )
    ]


@register()
def check_numbers(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Counts and intervals must make sense."""
    least_one = (
        "HEALTH_CHECK_CONCURRENCY",
        "HEALTH_CHECK_INTERVAL_MINUTES",
        "HEALTH_HISTORY_DAYS",
        "MAX_BODY_KB_SIGNED_OUT",
        "MAX_BODY_MB",
        "SESSION_IDLE_HOURS",
        "SESSION_MAX_DAYS",
        "EXPORT_KEEP_HOURS",
        "EXPORTS_PER_USER",
        "EXPORTS_IN_ALL",
        "DOWNLOADS_PER_PROCESS",
        "RESULT_QUESTIONS_PER_PROCESS",
        "DATABASE_LOCK_TIMEOUT_SECONDS",
    )
    numbers = [(name, 1, getattr(settings, name)) for name in least_one]
    numbers.append(("DATABASE_STATEMENT_TIMEOUT_SECONDS", 0, settings.DATABASE_STATEMENT_TIMEOUT_SECONDS))
    numbers += [(f"{name.upper()}_PER_MINUTE", 0, most) for name, most in settings.LIMITS_PER_MINUTE.items()]
    return [
        Error(f"{name} must be at least {least}.", hint="Leave it out to use the default.", id="amchelper.E011")
        for name, least, value in numbers
        if value < least
    ]


@register(Tags.security)
def check_mfa(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """A misspelt requirement would require nothing."""
    if settings.REQUIRE_MFA in ("none", "staff", "all"):
        return []
    hint = "Set it to none, staff or all."
    return [Error(f"REQUIRE_MFA is {settings.REQUIRE_MFA!r}.", hint=hint, id="amchelper.E020")]


@register(Tags.security, deploy=True)
def check_private_files(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Others on the machine must not read the database or results."""
    if not settings.VAR_DIR.stat().st_mode & 0o077:
        return []
    return [
        Warning(
            f"Other users of this machine can open {settings.VAR_DIR}.",
            hint=f"Run `chmod 700 {settings.VAR_DIR}`.",
            id="amchelper.W020",
        )
    ]


@register()
def check_database_file(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Name a damaged SQLite file before pages fail one by one; with `check --database default` every page of it."""
    database = settings.DATABASES["default"]
    file = Path(str(database["NAME"]))
    if database["ENGINE"] != "django.db.backends.sqlite3" or not file.is_file():
        return []
    question = "PRAGMA quick_check(1)" if kwargs.get("databases") else "PRAGMA schema_version"
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            answer = str(connection.execute(question).fetchone()[0])
    except sqlite3.OperationalError:
        return []  # locked or not readable, which is not the file's fault
    except sqlite3.DatabaseError as error:
        answer = str(error)
    if answer == "ok" or answer.isdecimal():
        return []
    hint = "Stop every process, keep a copy, and restore the last backup; docs/operations.md says how."
    return [Error(f"The database {file} is damaged: {answer}.", hint=hint, id="amchelper.E021")]


def _has_secret_key() -> bool:
    try:
        return bool(settings.SECRET_KEY)
    except ImproperlyConfigured:
        return False  # Django refuses to hand out an empty key, without a hint what to do


def _is_fernet_key(key: str) -> bool:
    try:
        Fernet(key)
    except ValueError:
        return False
    return True
