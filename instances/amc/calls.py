"""One call to AMC: headers, a token refreshed once, waits, pages, and what may be said twice."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import requests

from instances.amc.auth import TokenSource
from instances.amc.errors import AmcAuthError, AmcError, AmcMalformedError, AmcRejectedError, AmcThrottledError
from instances.amc.hosts import Hosts, ensure_allowed
from instances.amc.rejections import reporting_error
from instances.amc.responses import call_info, http_error, network_error, read_json, was_nothing_sent
from instances.amc.throttle import Throttle
from instances.amc.transport import INTERACTIVE, RetryPolicy, SendBefore, open_session
from instances.amc.types import AccountRef, CallInfo

logger = logging.getLogger(__name__)

PAGE_SIZE = 100
# A 403 with a token older than this may only mean that it expired: Amazon does not always answer 401.
_OLD_TOKEN_SECONDS = 55 * 60
# What may be sent again after a failure. POST is not among them: it is sent again only when it surely had no effect.
_REPEATED = frozenset({"GET", "PUT"})


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, before the token; after `send_before` it is not sent any more."""

    method: str
    path: str
    account: AccountRef | None
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    send_before: datetime | None = None


class Calls:
    """Talk to AMC in one region with one login; safe to share between threads."""

    def __init__(
        self,
        hosts: Hosts,
        client_id: str,
        tokens: TokenSource,
        *,
        local_url: str = "",
        throttle: Throttle | None = None,
        policy: RetryPolicy = INTERACTIVE,
        pool_size: int = 4,
    ) -> None:
        ensure_allowed(hosts.api, local_url)
        self._base, self._client_id, self._tokens = hosts.api, client_id, tokens
        self._throttle, self._policy, self._local_url = throttle or Throttle(), policy, local_url
        self._timeouts = (policy.connect_timeout, policy.read_timeout)
        self._session = open_session(
            hosts.api, policy=policy, throttle=self._throttle, pool_size=pool_size, retried_methods=_REPEATED
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _pages(
        self,
        path: str,
        key: str,
        account: AccountRef | None,
        query: Mapping[str, str],
        *,
        max_pages: int,
        whole: bool = False,
    ) -> Iterator[tuple[Mapping[str, Any], CallInfo]]:
        """Return the rows of all pages; with `whole` a list that may lack rows is an error."""
        for payload, call in self._page_answers(path, account, query, max_pages=max_pages, whole=whole):
            # An account without anything may answer with nothing or null, but then under the right name.
            named = key in payload or (not payload and not whole)
            if not named or not isinstance(payload.get(key), list | None):
                raise AmcMalformedError(f"Amazon's answer holds no {key}. Try again later.", call=call)
            yield from ((row, call) for row in payload.get(key) or [] if isinstance(row, dict))

    def _page_answers(
        self,
        path: str,
        account: AccountRef | None,
        query: Mapping[str, str],
        *,
        max_pages: int,
        whole: bool = False,
    ) -> Iterator[tuple[Mapping[str, Any], CallInfo]]:
        """Walk through all pages; stops on a missing, empty or repeated token, and at a page cap."""
        seen: set[str] = set()
        token = ""
        for _ in range(max_pages):
            next_page = {"nextToken": token} if token else {}
            payload, call = self._call(Request("GET", path, account, {**query, **next_page}))
            if not isinstance(payload, dict):
                raise AmcMalformedError("Amazon's answer is not a list. Try again later.", call=call)
            yield payload, call
            token = str(payload.get("nextToken") or "")
            if not token:
                return
            if token in seen:
                break
            seen.add(token)
        logger.warning("amc paging stopped early path=%s pages=%s", path, len(seen))
        if whole:
            raise AmcMalformedError("Amazon's list does not come to an end. Try again later.")

    def _call(self, request: Request) -> tuple[Any, CallInfo]:
        """Call once, and once more with a fresh token where that can help; raises AmcError."""
        token = self._tokens.access_token()
        response, payload = self._send(request, token)
        old = self._tokens.age_seconds > _OLD_TOKEN_SECONDS
        if response.status_code == 401 or (response.status_code == 403 and old):
            token = self._tokens.renew(token)
            response, payload = self._send(request, token)
        call = call_info(response)
        if response.status_code == 401:
            raise AmcAuthError(
                "Amazon rejected a fresh token: it does not fit this deployment's client ID. Reconnect the login.",
                reason="unauthenticated",
                call=call,
            )
        if not 200 <= response.status_code < 300:
            raise _refused(request, response, payload)
        self._throttle.passed()
        if isinstance(payload, str):
            raise _unreadable(request, response)
        return payload, call

    def _send(self, request: Request, token: str) -> tuple[requests.Response, Any]:
        try:
            response = self._open(request, token)
            try:
                payload = read_json(response)
            except (requests.RequestException, AmcMalformedError) as error:
                response, payload = self._send_again(request, token, response, error)
        except requests.RequestException as error:
            logger.warning(
                "amc call failed method=%s path=%s error=%s", request.method, request.path, type(error).__name__
            )
            failure = network_error(error)
            failure.outcome_unknown = request.method not in _REPEATED and not was_nothing_sent(error)
            raise failure from None
        call = call_info(response)
        logger.log(
            logging.INFO if response.ok else logging.WARNING,
            "amc call method=%s path=%s status=%s request_id=%s latency_ms=%s",
            request.method, request.path, call.http_status, call.request_id, call.latency_ms,
        )  # fmt: skip
        return response, payload

    def _send_again(
        self, request: Request, token: str, response: requests.Response, error: Exception
    ) -> tuple[requests.Response, Any]:
        """Repeat once after a body that broke off behind its head, which the adapter's retries do not see."""
        if request.method in _REPEATED:
            if not isinstance(error, requests.ConnectionError):
                raise error
            response = self._open(request, token)
            return response, read_json(response)
        if 400 <= response.status_code < 500:
            return response, ""  # refused, whatever the words were
        if isinstance(error, AmcMalformedError):
            raise _unreadable(request, response) from error
        raise error

    def _open(self, request: Request, token: str) -> requests.Response:
        headers = self._headers(request.account, token)
        if self._throttle.wait(self._policy.wait_limit(request.method)) < 0:
            raise AmcThrottledError(
                "Amazon asked us to slow down. Try again later.", retry_after=self._throttle.pause_left
            )
        moment = request.send_before
        return self._session.request(
            request.method,
            self._base + request.path,
            params=dict(request.query),
            json=request.body,
            headers=headers,
            # The stubs do not know that requests takes urllib3's object too.
            timeout=self._timeouts if moment is None else SendBefore(moment, *self._timeouts),  # type: ignore[arg-type]
            allow_redirects=False,  # a token goes to no other host
            stream=True,
        )

    def _headers(self, account: AccountRef | None, token: str) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {token}", "Amazon-Advertising-API-ClientId": self._client_id}
        if account is not None:
            for value in (account.account_id, account.marketplace_id):
                if not (value.isascii() and value.isprintable()):
                    raise AmcRejectedError("The entity ID or marketplace ID holds characters Amazon's never have.")
            headers["Amazon-Advertising-API-AdvertiserId"] = account.account_id
            headers["Amazon-Advertising-API-MarketplaceId"] = account.marketplace_id
        return headers


def _refused(request: Request, response: requests.Response, payload: object) -> AmcError:
    """Turn an error answer into the family; after a server's error it is not known whether it did what was asked."""
    read_error = reporting_error if request.path.startswith("/amc/reporting/") else http_error
    error = read_error(response, payload)
    error.outcome_unknown = request.method not in _REPEATED and response.status_code >= 500
    return error


def _unreadable(request: Request, response: requests.Response) -> AmcMalformedError:
    error = AmcMalformedError("Amazon's answer could not be read. Try again later.", call=call_info(response))
    error.outcome_unknown = request.method not in _REPEATED
    return error
