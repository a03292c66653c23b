"""Comments by the rules of AMC's parser, which allows them between any two words and does not nest them."""

from __future__ import annotations

import re

# Texts and quoted names come first, so that what looks like a comment in them is none.
_PIECES = re.compile(
    r"""
    '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | (?P<comment> --[^\r\n]* | /\*.*?\*/ )
    | (?P<open> ' | " | /\* )
    """,
    re.VERBOSE | re.DOTALL,
)
_NOT_A_LINE_END = re.compile(r"[^\r\n]")


def blank(text: str) -> str:
    """Return the text with spaces instead of comments; every other character stays in its line and column."""
    return _PIECES.sub(_blanked, text)


def _blanked(found: re.Match[str]) -> str:
    return _NOT_A_LINE_END.sub(" ", found[0]) if found["comment"] else found[0]


def first_unclosed(text: str) -> int | None:
    """Return where a text, a quoted name or a comment begins that never ends; None when all of them do."""
    return next((found.start() for found in _PIECES.finditer(text) if found["open"]), None)
