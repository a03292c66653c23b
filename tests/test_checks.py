"""Wrong combinations of settings explain themselves, and stop the start."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

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
        ({"SITE_URL": ""}, "amchelper.E012", False),
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
