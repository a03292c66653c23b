"""PostgreSQL, Redis and brokers that accept a connection and then say nothing hold nobody for ever."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
FERNET_KEY = "c2lsZW50LXNlcnZlcnMtb25seS0zMi1ieXRlcy1rZXk="
PRINT = """
import json
from django.conf import settings
print(json.dumps([settings.DATABASES["default"].get("OPTIONS"), settings.CACHES["default"].get("OPTIONS"),
    settings.CACHES["generations"].get("OPTIONS"), settings.CELERY_BROKER_TRANSPORT_OPTIONS,
    settings.CELERY_BROKER_CONNECTION_TIMEOUT]))
"""
USES = {
    "DATABASE_URL=postgres": "from django.db import connection; connection.ensure_connection()",
    "CACHE_URL=redis": "from django.core.cache import caches; caches['default'].get('x')",
    "CELERY_BROKER_URL=redis": "from amchelper.celery import app; app.send_task('x')",
    "CELERY_BROKER_URL=amqp": "from amchelper.celery import app; app.send_task('x')",
}


def run(code: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with the product's settings and these variables alone."""
    own = {
        **{name: value for name, value in os.environ.items() if not name.endswith("_URL")},
        "DJANGO_SETTINGS_MODULE": "amchelper.settings", "READ_DOT_ENV": "false", "DEBUG": "true",
        "SECRET_KEY": "x" * 50, "FERNET_KEYS": FERNET_KEY, "VAR_DIR": str(folder), **environment,
    }  # fmt: skip
    begin = "import django; django.setup();"
    return subprocess.run(
        [sys.executable, "-c", f"{begin}{code}"], cwd=ROOT, env=own, capture_output=True, text=True, check=False
    )


def settings_with(folder: Path, **environment: str) -> Any:
    """Return the options of database, cache, generations and broker, and the broker's connect timeout."""
    done = run(PRINT, folder, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def silent() -> Iterator[str]:
    """Return the address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("use", USES)
def test_server_that_says_nothing_is_given_up(use: str, silent: str, tmp_path: Path) -> None:
    name, _, scheme = use.partition("=")
    short = {"CONNECT_TIMEOUT_SECONDS": "1", "SOCKET_TIMEOUT_SECONDS": "1"}
    # It ends by itself, or this test does not.
    done = run(USES[use], tmp_path, **{name: f"{scheme}://user:password@{silent}/1"}, **short)
    assert done.returncode == 1
    said = done.stderr.strip().splitlines()[-1].lower()
    assert any(word in said for word in ("timeout", "timed out")), said


def test_all_sockets_have_bounds(tmp_path: Path) -> None:
    database, cache, generations, broker, connect = settings_with(
        tmp_path,
        DATABASE_URL="postgres://u:p@db/amc",
        CACHE_URL="redis://cache/1",
        CELERY_BROKER_URL="redis://cache/2",
        CONNECT_TIMEOUT_SECONDS="7",
        SOCKET_TIMEOUT_SECONDS="20",
    )
    assert (database["connect_timeout"], database["tcp_user_timeout"], database["keepalives_idle"]) == (
        7,
        20_000,
        20,
    )
    assert "lock_timeout=10s" in database["options"]
    assert cache == generations == {"socket_connect_timeout": 7, "socket_timeout": 20}
    assert (broker["socket_connect_timeout"], broker["socket_timeout"], connect) == (7, 20, 7)


def test_what_an_address_says_counts(tmp_path: Path) -> None:
    database, cache, _, _, _ = settings_with(
        tmp_path,
        DATABASE_URL="postgres://u:p@db/amc?connect_timeout=3&sslmode=require",
        CACHE_URL="redis://cache/1?socket_timeout=2",
    )
    assert (database["connect_timeout"], database["sslmode"]) == (3, "require")
    assert "lock_timeout=10s" in database["options"]
    assert (cache["socket_timeout"], cache["socket_connect_timeout"]) == (2, 5)


def test_embedded_shape_has_no_servers(tmp_path: Path) -> None:
    database, cache, _, broker, _ = settings_with(tmp_path)
    assert "connect_timeout" not in database
    assert "socket_timeout" not in cache
    assert "socket_timeout" not in broker
