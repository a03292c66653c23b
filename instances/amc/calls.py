"""One call to AMC: headers, a token refreshed once, waits, pages, and what may be said twice."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import requests

from instances.amc.auth import TokenSource
from instances.amc.errors import (
    AmcAuthError,
    AmcCredentialsError,
    AmcError,
    AmcMalformedError,
    AmcRejectedError,
    AmcThrottledError,
    AmcUnexpectedError,
)
from instances.amc.fields import read_text
from instances.amc.hosts import Hosts, ensure_allowed
from instances.amc.rejections import reporting_error
from instances.amc.responses import (
    call_info,
    http_error,
    network_error,
    read_json,
    unexpected,
    was_nothing_sent,
)
from instances.amc.throttle import Throttle
from instances.amc.time_limits import TimeLimit, limited_to, seconds_left, time_limit
from instances.amc.transport import INTERACTIVE, RetryPolicy, SendBefore, open_session
from instances.amc.types import AccountRef, CallInfo, Listing

logger = logging.getLogger(__name__)
T = TypeVar("T")

PAGE_SIZE = 100
# All pages of a list together; far below the lease of a step, which hears nothing meanwhile.
MAX_LIST_SECONDS = 45.0
# What the lists are called, in words.
_WORDS = {"amcAccounts": "accounts", "dataSources": "data sources", "downloadUrls": "download links"}
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


@dataclass(frozen=True, slots=True)
class Pages:
    """A list at Amazon: where it is, the name its rows come under, and the fields that tell two rows apart."""

    path: str
    key: str
    id_fields: tuple[str, ...]
    account: AccountRef | None
    max_pages: int
    query: Mapping[str, str] = field(default_factory=dict)

    def id_of(self, row: object) -> tuple[str, ...] | None:
        """Return what a row is known by; None for a row that cannot be read."""
        row_id = tuple(read_text(row, name) for name in self.id_fields) if isinstance(row, dict) else ("",)
        return row_id if all(row_id) else None


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

    def _listing(self, pages: Pages, parse: Callable[[Mapping[str, Any], CallInfo], T]) -> Listing[T]:
        """Return the rows of a list, with the reason where some may be missing; raises AmcError when none came."""
        rows: list[T] = []
        try:
            for raw, call in self._rows(pages):
                rows.append(parse(raw, call))
        except (AmcAuthError, AmcCredentialsError):
            raise
        except AmcError as error:
            if not rows:
                raise
            return Listing(tuple(rows), error)
        return Listing(tuple(rows))

    def _rows(self, pages: Pages, *, whole: bool = True) -> Iterator[tuple[Mapping[str, Any], CallInfo]]:
        """Return the rows of all pages, each once.

        With `whole` a list that may lack rows is an error, raised behind the rows that came: a page that fails or
        comes again, a token that comes again, a row that cannot be read.
        """
        seen: set[tuple[str, ...]] = set()
        has_odd_rows = False
        for payload, call in self._page_answers(pages, whole=whole):
            rows = [(pages.id_of(raw), raw) for raw in _rows_of(payload, pages.key, call)]
            fresh = {row_id: raw for row_id, raw in rows if row_id and row_id not in seen}
            has_odd_rows |= any(row_id is None for row_id, _ in rows)
            if not fresh and any(row_id for row_id, _ in rows):
                # The rows of the page it stands for never came.
                if whole:
                    raise AmcUnexpectedError("Amazon gave the same page of its list twice.", call=call)
                return
            seen.update(fresh)
            yield from ((raw, call) for raw in fresh.values())
        if has_odd_rows and whole:
            raise AmcUnexpectedError("Amazon's list holds entries that cannot be read.")

    def _page_answers(self, pages: Pages, *, whole: bool = True) -> Iterator[tuple[Mapping[str, Any], CallInfo]]:
        """Walk through all pages; stops on a missing, empty or repeated token, at a page cap, and when time is up."""
        seen: set[str] = set()
        token, limit = "", TimeLimit.after(MAX_LIST_SECONDS)
        for _ in range(pages.max_pages):
            next_page = {"nextToken": token} if token else {}
            with limited_to(limit):
                payload, call = self._call(Request("GET", pages.path, pages.account, {**pages.query, **next_page}))
            if not isinstance(payload, dict):
                raise unexpected("a list", payload, call)
            yield payload, call
            token = str(payload.get("nextToken") or "")
            if not token:
                return
            if token in seen:
                break
            seen.add(token)
        logger.warning("amc paging stopped early path=%s pages=%s", pages.path, len(seen))
        if whole:
            raise AmcUnexpectedError("Amazon's list does not come to an end.")

    def _call(self, request: Request) -> tuple[Any, CallInfo]:
        """Call once, and once more with a fresh token where that can help, in the policy's time; raises AmcError."""
        with time_limit(self._policy.total_seconds):
            return self._ask(request)

    def _ask(self, request: Request) -> tuple[Any, CallInfo]:
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
        if self._throttle.wait(seconds_left(self._policy.wait_limit(request.method))) < 0:
            raise AmcThrottledError(
                "Amazon asked us to slow down. Try again later.", retry_after=self._throttle.pause_left
            )
        policy, moment = self._policy, request.send_before
        timeout = SendBefore(moment, policy.connect_timeout, policy.read_timeout) if moment else policy.timeouts
        return self._session.request(
            request.method,
            self._base + request.path,
            params=dict(request.query),
            json=request.body,
            headers=headers,
            # The stubs do not know that requests takes urllib3's object too.
            timeout=timeout,  # type: ignore[arg-type]
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


def _rows_of(payload: Mapping[str, Any], key: str, call: CallInfo) -> list[Any]:
    """Return the rows of a page; an account without any may answer with null, but then under the right name."""
    rows = payload.get(key, "")
    if not isinstance(rows, list | None):
        raise unexpected(f"a list of {_WORDS.get(key, key)}", payload, call)
    return rows or []


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
