"""The cache is never stale after a save."""

from __future__ import annotations

from unittest import mock

from django.core.cache import caches
from django.db import transaction
from django.test import TransactionTestCase

from amchelper.cache import MAX_SINGLE_KEYS, GenerationCache


class GenerationCacheTests(TransactionTestCase):
    def setUp(self) -> None:
        for alias in ("default", "generations"):
            caches[alias].clear()
        self.cache = GenerationCache("test", timeout=300)
        self.loads = 0

    def load(self, value: str) -> str:
        self.loads += 1
        return value

    def read(self, value: str) -> str:
        return self.cache.get_or_load("k", lambda: self.load(value))

    def test_second_read_is_a_hit(self) -> None:
        self.assertEqual(self.read("a"), "a")
        self.assertEqual(self.read("b"), "a")
        self.assertEqual(self.loads, 1)

    def test_none_and_empty_values_are_cached_too(self) -> None:
        for _ in range(2):
            self.assertIsNone(self.cache.get_or_load("none", lambda: self.load("x") and None))
        self.assertEqual(self.loads, 1)

    def test_read_after_commit_is_fresh(self) -> None:
        self.read("old")
        with transaction.atomic():
            self.cache.invalidate("k")
        self.assertEqual(self.read("new"), "new")

    def test_slow_reader_cannot_fill_a_live_key(self) -> None:
        def slow() -> str:
            value = self.load("old")  # reads the row …
            with transaction.atomic():  # … another process updates and commits …
                self.cache.invalidate("k")
            return value  # … and only now the reader fills

        self.assertEqual(self.cache.get_or_load("k", slow), "old")
        self.assertEqual(self.read("new"), "new")

    def test_reader_between_close_and_commit_does_not_fill(self) -> None:
        with transaction.atomic():
            self.cache.invalidate("k")
            self.assertEqual(self.read("old"), "old")
        self.assertEqual(self.read("new"), "new")

    def test_rollback_leaves_nothing_stale(self) -> None:
        self.read("old")

        class _Stop(Exception):  # noqa: N818  a signal, not an error
            pass

        with self.assertRaises(_Stop), transaction.atomic():
            self.cache.invalidate("k")
            raise _Stop
        self.assertEqual(self.read("old"), "old")

    def test_all_values_of_a_kind_can_be_ended_at_once(self) -> None:
        other = GenerationCache("other", timeout=300)
        self.assertEqual([self.read("old"), other.get_or_load("k", lambda: "kept")], ["old", "kept"])
        with transaction.atomic():
            self.cache.invalidate_all()
            self.assertEqual(self.read("during"), "during")
        self.assertEqual([self.read("new"), other.get_or_load("k", lambda: "x")], ["new", "kept"])

    def test_many_keys_end_in_as_few_writes_as_the_whole_kind(self) -> None:
        self.read("old")
        counted = mock.patch.object(caches["generations"], "set", wraps=caches["generations"].set)
        with counted as writes, transaction.atomic():
            self.cache.invalidate("k", *range(MAX_SINGLE_KEYS))
        self.assertEqual(writes.call_count, 2)
        self.assertEqual(self.read("new"), "new")

    def test_slow_reader_cannot_fill_a_kind_that_was_ended(self) -> None:
        def slow() -> str:
            with transaction.atomic():
                self.cache.invalidate_all()
            return "old"

        self.cache.get_or_load("k", slow)
        self.assertEqual(self.read("new"), "new")

    def test_many_keys_fit(self) -> None:
        for key in range(1000):
            self.cache.get_or_load(key, lambda: self.load("kept"))
        self.loads = 0
        for key in range(1000):
            self.cache.get_or_load(key, lambda: self.load("again"))
        self.assertEqual(self.loads, 0)

    def test_keys_do_not_disturb_each_other(self) -> None:
        self.cache.get_or_load("other", lambda: self.load("kept"))
        with transaction.atomic():
            self.cache.invalidate("k")
        self.assertEqual(self.cache.get_or_load("other", lambda: self.load("new")), "kept")
