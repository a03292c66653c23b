"""What pages read from forms, and what every page hands to its template."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

Breadcrumbs = list[tuple[str, str | None]]


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
