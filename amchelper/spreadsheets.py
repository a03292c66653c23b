"""What a spreadsheet runs or spoils in a CSV file, and the apostrophe that keeps it from doing so, both directions.

A cell that begins like a formula is run. Of a whole number, 15 digits are kept and leading zeros dropped. An
apostrophe before the cell says that it is text. Where a semicolon or a tab separates columns, what stands behind one
in a cell is a cell too, so a sign there gets an apostrophe as well. Values that have such apostrophes themselves get
one more, so that `unguard` gives every cell back as it was, whichever of our files it comes from. Other programs write
`="0123"` for the same purpose, which it understands too.
"""

from __future__ import annotations

import re

# The wide forms too, where such keyboards are in use.
_FORMULA = r"[=+\-@\t\r\n＝＋－＠]"
_SPOILED = r"-?([0-9]{16,}|0[0-9]+)"
_NEGATIVE_NUMBER = r"-[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"
_SIGN = "[=+@＝＋－＠-]"
_INNER = re.compile(rf"([;,\t])('*{_SIGN})")
_INNER_GUARDED = re.compile(rf"([;,\t])'('*{_SIGN})")
_AS_TEXT = re.compile(r'="((?:[^"]|"")*)"')
_NEEDS_GUARD = re.compile(rf"'*({_FORMULA}|{_SPOILED}\Z)")


def guard(text: str) -> str:
    """Return a cell of text that no spreadsheet takes for a formula or a number it would spoil."""
    text = _INNER.sub(r"\1'\2", text)
    return f"'{text}" if _NEEDS_GUARD.match(text) else text


def unguard(cell: str) -> str:
    """Return the text of a cell that `guard` or `guard_sql` wrote, or another program as `="…"`."""
    if formula := _AS_TEXT.fullmatch(cell):
        return formula[1].replace('""', '"')
    text = cell[1:] if cell.startswith("'") and _NEEDS_GUARD.match(cell) else cell
    return _INNER_GUARDED.sub(r"\1\2", text)


def guard_sql(text: str) -> str:
    """Return DuckDB's SQL for `guard` of a text that may be a number: a plain negative one stays as it is."""
    formula = f"regexp_matches({text}, '^''*{_FORMULA}') AND NOT regexp_full_match({text}, '{_NEGATIVE_NUMBER}')"
    inner = f"regexp_replace({text}, '([;,\\t])(''*{_SIGN})', '\\1''\\2', 'g')"
    spoiled = f"regexp_full_match({text}, '''*{_SPOILED}')"
    return f"CASE WHEN ({formula}) OR {spoiled} THEN '''' || {inner} ELSE {inner} END"
