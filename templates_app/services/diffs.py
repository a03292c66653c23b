"""Compare two texts line by line, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

# Unchanged lines shown around a change.
CONTEXT = 3


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A row: a line of the old text, of the new one, or both; `kind` is same, changed, removed, added or gap."""

    kind: str
    old_number: int | None = None
    old: str = ""
    new_number: int | None = None
    new: str = ""


def side_by_side(old: str, new: str) -> list[DiffLine]:
    """Give the rows of the comparison; long unchanged stretches become one gap. Empty when nothing differs."""
    before, after = old.splitlines(), new.splitlines()
    if before == after:
        return []
    return list(_rows(before, after))


def _rows(before: list[str], after: list[str]) -> Iterator[DiffLine]:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for group_number, group in enumerate(matcher.get_grouped_opcodes(CONTEXT)):
        if group_number or group[0][1] > 0:
            yield DiffLine("gap")
        for tag, old_start, old_end, new_start, new_end in group:
            olds = range(old_start, old_end)
            news = range(new_start, new_end)
            for left, right in zip_longest(olds, news):
                yield _row(tag, left, right, before, after)


def _row(tag: str, left: int | None, right: int | None, before: list[str], after: list[str]) -> DiffLine:
    kind = (
        "same"
        if tag == "equal"
        else "changed"
        if None not in (left, right)
        else "removed"
        if right is None
        else "added"
    )
    return DiffLine(
        kind=kind,
        old_number=None if left is None else left + 1,
        old="" if left is None else before[left],
        new_number=None if right is None else right + 1,
        new="" if right is None else after[right],
    )
