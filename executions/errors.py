"""Why runs fail or cannot start: error codes, public in the API, and the errors with names of their own."""

from __future__ import annotations

from django.db.models import TextChoices

from amchelper.exceptions import AmcHelperError


class ErrorCode(TextChoices):
    """Why a run failed, or why it cannot start. Clients match these: a code is added, never renamed."""

    # Before the start.
    TEMPLATE_ARCHIVED = "template_archived", "Template archived"
    INSTANCE_DISABLED = "instance_disabled", "Instance disabled"
    INSTANCE_PENDING = "instance_pending", "Instance not accepted yet"
    INSTANCE_UNHEALTHY = "instance_unhealthy", "Instance unhealthy"
    HEALTH_UNKNOWN = "health_unknown", "Health unknown"
    WINDOW_REFUSED = "window_refused", "Window refused"
    LONG_SQL = "long_sql", "Long SQL"
    NOT_RUNNABLE = "not_runnable", "Cannot run"
    # The login and this deployment.
    RECONNECT_REQUIRED = "reconnect_required", "Login must be reconnected"
    UNAUTHENTICATED = "unauthenticated", "Token rejected"
    CREDENTIALS_MISCONFIGURED = "credentials_misconfigured", "Client credentials rejected"
    UNDECRYPTABLE = "undecryptable", "Login unreadable"
    FORBIDDEN = "forbidden", "Access refused"
    TERMS_REQUIRED = "terms_required", "Terms not accepted"
    WRONG_HOST = "wrong_host", "Host refused"
    # On the way to Amazon.
    NETWORK = "network", "Network"
    TOO_SLOW = "too_slow", "Amazon too slow"
    UPSTREAM_ERROR = "upstream_error", "Amazon's error"
    THROTTLED = "throttled", "Throttled"
    EXECUTION_LIMIT = "execution_limit", "Execution limit"
    NOT_READY = "not_ready", "Not ready"
    NOT_VISIBLE = "not_visible", "Not visible yet"
    OUTCOME_UNKNOWN = "outcome_unknown", "Outcome unknown"
    NOT_FOUND = "not_found", "Not found"
    GONE = "gone", "Address switched off"
    BAD_REQUEST = "bad_request", "Request refused"
    MALFORMED_RESPONSE = "malformed_response", "Unreadable answer"
    UNEXPECTED_ANSWER = "unexpected_answer", "Unexpected answer"
    # What AMC said about the run.
    INVALID_SQL = "invalid_sql", "Invalid SQL"
    UNDECLARED_PARAMETER = "undeclared_parameter", "Undeclared parameter"
    OVERLAP_PROTECTION = "overlap_protection", "Too many similar runs"
    AMC_FAILED = "amc_failed", "Failed at AMC"
    AMC_DELETED = "amc_deleted", "Deleted at AMC"
    AMC_REJECTED = "amc_rejected", "Rejected by AMC"
    # What came of it here.
    RESULT_NOT_FETCHED = "result_not_fetched", "Result not fetched"
    DOWNLOAD_REFUSED = "download_refused", "Download refused"
    TOO_LARGE = "too_large", "Result too large"
    NO_END = "no_end", "No end reported"
    LOST = "lost", "Lost at AMC"
    INTERNAL = "internal", "Internal error"


class NotRunnableError(AmcHelperError):
    """A run cannot start; `message` says what to change."""

    code = "not_runnable"
    http_status = 422

    def __init__(self, message: str, *, reason: ErrorCode = ErrorCode.NOT_RUNNABLE) -> None:
        super().__init__(message)
        self.reason = reason


class DiskFullError(AmcHelperError):
    """The server has too little free space left to store or to make something."""

    code = "disk_full"
    http_status = 507

    def __init__(self) -> None:
        super().__init__("The server's disk is nearly full; its administrators have been told.")


class NotStoredError(AmcHelperError):
    """A disk refused to take a result."""

    code = "not_stored"
    http_status = 507


class ExportLimitError(AmcHelperError):
    """As many files are being prepared as one user, or all together, may have in preparation."""

    code = "export_limit"
    http_status = 429
