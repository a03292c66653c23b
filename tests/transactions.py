"""Count what each transaction writes: how long it holds SQLite's only lock depends on that, not on the machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connection

_WRITES = re.compile(r"\s*(?:INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
# Rows that one transaction may write: well below half a second on a slow disk.
MAX_ROWS = 2_000


@dataclass
class Transaction:
    """One transaction, or one statement that is its own: what it said, the rows it wrote and the texts they got."""

    statements: list[str] = field(default_factory=list)
    rows: int = 0
    characters: int = 0


class TransactionLog(list[Transaction]):
    """The transactions that wrote something, in order."""

    @property
    def rows(self) -> int:
        """Return how many rows were written in all."""
        return sum(transaction.rows for transaction in self)

    @property
    def most_rows(self) -> int:
        """Return how many rows the largest transaction wrote."""
        return max((transaction.rows for transaction in self), default=0)

    @property
    def most_characters(self) -> int:
        """Return how much text the heaviest transaction wrote."""
        return max((transaction.characters for transaction in self), default=0)

    @property
    def most_statements(self) -> int:
        """Return how many statements the longest transaction had."""
        return max((len(transaction.statements) for transaction in self), default=0)


@contextmanager
def recorded_transactions() -> Iterator[TransactionLog]:
    """Note the transactions of a test. Inside Django's TestCase they are the outermost savepoints."""
    log = TransactionLog()
    open_savepoints = 0
    current = Transaction()

    def see(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal open_savepoints, current
        result = execute(sql, params, many, context)
        if sql.startswith("SAVEPOINT"):
            open_savepoints += 1
        elif sql.startswith("RELEASE SAVEPOINT"):
            open_savepoints -= 1
        elif not sql.startswith("ROLLBACK TO SAVEPOINT"):
            current.statements.append(sql)
            current.rows += _rows_written(sql, context["cursor"].rowcount)
            current.characters += _characters(params) if _WRITES.match(sql) else 0
        if open_savepoints == 0:
            if current.rows or any(map(_WRITES.match, current.statements)):
                log.append(current)
            current = Transaction()
        return result

    with connection.execute_wrapper(see):
        yield log


def _characters(params: Any) -> int:
    if isinstance(params, str):
        return len(params)
    return sum(map(_characters, params)) if isinstance(params, list | tuple) else 0


def _rows_written(sql: str, rowcount: int) -> int:
    if not _WRITES.match(sql):
        return 0
    # SQLite cannot count what a statement returns before it was read, so the rows of its text are counted.
    return rowcount if rowcount > 0 or " RETURNING " not in sql else sql.count("), (") + 1
