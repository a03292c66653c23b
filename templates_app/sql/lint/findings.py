"""What the lint says: findings with a place in the source, and fixes that can be applied to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from templates_app.sql.positions import Lines

Level = Literal["error", "warning", "info"]


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


class FindingLines(Lines):
    """The lines of a template, and findings with their places in it."""

    def finding(
        self, rule: str, level: Level, message: str, start: int, end: int, fix: Fix | None = None
    ) -> Finding:
        """Make a finding for `text[start:end]`."""
        return Finding(rule, level, message, *self.position(start), *self.position(max(start, end)), fix)
