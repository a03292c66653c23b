"""What only a real socket does: resets, broken bodies, silence, waits, pooled connections."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from instances.amc.client import INTERACTIVE, RetryPolicy
from instances.amc.errors import (
    AmcError,
    AmcMalformedError,
    AmcThrottledError,
    AmcTimeoutError,
    AmcUnavailableError,
)
from instances.amc.throttle import Throttle, get_throttle
from instances.amc.transport import MAX_RETRY_AFTER_SECONDS, retry_after_seconds
from instances.amc.types import AmcInstance
from tests.instances.amc.builders import INSTANCE, RAW, client, login, source, tokens
from tests.instances.amc.raw_server import RawServer, http, raw_server, reset

BODY = json.dumps({"instance": RAW}).encode()
GOOD = http(200, BODY)
# Where an answer is expected, however busy the machine is; and where silence is.
PATIENT = RetryPolicy(tries=3, max_wait_seconds=20, connect_timeout=10, read_timeout=30)
SHORT = RetryPolicy(tries=3, max_wait_seconds=6, connect_timeout=1, read_timeout=0.3)
ONCE = RetryPolicy(tries=1, max_wait_seconds=6, connect_timeout=1, read_timeout=0.3)


def ask(server: RawServer, policy: RetryPolicy = PATIENT, throttle: Throttle | None = None) -> AmcInstance:
    with client(local_url=server.url, policy=policy, throttle=throttle) as calls:
        return calls.get_instance(INSTANCE)


def test_reset_is_tried_again() -> None:
    with raw_server(reset, GOOD) as server:
        assert ask(server)
        assert len(server.requests) == 2


def test_resets_to_the_end_are_a_network_error() -> None:
    with raw_server(reset) as server, pytest.raises(AmcUnavailableError) as caught:
        ask(server)
    assert (caught.value.reason, caught.value.transient) == ("network", True)


def test_broken_body_is_asked_for_again_once() -> None:
    with raw_server(http(200, BODY[:20], length=len(BODY)), GOOD) as server:
        assert ask(server)
    with raw_server(http(200, BODY[:20], length=len(BODY))) as server:
        with pytest.raises(AmcUnavailableError) as caught:
            ask(server)
        assert (caught.value.reason, len(server.requests)) == ("network", 2)


def test_server_that_goes_away_after_a_broken_body_ends_the_call() -> None:
    server = RawServer(lambda connection: None)

    def break_off(connection: socket.socket) -> None:
        server.stop()
        http(200, BODY[:20], length=len(BODY))(connection)

    server.answers = (break_off,)
    with pytest.raises(AmcUnavailableError):
        ask(server, ONCE)


def test_silence_is_a_timeout_even_after_retries() -> None:
    with raw_server(http(200, BODY, after=5)) as server:
        with pytest.raises(AmcTimeoutError) as caught:
            ask(server, SHORT)
        assert (caught.value.reason, len(server.requests)) == ("network", 3)


def test_silence_counts_against_patience() -> None:
    hasty = RetryPolicy(tries=5, max_wait_seconds=0.2, connect_timeout=1, read_timeout=0.3)
    with raw_server(http(200, BODY, after=5)) as server:
        with pytest.raises(AmcTimeoutError):
            ask(server, hasty)
        assert len(server.requests) == 1


def test_silence_of_amazon_ends_a_page_within_one_timeout() -> None:
    assert INTERACTIVE.read_timeout > INTERACTIVE.max_wait_seconds
    assert INTERACTIVE.read_timeout <= 10


def test_body_that_stalls_is_a_timeout() -> None:
    def stall(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        time.sleep(3)

    with raw_server(stall) as server, pytest.raises(AmcTimeoutError):
        ask(server, ONCE)


def test_refused_connection_and_unknown_name_are_network_errors() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    for url in (f"http://127.0.0.1:{free}", "http://no-such-host.invalid"):
        with client(local_url=url, policy=ONCE) as calls, pytest.raises(AmcUnavailableError) as caught:
            calls.get_instance(INSTANCE)
        assert caught.value.reason == "network"
        assert "http" not in caught.value.message


def test_plain_answer_to_tls_is_a_network_error() -> None:
    with raw_server(GOOD) as server:
        calls = client(local_url=server.url.replace("http:", "https:"), policy=ONCE)
        with pytest.raises(AmcError) as caught:
            calls.get_instance(INSTANCE)
        assert caught.value.reason == "network"


def test_compressed_answer_is_read_and_a_broken_one_is_malformed() -> None:
    with raw_server(http(200, gzip.compress(BODY), "Content-Encoding: gzip")) as server:
        assert ask(server)
    broken = http(200, b"not gzip at all", "Content-Encoding: gzip")
    with raw_server(broken) as server, pytest.raises(AmcMalformedError):
        ask(server)


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the waits of this test, which are also waited."""
    waits: list[float] = []
    sleep = time.sleep

    def note(seconds: float) -> None:
        waits.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", note)
    return waits


def ask_when_throttled(retry_after: str, slept: list[float]) -> None:
    started = time.monotonic()
    with raw_server(http(429, b"", f"Retry-After: {retry_after}"), GOOD) as server:
        found = ask(server, throttle=Throttle())
    # The wait is not Amazon's slowness.
    assert found.call.latency_ms <= (time.monotonic() - started - sum(slept)) * 1000


def test_retry_after_is_waited_for(slept: list[float]) -> None:
    ask_when_throttled("1", slept)
    assert sum(slept) == 1


def test_retry_after_as_a_date_is_waited_for(slept: list[float]) -> None:
    later = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    ask_when_throttled(format_datetime(later, usegmt=True), slept)
    assert datetime.now(UTC) >= later
    assert sum(slept) <= 2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("3", 3),
        ("0", 0),
        ("-1", None),
        ("99999", MAX_RETRY_AFTER_SECONDS),
        ("soon", None),
        ("", None),
        (None, None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 9015 07:28:00 GMT", MAX_RETRY_AFTER_SECONDS),
    ],
)
def test_retry_after_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value) == seconds


def test_code_is_sent_once_and_a_refresh_again() -> None:
    granted = http(200, b'{"access_token": "Atza|x", "expires_in": 3600}')
    with raw_server(http(503), granted) as server:
        with pytest.raises(AmcUnavailableError):
            login(server.url, PATIENT).exchange_code("code", "https://example.com/back", "verifier")
        assert len(server.requests) == 1
    with raw_server(http(503), granted) as server:
        assert login(server.url, PATIENT).refresh("Atzr|x").access_token == "Atza|x"
        assert len(server.requests) == 2


def test_connections_are_kept_and_shared_between_threads() -> None:
    with raw_server(http(200, BODY, after=0.01)) as server:
        calls = client(local_url=server.url, policy=PATIENT, pool_size=8)
        with calls, ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: calls.get_instance(INSTANCE), range(200)))
        assert len(found) == 200
        assert server.connections <= 8


def test_one_refresh_for_fifty_concurrent_callers() -> None:
    granted = http(200, b'{"access_token": "Atza|new", "expires_in": 3600}', after=0.2)
    with raw_server(granted) as server:
        held = source(tokens(minutes=1), server.url)
        barrier = threading.Barrier(50)

        def call(_: int) -> str:
            barrier.wait()
            return held.access_token()

        with ThreadPoolExecutor(50) as pool:
            assert set(pool.map(call, range(50))) == {"Atza|new"}
        assert len(server.requests) == 1


def test_one_renewal_for_fifty_rejected_callers() -> None:
    granted = http(200, b'{"access_token": "Atza|new", "expires_in": 3600}', after=0.1)
    with raw_server(granted) as server:
        held = source(tokens("Atza|old"), server.url)
        with ThreadPoolExecutor(50) as pool:
            assert set(pool.map(lambda _: held.renew("Atza|old"), range(50))) == {"Atza|new"}
        assert len(server.requests) == 1


def test_fifty_callers_share_one_failed_refresh() -> None:
    with raw_server(http(400, b'{"error": "invalid_grant"}', after=0.1)) as server:
        held = source(tokens(minutes=1), server.url)

        def call(_: int) -> str:
            try:
                return held.access_token()
            except AmcError as error:
                return error.reason

        with ThreadPoolExecutor(50) as pool:
            assert set(pool.map(call, range(50))) == {"reconnect_required"}
        assert len(server.requests) == 1


class HandMovedClock:
    """A monotonic clock on which only sleeping takes time."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> HandMovedClock:
    """Put a clock of this test under all throttles."""
    clock = HandMovedClock()
    monkeypatch.setattr("instances.amc.throttle.time", clock)
    return clock


def test_brake_counts_a_burst_once_and_recovers(clock: HandMovedClock) -> None:
    throttle = Throttle()
    for _ in range(50):
        throttle.throttled(0.05)
    # The pause, and then the first spacing three times.
    assert [throttle.wait(5) for _ in range(4)] == pytest.approx([0.05] * 4)
    assert clock.now == pytest.approx(0.2)
    for _ in range(60):
        throttle.passed()
    clock.sleep(0.1)
    assert throttle.wait(5) == 0


def test_brake_says_at_once_when_the_wait_is_too_long(clock: HandMovedClock) -> None:
    throttle = Throttle()
    throttle.throttled(100)
    assert throttle.wait(10) == -1
    assert clock.now == 0
    assert throttle.pause_left == 100


def test_brake_is_shared_per_host_and_login() -> None:
    assert get_throttle("https://a", "one") is get_throttle("https://a", "one")
    assert get_throttle("https://a", "one") is not get_throttle("https://a", "two")


def test_queue_behind_a_brake_is_throttling_too() -> None:
    throttle = Throttle()
    throttle.throttled(50)
    with raw_server(GOOD) as server, pytest.raises(AmcThrottledError):
        ask(server, throttle=throttle)
    assert server.requests == []
