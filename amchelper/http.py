"""What pages read from requests, and what every page hands to its template."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

Breadcrumbs = list[tuple[str, str | None]]

# More digits count nothing we have.
MAX_DIGITS = 9
# Keys of rows that come by the million have more; databases refuse numbers of more than these.
MAX_KEY_DIGITS = 18


def parse_number(text: str | None, default: int) -> int:
    """Return the whole number a text of a request holds, or `default` for everything else, however long."""
    found = _digits(text, MAX_DIGITS)
    return default if found is None else found


def parse_key(text: str) -> int | None:
    """Return the row's key that a text of a request holds, None for everything else."""
    return _digits(text, MAX_KEY_DIGITS)


def parse_uuid(text: str) -> UUID | None:
    """Return the key in `text`; None for anything else."""
    try:
        return UUID(text)
    except ValueError:
        return None


def parse_uuids(texts: Iterable[str]) -> list[UUID]:
    """Return the keys among `texts`, without what is none."""
    return [key for key in map(parse_uuid, texts) if key is not None]


def breadcrumbs(*parents: tuple[str, object], here: str | None = None) -> Breadcrumbs:
    """Return the way to a page: each parent's name with its address, and the page's own name without one."""
    way: Breadcrumbs = [(name, str(address)) for name, address in parents]
    return way if here is None else [*way, (here, None)]


def _digits(text: str | None, limit: int) -> int | None:
    is_number = text is not None and text.isascii() and text.isdecimal() and len(text) <= limit
    return int(text or 0) if is_number else None
