"""A cache that is never stale after a save: generation-stamped keys on Django's cache framework.

A reader takes the key's generation *before* it reads the database and fills a cache key that holds this
generation. A writer closes the generation inside its transaction, so readers go to the database while it
writes, and opens a new one after the commit. A slow reader, which read the row before the commit, can
therefore only fill a key nobody will ever ask for again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache import caches
from django.db import transaction

T = TypeVar("T")

_CLOSED = "closed"
# A writer that dies between closing and opening leaves the generation closed no longer than this.
_CLOSED_SECONDS = 60
_MISSING = object()


class GenerationCache:
    """Cache values of one kind; `namespace` separates kinds, `timeout` is in seconds."""

    def __init__(self, namespace: str, timeout: int = 300) -> None:
        self.namespace = namespace
        self.timeout = timeout

    def get_or_load(self, key: object, load: Callable[[], T]) -> T:
        """Give the cached value of `key`, or call `load` and keep what it returns."""
        generation = self._generation(key)
        if generation == _CLOSED:
            return load()
        value_key = f"{self.namespace}:{key}:{generation}"
        value: Any = caches["default"].get(value_key, _MISSING)
        if value is _MISSING:
            value = load()
            caches["default"].set(value_key, value, self.timeout)
        return value  # type: ignore[no-any-return]  # what `load` returned

    def invalidate(self, *keys: object) -> None:
        """Make every cached value of `keys` unreachable; call it inside the writing transaction."""
        for key in keys:
            caches["generations"].set(self._generation_key(key), _CLOSED, _CLOSED_SECONDS)
        transaction.on_commit(lambda: self._open(keys))

    def _open(self, keys: tuple[object, ...]) -> None:
        for key in keys:
            # A random generation needs no atomic counter: it was never used before.
            caches["generations"].set(self._generation_key(key), secrets.token_hex(8), None)

    def _generation(self, key: object) -> str:
        generation_key = self._generation_key(key)
        generation = caches["generations"].get(generation_key)
        if generation is None:
            caches["generations"].add(generation_key, secrets.token_hex(8), None)
            # Read again: another process may have been first, and its generation is the one to use.
            generation = caches["generations"].get(generation_key, _CLOSED)
        return str(generation)

    def _generation_key(self, key: object) -> str:
        return f"{self.namespace}:{key}"
