"""Names the engine gives to what it adds to a query; no query may use them."""

from __future__ import annotations

# The hidden column with the users behind a row.
USERS = "__users"
# The derived table in which windows are computed before grouping.
WINDOWED = "__windowed"
