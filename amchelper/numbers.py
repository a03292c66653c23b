"""Numbers that requests bring as texts."""

from __future__ import annotations

# More digits count nothing we have.
MAX_DIGITS = 9
# Keys of rows that come by the million have more; databases refuse numbers of more than these.
MAX_KEY_DIGITS = 18


def parse_number(text: str | None, default: int) -> int:
    """Return the whole number a text of a request holds, or `default` for everything else, however long."""
    is_number = text is not None and text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS
    return int(text or 0) if is_number else default


def parse_key(text: str) -> int | None:
    """Return the row's key that a text of a request holds, None for everything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= MAX_KEY_DIGITS else None
