"""Lines and columns of a text, and the way back from finished SQL to the template it was made of."""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

_LINE_BREAK = re.compile(r"\r\n|\r|\n")


class Position(NamedTuple):
    """A place in a text. Both count from 1; columns count code points."""

    line: int
    column: int


class Lines:
    """Turns offsets of a text into positions and back; what lies outside the text is moved to its edge."""

    def __init__(self, text: str) -> None:
        self._length = len(text)
        self._starts = [0, *(match.end() for match in _LINE_BREAK.finditer(text))]

    def position(self, offset: int) -> Position:
        """Return the position of an offset."""
        offset = min(max(offset, 0), self._length)
        line = bisect_right(self._starts, offset)
        return Position(line, offset - self._starts[line - 1] + 1)

    def offset(self, line: int, column: int) -> int:
        """Return the offset of a position; a column behind the line's end is the end of the line."""
        if line > len(self._starts):
            return self._length
        line = max(line, 1)
        end = self._starts[line] - 1 if line < len(self._starts) else self._length
        return min(self._starts[line - 1] + max(column, 1) - 1, end)


class Replacement(NamedTuple):
    """`source[start:end]` became a text of `length` characters."""

    start: int
    end: int
    length: int


class PositionMap:
    """Where the characters of finished SQL come from: what a value brought in comes from its placeholder."""

    def __init__(self, source: str, finished: str, replacements: list[Replacement]) -> None:
        self._source = source
        self._finished = finished
        # Stretches of the finished text by their beginnings; a copied one goes on where it begins in the source.
        self._beginnings = [0]
        self._stretches = [(0, True)]
        shift = 0
        for start, end, length in replacements:
            self._beginnings += [start + shift, start + shift + length]
            self._stretches += [(start, False), (end, True)]
            shift += length - (end - start)

    def source_offset(self, offset: int) -> int:
        """Return the offset in the source of an offset in the finished SQL."""
        offset = max(offset, 0)
        index = bisect_right(self._beginnings, offset) - 1
        start, is_copied = self._stretches[index]
        return min(start + (offset - self._beginnings[index] if is_copied else 0), len(self._source))

    def source_position(self, line: int, column: int) -> Position:
        """Return line and column in the source of those in the finished SQL."""
        return Lines(self._source).position(self.source_offset(Lines(self._finished).offset(line, column)))
