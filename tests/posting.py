"""Large posts, made while they are read: the memory of a test is that of the product alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.test import Client

BOUNDARY = "tests-boundary"
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
URL_ENCODED = "application/x-www-form-urlencoded"


class Body:
    """A body that begins and ends with a text and repeats another in between; it counts what is read of it."""

    def __init__(self, unit: bytes, size: int, *, begin: bytes = b"", end: bytes = b"") -> None:
        self.length = len(begin) + len(end) + size
        self.taken = 0
        self._pieces = self._made(unit, size, begin, end)
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        """Return the next bytes, as a server's stream does."""
        while len(self._rest) < size and (piece := next(self._pieces, b"")):
            self._rest += piece
        data, self._rest = self._rest[:size], self._rest[size:]
        self.taken += len(data)
        return data

    def readline(self, size: int = -1, /) -> bytes:
        """Nobody reads bodies by lines."""
        raise NotImplementedError

    @staticmethod
    def _made(unit: bytes, size: int, begin: bytes, end: bytes) -> Iterator[bytes]:
        if begin:
            yield begin
        piece = unit * max(1, 16_384 // len(unit))
        for done in range(0, size, len(piece)):
            yield piece[: size - done]
        yield end


def multipart(fields: dict[str, str], name: str, unit: bytes, size: int, *, filename: str = "") -> Body:
    """Return a form with a large field, or a large file."""
    begin = "".join(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
        for key, value in fields.items()
    )
    file = f'; filename="{filename}"\r\nContent-Type: text/csv' if filename else ""
    begin += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
    return Body(unit, size, begin=begin.encode(), end=f"\r\n--{BOUNDARY}--\r\n".encode())


def send(
    client: Client, url: str, body: Body, content_type: str = MULTIPART, method: str = "POST", **extra: Any
) -> Any:
    """Return the answer to a body, as the test client does."""
    about = {"CONTENT_TYPE": content_type, "CONTENT_LENGTH": str(body.length)}
    return client.generic(method, url, **{"wsgi.input": body, **about, **extra})
