"""Which columns of a result a page shows, and the ways to the others when there are more than fit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from executions.results.columns import ResultColumn, ResultFacts
from executions.results.paging import SHOWN_COLUMNS, is_searched_whole

# Longer lists are not read; one types another letter.
MAX_FOUND = 50
# More of them cover the rows; the chooser has all.
MAX_CHIPS = 12
PLACES_SEPARATOR = "."


@dataclass(frozen=True)
class ColumnsQuestion:
    """Which columns are asked for: a page of them, counted from 1, or those at chosen places.

    `find` is a part of the names of those to choose from; `is_choosing` asks for these names.
    """

    number: int = 1
    places: Sequence[int] = ()
    find: str = ""
    is_choosing: bool = False


@dataclass(frozen=True)
class PlacedColumn:
    """A column with its place in the result, counted from 1, by which addresses call it: names can be long."""

    place: int
    column: ResultColumn
    # The places chosen once this column is left out.
    others: str = ""


@dataclass(frozen=True)
class ColumnChoice:
    """The columns a page shows of a result; all of them unless it is wide."""

    facts: ResultFacts
    asked: ColumnsQuestion = field(default_factory=ColumnsQuestion)

    @property
    def total(self) -> int:
        """Return the number of columns."""
        return len(self.facts.columns)

    @property
    def is_wide(self) -> bool:
        """Return whether there are more columns than a page shows."""
        return self.total > SHOWN_COLUMNS

    @property
    def is_searched_whole(self) -> bool:
        """Return whether a search looks in the columns that are not shown too."""
        return is_searched_whole(self.facts)

    @property
    def pages(self) -> int:
        """Return how many pages of columns there are."""
        return max(1, -(-self.total // SHOWN_COLUMNS))

    @property
    def number(self) -> int:
        """Return the page of columns that is shown when none are chosen."""
        return min(max(1, self.asked.number), self.pages)

    @property
    def first(self) -> int:
        """Return the place of the first column on this page."""
        return (self.number - 1) * SHOWN_COLUMNS + 1

    @property
    def last(self) -> int:
        """Return the place of the last column on this page."""
        return min(self.total, self.number * SHOWN_COLUMNS)

    @property
    def places(self) -> list[int]:
        """Return the chosen places that exist, each once, as many as a page shows; none in a result that fits."""
        return self._existing[:SHOWN_COLUMNS]

    @property
    def has_too_many(self) -> bool:
        """Return whether more columns are chosen than a page shows."""
        return len(self._existing) > SHOWN_COLUMNS

    @property
    def limit(self) -> int:
        """Return how many columns a page shows."""
        return SHOWN_COLUMNS

    @property
    def show(self) -> str | None:
        """Return the chosen places as addresses carry them; None without any."""
        return _joined(self.places) or None

    @property
    def chosen(self) -> list[PlacedColumn]:
        """Return the chosen columns, in the order they were chosen."""
        places = self.places
        return [
            PlacedColumn(place, self.facts.columns[place - 1], _joined(p for p in places if p != place))
            for place in places
        ]

    @property
    def chips(self) -> list[PlacedColumn]:
        """Return the chosen columns that can be left out one by one beside the rows."""
        return self.chosen[:MAX_CHIPS]

    @property
    def chosen_further(self) -> int:
        """Return how many columns are chosen besides."""
        return max(0, len(self.places) - MAX_CHIPS)

    @property
    def names(self) -> list[str]:
        """Return the names of the columns to show."""
        shown = [placed.column for placed in self.chosen] or self.facts.columns[self.first - 1 : self.last]
        return [column.name for column in shown]

    @property
    def found(self) -> list[PlacedColumn]:
        """Return columns to choose from: those that have the text in their name and are not chosen yet."""
        taken = set(self.places)
        matching = (
            PlacedColumn(place, column)
            for place, column in enumerate(self.facts.columns, start=1)
            if place not in taken and _has(column, self.asked.find)
        )
        return [placed for placed, _ in zip(matching, range(MAX_FOUND), strict=False)]

    @property
    def found_count(self) -> int:
        """Return how many columns have the text in their name."""
        return sum(_has(column, self.asked.find) for column in self.facts.columns)

    @property
    def _existing(self) -> list[int]:
        places = [place for place in dict.fromkeys(self.asked.places) if 1 <= place <= self.total]
        return places if self.is_wide else []


def names_like(facts: ResultFacts, text: str, *, is_numeric: bool = False) -> list[str]:
    """Return the first names of columns that have a text in them, or of those of numbers only."""
    columns = [column for column in facts.columns if column.is_numeric or not is_numeric]
    return [column.name for column in columns if _has(column, text)][:MAX_FOUND]


def _has(column: ResultColumn, text: str) -> bool:
    return text.strip().casefold() in column.name.casefold()


def _joined(places: Iterable[int]) -> str:
    return PLACES_SEPARATOR.join(map(str, places))
