"""Downloads over a real socket: complete or not at all, without credentials, with fresh links when they fail."""

from __future__ import annotations

import gzip
import io
import logging
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
import responses

from amchelper.exceptions import AmcHelperError
from instances.amc.client import AmcClient, RetryPolicy
from instances.amc.errors import (
    AmcError,
    AmcHostError,
    AmcMalformedError,
    AmcNotReadyError,
    AmcTimeoutError,
    AmcTooLargeError,
    AmcUnavailableError,
    AmcUnexpectedError,
)
from instances.amc.result_parts import DownloadedResult
from instances.amc.results import read_urls
from instances.amc.types import CallInfo
from tests.instances.amc.builders import INSTANCE, client
from tests.instances.amc_reporting.builders import EXECUTIONS
from tests.instances.amc_reporting.loopback import TinyAmc, tiny_amc

# Long enough for a busy machine wherever an answer is expected, short where silence is.
SHORT = RetryPolicy(tries=3, max_wait_seconds=0.01, connect_timeout=10, read_timeout=2)
PARTS = [b"name,reach\n" + b"".join(b"row %d of %d,1\n" % (n, part) for n in range(200)) for part in range(3)]
WHOLE = b"name,reach\n" + b"".join(part.split(b"\n", 1)[1] for part in PARTS)
CALL = CallInfo(200, "RID", 1)


@pytest.fixture
def amc() -> Iterator[TinyAmc]:
    with tiny_amc() as server:
        server.parts = list(PARTS)
        yield server


@pytest.fixture
def calls(amc: TinyAmc) -> Iterator[AmcClient]:
    with client(local_url=amc.url, policy=SHORT) as opened:
        yield opened


def download(calls: AmcClient) -> tuple[bytes, DownloadedResult]:
    file = io.BytesIO()
    result = calls.download_result(INSTANCE, "exec-1", file)
    return file.getvalue(), result


def refused_download(calls: AmcClient, kind: type[AmcError], max_bytes: int = 10**9) -> AmcError:
    """Expect the download to fail and to leave the file as it was."""
    with tempfile.TemporaryFile() as file:
        file.write(b"kept")
        with pytest.raises(kind) as caught:
            calls.download_result(INSTANCE, "exec-1", file, max_bytes=max_bytes)
        assert file.tell() == 4
        file.seek(0)
        assert file.read() == b"kept"
    return caught.value


def test_parts_become_one_file(amc: TinyAmc, calls: AmcClient) -> None:
    data, result = download(calls)
    assert data == WHOLE
    assert (result.bytes, result.parts, result.columns) == (len(WHOLE), 3, ("name", "reach"))
    assert (result.has_rows, result.gzipped) == (True, False)
    assert amc.count("GET", "downloadUrls") == 1


def test_result_of_a_header_alone_is_a_result(amc: TinyAmc, calls: AmcClient) -> None:
    amc.parts = [b"name,reach\n"]
    data, result = download(calls)
    assert (data, result.has_rows) == (b"name,reach\n", False)


def test_size_of_each_part_is_told_before_it_comes(calls: AmcClient) -> None:
    file, told = io.BytesIO(), []
    calls.download_result(INSTANCE, "exec-1", file, announce=lambda size: told.append((size, file.tell())))
    assert [size for size, _ in told] == [len(part) for part in PARTS]
    assert told[0][1] == 0
    assert told[-1][1] < len(file.getvalue())


def test_part_for_which_there_is_no_room_is_not_read(amc: TinyAmc, calls: AmcClient) -> None:
    def refuse(size: int) -> None:
        if file.tell() > 4:
            raise AmcHelperError("Full.")

    with tempfile.TemporaryFile() as file:
        file.write(b"kept")
        with pytest.raises(AmcHelperError, match="Full"):
            calls.download_result(INSTANCE, "exec-1", file, announce=refuse)
        assert file.tell() == 4
    assert amc.count("GET", "/results/") == 2


def test_storage_is_told_neither_token_nor_cookie(amc: TinyAmc, calls: AmcClient) -> None:
    amc.part_faults = {1: ["expired"]}
    download(calls)
    told = [headers for _, path, headers in amc.requests if path.startswith("/results/")]
    assert len(told) == 4
    for headers in told:
        assert {name.lower() for name in headers} <= {
            "host", "user-agent", "accept", "accept-encoding", "connection",
        }  # fmt: skip


@pytest.mark.parametrize(
    "fault", ["truncated", "reset", "expired", "bad_signature", "500", "503", "404", "302", "stall", "empty"]
)
@pytest.mark.parametrize("part", [0, 1])
def test_part_that_fails_is_fetched_again_with_a_fresh_link(
    amc: TinyAmc, calls: AmcClient, fault: str, part: int
) -> None:
    amc.part_faults = {part: [fault, fault]}
    assert download(calls)[0] == WHOLE
    asked = [path for _, path, _ in amc.requests if path.startswith(f"/results/{part}.csv")]
    assert [path.rsplit("sig", 1)[1] for path in asked] == ["1", "2", "3"]
    # What had arrived before is not fetched again.
    assert amc.count("GET", "/results/0.csv") == (3 if part == 0 else 1)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("truncated", AmcUnavailableError),
        ("reset", AmcUnavailableError),
        ("expired", AmcUnavailableError),
        ("bad_signature", AmcUnavailableError),
        ("500", AmcUnavailableError),
        ("stall", AmcTimeoutError),
        ("empty", AmcMalformedError),
    ],
)
def test_part_that_fails_three_times_leaves_no_trace(
    amc: TinyAmc, calls: AmcClient, fault: str, kind: type[AmcError]
) -> None:
    amc.part_faults = {1: [fault] * 9}
    error = refused_download(calls, kind)
    assert amc.count("GET", "/results/1.csv") == 3
    assert amc.count("GET", "/results/2.csv") == 0
    assert "results" not in error.message


def test_storage_says_what_it_objects_to(amc: TinyAmc, calls: AmcClient) -> None:
    amc.part_faults = {0: ["bad_signature"] * 3}
    error = refused_download(calls, AmcUnavailableError)
    assert "SignatureDoesNotMatch" in error.message
    assert error.transient
    assert error.call is not None
    assert error.call.http_status == 403


def test_parts_of_other_columns_are_refused(amc: TinyAmc, calls: AmcClient) -> None:
    amc.parts[2] = b"name,purchases\nx,1\n"
    error = refused_download(calls, AmcMalformedError)
    assert "different columns" in error.message


def test_packed_result_is_unpacked_whatever_the_header_says(amc: TinyAmc, calls: AmcClient) -> None:
    amc.parts = [gzip.compress(part) for part in PARTS]
    for headers in ({}, {"Content-Encoding": "gzip"}, {"Content-Type": "text/csv"}):
        amc.part_headers = headers
        data, result = download(calls)
        assert (data, result.gzipped) == (WHOLE, True)
    amc.parts, amc.part_headers = list(PARTS), {"Content-Encoding": "gzip"}
    assert download(calls)[0] == WHOLE


def test_packed_part_that_ends_early_is_fetched_again(amc: TinyAmc, calls: AmcClient) -> None:
    amc.parts = [gzip.compress(part) for part in PARTS]
    amc.part_faults = {2: ["half_gzip"]}
    assert download(calls)[0] == WHOLE


def test_result_that_is_not_ready_is_a_matter_of_time(amc: TinyAmc, calls: AmcClient) -> None:
    amc.link_faults = ["not_ready"]
    assert refused_download(calls, AmcNotReadyError).transient
    assert download(calls)[0] == WHOLE


def test_fresh_links_in_another_order_do_not_mix_up_the_parts(amc: TinyAmc, calls: AmcClient) -> None:
    amc.link_faults, amc.part_faults = ["", "reversed"], {1: ["expired"]}
    assert download(calls)[0] == WHOLE


def test_result_that_was_split_anew_is_not_put_together(amc: TinyAmc, calls: AmcClient) -> None:
    amc.link_faults, amc.part_faults = ["", "fewer"], {1: ["expired"]}
    assert "split anew" in refused_download(calls, AmcMalformedError).message


def test_too_large_a_result_is_refused_at_once(amc: TinyAmc, calls: AmcClient) -> None:
    refused_download(calls, AmcTooLargeError, max_bytes=1000)
    assert amc.count("GET", "/results/") == 1
    # One part fits, all together do not.
    refused_download(calls, AmcTooLargeError, max_bytes=len(PARTS[0]) + 100)
    assert amc.count("GET", "/results/") == 3


def test_progress_is_told_and_can_end_the_download(amc: TinyAmc, calls: AmcClient) -> None:
    told: list[int] = []
    calls.download_result(INSTANCE, "exec-1", io.BytesIO(), progress=told.append)
    assert told == sorted(told)
    assert told[-1] == len(WHOLE)

    class StoppedError(Exception):
        """The caller wants no more."""

    def stop(written: int) -> None:
        if written > len(PARTS[0]):
            raise StoppedError

    file = io.BytesIO()
    with pytest.raises(StoppedError):
        calls.download_result(INSTANCE, "exec-1", file, progress=stop)
    assert file.getvalue() == b""


def test_file_that_fails_says_so_itself(calls: AmcClient) -> None:
    class FullError(OSError):
        """No space left."""

    class Full(io.BytesIO):
        """A file on a full disk."""

        def write(self, data: object) -> int:
            raise FullError

    with pytest.raises(FullError):
        calls.download_result(INSTANCE, "exec-1", Full())


def test_links_are_in_no_log(amc: TinyAmc, calls: AmcClient, caplog: pytest.LogCaptureFixture) -> None:
    amc.part_faults = {0: ["reset", "500"], 1: ["expired"], 2: ["truncated"] * 3}
    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG, logger="urllib3"):
        error = refused_download(calls, AmcUnavailableError)
    assert "amc download part failed part=1 try=1 reason=network" in caplog.text
    assert "/results/0.csv?[query]" in caplog.text  # urllib3's own lines, without the signature
    for secret in ("X-Amz", "sig1", "Atza|"):
        assert secret not in caplog.text + repr(error)


def links_of(*payloads: Any) -> list[str]:
    return read_urls(iter([(payload, CALL) for payload in payloads]))


def test_links_are_read_in_every_shape() -> None:
    first, second = "https://s3.example/1?X-Amz-Signature=a", "https://s3.example/2?X-Amz-Signature=a"
    assert links_of({"downloadUrls": [first, second]}) == [first, second]
    assert links_of({"downloadUrls": [{"url": first}, second]}) == [first, second]
    assert links_of({"downloadUrls": first}) == [first]
    assert links_of({"downloadUrls": {"url": first}}) == [first]
    assert links_of({"downloadUrls": [first]}, {"downloadUrls": [second]}) == [first, second]


def test_same_files_on_a_further_page_are_not_more_parts() -> None:
    first = "https://s3.example/x?part=1&X-Amz-Signature="
    other = "https://s3.example/x?part=2&X-Amz-Signature="
    assert links_of({"downloadUrls": [first + "a"]}, {"downloadUrls": [first + "b", other + "b"]}) == [
        first + "a",
        other + "b",
    ]


@pytest.mark.parametrize("payload", [{}, {"downloadUrls": None}, {"downloadUrls": []}])
def test_no_links_are_a_matter_of_time(payload: object) -> None:
    with pytest.raises(AmcNotReadyError):
        links_of(payload)


def test_answer_about_something_else_says_nothing_of_links() -> None:
    with pytest.raises(AmcUnexpectedError, match="being moved"):
        links_of({"message": "This service is being moved"})


@pytest.mark.parametrize("value", [[5], [""], [None], [{"href": "x"}], {}, 7, [["https://x"]]])
def test_links_of_another_shape_are_malformed(value: object) -> None:
    with pytest.raises(AmcMalformedError):
        links_of({"downloadUrls": value})


@pytest.mark.parametrize(
    "link",
    [
        "http://s3.amazonaws.com/x",
        "ftp://s3.amazonaws.com/x",
        "file:///etc/passwd",
        "https://user:password@s3.amazonaws.com/x",
        "https://",
        "//s3.amazonaws.com/x",
        "https://[broken",
        "http://127.0.0.1.example.com:8080/x",
        "https://127.0.0.1/x",
        "https://example.com/x.amazonaws.com",
        "https://evilamazonaws.com/x",
        "https://s3.amazonaws.com.example.com/x",
        "https://s3.amazonaws.com:8443/x",
        "https://s3.amazonaws.com:port/x",
        "https://amazonaws.com/x",
        "nonsense",
    ],
)
def test_link_to_an_unsafe_place_is_not_followed(link: str) -> None:
    with responses.mock:
        responses.get(f"{EXECUTIONS}/exec-1/downloadUrls", json={"downloadUrls": [link]})
        with pytest.raises(AmcHostError) as caught:
            client().download_result(INSTANCE, "exec-1", io.BytesIO())
        assert len(responses.calls) == 1
    assert link not in caught.value.message


def test_link_over_https_is_followed_exactly_as_given() -> None:
    link = "https://bucket.s3.amazonaws.com/workflow%3Dx/2026%20.csv?X-Amz-Credential=A%2F2026%2Fs3&X-Amz-Signature=0aF"
    with responses.mock:
        responses.get(f"{EXECUTIONS}/exec-1/downloadUrls", json={"downloadUrls": [link]})
        responses.get(link, body=b"a\n1\n")
        file = io.BytesIO()
        client().download_result(INSTANCE, "exec-1", file)
        assert responses.calls[1].request.url == link
    assert file.getvalue() == b"a\n1\n"


@pytest.mark.parametrize("status", [400, 404])
def test_not_ready_is_known_by_its_words(status: int) -> None:
    with responses.mock:
        responses.get(
            f"{EXECUTIONS}/exec-1/downloadUrls",
            status=status,
            json={"code": str(status), "details": "Execution exec-1 is unavailable for download"},
        )
        with pytest.raises(AmcNotReadyError, match="unavailable"):
            client().download_result(INSTANCE, "exec-1", io.BytesIO())


def test_links_on_pages_without_end_are_not_half_a_result() -> None:
    with responses.mock:
        responses.get(
            f"{EXECUTIONS}/exec-1/downloadUrls", json={"downloadUrls": ["https://s3/x"], "nextToken": "again"}
        )
        with pytest.raises(AmcMalformedError):
            client().download_result(INSTANCE, "exec-1", io.BytesIO())
