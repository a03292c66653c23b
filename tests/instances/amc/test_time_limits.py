"""A server that drips keeps every socket timeout from ending; the time limit of the whole ends it."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any

import pytest

from instances.amc import calls, results, time_limits
from instances.amc.client import BACKGROUND, INTERACTIVE, PROBE, RetryPolicy
from instances.amc.errors import AmcSlowError, AmcTimeoutError, AmcUnavailableError
from instances.amc.lookups import addresses_of
from instances.amc.time_limits import PAGE_SECONDS, TimeLimit, limited_to, seconds_left, time_limit
from tests.instances.amc.builders import ACCOUNT, INSTANCE, RAW, client, login, source, tokens
from tests.instances.amc.raw_server import Answer, http, raw_server
from tests.instances.amc_reporting.loopback import tiny_amc
from tests.serving import PATIENCE

BODY = json.dumps({"instance": RAW}).encode()
GOOD = http(200, BODY)
# Far longer than any limit here: what ends a call is the limit.
PATIENT = RetryPolicy(tries=3, max_wait_seconds=60, connect_timeout=30, read_timeout=60)
SECONDS = 0.5


def drip(head: bytes, slowly: bytes) -> Answer:
    """Send `head` at once and the rest byte by byte, over and over, until the client goes away."""

    def send(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            for position in range(len(slowly)):
                connection.sendall(slowly[position : position + 1])
                time.sleep(0.01)

    return send


DRIPS = {
    "body": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" "),
    "chunked body": drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "packed body": drip(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1000000\r\n\r\n\x1f\x8b\x08", b"\x00"
    ),
    "refusal's body": drip(b"HTTP/1.1 403 No\r\nContent-Length: 1000000\r\n\r\n", b" "),
    "body of an error that is tried again": drip(b"HTTP/1.1 503 No\r\nContent-Length: 1000000\r\n\r\n", b" "),
    "status line": drip(b"HTTP/1.1 200", b" OK"),
    "headers": drip(b"HTTP/1.1 200 OK\r\n", b"X-More: 1\r\n"),
    "head of a head": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("answer", DRIPS.values(), ids=DRIPS.keys())
def test_dripping_answer_ends_with_the_limit(answer: Answer) -> None:
    with raw_server(answer) as server, client(local_url=server.url, policy=PATIENT) as asking:
        with time_limit(SECONDS), pytest.raises(AmcSlowError) as caught:
            asking.get_instance(INSTANCE)
        assert len(server.requests) == 1
    error = caught.value
    assert (error.reason, error.transient) == ("too_slow", True)


@pytest.mark.parametrize("answer", [DRIPS["body"], DRIPS["headers"]], ids=["body", "headers"])
def test_dripping_sign_in_ends_with_the_limit(answer: Answer) -> None:
    with raw_server(answer) as server:
        with time_limit(SECONDS), pytest.raises(AmcSlowError):
            login(server.url, PATIENT).refresh("Atzr|x")
        with time_limit(SECONDS), pytest.raises(AmcSlowError):
            login(server.url, PATIENT).exchange_code("code", "https://example.com/back", "verifier")
        assert len(server.requests) == 2


def test_token_that_drips_is_within_the_limit_of_the_call() -> None:
    with raw_server(DRIPS["body"]) as server:
        held = source(tokens(minutes=1), server.url)
        asking = client(held, local_url=server.url, policy=PATIENT)
        with asking, time_limit(SECONDS), pytest.raises(AmcSlowError):
            asking.get_instance(INSTANCE)
        assert "/auth/o2/token" in server.requests[0]


def test_one_call_has_a_limit_of_its_own() -> None:
    hasty = RetryPolicy(tries=1, max_wait_seconds=0, connect_timeout=SECONDS, read_timeout=SECONDS)
    with raw_server(DRIPS["body"]) as server:
        asking = client(local_url=server.url, policy=hasty)
        with asking, pytest.raises(AmcTimeoutError):
            asking.get_instance(INSTANCE)
    with raw_server(DRIPS["body"]) as server, pytest.raises(AmcTimeoutError):
        login(server.url, hasty).refresh("Atzr|x")


def test_policies_end_a_call_within_a_time() -> None:
    assert INTERACTIVE.total_seconds == 23
    assert PROBE.total_seconds == 40
    assert BACKGROUND.total_seconds == 185


def test_creation_that_drips_may_have_had_its_effect() -> None:
    with raw_server(DRIPS["body"]) as server:
        asking = client(local_url=server.url, policy=PATIENT)
        with asking, time_limit(SECONDS), pytest.raises(AmcSlowError) as caught:
            asking._call(calls.Request("POST", "/amc/x", ACCOUNT, body={}))
    assert caught.value.outcome_unknown


def test_nothing_is_sent_when_no_time_is_left() -> None:
    with raw_server(GOOD) as server, client(local_url=server.url, policy=PATIENT) as asking:
        with pytest.raises(AmcSlowError) as caught, limited_to(TimeLimit.after(0)):
            asking._call(calls.Request("POST", "/amc/x", ACCOUNT, body={}))
        assert server.requests == []
    assert not caught.value.outcome_unknown


def test_wait_that_does_not_fit_is_not_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    with raw_server(http(503, b"", "Retry-After: 50"), GOOD) as server:
        asking = client(local_url=server.url, policy=PATIENT)
        with asking, time_limit(40), pytest.raises(AmcUnavailableError):
            asking.get_instance(INSTANCE)
        assert len(server.requests) == 1
    assert 50 not in slept


def test_limit_of_one_call_does_not_shorten_the_next_on_the_same_connection() -> None:
    with raw_server(GOOD, http(200, BODY, after=SECONDS * 2)) as server:
        with client(local_url=server.url, policy=PATIENT) as asking:
            with limited_to(TimeLimit.after(30)):
                asking.get_instance(INSTANCE)
            assert asking.get_instance(INSTANCE).instance_id == "amcexample"
        assert server.connections == 1


def test_inner_limit_never_outlasts_the_outer_one() -> None:
    assert seconds_left(7) == 7
    with time_limit(100):
        assert 90 < seconds_left(1000) <= 100
        with time_limit(1000):
            assert seconds_left(1000) <= 100
        with time_limit(10):
            assert seconds_left(1000) <= 10
    assert seconds_left(1000) == 1000


def test_sentence_names_the_limit_that_ran_out(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("instances.amc.time_limits.time.monotonic", lambda: now)
    with time_limit(PAGE_SECONDS):
        now = 20.0
        with pytest.raises(AmcSlowError, match=r"did not finish its answer in 20 s\. Try again"), time_limit(50):
            pass


def test_work_in_other_threads_takes_the_limit_along() -> None:
    with ThreadPoolExecutor(2) as pool, time_limit(10):
        assert pool.submit(copy_context().run, seconds_left, 1000).result() <= 10
        assert pool.submit(seconds_left, 1000).result() == 1000


def test_turn_at_the_token_is_waited_for_within_the_limit() -> None:
    held, entered, leave = source(tokens(minutes=1)), threading.Event(), threading.Event()

    def hold() -> None:
        with held._turn():
            entered.set()
            leave.wait(30)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(hold)
        entered.wait(30)
        with time_limit(SECONDS), pytest.raises(AmcSlowError):
            held.access_token()
        leave.set()
        waiting.result()


def test_pages_of_a_list_have_one_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "MAX_LIST_SECONDS", SECONDS)
    sent: list[int] = []

    def page(connection: socket.socket) -> None:
        sent.append(1)
        rows = [{**RAW, "instanceId": f"amc{len(sent)}"}]
        http(200, json.dumps({"instances": rows, "nextToken": f"T{len(sent)}"}).encode(), after=0.02)(connection)

    with raw_server(page) as server, client(local_url=server.url, policy=PATIENT) as asking:
        found = asking.list_instances(ACCOUNT)
    assert isinstance(found.error, AmcSlowError)
    assert 0 < len(found.rows) <= len(sent) < 200


def host_at(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name have these addresses."""
    resolve = socket.getaddrinfo

    def several(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        names = [host] if host in addresses else addresses
        return [row for name in names for row in resolve(name, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", several)


def test_next_address_is_tried_after_one_that_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(GOOD) as server:
        host_at(monkeypatch, "127.0.0.2", "127.0.0.1")
        with client(local_url=server.url.replace("127.0.0.1", "localhost"), policy=PATIENT) as asking:
            assert asking.get_instance(INSTANCE).instance_id == "amcexample"


def test_addresses_that_do_not_answer_share_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []

    class Noted(socket.socket):
        def connect(self, address: Any) -> None:
            tried.append(address)
            super().connect(address)

    monkeypatch.setattr(socket, "socket", Noted)
    host_at(monkeypatch, "127.0.0.2", "127.0.0.3", "127.0.0.4")
    with socket.create_server(("", 0), backlog=0) as full:
        port = full.getsockname()[1]
        # What waits to be accepted fills the queue: who comes then hears nothing.
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        asking = client(local_url=f"http://localhost:{port}", policy=PATIENT)
        with asking, time_limit(SECONDS), pytest.raises(AmcSlowError):
            asking.get_instance(INSTANCE)
        for each in waiting:
            each.close()
    assert len(tried) == 1


@contextmanager
def silent_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Let name servers not answer until the end; gives the names that were asked for."""
    asked: list[str] = []
    resolve, end = socket.getaddrinfo, threading.Event()

    def wait(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if host != "localhost":
            return resolve(host, port, *args, **kwargs)
        asked.append(host)
        end.wait()
        return resolve("127.0.0.1", port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", wait)
    try:
        yield asked
    finally:
        end.set()


def test_lookup_that_hears_nothing_ends_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with raw_server(GOOD) as server, silent_resolver(monkeypatch) as asked:
        address = server.url.replace("127.0.0.1", "localhost")
        for _ in range(3):
            asking = client(local_url=address, policy=PATIENT)
            with asking, time_limit(SECONDS), pytest.raises(AmcSlowError):
                asking.get_instance(INSTANCE)
        # However many ask, one thread waits for the name servers.
        assert asked == ["localhost"]
        assert [thread.name for thread in threading.enumerate()].count("lookup localhost") == 1
        assert server.requests == []


def test_lookup_that_hears_nothing_ends_with_the_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    hasty = RetryPolicy(tries=1, max_wait_seconds=0, connect_timeout=SECONDS, read_timeout=60)
    with raw_server(GOOD) as server, silent_resolver(monkeypatch):
        asking = client(local_url=server.url.replace("127.0.0.1", "localhost"), policy=hasty)
        with asking, pytest.raises(AmcTimeoutError):
            asking.get_instance(INSTANCE)


def test_lookup_is_asked_anew_once_the_one_before_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        raw_server(GOOD) as server,
        client(local_url=server.url.replace("127.0.0.1", "localhost"), policy=PATIENT) as asking,
    ):
        with silent_resolver(monkeypatch), time_limit(SECONDS), pytest.raises(AmcSlowError):
            asking.get_instance(INSTANCE)
        assert asking.get_instance(INSTANCE).instance_id == "amcexample"


def test_lookup_without_a_thread_is_an_error_and_the_next_one_asks_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(OSError, match="No thread"):
            addresses_of("localhost", 80, 5.0)
    assert addresses_of("localhost", 80, PATIENCE)


def test_host_that_does_not_exist_is_no_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> list[Any]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    hasty = RetryPolicy(tries=1, max_wait_seconds=0, connect_timeout=30, read_timeout=30)
    with client(local_url="http://localhost:1", policy=hasty) as asking, pytest.raises(AmcUnavailableError):
        asking.get_instance(INSTANCE)


PART = b"name,reach\n" + b"row,1\n" * 100


def test_dripping_download_is_ended_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "MAX_CHUNK_SECONDS", SECONDS)
    with tiny_amc() as amc, client(local_url=amc.url, policy=PATIENT) as asking:
        monkeypatch.setattr(results, "_TRIES", 2)
        amc.parts, amc.part_faults = [PART], {0: ["drip"]}
        file = io.BytesIO()
        asking.download_result(INSTANCE, "exec-1", file)
        assert file.getvalue() == PART
        amc.part_faults = {0: ["drip", "drip"]}
        with pytest.raises(AmcSlowError, match="less than 256 KiB"):
            asking.download_result(INSTANCE, "exec-1", io.BytesIO())


def test_long_download_may_take_longer_than_any_call(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = 0.0
    begun = time.monotonic()

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return begun + passed

    def work(written: int) -> None:
        nonlocal passed
        passed += 25

    monkeypatch.setattr(time_limits, "time", Clock)
    whole = b"name,reach\n" + b"row,1\n" * 400_000
    with tiny_amc() as amc, client(local_url=amc.url, policy=PATIENT) as asking:
        amc.parts = [whole]
        file = io.BytesIO()
        asking.download_result(INSTANCE, "exec-1", file, progress=work)
    assert file.getvalue() == whole
    assert passed > PATIENT.total_seconds > results.MAX_CHUNK_SECONDS
