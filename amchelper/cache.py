"""A cache that is never stale after a save: generation-stamped keys on Django's cache framework.

A reader takes the key's generation *before* it reads the database and fills a cache key that holds this
generation. A writer closes the generation inside its transaction, so readers go to the database while it
writes, and opens a new one after the commit. A slow reader, which read the row before the commit, can
therefore only fill a key that no reader will ever ask for again.

    CARDS = GenerationCache("cards", timeout=300)
    CARDS.get_or_load(pk, lambda: load_cards(pk))   # a reader
    CARDS.invalidate(pk)                            # a writer, inside its transaction
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any, TypeVar

from django.core.cache import caches

from amchelper.commits import after_commit

T = TypeVar("T")

_CLOSED = "closed"
# A writer that dies between closing and opening leaves the generation closed no longer than this.
_CLOSED_SECONDS = 60
# Beyond this many keys the whole kind ends: reading the others again costs less than two statements for each key.
MAX_SINGLE_KEYS = 10
_MISSING = object()


class GenerationCache:
    """The cached values of one kind; `namespace` separates kinds, `timeout` is in seconds."""

    def __init__(self, namespace: str, timeout: int = 300) -> None:
        self.namespace = namespace
        self.timeout = timeout

    def get_or_load(self, key: object, load: Callable[[], T]) -> T:
        """Return the cached value of `key`, or call `load` and keep what it returns."""
        generations = self._generations(key)
        if _CLOSED in generations:
            return load()
        value_key = f"{self.namespace}:{key}:{'.'.join(generations)}"
        value: Any = caches["default"].get(value_key, _MISSING)
        if value is _MISSING:
            value = load()
            caches["default"].set(value_key, value, self.timeout)
        return value  # type: ignore[no-any-return]  # what `load` returned

    def invalidate(self, *keys: object) -> None:
        """Make the cached values of `keys` unreachable, or all of the kind where the keys are many.

        Call it inside the transaction that writes; outside of one it takes effect at once.
        """
        if len(keys) > MAX_SINGLE_KEYS:
            self.invalidate_all()
        else:
            self._close([self._generation_key(key) for key in keys])

    def invalidate_all(self) -> None:
        """Make every cached value of this kind unreachable; call it as `invalidate`."""
        self._close([self.namespace])

    def _close(self, names: list[str]) -> None:
        for name in names:
            caches["generations"].set(name, _CLOSED, _CLOSED_SECONDS)
        # One that cannot be opened is new once the closed one has expired.
        after_commit(lambda: self._open(names), what="open cache generations")

    @staticmethod
    def _open(names: list[str]) -> None:
        for name in names:
            # A random generation needs no atomic counter: it was never used before.
            caches["generations"].set(name, secrets.token_hex(8), None)

    def _generations(self, key: object) -> list[str]:
        """Return the generation of the whole kind and that of the key, which both end a value."""
        names = [self.namespace, self._generation_key(key)]
        found = caches["generations"].get_many(names)
        return [str(found.get(name) or self._begin(name)) for name in names]

    @staticmethod
    def _begin(name: str) -> str:
        generation = secrets.token_hex(8)
        if caches["generations"].add(name, generation, None):
            return generation
        # Another process was first, and its generation is the one to use.
        return str(caches["generations"].get(name, _CLOSED))

    def _generation_key(self, key: object) -> str:
        return f"{self.namespace}:{key}"
