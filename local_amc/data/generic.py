"""Which expression fills a column: what the source has, a part of a time, or something fitting its name and type."""

from __future__ import annotations

import re
from collections.abc import Mapping

from amc_facts.tables import Column

_TIME = re.compile(r"(?P<event>.+?)_(?P<part>dt_hour|dt|date|day|hour|month)(?P<utc>_utc)?")

_PARTS = {
    "dt_hour": "date_trunc('hour', {dt})",
    "dt": "{dt}",
    "date": "{dt}",
    "day": "day({dt})",
    "hour": "hour({dt})",
    "month": "month({dt})",
}

# The first pattern that fits "name type kind" decides; {name} and {words} are the column's.
_RULES = (
    (r"no_3p_trackers .*", "chance(key, '{name}', 0.2)"),
    (r".* BOOLEAN .*", "chance(key, '{name}', 0.3)"),
    (r".*_id VARCHAR .*", "code(key, '{name}', 10)"),
    (r".*_id BIGINT .*", "long_id(key, '{name}')"),
    (r".* BIGINT METRIC", "chance(key, '{name}', 0.2)::INTEGER"),
    (r".* (BIGINT|INTEGER) .*", "between_(key, '{name}', 1, 100)"),
    (r".* (DECIMAL.*|DOUBLE) .*", "round(unit(key, '{name}') * 100, 2)"),
    (r".* DATE .*", "DATE '2025-01-01' + between_(key, '{name}', 0, 900)::INTEGER"),
    (r".* TIMESTAMP .*", "TIMESTAMP '2025-01-01' + to_minutes(between_(key, '{name}', 0, 900000))"),
    (r".* VARCHAR\[\] .*", "[pick(key, '{name}', ['{words} A', '{words} B', '{words} C'])]"),
    (r".* VARCHAR .*", "tilt(key, '{name}', ['{words} A', '{words} B', '{words} C', '{words} D'])"),
)


def value(column: Column, known: Mapping[str, str]) -> str:
    """Return the expression for `column`; `known` maps names of the source to expressions."""
    if column.name in known:
        return known[column.name]
    return _time_part(column, known) or _fitting(column)


def _time_part(column: Column, known: Mapping[str, str]) -> str | None:
    match = _TIME.fullmatch(column.name)
    if match is None:
        return None
    zone = match["utc"] or ""
    for form in ("dt", "date"):
        time = known.get(f"{match['event']}_{form}{zone}")
        if time is not None:
            return _PARTS[match["part"]].format(dt=time)
    return None


def _fitting(column: Column) -> str:
    described = f"{column.name} {column.type} {column.kind}"
    words = column.name.replace("_", " ").capitalize()
    rule = next(text for pattern, text in _RULES if re.fullmatch(pattern, described))
    return rule.format(name=column.name, words=words)
