"""Everything that can go wrong at Amazon, as one family; no message ever holds a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from amchelper.exceptions import AmcHelperError

if TYPE_CHECKING:
    from instances.amc.types import CallInfo


class SqlPosition(NamedTuple):
    """Where in the SQL something is wrong, counted from 1; the end is the beginning when only that is told."""

    line: int
    column: int
    end_line: int
    end_column: int


class AmcError(AmcHelperError):
    """A call to Amazon failed; `reason` is the code health checks show, `transient` allows a retry.

    `outcome_unknown` tells that Amazon may have done what was asked although no answer says so.
    """

    code = "amc_error"
    http_status = 502
    transient = False
    default_reason = "bad_request"

    def __init__(self, message: str, *, reason: str = "", call: CallInfo | None = None) -> None:
        super().__init__(message)
        self.reason = reason or self.default_reason
        self.call = call
        self.outcome_unknown = False


class AmcTimeoutError(AmcError):
    """No answer in time."""

    code = "amc_timeout"
    transient = True
    default_reason = "network"


class AmcSlowError(AmcTimeoutError):
    """Amazon began to answer, or kept us waiting, and had not finished when the time was up."""

    code = "amc_slow"
    default_reason = "too_slow"


class AmcUnavailableError(AmcError):
    """Amazon could not be reached, or answered with an error of its own."""

    code = "amc_unavailable"
    transient = True
    default_reason = "upstream_error"


class AmcLaterError(AmcError):
    """Not now: try again after `retry_after` seconds, or some time when that is None."""

    code = "amc_later"
    http_status = 503
    transient = True

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        reason: str = "",
        call: CallInfo | None = None,
    ) -> None:
        super().__init__(message, reason=reason, call=call)
        self.retry_after = retry_after


class AmcThrottledError(AmcLaterError):
    """Amazon asks to slow down; it did not say for how long when `retry_after` is None."""

    code = "amc_throttled"
    default_reason = "throttled"


class AmcLimitError(AmcLaterError):
    """As many executions as Amazon allows are open already; nothing was created."""

    code = "amc_limit"
    default_reason = "execution_limit"


class AmcNotReadyError(AmcLaterError):
    """The result cannot be downloaded yet."""

    code = "amc_not_ready"
    default_reason = "not_ready"


class AmcNotVisibleError(AmcLaterError):
    """AMC does not show the execution yet: it was created only a moment ago."""

    code = "amc_not_visible"
    default_reason = "not_visible"


class AmcOutcomeUnknownError(AmcLaterError):
    """It is not known whether AMC created the execution: look for it before anything is posted again.

    `__cause__` is the failure that hid the answer.
    """

    code = "amc_outcome_unknown"
    default_reason = "outcome_unknown"


class AmcAuthError(AmcError):
    """The login is not accepted: its owner must connect it again."""

    code = "amc_auth"
    http_status = 409
    default_reason = "reconnect_required"


class AmcCredentialsError(AmcError):
    """This deployment's client ID or secret is not accepted: an administrator must correct it."""

    code = "amc_credentials"
    default_reason = "credentials_misconfigured"


class AmcForbiddenError(AmcError):
    """The login may not use this account or instance, or has not accepted AMC's terms."""

    code = "amc_forbidden"
    default_reason = "forbidden"


class AmcNotFoundError(AmcError):
    """AMC does not know this in the account and marketplace that were named."""

    code = "amc_not_found"
    default_reason = "not_found"


class AmcRejectedError(AmcError):
    """Amazon refused the request; the message carries its words, `position` where the SQL is wrong if told."""

    code = "amc_rejected"

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        position: SqlPosition | None = None,
        call: CallInfo | None = None,
    ) -> None:
        super().__init__(message, reason=reason, call=call)
        self.position = position


class AmcTooLargeError(AmcError):
    """A result is larger than we agreed to take."""

    code = "amc_too_large"
    default_reason = "too_large"


class AmcMalformedError(AmcError):
    """Amazon's answer could not be read."""

    code = "amc_malformed"
    default_reason = "malformed_response"


class AmcUnexpectedError(AmcMalformedError):
    """Amazon's answer could be read, and is not what was asked for: it proves nothing, whatever its status says."""

    code = "amc_unexpected"
    default_reason = "unexpected_answer"


class AmcHostError(AmcError):
    """A token would have gone to a host that is not Amazon's."""

    code = "amc_host"
    default_reason = "wrong_host"
