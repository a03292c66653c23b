"""The product's settings, on a database that notes how long its lock is held."""

from __future__ import annotations

from amchelper.settings import *  # noqa: F403

DATABASES["default"]["ENGINE"] = "tests.load.watched_sqlite"  # noqa: F405  from the product's settings
