"""Read single fields of Amazon's answers; everything may be missing, null or of another type."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def read_text(raw: Mapping[str, Any], name: str) -> str:
    """Return a field as text, empty when missing."""
    value = raw.get(name)
    return "" if value is None else str(value)


def read_time(raw: Mapping[str, Any], name: str) -> datetime | None:
    """Return a field as an aware time; a time without a zone is UTC."""
    try:
        moment = datetime.fromisoformat(read_text(raw, name).strip())
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def read_int(raw: Mapping[str, Any], name: str) -> int | None:
    """Return a field as a whole number, also when it is written as text."""
    try:
        return int(float(read_text(raw, name)))
    except (ValueError, OverflowError):
        return None


def read_rows(raw: Mapping[str, Any], name: str) -> tuple[Mapping[str, Any], ...]:
    """Return the objects of a list, leaving out whatever else is in it."""
    value = raw.get(name)
    return tuple(row for row in value if isinstance(row, dict)) if isinstance(value, list) else ()


def read_map(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a field as an object, empty when it is none."""
    value = raw.get(name)
    return value if isinstance(value, dict) else {}


def unwrap(payload: Any, name: str) -> Mapping[str, Any] | None:
    """Return the object of an answer, flat or wrapped under `name`: Amazon's documents show both."""
    if not isinstance(payload, dict):
        return None
    if name not in payload:
        return payload
    inner = payload[name]
    return inner if isinstance(inner, dict) else None
