"""The AMC client: typed results or one family of errors; nothing above it knows HTTP."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any
from urllib.parse import quote

import requests

from instances.amc.answers import call_info, http_error, network_error, read_json
from instances.amc.auth import TokenSource
from instances.amc.brake import Brake
from instances.amc.errors import AmcAuthError, AmcMalformedError, AmcRejectedError, AmcThrottledError
from instances.amc.hosts import Hosts, ensure_allowed
from instances.amc.transport import BACKGROUND, INTERACTIVE, PROBE, Patience, open_session
from instances.amc.types import (
    AccountRef,
    AmcAccount,
    AmcInstance,
    CallInfo,
    InstanceRef,
    parse_account,
    parse_instance,
)

__all__ = ["BACKGROUND", "INTERACTIVE", "PROBE", "AmcClient", "Patience"]

logger = logging.getLogger(__name__)

_PAGE_SIZE = 100
_MOST_PAGES = 200
# amc-api, contradictions 2: a 403 with a token older than this may only mean that it expired.
_OLD_TOKEN_SECONDS = 55 * 60


class AmcClient:
    """Talk to AMC in one region with one login; safe to share between threads."""

    def __init__(
        self,
        hosts: Hosts,
        client_id: str,
        tokens: TokenSource,
        *,
        local_url: str = "",
        brake: Brake | None = None,
        patience: Patience = INTERACTIVE,
        pool_size: int = 4,
    ) -> None:
        ensure_allowed(hosts.api, local_url)
        self._base, self._client_id, self._tokens = hosts.api, client_id, tokens
        self._brake, self._patience = brake or Brake(), patience
        self._timeouts = (patience.connect_timeout, patience.read_timeout)
        self._session = open_session(hosts.api, patience=patience, brake=self._brake, pool_size=pool_size)

    def __enter__(self) -> AmcClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def list_accounts(self) -> list[AmcAccount]:
        """Give the AMC accounts the login administers; an agency's login may reach others too."""
        rows = self._pages("/amc/accounts", "amcAccounts", None, {})
        accounts = [parse_account(raw) for raw, _ in rows]
        # The pair is the identity; a page that comes again must not double it.
        return list({account.ref: account for account in accounts}.values())

    def list_instances(self, account: AccountRef) -> list[AmcInstance]:
        """Give all instances of an account in its marketplace."""
        rows = self._pages("/amc/instances", "instances", account, {"limit": str(_PAGE_SIZE)})
        instances = [parse_instance(raw, call) for raw, call in rows]
        return list({instance.instance_id: instance for instance in instances}.values())

    def get_instance(self, instance: InstanceRef) -> AmcInstance:
        """Give one instance; the cheapest call that proves login, headers, instance and state together."""
        path = f"/amc/instances/{quote(instance.instance_id, safe='')}"
        payload, call = self._get(path, instance.account, {})
        # Wrapped in captures, flat in some clients' tests (amc-api, contradictions 1): take both.
        raw = payload.get("instance") if isinstance(payload, dict) and "instance" in payload else payload
        if not isinstance(raw, dict) or not raw:
            raise AmcMalformedError("Amazon's answer does not describe an instance. Try again later.", call=call)
        return parse_instance(raw, call)

    def check_reporting(self, instance: InstanceRef) -> CallInfo:
        """Prove reporting rights, which administration rights do not imply."""
        path = f"/amc/reporting/{quote(instance.instance_id, safe='')}/workflows"
        payload, call = self._get(path, instance.account, {"limit": "1"})
        if not isinstance(payload, dict):
            raise AmcMalformedError("Amazon's answer does not list workflows. Try again later.", call=call)
        return call

    def _pages(
        self, path: str, key: str, account: AccountRef | None, query: Mapping[str, str]
    ) -> Iterator[tuple[Mapping[str, Any], CallInfo]]:
        """Walk through all pages; stops on a missing, empty or repeated token, and at a page cap."""
        seen: set[str] = set()
        token = ""
        for _ in range(_MOST_PAGES):
            payload, call = self._get(path, account, {**query, **({"nextToken": token} if token else {})})
            # An account without anything may answer with nothing or null, but then under the right name.
            if not isinstance(payload, dict) or (payload and not isinstance(payload.get(key, 0), list | None)):
                raise AmcMalformedError(f"Amazon's answer holds no {key}. Try again later.", call=call)
            yield from ((row, call) for row in payload.get(key) or [] if isinstance(row, dict))
            token = str(payload.get("nextToken") or "")
            if not token:
                return
            if token in seen:
                break
            seen.add(token)
        logger.warning("amc paging stopped early path=%s pages=%s", path, len(seen))

    def _get(self, path: str, account: AccountRef | None, query: Mapping[str, str]) -> tuple[Any, CallInfo]:
        """Call once, and once more with a fresh token where that can help; raises AmcError."""
        token = self._tokens.access_token()
        response, payload = self._send(path, account, query, token)
        old = self._tokens.age_seconds > _OLD_TOKEN_SECONDS
        if response.status_code == 401 or (response.status_code == 403 and old):
            token = self._tokens.renew(token)
            response, payload = self._send(path, account, query, token)
        call = call_info(response)
        if response.status_code == 401:
            raise AmcAuthError(
                "Amazon rejected a fresh token: it does not fit this deployment's client ID. Reconnect the login.",
                reason="unauthenticated",
                call=call,
            )
        if not 200 <= response.status_code < 300:
            raise http_error(response, payload)
        self._brake.passed()
        if isinstance(payload, str):
            raise AmcMalformedError("Amazon's answer could not be read. Try again later.", call=call)
        return payload, call

    def _send(
        self, path: str, account: AccountRef | None, query: Mapping[str, str], token: str
    ) -> tuple[requests.Response, Any]:
        headers = self._headers(account, token)
        try:
            response = self._open(path, query, headers)
            try:
                payload = read_json(response)
            except requests.ConnectionError:
                # The body broke off after its head, which the adapter's retries do not see: repeat once.
                response = self._open(path, query, headers)
                payload = read_json(response)
        except requests.RequestException as error:
            logger.warning("amc call failed method=GET path=%s error=%s", path, type(error).__name__)
            raise network_error(error) from None
        call = call_info(response)
        logger.log(
            logging.INFO if response.ok else logging.WARNING,
            "amc call method=GET path=%s status=%s request_id=%s latency_ms=%s",
            path,
            call.http_status,
            call.request_id,
            call.latency_ms,
        )
        return response, payload

    def _open(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> requests.Response:
        if self._brake.wait(self._patience.max_wait_seconds) < 0:
            raise AmcThrottledError(
                "Amazon asked us to slow down. Try again later.", retry_after=self._brake.pause_left
            )
        return self._session.get(
            self._base + path,
            params=dict(query),
            headers=headers,
            timeout=self._timeouts,
            allow_redirects=False,  # a token follows nobody to another host
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
