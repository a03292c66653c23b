"""Wrong combinations of settings explain themselves, and stop the start."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from amchelper.checks import check_database_file
from amchelper.startup import refuse_bad_configuration

ROOT = Path(__file__).resolve().parent.parent
LOCMEM = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}


def ids(*, deploy: bool = False) -> set[str]:
    return {message.id or "" for message in run_checks(include_deployment_checks=deploy)}


@pytest.mark.parametrize(
    ("settings", "expected", "deploy"),
    [
        ({"SECRET_KEY": ""}, "amchelper.E001", False),
        ({"FERNET_KEYS": []}, "amchelper.E002", False),
        ({"FERNET_KEYS": ["nonsense"]}, "amchelper.E003", False),
        ({"CACHES": LOCMEM, "WEB_PROCESSES": 2}, "amchelper.E004", False),
        ({"LOCAL_AMC_URL": "127.0.0.1:8700"}, "amchelper.E006", False),
        ({"LOCAL_AMC_URL": "http://192.0.2.1:8700"}, "amchelper.E007", False),
        ({"AMAZON_CLIENT_SECRET": ""}, "amchelper.W002", False),
        ({"HEALTH_CHECK_CONCURRENCY": 0}, "amchelper.E011", False),
        ({"MAX_BODY_MB": 0}, "amchelper.E011", False),
        ({"MAX_BODY_KB_SIGNED_OUT": -1}, "amchelper.E011", False),
        ({"EXPORTS_PER_USER": 0}, "amchelper.E011", False),
        ({"MIN_FREE_DISK_MB": 10**9}, "amchelper.W003", False),
        ({"DATABASE_LOCK_TIMEOUT_SECONDS": 0}, "amchelper.E011", False),
        ({"LIMITS_PER_MINUTE": {"runs": -1}}, "amchelper.E011", False),
        ({"SITE_URL": ""}, "amchelper.E012", False),
        ({"SESSION_IDLE_HOURS": 0}, "amchelper.E011", False),
        ({"REQUIRE_MFA": "yes"}, "amchelper.E020", False),
        ({"DEBUG": True}, "amchelper.E008", True),
        ({"LOCAL_AMC_URL": "http://127.0.0.1:8700"}, "amchelper.E009", True),
        ({"SITE_URL": "http://amc.example.com"}, "amchelper.E010", True),
    ],
)
def test_wrong_combination_is_explained(settings: dict[str, object], expected: str, deploy: bool) -> None:
    assert expected not in ids()
    with override_settings(**settings):
        assert expected in ids(deploy=deploy)


def test_start_is_refused_with_the_reason() -> None:
    refuse_bad_configuration()
    with override_settings(FERNET_KEYS=[]), pytest.raises(ImproperlyConfigured, match="FERNET_KEYS is empty"):
        refuse_bad_configuration()


@pytest.mark.parametrize(
    "command",
    [
        ["-c", "import amchelper.wsgi"],
        ["-m", "celery", "-A", "amchelper", "worker", "--pool", "threads", "--concurrency", "1"],
        ["-m", "celery", "-A", "amchelper", "beat"],
    ],
    ids=["web", "worker", "beat"],
)
def test_process_refuses_to_start_without_a_key(command: list[str]) -> None:
    with tempfile.TemporaryDirectory() as var_dir:
        environment = {
            "PATH": os.environ["PATH"],
            "READ_DOT_ENV": "false",
            "SECRET_KEY": "x" * 60,
            "SITE_URL": "https://amc.example.com",
            "VAR_DIR": var_dir,
            "DJANGO_SETTINGS_MODULE": "amchelper.settings",
        }
        done = subprocess.run(
            [sys.executable, *command],
            cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode != 0
    assert "FERNET_KEYS is empty" in done.stderr


def test_example_file_names_every_variable() -> None:
    source = (ROOT / "amchelper" / "settings.py").read_text()
    example = (ROOT / ".env.example").read_text()
    names = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', source))
    assert len(names) > 20
    assert not {name for name in names if f"{name}=" not in example}


def test_damaged_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "amchelper.sqlite3"
    database = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}}
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE rows (value TEXT)")
        connection.executemany("INSERT INTO rows VALUES (?)", [("x" * 1_000,)] * 100)
        connection.commit()
    with override_settings(DATABASES=database):
        assert not check_database_file(None)
        assert not check_database_file(None, databases=["default"])
        content = bytearray(file.read_bytes())
        content[8_000:12_000] = b"\xff" * 4_000
        file.write_bytes(content)
        (deep,) = check_database_file(None, databases=["default"])
        file.write_bytes(b"not a database" * 100)
        (found,) = check_database_file(None)
    assert (found.id, deep.id) == ("amchelper.E021", "amchelper.E021")
    assert str(file) in found.msg
    assert "restore the last backup" in (found.hint or "")


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "var"
    own = {"VAR_DIR": str(folder), "DJANGO_SETTINGS_MODULE": "amchelper.settings", "DEBUG": "true"}
    environment = {**os.environ, **own, "READ_DOT_ENV": "false"}
    environment.pop("DATABASE_URL", None)
    command = [sys.executable, "manage.py", "migrate", "amchelper", "--verbosity", "0"]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "amchelper.sqlite3").stat().st_mode & 0o777 == 0o600
    folder.chmod(0o755)
    with override_settings(VAR_DIR=folder):
        assert "amchelper.W020" in ids(deploy=True)
