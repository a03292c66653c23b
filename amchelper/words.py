"""Words that depend on numbers."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return "1 run", "2 runs", "1,000 runs"; `plural` for nouns that take more than an s."""
    return f"{count:,} {pluralized(count, noun, plural)}"


def pluralized(count: int, noun: str, plural: str = "") -> str:
    """Return the noun, or verb, that fits the count."""
    return noun if count == 1 else plural or f"{noun}s"
