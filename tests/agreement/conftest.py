"""The engine of the local AMC, as its own tests have it."""

from __future__ import annotations

from tests.local_amc.conftest import amc

__all__ = ["amc"]
