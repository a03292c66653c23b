"""The hostile load, each kind of post once: what it holds against the product, not how much of it."""

from __future__ import annotations

from tests.load.load_hostile import hostile_posts, run


def test_each_kind_of_post_is_read_and_none_fails() -> None:
    assert run(len(hostile_posts())) == 0
