"""Logging: one line an event, key=value, no secrets."""

from __future__ import annotations

import logging
from typing import Any


class ClientErrors(logging.Filter):
    """Make what a client did wrong one line, without the traceback that only our own errors need."""

    def filter(self, record: logging.LogRecord) -> bool:
        if 400 <= getattr(record, "status_code", 500) < 500:
            record.exc_info = record.exc_text = None
            if record.levelno > logging.WARNING:
                record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


def logging_config(*, level: str) -> dict[str, Any]:
    """Return the `LOGGING` dict that writes every record as one line to standard error."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
                "datefmt": "%Y-%m-%dT%H:%M:%S%z",
            }
        },
        "filters": {"client_errors": {"()": ClientErrors}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["client_errors"]}
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # urllib3 logs whole URLs at DEBUG, and those can hold presigned secrets.
            "urllib3": {"level": "WARNING"},
            # What it remarks on is in the SQL that somebody is typing: a line for each keystroke, for nobody.
            "sqlglot": {"level": "ERROR"},
            "django.server": {"handlers": ["stderr"], "level": level, "propagate": False},
        },
    }
