"""The inputs of a template's parameters: typed, filled from the mappings until somebody edits them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from templates_app.services.mapped import Mapped
from templates_app.sql.parameters import Parameter, ParameterError, detect, preview
from templates_app.sql.values import ValueProblem, as_text, read_items

VALUE, AUTO, TOUCHED = "value:", "auto:", "touched:"
_NO_MARK = "0"
_GROUPS = {"date": "Dates", "asin": "ASINs", "campaign": "Campaigns", "text": "Texts and numbers"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
# Not wrong yet: a value is still to come.
_WAITING = ("missing", "empty")
# Each input is three fields of the form, of which Django takes a thousand; AMC itself has 100 parameters at most.
MOST_FIELDS = 300
_MOST_PROBLEMS = 50


@dataclass(frozen=True)
class ParameterField:
    """One input: `text` is what it holds; `is_auto` as long as that comes from the mappings unedited."""

    name: str
    type: str
    text: str
    is_auto: bool = False
    is_touched: bool = False
    error: str = ""
    # What the mappings would put in now, where that differs from what they once put in.
    added: Sequence[str] = ()
    removed: Sequence[str] = ()

    @property
    def auto_mark(self) -> str:
        """Return what the form sends back beside the value: which text came from the mappings."""
        return _mark(self.text) if self.is_auto else _NO_MARK

    @property
    def is_set(self) -> bool:
        """Return whether it has a value."""
        return bool(self.text.strip())

    @property
    def is_outdated(self) -> bool:
        """Return whether the mappings have changed since they filled it."""
        return bool(self.added or self.removed)

    @property
    def is_plain_date(self) -> bool:
        """Return whether a date picker can show it: a day without a time, or nothing yet."""
        return not self.text or bool(_DAY.fullmatch(self.text.strip()))

    @property
    def count(self) -> int:
        """Return how many items a list parameter holds."""
        return len(items_of(self.type, self.text))


def fields_of(
    sql: str, values: Mapping[str, Any], mapped: Mapped, *, auto: Sequence[str] = (), touched: Sequence[str] = ()
) -> list[ParameterField]:
    """Return the inputs of a template with saved values, filled where the mappings may fill."""
    return [
        _field(p, as_text(values.get(p.name)), mapped, p.name in auto, p.name in touched)
        for p in detect(sql)[:MOST_FIELDS]
    ]


def submitted_fields(sql: str, posted: Mapping[str, str], mapped: Mapped) -> list[ParameterField]:
    """Return the inputs of a template as a form sent them; a new parameter is filled, a cleared one is not."""
    fields = []
    for parameter in detect(sql)[:MOST_FIELDS]:
        name = parameter.name
        text = posted.get(VALUE + name, "").replace("\r\n", "\n")
        sent = posted.get(AUTO + name, _NO_MARK)
        # Without JavaScript nobody marks an input as edited; its mark no longer fits then.
        is_edited = sent not in (_NO_MARK, _mark(text))
        touched = posted.get(TOUCHED + name) == "1" or is_edited
        fields.append(_field(parameter, text, mapped, sent != _NO_MARK and not touched, touched))
    return fields


def refreshed(fields: Sequence[ParameterField], mapped: Mapped) -> list[ParameterField]:
    """Fill what the mappings once filled with what they hold now."""
    return [
        ParameterField(f.name, f.type, "\n".join(mapped.items(f.type)), is_auto=True) if f.is_auto else f
        for f in fields
    ]


def values_of(fields: Sequence[ParameterField]) -> dict[str, str]:
    """Return the values of inputs as substitution wants them."""
    return {field.name: field.text for field in fields if field.is_set}


def autofilled(fields: Sequence[ParameterField]) -> list[str]:
    """Return the names whose value comes from the mappings unedited."""
    return [field.name for field in fields if field.is_auto]


@dataclass(frozen=True)
class Preview:
    """Finished SQL as far as it goes; `problems` have places in the source, `marks` the same in the finished text."""

    text: str
    problems: Sequence[ParameterError]
    marks: Sequence[str]
    # How many problems are left out.
    more_problems: int = 0


def preview_of(sql: str, fields: Sequence[ParameterField]) -> Preview:
    """Fill in what can be filled in; placeholders that still wait for a value stay as typed."""
    texts: list[str] = []
    problems: list[ParameterError] = []
    marks: list[str] = []
    line, column = 1, 1
    for piece in preview(sql, values_of(fields)):
        if piece.error is not None and piece.error.code not in _WAITING:
            problems.append(piece.error)
            marks.append(f"{line}:{column}:{piece.error.message}")
        texts.append(piece.text)
        breaks = piece.text.count("\n")
        line += breaks
        column = len(piece.text) - piece.text.rfind("\n") if breaks else column + len(piece.text)
    shown = slice(_MOST_PROBLEMS)
    more = len(problems[_MOST_PROBLEMS:])
    return Preview("".join(texts), problems[shown], marks[shown], more)


def grouped(fields: Sequence[ParameterField]) -> list[tuple[str, list[ParameterField]]]:
    """Return the inputs by kind, each kind under its heading."""
    groups = [(label, [field for field in fields if field.type == kind]) for kind, label in _GROUPS.items()]
    return [(label, members) for label, members in groups if members]


def items_of(kind: str, text: str) -> list[str]:
    """Return the items a list input holds, without duplicates."""
    if kind not in ("asin", "campaign") or not text.strip():
        return []
    try:
        return list(read_items(text, kind).texts)  # type: ignore[arg-type]  # one of the types
    except ValueProblem:
        return []


def _field(parameter: Parameter, text: str, mapped: Mapped, auto: bool, touched: bool) -> ParameterField:
    offered = list(mapped.items(parameter.type))
    if offered and not text.strip() and not touched:
        return ParameterField(parameter.name, parameter.type, "\n".join(offered), is_auto=True)
    added: list[str] = []
    removed: list[str] = []
    if auto:
        held = items_of(parameter.type, text)
        now, before = set(items_of(parameter.type, "\n".join(offered))), set(held)
        added = [item for item in offered if item not in before]
        removed = [item for item in held if item not in now]
    # What was typed and is emptied later was emptied on purpose.
    touched = touched or (bool(text.strip()) and not auto)
    return ParameterField(parameter.name, parameter.type, text, auto, touched, added=added, removed=removed)


def _mark(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:16]
