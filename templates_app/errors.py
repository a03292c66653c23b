"""Errors of templates with names of their own."""

from __future__ import annotations

from amchelper.exceptions import AmcHelperError, InvalidStateError
from templates_app.models import InstanceTemplate


class StaleTemplateError(InvalidStateError):
    """The template was saved since the page was loaded; `current` is what is saved now."""

    code = "stale_template"

    def __init__(self, message: str, *, current: InstanceTemplate) -> None:
        super().__init__(message)
        self.current = current


class IncompleteTemplateError(AmcHelperError):
    """The SQL cannot be completed; `parameter` is the first one that needs something, empty for malformed SQL."""

    code = "incomplete_template"
    http_status = 422

    def __init__(self, message: str, *, parameter: str, line: int, column: int) -> None:
        super().__init__(message)
        self.parameter, self.line, self.column = parameter, line, column
