"""Read Amazon's answers, whatever they look like."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, DecodeError, HTTPError, MaxRetryError, ReadTimeoutError

from instances.amc.errors import (
    AmcError,
    AmcForbiddenError,
    AmcMalformedError,
    AmcNotFoundError,
    AmcRejectedError,
    AmcThrottledError,
    AmcTimeoutError,
    AmcUnavailableError,
    AmcUnexpectedError,
)
from instances.amc.time_limits import overrun
from instances.amc.transport import RetryWithThrottle, is_timeout, retry_after_seconds
from instances.amc.types import CallInfo

# An administration answer is a few hundred kilobytes at most; more is not what we asked for.
_MAX_BODY_BYTES = 16 * 1024 * 1024
# Where Amazon puts words, the best first.
_WORDS = ("details", "message", "statusReason", "error_description")
_TERMS = "terms and conditions must be accepted"
_TOKEN = re.compile(r"At[a-z]{1,2}\|[^\s\"']+")


def call_info(response: requests.Response) -> CallInfo:
    """Return status, request ID and the duration without the waits between tries."""
    retries = getattr(response.raw, "retries", None)
    waited = retries.waited if isinstance(retries, RetryWithThrottle) else 0.0
    seconds = max(0.0, response.elapsed.total_seconds() - waited)
    headers = response.headers
    request_id = (
        headers.get("x-amz-rid") or headers.get("x-amz-request-id") or headers.get("x-amzn-RequestId") or ""
    )
    return CallInfo(response.status_code, request_id[:100], round(seconds * 1000))


@contextmanager
def reading() -> Iterator[None]:
    """Turn what urllib3 raises while a body is read into what requests raises before; keeps DecodeError."""
    try:
        yield
    except DecodeError:
        raise
    except ReadTimeoutError as error:
        raise requests.ReadTimeout(str(error)) from error
    except (HTTPError, OSError) as error:
        raise requests.ConnectionError(str(error)) from error


def read_json(response: requests.Response) -> Any:
    """Return the body as JSON whatever the content type says; `{}` when empty, the text when it is not JSON.

    Raises requests.RequestException when the body breaks off, AmcMalformedError when it is too large or
    not compressed as it says.
    """
    try:
        with reading():
            body = response.raw.read(_MAX_BODY_BYTES + 1, decode_content=True)
    except DecodeError as error:
        raise AmcMalformedError(
            "Amazon's answer could not be unpacked. Try again later.", call=call_info(response)
        ) from error
    finally:
        # An answer read to its end goes back to the pool; closing one that was not drops the connection.
        response.close()
    if len(body) > _MAX_BODY_BYTES:
        raise AmcMalformedError("Amazon's answer is larger than any we know.", call=call_info(response))
    if not body.strip():
        return {}
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")


def unexpected(what: str, payload: object, call: CallInfo | None) -> AmcUnexpectedError:
    """Return the error of an answer that does not hold `what`; a message in its place is passed on."""
    told = {name: payload.get(name) for name in _WORDS} if isinstance(payload, dict) else {}
    words = next(
        (clean_words(text, max_length=200) for text in told.values() if text and isinstance(text, str)), ""
    )
    says = f" Amazon says: {words}" if words else ""
    return AmcUnexpectedError(f"Amazon answered, but not with {what}.{says}", call=call)


def error_text(payload: object, *, max_length: int = 500) -> str:
    """Return Amazon's words: the first of the usual fields, else the beginning of the text."""
    if isinstance(payload, dict):
        for name in _WORDS:
            if payload.get(name):
                return clean_words(str(payload[name]), max_length=max_length)
        return clean_words(json.dumps(payload), max_length=max_length) if payload else ""
    text = str(payload or "").strip()
    # A page from a gateway says nothing to a reader.
    return "" if text.startswith("<") else clean_words(text, max_length=max_length)


def clean_words(text: str, *, max_length: int) -> str:
    """Shorten Amazon's words, and hide tokens: an answer may repeat what was sent."""
    return _TOKEN.sub("[token]", text)[:max_length]


def was_nothing_sent(error: requests.RequestException) -> bool:
    """Return whether the request surely did not reach Amazon; everything else may have had its effect."""
    # A proxy's error means that the connection through it was never made.
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.ProxyError | ValueError):
        return True
    reason = _reason(error)
    if isinstance(reason, ConnectTimeoutError):
        return True
    # TLS can also break in the middle of an answer; a certificate is refused before anything is said.
    return any(isinstance(part, ssl.SSLCertVerificationError) for part in getattr(reason, "args", ()))


def _reason(error: requests.RequestException) -> Any:
    cause = error.args[0] if error.args else None
    return cause.reason if isinstance(cause, MaxRetryError) else cause


def network_error(error: requests.RequestException) -> AmcError:
    """Turn a failure below HTTP into the family; the library's text can hold URLs, so it stays out."""
    reason = _reason(error)
    if (late := overrun()) is not None:
        return late
    # After retries requests reports a read timeout as a lost connection.
    if isinstance(error, requests.Timeout) or is_timeout(reason):
        return AmcTimeoutError("Amazon did not answer in time. Try again later.")
    if isinstance(error, requests.exceptions.SSLError):
        return AmcUnavailableError(
            "The connection to Amazon is not trusted (TLS). Check the machine's clock, proxy and certificates.",
            reason="network",
        )
    if isinstance(error, requests.exceptions.ProxyError):
        return AmcUnavailableError(
            "The proxy did not let us through to Amazon. Check the proxy's settings.", reason="network"
        )
    return AmcUnavailableError(
        "Amazon could not be reached, or the connection broke off. Check the network and try again.",
        reason="network",
    )


def http_error(response: requests.Response, payload: object) -> AmcError:
    """Turn an error answer into the family, by its status and the code in its body."""
    call, status, told = call_info(response), response.status_code, error_text(payload)
    words = f" Amazon says: {told}" if told else ""
    if status == 403 and _TERMS in told.lower():
        return AmcForbiddenError(
            "The AMC terms are not accepted for this login. Accept them in the AMC console." + words,
            reason="terms_required",
            call=call,
        )
    if status == 403:
        return AmcForbiddenError(
            "Amazon refuses access: the entity ID or instance ID is wrong, or the login has no permission."
            + words,
            call=call,
        )
    if status == 404 or (status == 400 and "does not exist" in told):
        return AmcNotFoundError(
            "Amazon does not know this: wrong ID, or a marketplace that is not the account's." + words,
            call=call,
        )
    if status == 429:
        seconds = retry_after_seconds(response.headers.get("Retry-After"))
        return AmcThrottledError("Amazon asks us to slow down." + words, retry_after=seconds, call=call)
    if status >= 500:
        return AmcUnavailableError(f"Amazon has trouble (HTTP {status}). Try again later." + words, call=call)
    if status == 410:
        return AmcRejectedError("Amazon switched this address off." + words, reason="gone", call=call)
    return AmcRejectedError(f"Amazon refused the request (HTTP {status})." + words, call=call)
