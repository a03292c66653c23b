"""Parameters of SQL templates: which there are, and the finished SQL for given values.

Everything here is a pure function of its arguments, in time proportional to their length. A value becomes a literal by
its kind and its place, never raw text, and is not looked at again, so nothing in it can become SQL.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from templates_app.sql.fillings import Filling, Values, byte_length, fill
from templates_app.sql.names import Type, type_of
from templates_app.sql.placeholders import Malformed, Placeholder, read
from templates_app.sql.positions import Lines, Position, PositionMap, Replacement
from templates_app.sql.values import Code, ValueProblem

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
    "problems_of",
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
    """A piece of a preview: finished SQL, or with an `error` the text as typed; `size` in bytes, before shortening."""

    text: str
    error: ParameterError | None = None
    size: int = 0


class _Stretch(NamedTuple):
    """A stretch `sql[start:end]` to replace, and what by."""

    name: str
    start: int
    end: int
    filled: Filling | ParameterError


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


def substitute(sql: str, values: Mapping[str, object], *, max_bytes: int | None = None) -> str:
    """Return the finished SQL. Raises ParameterError for the first problem in the text.

    With `max_bytes`, SQL that would be longer is one of the problems, and is never written out.
    """
    return _finish(sql, values, max_bytes)[0]


def substitute_with_map(sql: str, values: Mapping[str, object]) -> tuple[str, PositionMap]:
    """Return the finished SQL and the way from its positions back to the template's. Raises ParameterError."""
    finished, replacements = _finish(sql, values)
    return finished, PositionMap(sql, finished, replacements)


def preview(
    sql: str,
    values: Mapping[str, object],
    *,
    max_bytes: int | None = None,
    max_items: int | None = None,
    max_characters: int | None = None,
) -> list[Piece]:
    """Return the SQL in pieces, as far as it can be finished. Never fails.

    A piece with the error `missing` or `empty` waits for its value; every other error is worth showing. Lists of more
    than `max_items` and texts of more than `max_characters` are shortened, for people to look at. With `max_bytes`,
    the parameter that makes the SQL longer has the error `too_long`.
    """
    stretches = list(_fill_all(sql, values))
    too_long = _too_long(sql, stretches, max_bytes)
    pieces: list[Piece] = []
    position = 0
    for name, start, end, filled in stretches:
        if start > position:
            pieces.append(_typed(sql, position, start))
        if isinstance(filled, ParameterError):
            pieces.append(_typed(sql, start, end, filled))
        elif too_long is not None and name == too_long.name:
            pieces.append(_typed(sql, start, end, too_long)._replace(size=filled.size))
        else:
            pieces.append(Piece(filled.shortened(max_items, max_characters), None, filled.size))
        position = end
    if position < len(sql):
        pieces.append(_typed(sql, position, len(sql)))
    return pieces


def problems_of(sql: str, values: Mapping[str, object], *, max_bytes: int | None = None) -> list[ParameterError]:
    """Return all that keeps a template from being finished, once per parameter, in the order of the text.

    Never fails; empty when `substitute` would not.
    """
    stretches = list(_fill_all(sql, values))
    found: dict[object, ParameterError] = {}
    for stretch in stretches:
        if isinstance(stretch.filled, ParameterError):
            found.setdefault(stretch.name or stretch.start, stretch.filled)
    too_long = _too_long(sql, stretches, max_bytes)
    return [*found.values(), *([too_long] if too_long else [])]


def _typed(sql: str, start: int, end: int, error: ParameterError | None = None) -> Piece:
    text = sql[start:end]
    return Piece(text, error, byte_length(text))


def _finish(sql: str, values: Mapping[str, object], max_bytes: int | None = None) -> tuple[str, list[Replacement]]:
    stretches = []
    for stretch in _fill_all(sql, values):
        if isinstance(stretch.filled, ParameterError):
            raise stretch.filled
        stretches.append(stretch)
    if error := _too_long(sql, stretches, max_bytes):
        raise error
    pieces: list[str] = []
    replacements: list[Replacement] = []
    position = 0
    for _name, start, end, filled in stretches:
        text = filled.text()  # type: ignore[union-attr]  # errors were raised
        pieces += [sql[position:start], text]
        replacements.append(Replacement(start, end, len(text)))
        position = end
    pieces.append(sql[position:])
    return "".join(pieces), replacements


def _too_long(sql: str, stretches: Sequence[_Stretch], max_bytes: int | None) -> ParameterError | None:
    """Return the error of the parameter with the largest share of SQL that would be too long, at its first place."""
    if max_bytes is None:
        return None
    filled = [stretch for stretch in stretches if isinstance(stretch.filled, Filling)]
    sizes: Counter[str] = Counter()
    for name, _start, _end, filling in filled:
        sizes[name] += filling.size  # type: ignore[union-attr]  # as chosen
    replaced = sum(byte_length(sql[start:end]) for _name, start, end, _filling in filled)
    size = byte_length(sql) - replaced + sizes.total()
    if size <= max_bytes or not sizes:
        return None
    ((name, _),) = sizes.most_common(1)
    start = next(stretch.start for stretch in filled if stretch.name == name)
    message = (
        f"{name} makes the finished SQL {size:,} bytes long; the most is {max_bytes:,}. Give fewer values, use it in "
        "fewer places, or upload the list to AMC as a table."
    )
    return ParameterError("too_long", name, message, *Lines(sql).position(start))


def _fill_all(sql: str, values: Mapping[str, object]) -> Iterator[_Stretch]:
    """Return the stretches of the text to replace, each with what comes there or the error there."""
    read_values = Values(values)
    lines: Lines | None = None
    for found in read(sql):
        name = "" if isinstance(found, Malformed) else found.name
        start, end = (found.start, found.end) if isinstance(found, Malformed) else found.replaced
        try:
            yield _Stretch(name, start, end, fill(found, read_values))
        except ValueProblem as problem:
            lines = lines or Lines(sql)
            message = f"{name} {problem.message}" if name else problem.message
            error = ParameterError(problem.code, name, message, *lines.position(found.start))
            yield _Stretch(name, start, end, error)
