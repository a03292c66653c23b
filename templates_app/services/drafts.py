"""SQL while it is being written: the values of its parameters, what the mappings fill in, the finished text, remarks.

Nothing here knows a form or a page: values come in as texts by parameter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from amc_facts.limits import MAX_SQL_BYTES
from amchelper.words import counted
from instances.models import AMCInstance
from instances.services.configuration import get_instance_configuration
from instances.services.mappings import MappedValues
from templates_app.errors import WAITING_CODES
from templates_app.sql.lint import Finding, lint
from templates_app.sql.names import Type, type_of
from templates_app.sql.parameters import Parameter, ParameterError, detect, preview
from templates_app.sql.values import ValueProblem, as_text, read_items

# AMC documents no limit; beyond this no query is sensible, and the database and the browser suffer.
MAX_SQL_LENGTH = 200_000
# Each input is three fields of a form, of which Django takes a thousand; AMC itself has 100 parameters at most.
MAX_PARAMETERS = 300
# A preview is to be looked at; what runs is written out when a template is saved.
MAX_PREVIEW_ITEMS, MAX_PREVIEW_CHARACTERS, MAX_PREVIEW_LENGTH = 100, 2_000, 400_000
_CUT = "\n… the rest of the finished SQL is too long to show here."
# More items in a list deserve a remark.
LONG_LIST = 1_000
_WAY_OUT = "give fewer values, or upload the list to AMC as a table."


@dataclass(frozen=True)
class ParameterValue:
    """A parameter and the text it holds; `is_auto` as long as that came from the mappings and was not edited."""

    name: str
    type: Type
    text: str
    is_auto: bool = False
    # Typed, or emptied on purpose: the mappings leave it alone.
    is_touched: bool = False
    # What the mappings would put in now, where that differs from what they once put in.
    added: Sequence[str] = ()
    removed: Sequence[str] = ()
    # How many values the mappings have for it when that is more than fits.
    too_many: int = 0

    @property
    def is_set(self) -> bool:
        """Return whether it has a value."""
        return bool(self.text.strip())

    @property
    def is_outdated(self) -> bool:
        """Return whether the mappings have changed since they filled it."""
        return bool(self.added or self.removed)

    @property
    def items(self) -> list[str]:
        """Return the items of a list parameter without duplicates; empty for the other types."""
        return _items(self.type, self.text)


@dataclass(frozen=True)
class PreviewProblem:
    """What is wrong with a value; the error has its place in the source, `line` and `column` in the finished text."""

    error: ParameterError
    line: int
    column: int


@dataclass(frozen=True)
class Preview:
    """Finished SQL as far as it goes, long lists shortened; `size` in bytes is that of the whole."""

    text: str
    problems: Sequence[PreviewProblem]
    size: int


def fill_parameters(
    sql: str,
    texts: Mapping[str, str],
    mapped: MappedValues,
    *,
    auto: Collection[str] = (),
    touched: Collection[str] = (),
) -> list[ParameterValue]:
    """Return the values of the SQL's parameters, in order of appearance; the mappings fill what may be filled.

    `auto` names the parameters whose text came from the mappings, `touched` those the mappings must leave alone.
    """
    offers = _Offers(mapped)
    return [
        _fill(parameter, texts.get(parameter.name, ""), offers, parameter.name in auto, parameter.name in touched)
        for parameter in detect(sql)[:MAX_PARAMETERS]
    ]


def refill(values: Sequence[ParameterValue], mapped: MappedValues) -> list[ParameterValue]:
    """Return the values; what the mappings once filled holds what they offer now."""
    offers = _Offers(mapped)
    return [_fill(Parameter(v.name, v.type), "", offers, False, False) if v.is_auto else v for v in values]


def texts_of(values: Sequence[ParameterValue]) -> dict[str, str]:
    """Return the texts that are set by parameter, as substitution takes and templates store them."""
    return {value.name: value.text for value in values if value.is_set}


def autofilled(values: Sequence[ParameterValue]) -> list[str]:
    """Return the names whose value comes from the mappings unedited."""
    return [value.name for value in values if value.is_auto]


def preview_of(sql: str, texts: Mapping[str, str]) -> Preview:
    """Return the SQL with what can be filled in; placeholders that still wait for a value stay as typed.

    It is bounded, however long the finished SQL would be.
    """
    text = _PreviewText()
    problems: list[PreviewProblem] = []
    size = 0
    for piece in preview(
        sql,
        texts,
        max_bytes=settings.MAX_FINISHED_SQL_BYTES,
        max_items=MAX_PREVIEW_ITEMS,
        max_characters=MAX_PREVIEW_CHARACTERS,
    ):
        if piece.error is not None and piece.error.code not in WAITING_CODES:
            problems.append(PreviewProblem(piece.error, text.line, text.column))
        text.add(piece.text)
        size += piece.size
    return Preview(text.whole(), _once_each(problems), size)


def remarks_on_length(size: int, texts: Mapping[str, object]) -> list[str]:
    """Return what is to be said about finished SQL of that many bytes and the lists in it; empty mostly."""
    remarks = []
    if size > MAX_SQL_BYTES:
        remarks.append(
            f"The finished SQL has {size:,} bytes. AMC may refuse more than {MAX_SQL_BYTES:,}: {_WAY_OUT}"
        )
    for name, text in texts.items():
        # Every item takes a character and what separates it from the next.
        is_short = isinstance(text, str) and len(text) < 2 * LONG_LIST
        count = 0 if is_short else len(_items(type_of(name), as_text(text)))
        if count > LONG_LIST:
            remarks.append(f"{name} has {counted(count, 'item')}. AMC is slow with lists of thousands: {_WAY_OUT}")
    return remarks


def lint_for(instance: AMCInstance, sql: str) -> list[Finding]:
    """Return the findings for an instance: its advertiser types decide which tables have data."""
    if not sql.strip():
        return []
    types = get_instance_configuration(instance.pk).advertiser_types
    return lint(sql, advertiser_types=types or None, aggregation_controls=not instance.has_synthetic_data)


class _PreviewText:
    """A text that stops growing at a length, and where its end is: line and column, from 1."""

    def __init__(self) -> None:
        self.line, self.column = 1, 1
        self._pieces: list[str] = []
        self._length = 0

    def add(self, text: str) -> None:
        if self._length > MAX_PREVIEW_LENGTH:
            return
        self._pieces.append(text)
        self._length += len(text)
        breaks = text.count("\n")
        self.line += breaks
        self.column = len(text) - text.rfind("\n") if breaks else self.column + len(text)

    def whole(self) -> str:
        return "".join(self._pieces) + (_CUT if self._length > MAX_PREVIEW_LENGTH else "")


def _once_each(problems: Sequence[PreviewProblem]) -> list[PreviewProblem]:
    """Return the problems; that the SQL becomes too long is said once, not at every place of its parameter."""
    too_long = [problem for problem in problems if problem.error.code == "too_long"]
    return [*too_long[:1], *(problem for problem in problems if problem.error.code != "too_long")]


class _Offers:
    """What the mappings offer to each type of parameter, read once, and how much of it may still be taken."""

    def __init__(self, mapped: MappedValues) -> None:
        self._offered: dict[str, Sequence[str]] = {"asin": mapped.asins, "campaign": mapped.campaigns}
        self._texts: dict[str, str] = {}
        self._item_sets: dict[str, set[str]] = {}
        self._room: int = settings.MAX_FINISHED_SQL_BYTES

    def items(self, kind: Type) -> Sequence[str]:
        return self._offered.get(kind, [])

    def text(self, kind: Type) -> str:
        if kind not in self._texts:
            self._texts[kind] = "\n".join(self.items(kind))
        return self._texts[kind]

    def item_set(self, kind: Type) -> set[str]:
        if kind not in self._item_sets:
            self._item_sets[kind] = set(_items(kind, self.text(kind)))
        return self._item_sets[kind]

    def take(self, kind: Type) -> bool:
        """Return whether one more parameter may be filled; no SQL has room for more than is taken in all."""
        self._room -= len(self.text(kind))
        return self._room >= 0


def _fill(parameter: Parameter, text: str, offers: _Offers, auto: bool, touched: bool) -> ParameterValue:
    name, kind = parameter.name, parameter.type
    offered = offers.items(kind)
    if offered and not text.strip() and not touched:
        if not offers.take(kind):
            return ParameterValue(name, kind, "", too_many=len(offered))
        return ParameterValue(name, kind, offers.text(kind), is_auto=True)
    added: list[str] = []
    removed: list[str] = []
    if auto:
        held, now = _items(kind, text), offers.item_set(kind)
        before = set(held)
        added = [] if before == now else [item for item in offered if item not in before]
        removed = [item for item in held if item not in now]
    # What was typed and is emptied later was emptied on purpose.
    touched = touched or (bool(text.strip()) and not auto)
    return ParameterValue(name, kind, text, auto, touched, added, removed)


def _items(kind: Type, text: str) -> list[str]:
    if kind not in ("asin", "campaign") or not text.strip():
        return []
    try:
        return list(read_items(text, kind).texts)
    except ValueProblem:
        return []
