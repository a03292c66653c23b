"""What the lint says: findings with a place in the source, and fixes that can be applied to it."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import Literal

Level = Literal["error", "warning", "info"]

_LINE_BREAK = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Fix:
    """Replace `source[start:end]` by `replacement`; offsets count code points of the linted source."""

    label: str
    start: int
    end: int
    replacement: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One remark. Lines and columns count from 1, in code points; the end column is the one behind the last."""

    rule: str
    level: Level
    message: str
    line: int
    column: int
    end_line: int
    end_column: int
    fix: Fix | None = None


def apply_fix(sql: str, fix: Fix) -> str:
    """Return `sql` with the fix applied. The fix must come from linting this very text."""
    return sql[: fix.start] + fix.replacement + sql[fix.end :]


class Lines:
    """Turns offsets of a text into lines and columns."""

    def __init__(self, text: str) -> None:
        self._length = len(text)
        self._starts = [0, *(match.end() for match in _LINE_BREAK.finditer(text))]

    def place(self, offset: int) -> tuple[int, int]:
        """Return line and column of an offset; offsets outside the text are moved to its edge."""
        offset = min(max(offset, 0), self._length)
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def finding(
        self, rule: str, level: Level, message: str, start: int, end: int, fix: Fix | None = None
    ) -> Finding:
        """Make a finding for `text[start:end]`."""
        return Finding(rule, level, message, *self.place(start), *self.place(max(start, end)), fix)
