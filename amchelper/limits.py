"""How often one user may start something within a minute: a script is held up, a person never notices.

Counted in the cache that all web processes share. Staff are no exception: their scripts cost as much.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from django.conf import settings
from django.core.cache import cache

from amchelper.models import User
from amchelper.words import counted

View = TypeVar("View", bound=Callable[..., Any])
_MINUTE = 60


class TooManyError(Exception):
    """One more than a user may start within a minute; `message` is for the user, who may try again in `seconds`."""

    def __init__(self, message: str, seconds: int) -> None:
        super().__init__(message)
        self.message, self.seconds = message, seconds


@dataclass(frozen=True)
class Limit:
    """What is counted together: its name in LIMITS_PER_MINUTE, and what a user may do so many times a minute."""

    name: str
    sentence: str


RUNS = Limit("runs", "You can start {} runs a minute.")
CHECKS = Limit("checks", "You can have Amazon asked {} times a minute: by checks, tests, discovery and imports.")
EXPORTS = Limit("exports", "You can ask for {} files a minute.")
PREVIEWS = Limit("previews", "You can have previews and remarks made {} times a minute.")
UPLOADS = Limit("uploads", "You can send {} lists of mappings a minute.")


def spend(user: User, limit: Limit) -> None:
    """Count one more; raises TooManyError when the user has had all of this minute."""
    most = settings.LIMITS_PER_MINUTE[limit.name]
    if not most:
        return
    minute, passed = divmod(int(time.time()), _MINUTE)
    key = f"limit:{limit.name}:{user.pk}:{minute}"
    cache.add(key, 0, 2 * _MINUTE)
    try:
        count = cache.incr(key)
    except ValueError:
        # A cache that is full has thrown it out between the two.
        count = 1
    if count > most:
        left = _MINUTE - passed
        words = (
            f"{limit.sentence.format(f'{most:,}')} This was one too many: try again in {counted(left, 'second')}."
        )
        raise TooManyError(words, left)


def limited(limit: Limit, method: str = "POST") -> Callable[[View], View]:
    """Count requests of this method to a view before it does anything; they end in the answer 429 beyond the limit."""

    def decorate(view: View) -> View:
        @wraps(view)
        def counting(request: Any, *args: Any, **kwargs: Any) -> Any:
            if request.method == method:
                spend(request.user, limit)
            return view(request, *args, **kwargs)

        return counting  # type: ignore[return-value]  # it takes and returns what the view does

    return decorate
