"""Parameters of SQL templates: which there are, and the finished SQL for given values.

Everything here is a pure function of its arguments, in time proportional to their length. A value becomes a literal by
its kind and its place, never raw text, and is not looked at again, so nothing in it can become SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from templates_app.sql.names import Type, type_of
from templates_app.sql.placeholders import Malformed, Placeholder, read
from templates_app.sql.positions import Lines, Position, PositionMap, Replacement
from templates_app.sql.values import Code, Items, ValueProblem, read_items

__all__ = [
    "Occurrence",
    "Parameter",
    "ParameterError",
    "Piece",
    "Position",
    "PositionMap",
    "Type",
    "detect",
    "occurrences",
    "preview",
    "substitute",
    "substitute_with_map",
]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a template; its name decides its type."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One placeholder of a parameter, `sql[start:end]`; line and column count from 1, in code points."""

    name: str
    start: int
    end: int
    line: int
    column: int


class ParameterError(ValueError):
    """A template cannot be finished. `message` is for users; `name` is empty for malformed braces."""

    def __init__(self, code: Code, name: str, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.code = code
        self.name = name
        self.message = message
        self.line = line
        self.column = column


class Piece(NamedTuple):
    """A piece of a preview: finished SQL, or with an `error` the text as typed."""

    text: str
    error: ParameterError | None = None


def detect(sql: str) -> list[Parameter]:
    """Return the parameters of a template in order of first appearance. Never fails."""
    names = dict.fromkeys(found.name for found in read(sql) if isinstance(found, Placeholder))
    return [Parameter(name, type_of(name)) for name in names]


def occurrences(sql: str) -> list[Occurrence]:
    """Return every placeholder of a template in the order of the text. Never fails."""
    lines = Lines(sql)
    return [
        Occurrence(found.name, found.start, found.end, *lines.position(found.start))
        for found in read(sql)
        if isinstance(found, Placeholder)
    ]


def substitute(sql: str, values: Mapping[str, object]) -> str:
    """Return the finished SQL. Raises ParameterError for the first problem in the text."""
    return _finish(sql, values)[0]


def substitute_with_map(sql: str, values: Mapping[str, object]) -> tuple[str, PositionMap]:
    """Return the finished SQL and the way from its positions back to the template's. Raises ParameterError."""
    finished, replacements = _finish(sql, values)
    return finished, PositionMap(sql, finished, replacements)


def preview(sql: str, values: Mapping[str, object]) -> list[Piece]:
    """Return the SQL in pieces, as far as it can be finished. Never fails.

    A piece with the error `missing` or `empty` waits for its value; every other error is worth showing.
    """
    pieces: list[Piece] = []
    position = 0
    for start, end, filled in _fill_all(sql, values):
        if start > position:
            pieces.append(Piece(sql[position:start]))
        pieces.append(Piece(filled) if isinstance(filled, str) else Piece(sql[start:end], filled))
        position = end
    if position < len(sql):
        pieces.append(Piece(sql[position:]))
    return pieces


def _finish(sql: str, values: Mapping[str, object]) -> tuple[str, list[Replacement]]:
    pieces: list[str] = []
    replacements: list[Replacement] = []
    position = 0
    for start, end, filled in _fill_all(sql, values):
        if isinstance(filled, ParameterError):
            raise filled
        pieces += [sql[position:start], filled]
        replacements.append(Replacement(start, end, len(filled)))
        position = end
    pieces.append(sql[position:])
    return "".join(pieces), replacements


def _fill_all(sql: str, values: Mapping[str, object]) -> Iterator[tuple[int, int, str | ParameterError]]:
    """Return the stretches of the text to replace, each with its SQL or the error there."""
    items = _ItemsByName(values)
    lines: Lines | None = None
    for found in read(sql):
        name = "" if isinstance(found, Malformed) else found.name
        start, end = (found.start, found.end) if isinstance(found, Malformed) else found.replaced
        try:
            yield start, end, _fill(found, items)
        except ValueProblem as problem:
            lines = lines or Lines(sql)
            message = f"{name} {problem.message}" if name else problem.message
            yield start, end, ParameterError(problem.code, name, message, *lines.position(found.start))


class _ItemsByName:
    """Reads each value once, however often its parameter occurs."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self._items: dict[str, Items] = {}

    def get(self, name: str) -> Items:
        if name not in self._items:
            if name not in self._values:
                raise ValueProblem("missing", "needs a value.")
            self._items[name] = read_items(self._values[name], type_of(name))
        return self._items[name]


def _fill(found: Placeholder | Malformed, items: _ItemsByName) -> str:
    if isinstance(found, Malformed):
        form = "{{name}}, a name being a letter or underscore, then letters, digits and underscores"
        raise ValueProblem("malformed", f"These braces hold no parameter: write {form}.")
    if found.is_adjacent:
        hint = 'set it apart by a space, or put the whole name into double quotes, such as "dsp_{{region}}"'
        raise ValueProblem("glued", f"touches the text beside it: {hint}.")
    return _fit(found, items.get(found.name))


def _fit(placeholder: Placeholder, items: Items) -> str:
    """Write the items the way their place wants them."""
    place, mark = placeholder.place, placeholder.quote
    if mark and items.kind == "null":
        raise ValueProblem("null", "is null, which does not fit inside quotes: remove the quotes or give a value.")
    if len(items.texts) > 1 and place in ("one", "text"):
        hint = "give one, or write it behind IN or between brackets"
        raise ValueProblem("list", f"has {len(items.texts)} values where only one fits: {hint}.")
    if place == "text":
        return items.texts[0].replace(mark, mark * 2)
    is_text = bool(mark) or (placeholder.follows_like and items.kind == "number")
    literals = items.literals(as_text=is_text)
    if place == "in":
        return f"({', '.join(literals)})"
    if place == "rows":
        return f"({'), ('.join(literals)})"
    joined = ("), (" if place == "cell" else ", ").join(literals)
    # Two minus signs would open a comment.
    return f" {joined}" if placeholder.follows_minus and joined.startswith("-") else joined
