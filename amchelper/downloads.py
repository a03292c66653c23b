"""Files that leave: in pieces, and let go of as soon as nobody reads them any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, Protocol

from django.core.files import File
from django.http import StreamingHttpResponse

from amchelper.places import Places

CSV = "text/csv; charset=utf-8"
_CHUNK = 256 * 1024
# A reader that stands still holds a thread.
PLACES = Places("DOWNLOADS_PER_PROCESS", "As many downloads are going on as are served at a time")


class _Closable(Protocol):
    def close(self) -> object: ...


class Download:
    """A file on its way to a reader: pieces, how it is called and what it is, and its bytes where they are known.

    Whoever iterates closes it in the end, read or not; what it is made from is closed then, and its place is free.
    """

    def __init__(
        self, name: str, content_type: str, chunks: Iterator[bytes], source: _Closable, *, size: int | None = None
    ) -> None:
        self.name, self.content_type, self.size = name, content_type, size
        self._chunks, self._source, self._is_open = chunks, source, True

    @classmethod
    def of_file(cls, name: str, content_type: str, file: BinaryIO | File[bytes]) -> Download:
        """Return the download of an open file, from its beginning."""
        size = file.seek(0, 2)
        file.seek(0)
        return cls(name, content_type, iter(partial(file.read, _CHUNK), b""), file, size=size)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._chunks)

    def close(self) -> None:
        """Stop, and let go of everything; a second time does nothing."""
        if self._is_open:
            self._is_open = False
            PLACES.give_back()
            self._source.close()

    # An answer that is never sent is never closed.
    __del__ = close


def begin_download(make: Callable[[], Download]) -> Download:
    """Take a place and return the download that `make` returns; raises NoPlaceError, and what `make` raises."""
    PLACES.take()
    try:
        return make()
    except BaseException:
        PLACES.give_back()
        raise


def download_response(download: Download) -> StreamingHttpResponse:
    """Return the answer that hands a file on, and closes it when the reader has it or has left."""
    headers = {"Content-Disposition": f'attachment; filename="{download.name}"'}
    if download.size is not None:
        headers["Content-Length"] = str(download.size)
    return StreamingHttpResponse(download, content_type=download.content_type, headers=headers)
