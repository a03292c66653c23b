"""SQL while it is being written: the values of its parameters, what the mappings fill in, the finished text, remarks.

Nothing here knows a form or a page: values come in as texts by parameter.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from instances.models import AMCInstance
from instances.services.configuration import get_instance_configuration
from instances.services.mappings import MappedValues
from templates_app.sql.lint import Finding, lint
from templates_app.sql.parameters import Parameter, ParameterError, detect, preview
from templates_app.sql.values import ValueProblem, read_items

# AMC documents no limit; beyond this no query is sensible, and the database and the browser suffer.
MAX_SQL_LENGTH = 200_000
# Each input is three fields of a form, of which Django takes a thousand; AMC itself has 100 parameters at most.
MAX_PARAMETERS = 300
# Not wrong yet: a value is still to come.
_WAITING = ("missing", "empty")


@dataclass(frozen=True)
class ParameterValue:
    """A parameter and the text it holds; `is_auto` as long as that came from the mappings and was not edited."""

    name: str
    type: str
    text: str
    is_auto: bool = False
    # Typed, or emptied on purpose: the mappings leave it alone.
    is_touched: bool = False
    # What the mappings would put in now, where that differs from what they once put in.
    added: Sequence[str] = ()
    removed: Sequence[str] = ()

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
    """Finished SQL as far as it goes."""

    text: str
    problems: Sequence[PreviewProblem]


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
    return [
        _fill(parameter, texts.get(parameter.name, ""), mapped, parameter.name in auto, parameter.name in touched)
        for parameter in detect(sql)[:MAX_PARAMETERS]
    ]


def refill(values: Sequence[ParameterValue], mapped: MappedValues) -> list[ParameterValue]:
    """Return the values; what the mappings once filled holds what they offer now."""
    return [
        ParameterValue(v.name, v.type, "\n".join(_offered(mapped, v.type)), is_auto=True) if v.is_auto else v
        for v in values
    ]


def texts_of(values: Sequence[ParameterValue]) -> dict[str, str]:
    """Return the texts that are set by parameter, as substitution takes and templates store them."""
    return {value.name: value.text for value in values if value.is_set}


def autofilled(values: Sequence[ParameterValue]) -> list[str]:
    """Return the names whose value comes from the mappings unedited."""
    return [value.name for value in values if value.is_auto]


def preview_of(sql: str, texts: Mapping[str, str]) -> Preview:
    """Return the SQL with what can be filled in; placeholders that still wait for a value stay as typed."""
    pieces: list[str] = []
    problems: list[PreviewProblem] = []
    line, column = 1, 1
    for piece in preview(sql, texts):
        if piece.error is not None and piece.error.code not in _WAITING:
            problems.append(PreviewProblem(piece.error, line, column))
        pieces.append(piece.text)
        breaks = piece.text.count("\n")
        line += breaks
        column = len(piece.text) - piece.text.rfind("\n") if breaks else column + len(piece.text)
    return Preview("".join(pieces), problems)


def lint_for(instance: AMCInstance, sql: str) -> list[Finding]:
    """Return the findings for an instance: its advertiser types decide which tables have data."""
    if not sql.strip():
        return []
    types = get_instance_configuration(instance.pk).advertiser_types
    return lint(sql, advertiser_types=types or None, aggregation_controls=not instance.has_synthetic_data)


def _fill(parameter: Parameter, text: str, mapped: MappedValues, auto: bool, touched: bool) -> ParameterValue:
    offered = _offered(mapped, parameter.type)
    if offered and not text.strip() and not touched:
        return ParameterValue(parameter.name, parameter.type, "\n".join(offered), is_auto=True)
    added: list[str] = []
    removed: list[str] = []
    if auto:
        held = _items(parameter.type, text)
        now, before = set(_items(parameter.type, "\n".join(offered))), set(held)
        added = [item for item in offered if item not in before]
        removed = [item for item in held if item not in now]
    # What was typed and is emptied later was emptied on purpose.
    touched = touched or (bool(text.strip()) and not auto)
    return ParameterValue(parameter.name, parameter.type, text, auto, touched, added, removed)


def _offered(mapped: MappedValues, kind: str) -> Sequence[str]:
    return {"asin": mapped.asins, "campaign": mapped.campaigns}.get(kind, [])


def _items(kind: str, text: str) -> list[str]:
    if kind not in ("asin", "campaign") or not text.strip():
        return []
    try:
        return list(read_items(text, kind).texts)  # type: ignore[arg-type]  # one of the types
    except ValueProblem:
        return []
