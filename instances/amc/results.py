"""Download a result: presigned links, fetched without credentials, verified, asked for again when they fail."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlsplit

import requests

from instances.amc.errors import (
    AmcError,
    AmcMalformedError,
    AmcNotReadyError,
    AmcSlowError,
    AmcTimeoutError,
    AmcTooLargeError,
    AmcUnavailableError,
)
from instances.amc.hosts import ensure_downloadable
from instances.amc.responses import call_info, network_error, reading, unexpected
from instances.amc.result_parts import DownloadedResult, ResultWriter
from instances.amc.time_limits import overrun, time_limit
from instances.amc.transport import RetryPolicy, open_session
from instances.amc.types import CallInfo

__all__ = ["MAX_RESULT_BYTES", "DownloadedResult", "Progress", "ResultDownload", "read_urls"]

logger = logging.getLogger(__name__)

MAX_RESULT_BYTES = 20 * 1024**3
Progress = Callable[[int], None]

_TRIES = 3
_CHUNK = 256 * 1024
# A connection that is slower than one chunk in this time counts as broken, however many bytes drip in.
MAX_CHUNK_SECONDS = 30.0
# S3 says in XML what it objects to.
_S3_CODE = re.compile(rb"<Code>(\w{1,60})</Code>")
_random = random.SystemRandom()


def read_urls(answers: Iterable[tuple[Mapping[str, Any], CallInfo]]) -> list[str]:
    """Return the links of all pages: texts, objects with a `url`, or a single one of either."""
    urls: list[str] = []
    seen: set[object] = set()
    for payload, call in answers:
        if payload and "downloadUrls" not in payload:
            raise unexpected("download links", payload, call)
        value = payload.get("downloadUrls")
        entries = value if isinstance(value, list) else [] if value is None else [value]
        links = [entry.get("url") if isinstance(entry, dict) else entry for entry in entries]
        page = [link for link in links if isinstance(link, str) and link]
        if len(page) != len(links):
            raise unexpected("download links that can be read", payload, call)
        # The page token is a placeholder so far; the same files again, newly signed, are not more parts.
        urls += [url for url in page if _file_of(url) not in seen]
        seen.update(_file_of(url) for url in page)
    if not urls:
        raise AmcNotReadyError("AMC has no files of this result. Try again later.")
    return urls


def _file_of(url: str) -> object:
    """Return what a link points to, without its signature."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url  # refused before it is followed
    query = [pair for pair in parse_qsl(parts.query) if not pair[0].lower().startswith("x-amz-")]
    return parts.netloc, parts.path, tuple(query)


class ResultDownload:
    """One download of one result; the file holds all of it in the end, or what it held before."""

    def __init__(
        self,
        ask_urls: Callable[[], list[str]],
        file: BinaryIO,
        *,
        local_url: str,
        policy: RetryPolicy,
        max_bytes: int,
        progress: Progress | None,
        announce: Progress | None = None,
    ) -> None:
        self._ask_urls, self._local_url, self._policy = ask_urls, local_url, policy
        self._max_bytes, self._progress, self._announce = max_bytes, progress, announce
        self._writer = ResultWriter(file, max_bytes=max_bytes)

    def run(self) -> DownloadedResult:
        """Fetch all parts."""
        try:
            urls = self._ask_urls()
            # Asking may have taken its whole time: whoever holds a lease meanwhile hears of it before the next wait.
            self._report(0)
            for index in range(len(urls)):
                urls = self._take_part(index, urls)
        except BaseException:
            # The file may be what failed.
            with suppress(OSError, ValueError):
                self._writer.clear()
            raise
        result = self._writer.result
        logger.info("amc download parts=%s bytes=%s gzipped=%s", result.parts, result.bytes, result.gzipped)
        return result

    def _take_part(self, index: int, urls: list[str]) -> list[str]:
        """Fetch a part, with fresh links for each further try; returns the links that are valid now."""
        for tried in range(1, _TRIES + 1):
            try:
                self._fetch(urls[index])
                break
            except (AmcTimeoutError, AmcUnavailableError, AmcMalformedError) as error:
                status = error.call.http_status if error.call else None
                logger.warning(
                    "amc download part failed part=%s try=%s reason=%s status=%s",
                    index + 1, tried, error.reason, status,
                )  # fmt: skip
                if tried == _TRIES:
                    raise
                if status != 403:  # an expired link needs no waiting
                    time.sleep(min(_random.uniform(0, 2.0**tried), self._policy.max_wait_seconds))
                urls = self._refreshed(urls)
        return urls

    def _refreshed(self, urls: list[str]) -> list[str]:
        """Ask for fresh links to the same parts, in the order begun with."""
        fresh = self._ask_urls()
        if len(fresh) != len(urls):
            raise AmcMalformedError("The result was split anew while it was downloaded. Try again later.")
        by_file = {_file_of(url): url for url in fresh}
        if by_file.keys() == {_file_of(url) for url in urls}:
            return [by_file[_file_of(url)] for url in urls]
        return fresh

    def _fetch(self, url: str) -> None:
        with closing(self._chunks(url)) as chunks:
            for written in self._writer.add_part(chunks):
                self._report(written)

    def _report(self, written: int) -> None:
        if self._progress is not None:
            self._progress(written)

    def _chunks(self, url: str) -> Generator[bytes]:
        """Return the bytes behind a link as they come; raises AmcError without the link, which is a secret."""
        ensure_downloadable(url, self._local_url)
        # Further tries need fresh links, so the session itself makes none.
        once = replace(self._policy, tries=1)
        with open_session(url, policy=once) as session:
            session.headers.update({"Accept": "*/*", "Accept-Encoding": "identity"})
            try:
                with closing(_opened(session, url, once)) as response:
                    yield from self._body(response)
            except requests.RequestException as error:
                raise network_error(error) from None

    def _body(self, response: requests.Response) -> Iterator[bytes]:
        length = response.headers.get("Content-Length", "")
        expected = int(length) if length.isdecimal() else None
        if expected is not None and expected > self._max_bytes:
            raise AmcTooLargeError(f"The result has a part of {expected:,} bytes, more than we take.")
        if expected is not None and self._announce is not None:
            self._announce(expected)
        received = 0
        while chunk := _next_chunk(response):
            received += len(chunk)
            yield chunk
        if expected is not None and received != expected:
            raise AmcUnavailableError(
                f"The download broke off after {received:,} of {expected:,} bytes. Try again later.",
                reason="network",
                call=call_info(response),
            )


def _opened(session: requests.Session, url: str, policy: RetryPolicy) -> requests.Response:
    """Return the answer to a link, its body still to come; raises AmcError when it is no file."""
    with time_limit(policy.total_seconds):
        try:
            response = session.get(
                url,
                timeout=policy.timeouts,  # type: ignore[arg-type]  # the stubs know only numbers
                allow_redirects=False,
                stream=True,
            )
        except requests.RequestException as error:
            raise network_error(error) from None
        if response.status_code != 200:
            with closing(response):
                raise _refused(response)
        return response


def _next_chunk(response: requests.Response) -> bytes:
    """Return the next bytes, none at the end. A file may take hours, but each part of it must come in its time."""
    with time_limit(MAX_CHUNK_SECONDS):
        try:
            with reading():
                return bytes(response.raw.read(_CHUNK, decode_content=False))
        except requests.RequestException:
            if overrun() is None:
                raise
            raise AmcSlowError(
                f"The download brought less than {_CHUNK // 1024} KiB in {MAX_CHUNK_SECONDS:.0f} s, so it was ended. "
                "It is tried again.",
                call=call_info(response),
            ) from None


def _refused(response: requests.Response) -> AmcError:
    body = b""
    with suppress(requests.RequestException), reading():
        body = response.raw.read(4096, decode_content=True) or b""
    told = _S3_CODE.search(body)
    words = f", {told.group(1).decode('ascii')}" if told else ""
    return AmcUnavailableError(
        f"The result could not be downloaded (HTTP {response.status_code}{words}). Try again later.",
        reason="download_refused",
        call=call_info(response),
    )
