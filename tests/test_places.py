"""Places for answers that take long: so many and no more, whoever comes next waits a moment."""

from __future__ import annotations

import threading

import pytest
from django.test import override_settings

from amchelper.places import NoPlaceError, Places


def places(wait_seconds: float = 0.0) -> Places:
    return Places("DOWNLOADS_PER_PROCESS", "All places are taken", wait_seconds=wait_seconds)


@override_settings(DOWNLOADS_PER_PROCESS=2)
def test_one_too_many_is_told() -> None:
    few = places()
    with few.held(), few.held():
        with pytest.raises(NoPlaceError, match=r"All places are taken \(2\). Try again"):
            few.take()
        assert few.taken == 2
    with few.held():
        assert few.taken == 1


@override_settings(DOWNLOADS_PER_PROCESS=1)
def test_place_that_gets_free_goes_to_who_waits() -> None:
    few = places(wait_seconds=60)
    few.take()
    has_place = threading.Event()

    def wait() -> None:
        with few.held():
            has_place.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not has_place.is_set()
    few.give_back()
    waiting.join()
    assert (has_place.is_set(), few.taken) == (True, 0)


@override_settings(DOWNLOADS_PER_PROCESS=1)
def test_work_that_fails_gives_its_place_back() -> None:
    few = places()
    with pytest.raises(ZeroDivisionError), few.held():
        raise ZeroDivisionError
    assert few.taken == 0
