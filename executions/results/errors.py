"""What can go wrong with a result."""

from __future__ import annotations

from amchelper.exceptions import AmcHelperError


class ResultError(AmcHelperError):
    """A result cannot be read, or not in the way asked for; `line` is where a malformed file is malformed."""

    code = "result"
    http_status = 422

    def __init__(self, message: str, *, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


class ResultTimeoutError(ResultError):
    """A question to a result took too long and was interrupted."""

    code = "result_timeout"
    http_status = 503


class ConversionTimeoutError(ResultError):
    """A result could not be made into a table in the time for it."""

    code = "conversion_timeout"
    http_status = 503


class RowsTooLongError(ResultError):
    """The rows of a result are too long for a table, today and tomorrow."""

    code = "rows_too_long"

    def __init__(self) -> None:
        super().__init__(
            "The rows of this result are too long for a table. Select fewer or shorter columns and run it again."
        )


class ResultMemoryError(ResultError):
    """A question to a result needs more memory than it may have."""

    code = "result_memory"


class ResultGoneError(ResultError):
    """There is no stored result, or its file is gone."""

    code = "result_gone"
    http_status = 404

    def __init__(self) -> None:
        super().__init__("The stored result is gone. Run it again to have it back.")
