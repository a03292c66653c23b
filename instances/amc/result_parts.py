"""Put the parts of a result together: unpacked, under one header row, never more than a chunk in memory."""

from __future__ import annotations

import builtins
import csv
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import BinaryIO

from instances.amc.errors import AmcMalformedError, AmcTooLargeError

_GZIP_MAGIC = b"\x1f\x8b"
# A packed file may have been packed once more for the way.
_MAX_LAYERS = 2
_UNPACKED_AT_ONCE = 256 * 1024
_MAX_HEADER_BYTES = 1024 * 1024
_QUOTE_OR_NEWLINE = re.compile(rb'["\n]')


@dataclass(frozen=True, slots=True)
class DownloadedResult:
    """What was written: bytes, parts put together, the header row without its line end."""

    bytes: int = 0
    parts: int = 0
    header: builtins.bytes = b""  # the field above hides the type
    gzipped: bool = False
    has_rows: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names in the header row."""
        text = io.StringIO(self.header.decode("utf-8-sig", "replace"), newline="")
        return tuple(next(csv.reader(text), ()))


class ResultWriter:
    """Write parts to a file, one after the other; a part that fails leaves nothing behind."""

    def __init__(self, file: BinaryIO, *, max_bytes: int) -> None:
        self._file, self._max_bytes, self._base = file, max_bytes, file.tell()
        self._last_byte = b""
        self.result = DownloadedResult()

    def add_part(self, chunks: Iterator[bytes]) -> Iterator[int]:
        """Write a part, giving the bytes of the whole result after every chunk.

        Raises AmcMalformedError when it is no CSV, or one of other columns than the parts before.
        """
        kept, last_byte = self.result, self._last_byte
        try:
            unpacked, gzipped = unpack(chunks)
            header, rows = split_header(unpacked)
            self._write_header(header)
            self.result = replace(self.result, parts=kept.parts + 1, gzipped=kept.gzipped or gzipped)
            for chunk in self._joined(rows):
                self._write(chunk)
                yield self.result.bytes
            self._ensure_written()
        except BaseException:
            self.result, self._last_byte = kept, last_byte
            self._cut()
            raise

    def clear(self) -> None:
        """Take everything out of the file again."""
        self.result, self._last_byte = DownloadedResult(), b""
        self._cut()

    def _write_header(self, header: bytes) -> None:
        names = header.rstrip(b"\r\n")
        if not names:
            raise AmcMalformedError("The result has no header row.")
        if not self.result.parts:
            self._write(header)
            self.result = replace(self.result, header=names)
        elif names != self.result.header:
            raise AmcMalformedError("The parts of the result have different columns.")

    def _joined(self, rows: Iterator[bytes]) -> Iterator[bytes]:
        """Leave out empty chunks, and begin on a line of its own: a part may end without a line end."""
        chunks = (chunk for chunk in rows if chunk)
        first = next(chunks, b"")
        if first and self._last_byte != b"\n":
            yield b"\n"
        if first:
            self.result = replace(self.result, has_rows=True)
            yield first
        yield from chunks

    def _write(self, data: bytes) -> None:
        total = self.result.bytes + len(data)
        if total > self._max_bytes:
            raise AmcTooLargeError(
                f"The result is larger than {self._max_bytes:,} bytes. Group it more coarsely or shorten the window."
            )
        self._file.write(data)
        self._last_byte = data[-1:]
        self.result = replace(self.result, bytes=total)

    def _ensure_written(self) -> None:
        if self._file.tell() != self._base + self.result.bytes:
            raise OSError("The file did not take everything that was written.")

    def _cut(self) -> None:
        self._file.seek(self._base + self.result.bytes)
        self._file.truncate()


def unpack(chunks: Iterator[bytes]) -> tuple[Iterator[bytes], bool]:
    """Return the plain bytes and whether they were packed; the first bytes tell, not what a header says."""
    for layer in range(_MAX_LAYERS):
        head, chunks = _peek(chunks)
        if head != _GZIP_MAGIC:
            return chunks, layer > 0
        chunks = _gunzip(chunks)
    return chunks, True


def split_header(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first row with its line end, which may span lines in quotes, and the rest."""
    held, scanned, quoted = bytearray(), 0, False
    for chunk in chunks:
        held += chunk
        for found in _QUOTE_OR_NEWLINE.finditer(held, scanned):
            if found.group() == b'"':
                quoted = not quoted
            elif not quoted:
                end = found.end()
                return bytes(held[:end]), chain([bytes(held[end:])], chunks)
        scanned = len(held)
        if scanned > _MAX_HEADER_BYTES:
            raise AmcMalformedError("The result has no header row that ends.")
    return bytes(held), iter(())


def _peek(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return the first two bytes and, still with them, everything."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(_GZIP_MAGIC):
            break
    return head[: len(_GZIP_MAGIC)], chain([head], chunks)


def _gunzip(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack a little at a time, whatever the packed bytes unfold to; several members are one file."""
    engine = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            packed = chunk
            while packed:
                if engine.eof:
                    engine = zlib.decompressobj(wbits=31)
                yield engine.decompress(packed, _UNPACKED_AT_ONCE)
                packed = engine.unused_data if engine.eof else engine.unconsumed_tail
        yield engine.flush()
    except zlib.error as error:
        raise AmcMalformedError("The result could not be unpacked.") from error
    if not engine.eof:
        raise AmcMalformedError("The packed result ends in the middle.")
