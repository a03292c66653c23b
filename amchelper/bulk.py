"""Write and delete many rows while SQLite's only lock is held for moments.

What takes time is Python: a thousand rows are written out as SQL in fifty milliseconds and stored in ten. So
statements are written out before the transaction that executes them, and what may be any number of rows goes in
batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models import sql

# Rows per transaction: tens of milliseconds on a slow disk.
BATCH = 1_000
T = TypeVar("T")


def batches(items: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    """Return the items in order, so many at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))


class PreparedInsert:
    """An INSERT of new rows of one model, written out; the rows do not learn keys that the database gives them."""

    def __init__(self, rows: Sequence[models.Model]) -> None:
        self._statements: list[tuple[str, Any]] = []
        if rows:
            query = sql.InsertQuery(type(rows[0]))
            fields = [field for field in type(rows[0])._meta.local_concrete_fields if not _is_given(field)]
            query.insert_values(fields, list(rows))
            self._statements = query.get_compiler(connection=connection).as_sql()

    def execute(self) -> None:
        """Store the rows; raises IntegrityError. Call it in the transaction they belong to."""
        with connection.cursor() as cursor:
            for statement, values in self._statements:
                cursor.execute(statement, values)


def _is_given(field: models.Field[Any, Any]) -> bool:
    """Return whether the database gives the value."""
    return isinstance(field, models.AutoField)
