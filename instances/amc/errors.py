"""Everything that can go wrong at Amazon, as one family; no message ever holds a secret."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amchelper.exceptions import AmcHelperError

if TYPE_CHECKING:
    from instances.amc.types import CallInfo


class AmcError(AmcHelperError):
    """A call to Amazon failed; `reason` is the code health checks show, `transient` allows a retry."""

    code = "amc_error"
    http_status = 502
    transient = False
    default_reason = "bad_request"

    def __init__(self, message: str, *, reason: str = "", call: CallInfo | None = None) -> None:
        super().__init__(message)
        self.reason = reason or self.default_reason
        self.call = call


class AmcTimeoutError(AmcError):
    """No answer in time."""

    code = "amc_timeout"
    transient = True
    default_reason = "network"


class AmcUnavailableError(AmcError):
    """Amazon could not be reached, or answered with an error of its own."""

    code = "amc_unavailable"
    transient = True
    default_reason = "upstream_error"


class AmcThrottledError(AmcError):
    """Amazon asks to slow down; `retry_after` is in seconds, None when it did not say."""

    code = "amc_throttled"
    http_status = 503
    transient = True
    default_reason = "throttled"

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
    """Amazon refused the request; the message carries its words."""

    code = "amc_rejected"


class AmcMalformedError(AmcError):
    """Amazon's answer could not be read."""

    code = "amc_malformed"
    default_reason = "malformed_response"


class AmcHostError(AmcError):
    """A token would have gone to a host that is not Amazon's."""

    code = "amc_host"
    default_reason = "wrong_host"
