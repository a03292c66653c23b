"""The inputs of parameters on the editor's page: what a form calls them, and what their panel and the preview show."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from instances.services.mappings import MappedValues
from templates_app.services.drafts import (
    ParameterValue,
    fill_parameters,
    preview_of,
    remarks_on_length,
    texts_of,
)

VALUE, AUTO, TOUCHED = "value:", "auto:", "touched:"
MAX_PROBLEMS = 50
_NO_MARK = "0"
_GROUPS = {"date": "Dates", "asin": "ASINs", "campaign": "Campaigns", "text": "Texts and numbers"}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class ParameterField:
    """The input of one parameter."""

    value: ParameterValue

    @property
    def auto_mark(self) -> str:
        """Return what the form sends back beside the value: which text came from the mappings."""
        return _mark(self.value.text) if self.value.is_auto else _NO_MARK

    @property
    def is_plain_date(self) -> bool:
        """Return whether a date picker can show it: a day without a time, or nothing yet."""
        return not self.value.text or bool(_DAY.fullmatch(self.value.text.strip()))


def submitted_values(sql: str, posted: Mapping[str, str], mapped: MappedValues) -> list[ParameterValue]:
    """Return the values of parameters as a form sent them; a new parameter is filled, a cleared one is not."""
    texts: dict[str, str] = {}
    auto, touched = set(), set()
    names = {key.partition(":")[2] for key in posted if key.startswith((VALUE, AUTO, TOUCHED))}
    for name in names:
        texts[name] = text = posted.get(VALUE + name, "").replace("\r\n", "\n")
        sent = posted.get(AUTO + name, _NO_MARK)
        # Without JavaScript no script marks an input as edited; its mark no longer fits then.
        is_edited = sent not in (_NO_MARK, _mark(text))
        if is_edited or posted.get(TOUCHED + name) == "1":
            touched.add(name)
        elif sent != _NO_MARK:
            auto.add(name)
    return fill_parameters(sql, texts, mapped, auto=auto, touched=touched)


def parameter_context(sql: str, values: Sequence[ParameterValue]) -> dict[str, Any]:
    """Return the context of the parameter panel and of the preview, with the first problems of the preview."""
    texts = texts_of(values)
    preview = preview_of(sql, texts)
    shown = preview.problems[:MAX_PROBLEMS]
    return {
        "parameter_count": len(values),
        "set_count": sum(value.is_set for value in values),
        "has_outdated": any(value.is_outdated for value in values),
        "groups": _grouped(values),
        "finished_sql": preview.text,
        "remarks": remarks_on_length(preview.size, texts),
        "problems": [problem.error for problem in shown],
        "marks": [f"{problem.line}:{problem.column}:{problem.error.message}" for problem in shown],
        "more_problems": len(preview.problems) - len(shown),
    }


def _grouped(values: Sequence[ParameterValue]) -> list[tuple[str, list[ParameterField]]]:
    """Return the inputs by type, each type that occurs under its heading."""
    groups = [(label, [ParameterField(v) for v in values if v.type == kind]) for kind, label in _GROUPS.items()]
    return [(label, members) for label, members in groups if members]


def _mark(text: str) -> str:
    return hashlib.sha256(text.strip().encode()).hexdigest()[:16]
