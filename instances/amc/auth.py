"""Login with Amazon: consent, tokens, and one refresh for many callers."""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import requests

from instances.amc.errors import (
    AmcAuthError,
    AmcCredentialsError,
    AmcError,
    AmcMalformedError,
    AmcSlowError,
    AmcThrottledError,
    AmcUnavailableError,
)
from instances.amc.hosts import Hosts, ensure_allowed
from instances.amc.responses import call_info, error_text, network_error, read_json, unexpected
from instances.amc.time_limits import overrun, seconds_left, time_limit
from instances.amc.transport import INTERACTIVE, RetryPolicy, open_session, retry_after_seconds

logger = logging.getLogger(__name__)

SCOPE = "advertising::campaign_management"
# An access token lives an hour. Refreshed so early, none ends while a call is on its way.
REFRESH_BEFORE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the token endpoint gives; `expires_at` is an aware time of the access token's end."""

    access_token: str
    refresh_token: str
    expires_at: datetime

    def __repr__(self) -> str:
        return f"<Tokens until {self.expires_at:%Y-%m-%dT%H:%M:%SZ}>"


def pkce_pair() -> tuple[str, str]:
    """Make a PKCE verifier and its S256 challenge."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return verifier, base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


class LoginClient:
    """Ask Login with Amazon for tokens."""

    def __init__(
        self,
        hosts: Hosts,
        client_id: str,
        client_secret: str,
        *,
        local_url: str = "",
        policy: RetryPolicy = INTERACTIVE,
    ) -> None:
        self.hosts, self.client_id, self._client_secret = hosts, client_id, client_secret
        self.local_url, self.policy = local_url, policy

    def authorize_url(self, redirect_uri: str, state: str, code_challenge: str) -> str:
        """Return the consent page's address."""
        query = {
            "client_id": self.client_id,
            "scope": SCOPE,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        return f"{self.hosts.authorize}?{urlencode(query)}"

    def exchange_code(self, code: str, redirect_uri: str, code_verifier: str) -> Tokens:
        """Redeem a consent's code, which lives five minutes and works once; raises AmcError."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": code_verifier,
        }
        # A code works once: after an answer that got lost a second try could only be told so.
        # (urllib3 takes an empty set for "any method", so name one that is not used.)
        return self._ask(form, retried_methods=frozenset({"GET"}))

    def refresh(self, refresh_token: str) -> Tokens:
        """Get a fresh access token; raises AmcAuthError when the grant is gone."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        tokens = self._ask(form, retried_methods=frozenset({"POST"}))
        if not tokens.refresh_token:
            return Tokens(tokens.access_token, refresh_token, tokens.expires_at)
        return tokens

    def _ask(self, form: dict[str, str], *, retried_methods: frozenset[str]) -> Tokens:
        url = self.hosts.token
        ensure_allowed(url, self.local_url)
        body = {**form, "client_id": self.client_id, "client_secret": self._client_secret}
        with (
            time_limit(self.policy.total_seconds),
            open_session(url, policy=self.policy, retried_methods=retried_methods) as session,
        ):
            try:
                response = session.post(
                    url,
                    data=body,
                    timeout=self.policy.timeouts,  # type: ignore[arg-type]  # the stubs know only numbers
                    allow_redirects=False,
                    stream=True,
                )
                payload = read_json(response)
            except requests.RequestException as error:
                raise network_error(error) from None
        call = call_info(response)
        logger.info(
            "lwa call grant=%s status=%s request_id=%s latency_ms=%s",
            form["grant_type"], call.http_status, call.request_id, call.latency_ms,
        )  # fmt: skip
        if response.status_code != 200:
            raise _token_error(response, payload)
        if isinstance(payload, str):
            raise AmcMalformedError(
                "Amazon's sign-in gave an answer that could not be read. Try again.", call=call
            )
        access_token = payload.get("access_token") if isinstance(payload, dict) else None
        if not access_token or not isinstance(access_token, str):
            raise unexpected("a token", payload, call)
        seconds = _lifetime(payload.get("expires_in"))
        expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
        return Tokens(access_token, str(payload.get("refresh_token") or ""), expires_at)


class TokenSource:
    """Hand out one login's access token to any number of threads; the caller stores what it refreshed."""

    def __init__(self, login: LoginClient, refresh_token: str, tokens: Tokens | None = None) -> None:
        self.login, self.refresh_token = login, refresh_token
        self.current = tokens
        self.refreshed = False
        self._fetched_at: datetime | None = None
        self._failure: tuple[datetime, AmcError] | None = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<TokenSource {self.current!r}>"

    def access_token(self) -> str:
        """Return a token with at least five minutes left; raises AmcError when none can be had."""
        current = self.current
        if current is not None and self._is_fresh(current):
            return current.access_token
        with self._turn():
            # The thread that held the lock before may have refreshed for all.
            if self.current is not None and self._is_fresh(self.current):
                return self.current.access_token
            return self._refresh()

    def renew(self, rejected: str) -> str:
        """Return a token other than the one Amazon just rejected; of many callers one refreshes."""
        with self._turn():
            if self.current is not None and self.current.access_token != rejected:
                return self.current.access_token
            return self._refresh()

    @property
    def age_seconds(self) -> float:
        """Return how old the token is; of a stored one, going by its end and the usual hour of life."""
        if self.current is None:
            return 0.0
        if self._fetched_at is not None:
            return max(0.0, (datetime.now(UTC) - self._fetched_at).total_seconds())
        left = (self.current.expires_at - datetime.now(UTC)).total_seconds()
        return max(0.0, 3600.0 - left)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the lock; raises AmcSlowError when the time is up before another caller's refresh has ended."""
        if not self._lock.acquire(timeout=seconds_left(threading.TIMEOUT_MAX)):
            raise overrun() or AmcSlowError("Amazon's sign-in did not answer in time. Try again in a few minutes.")
        try:
            yield
        finally:
            self._lock.release()

    def _refresh(self) -> str:
        if self._failure is not None and datetime.now(UTC) - self._failure[0] < timedelta(seconds=2):
            # The callers that queued behind a failed refresh share its outcome instead of repeating it.
            raise self._failure[1]
        try:
            # Amazon does not rotate refresh tokens today; if it starts to, the newest is the valid one.
            newest = self.current.refresh_token if self.refreshed and self.current else self.refresh_token
            tokens = self.login.refresh(newest)
        except AmcError as error:
            self._failure = (datetime.now(UTC), error)
            raise
        self._failure = None
        self.current, self.refreshed, self._fetched_at = tokens, True, datetime.now(UTC)
        return tokens.access_token

    @staticmethod
    def _is_fresh(tokens: Tokens) -> bool:
        return tokens.expires_at - datetime.now(UTC) > REFRESH_BEFORE


def _lifetime(value: object) -> float:
    """Read `expires_in`; a missing or odd one counts as the usual hour."""
    try:
        return max(0.0, float(str(value)))
    except ValueError:
        return 3600.0


def _token_error(response: requests.Response, payload: object) -> AmcError:
    """Turn a token endpoint's refusal into the family."""
    call = call_info(response)
    code = str(payload.get("error", "")) if isinstance(payload, dict) else ""
    status = response.status_code
    if code == "invalid_grant":
        return AmcAuthError("Amazon no longer accepts this login. Reconnect it.", call=call)
    if status == 429:
        return AmcThrottledError(
            "Amazon's sign-in asks us to slow down. Try again in a minute.",
            retry_after=retry_after_seconds(response.headers.get("Retry-After")),
            call=call,
        )
    if status >= 500:
        return AmcUnavailableError(f"Amazon's sign-in has trouble (HTTP {status}). Try again later.", call=call)
    if code == "invalid_client" or status == 401:
        return AmcCredentialsError(
            "Amazon rejects this deployment's client ID or secret. An administrator must correct "
            "AMAZON_CLIENT_ID and AMAZON_CLIENT_SECRET.",
            call=call,
        )
    told = error_text(payload) or code or f"HTTP {status}"
    return AmcCredentialsError(f"Amazon's sign-in refused the request: {told}", call=call)
