"""Pages of lists too long to be counted: only whether there is a next page is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from amchelper.http import parse_number

T = TypeVar("T")

# A page costs more the further back it is, so lists end here and say how to find what is older.
MAX_PAGES = 40


@dataclass(frozen=True)
class KnownPages:
    """What `_partials/pagination.html` asks of a paginator; `count` is None while there are further pages."""

    count: int | None
    num_pages: int

    @property
    def page_range(self) -> range:
        """Return the numbers of the pages that are known to exist."""
        return range(1, self.num_pages + 1)


@dataclass(frozen=True)
class UncountedPage(Generic[T]):
    """One page; the template treats it as it does Django's."""

    number: int
    rows: list[T] = field(repr=False)
    per_page: int
    # There are further rows, on a page that is shown or not.
    has_more: bool

    def __iter__(self) -> Iterator[T]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def paginator(self) -> KnownPages:
        """Return what is known of all pages."""
        return KnownPages(None if self.has_more else self.end_index, self.number + self.has_next)

    @property
    def is_cut(self) -> bool:
        """Return whether the list goes on after the last page that is shown."""
        return self.has_more and self.number >= MAX_PAGES

    @property
    def has_next(self) -> bool:
        """Return whether a next page is shown."""
        return self.has_more and not self.is_cut

    @property
    def has_previous(self) -> bool:
        """Return whether this is not the first page."""
        return self.number > 1

    @property
    def has_other_pages(self) -> bool:
        """Return whether there is any page but this."""
        return self.has_previous or self.has_next

    @property
    def next_page_number(self) -> int:
        """Return the number of the next page."""
        return self.number + 1

    @property
    def previous_page_number(self) -> int:
        """Return the number of the page before."""
        return self.number - 1

    @property
    def start_index(self) -> int:
        """Return the number of the first row in the whole list."""
        return (self.number - 1) * self.per_page + 1 if self.rows else 0

    @property
    def end_index(self) -> int:
        """Return the number of the last row in the whole list."""
        return (self.number - 1) * self.per_page + len(self.rows)


def read_page(asked: str | None, per_page: int, read: Callable[[int, int], list[T]]) -> UncountedPage[T]:
    """Return the page that a request asks for; `read` returns so many rows after leaving out so many.

    A page behind the end is the first one.
    """
    number = min(max(parse_number(asked, 1), 1), MAX_PAGES)
    rows = read((number - 1) * per_page, per_page + 1)
    if not rows and number > 1:
        return read_page(None, per_page, read)
    return UncountedPage(number, rows[:per_page], per_page, has_more=len(rows) > per_page)
