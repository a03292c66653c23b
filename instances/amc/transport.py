"""The HTTP session: pooling, timeouts, and retries with a policy."""

from __future__ import annotations

import logging
import math
import os
import random
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.cookies import RequestsCookieJar
from requests.utils import get_environ_proxies
from urllib3 import BaseHTTPResponse, Retry
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ReadTimeoutError,
    ResponseError,
)

from amchelper import __version__
from instances.amc.adapter import LimitedAdapter, LimitedTimeout
from instances.amc.errors import AmcThrottledError, AmcTimeoutError
from instances.amc.throttle import Throttle
from instances.amc.time_limits import seconds_left

USER_AGENT = f"amc-helper/{__version__}"
RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
MAX_RETRY_AFTER_SECONDS = 15 * 60.0
_MAX_BACKOFF_SECONDS = 60.0
_MAX_POST_WAIT_SECONDS = 10.0
_random = random.SystemRandom()


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long one call may take: tries in all, seconds lost before the last of them starts, timeouts.

    The timeouts are for connecting and for silence; `total_seconds` ends an answer that never ends.
    """

    tries: int
    max_wait_seconds: float
    connect_timeout: float
    read_timeout: float

    @property
    def total_seconds(self) -> float:
        """Return the seconds one call may take in all: its last try begins late, connects and is answered."""
        return self.max_wait_seconds + self.connect_timeout + self.read_timeout

    @property
    def timeouts(self) -> LimitedTimeout:
        """Return the timeouts of a request."""
        return LimitedTimeout(self.connect_timeout, self.read_timeout)

    def wait_limit(self, method: str | None) -> float:
        """Return the seconds a call may lose to waits; short for what creates something.

        A worker that waited for minutes and then crashed could not tell when the request went out.
        """
        return min(self.max_wait_seconds, _MAX_POST_WAIT_SECONDS) if method == "POST" else self.max_wait_seconds


# A person waits for the page.
INTERACTIVE = RetryPolicy(tries=3, max_wait_seconds=8, connect_timeout=5, read_timeout=10)
# A worker waits.
BACKGROUND = RetryPolicy(tries=5, max_wait_seconds=120, connect_timeout=5, read_timeout=60)
# A probe would rather say that AMC is slow than keep hundreds of others waiting.
PROBE = RetryPolicy(tries=3, max_wait_seconds=20, connect_timeout=5, read_timeout=15)


class SendBefore(LimitedTimeout):
    """The timeouts of a request that must not go out after a moment, whatever it waited for: then nothing is sent.

    urllib3 starts them right before each try, its own retries too.
    """

    def __init__(self, moment: datetime, connect: float, read: float) -> None:
        super().__init__(connect, read)
        self._moment = moment

    def clone(self) -> SendBefore:
        """Return timeouts that have not started, for one try."""
        return SendBefore(self._moment, *self._seconds)

    def start_connect(self) -> float:
        """Start; raises AmcTimeoutError when it is too late."""
        if datetime.now(UTC) >= self._moment:
            raise AmcTimeoutError("The request waited too long for its turn and was not sent. It is tried again.")
        return super().start_connect()


class _QueryFilter(logging.Filter):
    """Take query strings out of urllib3's own log lines: a presigned link is as good as a password."""

    _QUERY = re.compile(r"\?\S+")

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                self._QUERY.sub("?[query]", part) if isinstance(part, str) else part for part in record.args
            )
        return True


for _name in ("urllib3.connectionpool", "urllib3.util.retry"):
    logging.getLogger(_name).addFilter(_QueryFilter())


class RetryWithThrottle(Retry):
    """Back off with full jitter or as Amazon asks, but never wait longer in all than the policy allows."""

    def __init__(
        self,
        *args: Any,
        policy: RetryPolicy,
        throttle: Throttle | None = None,
        waited: float = 0.0,
        timed_out: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.policy, self.throttle, self.waited, self.timed_out = policy, throttle, waited, timed_out
        self._next_wait, self._wait_limit = 0.0, policy.max_wait_seconds

    def new(self, **kwargs: Any) -> RetryWithThrottle:
        """Copy, keeping what this class added."""
        kept = {
            "policy": self.policy,
            "throttle": self.throttle,
            "waited": self.waited,
            "timed_out": self.timed_out,
        }
        return super().new(**{**kept, **kwargs})

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
        """Return whether to try again: throttling means nothing was done, so then whatever the method."""
        return status_code == 429 or super().is_retry(method, status_code, has_retry_after)

    def increment(
        self,
        method: str | None = None,
        url: str | None = None,
        response: BaseHTTPResponse | None = None,
        error: Exception | None = None,
        _pool: Any = None,
        _stacktrace: Any = None,
    ) -> RetryWithThrottle:
        """Count a try; raises MaxRetryError when the tries or the policy are used up."""
        if error is not None and not self._may_repeat(method, error):
            raise error
        wait, limit = self._wait_for(response), self.policy.wait_limit(method)
        if response is not None and response.status == 429 and self.throttle is not None:
            self.throttle.throttled(wait)
        timed_out = self.timed_out + self._lost_in(error)
        if self.waited + timed_out + wait > limit or wait >= seconds_left(math.inf):
            reason = error or ResponseError("the wait is longer than this call may take")
            raise MaxRetryError(_pool, url or "", reason)
        following = super().increment(method, url, response, error, _pool, _stacktrace)
        following.waited, following.timed_out = self.waited + wait, timed_out
        following._next_wait, following._wait_limit = wait, limit
        return following

    def sleep(self, response: BaseHTTPResponse | None = None) -> None:
        """Wait before the next try; raises AmcThrottledError when the queue at the throttle is too long."""
        time.sleep(self._next_wait)
        # Calls that were throttled together would otherwise all come back in the same moment.
        if self.throttle is not None and self.throttle.wait(seconds_left(self._wait_limit)) < 0:
            raise AmcThrottledError(
                "Amazon asked us to slow down. Try again later.", retry_after=self.throttle.pause_left
            )

    def _may_repeat(self, method: str | None, error: Exception) -> bool:
        # urllib3 repeats any method after errors it counts as "other", TLS breaking in mid-answer among them;
        # for what must not be done twice only a connection that was never made is safe.
        return self._is_connection_error(error) or method is None or self._is_method_retryable(method)

    def _lost_in(self, error: Exception | None) -> float:
        if isinstance(error, ReadTimeoutError):
            return self.policy.read_timeout
        return self.policy.connect_timeout if is_timeout(error) else 0.0

    def _wait_for(self, response: BaseHTTPResponse | None) -> float:
        demanded = retry_after_seconds(response.headers.get("Retry-After")) if response is not None else None
        if demanded is not None:
            return demanded
        # Full jitter on 2, 4, 8 … s when Amazon throttles; a lost connection is tried again sooner.
        base = 2.0 if response is not None and response.status == 429 else 0.5
        ceiling = min(_MAX_BACKOFF_SECONDS, base * 2 ** len(self.history))
        return _random.uniform(0, ceiling)


def is_timeout(error: object) -> bool:
    """Return whether urllib3's error means that time ran out; a refused connection derives from a timeout there."""
    if not isinstance(error, HTTPError) or isinstance(error, NewConnectionError):
        return False
    return isinstance(error, ReadTimeoutError | ConnectTimeoutError)


def retry_after_seconds(value: str | None) -> float | None:
    """Read a Retry-After header, seconds or an HTTP date, capped; None when absent, negative or unreadable."""
    if not value:
        return None
    text = value.strip()
    if text.isdecimal():
        return min(float(text), MAX_RETRY_AFTER_SECONDS)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = (moment - datetime.now(UTC)).total_seconds()
    return min(seconds, MAX_RETRY_AFTER_SECONDS) if seconds >= 0 else None


def open_session(
    url: str,
    *,
    policy: RetryPolicy,
    throttle: Throttle | None = None,
    pool_size: int = 4,
    retried_methods: frozenset[str] = frozenset({"GET"}),
) -> requests.Session:
    """Open a pooled session for `url`'s host that retries `retried_methods` by the retry matrix."""
    session = requests.Session()
    # The environment is read once, here: per request it costs time, and a .netrc entry would replace the
    # Authorization header.
    session.trust_env = False
    session.proxies = dict(get_environ_proxies(url))
    session.verify = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
    # Threads share the session, and AMC needs no cookies: keep none.
    session.cookies = RequestsCookieJar(policy=DefaultCookiePolicy(allowed_domains=[]))
    session.headers.clear()
    session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"})
    retry = RetryWithThrottle(
        total=policy.tries - 1,
        allowed_methods=retried_methods,
        status_forcelist=RETRIED_STATUSES,
        respect_retry_after_header=False,  # _wait_for reads it, for the statuses above only
        raise_on_status=False,
        redirect=False,
        policy=policy,
        throttle=throttle,
    )
    adapter = LimitedAdapter(pool_connections=2, pool_maxsize=pool_size, max_retries=retry, pool_block=False)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session
