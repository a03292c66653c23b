"""Errors of runs with names of their own."""

from __future__ import annotations

from amchelper.exceptions import AmcHelperError


class NotRunnableError(AmcHelperError):
    """A run cannot start; `message` says what to change."""

    code = "not_runnable"
    http_status = 422
