"""What differs between two saved versions, line by line and side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import islice, takewhile, zip_longest

from templates_app.services.templates import Content
from templates_app.sql.values import as_text

# Unchanged lines shown around a change.
CONTEXT = 3
# No reader looks at more, and browsers become slow.
MAX_ROWS = 3_000
# Pairs of equal lines the comparison looks at, again and again; beyond this the texts are a few lines repeated.
_MAX_PAIRS = 200_000


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A row: a line of the old text, of the new one, or both; `kind` is same, changed, removed, added or gap."""

    kind: str
    old_number: int | None = None
    old: str = ""
    new_number: int | None = None
    new: str = ""


def side_by_side(old: str, new: str) -> list[DiffLine]:
    """Return the rows of the comparison; long unchanged stretches become one gap. Empty when nothing differs."""
    if old == new:
        return []
    rows = list(islice(_rows(_lines(old), _lines(new)), MAX_ROWS + 1))
    return rows if len(rows) <= MAX_ROWS else [*rows[:MAX_ROWS], DiffLine("gap")]


def details_of(content: Content) -> str:
    """Return everything a user says about a template but its SQL as lines, for comparing."""
    values = (f"{name}: {as_text(value)}" for name, value in sorted(content.parameter_values.items()))
    said = [f"Name: {content.name}", f"Description: {content.description}", f"Tags: {', '.join(content.tags)}"]
    return "\n".join([*said, *values])


def _lines(text: str) -> list[str]:
    # Not splitlines(): whether the last line ends is a difference too.
    return text.split("\n") if text else []


def _rows(before: list[str], after: list[str]) -> Iterator[DiffLine]:
    skipped = max(_equal_from_the_start(before, after) - CONTEXT, 0)
    for group_number, group in enumerate(_groups(before[skipped:], after[skipped:])):
        if group_number or skipped + group[0][1] > 0:
            yield DiffLine("gap")
        for tag, old_start, old_end, new_start, new_end in group:
            olds = range(skipped + old_start, skipped + old_end)
            news = range(skipped + new_start, skipped + new_end)
            for left, right in zip_longest(olds, news):
                yield _row(tag, left, right, before, after)


def _equal_from_the_start(before: Sequence[str], after: Sequence[str]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, after, strict=False)))


def _groups(before: list[str], after: list[str]) -> Iterator[Sequence[tuple[str, int, int, int, int]]]:
    """Return the changes with the lines around them, as `SequenceMatcher.get_grouped_opcodes` does."""
    kept = max(_equal_from_the_start(before[::-1], after[::-1]) - CONTEXT, 0)
    before, after = before[: len(before) - kept], after[: len(after) - kept]
    counts = Counter(after)
    if sum(counts[line] for line in before) > _MAX_PAIRS:
        # Matching would take minutes and show nothing.
        yield [("replace", 0, len(before), 0, len(after))]
    else:
        yield from SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(CONTEXT)


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
