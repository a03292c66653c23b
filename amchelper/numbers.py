"""Numbers that requests bring as texts."""

from __future__ import annotations

# More digits count nothing we have, and databases refuse numbers of more than eighteen.
MAX_DIGITS = 9


def parse_number(text: str | None, default: int) -> int:
    """Return the whole number a text of a request holds, or `default` for everything else, however long."""
    is_number = text is not None and text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
    return int(text or 0) if is_number else default
