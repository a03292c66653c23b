"""Run the checks that need settings: missing migrations, and `check --deploy` as in production."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile

from cryptography.fernet import Fernet
from django.core.management import execute_from_command_line


def main() -> None:
    """Use production-like settings, so that what a server would be told is told here."""
    with tempfile.TemporaryDirectory() as var_dir:
        os.environ.update(
            DJANGO_SETTINGS_MODULE="amchelper.settings",
            READ_DOT_ENV="false",
            DEBUG="false",
            SECRET_KEY=secrets.token_urlsafe(50),
            FERNET_KEYS=Fernet.generate_key().decode("ascii"),
            ALLOWED_HOSTS="amc.example.com",
            SITE_URL="https://amc.example.com",
            AMAZON_CLIENT_ID="amzn1.application-oa2-client.example",
            AMAZON_CLIENT_SECRET=secrets.token_urlsafe(16),
            LOCAL_AMC_URL="",
            VAR_DIR=var_dir,
        )
        execute_from_command_line([sys.argv[0], "makemigrations", "--check", "--dry-run"])
        execute_from_command_line([sys.argv[0], "check", "--deploy", "--fail-level", "WARNING"])


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    main()
