"""Characters that look like SQL's own: named once each, with a fix that replaces them all."""

from __future__ import annotations

from amc_facts.characters import LookAlike, look_alikes, unsendable
from templates_app.sql.lint.findings import Finding, FindingLines, Fix
from templates_app.sql.placeholders import Placeholder, read


def find_look_alikes(sql: str) -> list[Finding]:
    """Return a finding for each different look-alike, where it stands first."""
    lines = FindingLines(sql)
    problem = unsendable(sql)
    if problem is not None:
        place, what = problem
        return [lines.finding("look-alike", "error", f"The SQL holds {what}: remove it.", place, place + 1)]
    found = _outside_placeholders(sql)
    if not found:
        return []
    fix = _fix(sql, found)
    first = {item.character: item for item in reversed(found)}
    return [
        lines.finding(
            "look-alike", "warning" if item.is_blank else "error", item.message, item.start, item.start + 1, fix
        )
        for item in first.values()
    ]


def _outside_placeholders(sql: str) -> list[LookAlike]:
    if sql.isascii():
        return []
    inside = {
        place for item in read(sql) if isinstance(item, Placeholder) for place in range(item.start, item.end)
    }
    return [item for item in look_alikes(sql) if item.start not in inside]


def _fix(sql: str, found: list[LookAlike]) -> Fix:
    pieces: list[str] = []
    position = found[0].start
    for item in found:
        pieces += [sql[position : item.start], item.replacement]
        position = item.end
    count = len(found)
    label = f"Replace {count} look-alike characters" if count > 1 else "Replace the look-alike character"
    return Fix(label, found[0].start, position, "".join(pieces))
