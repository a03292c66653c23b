"""Write and delete many rows while SQLite's only lock is held for moments.

What takes time is Python: a thousand rows are written out as SQL in fifty milliseconds and stored in ten. So
statements are written out before the transaction that executes them, and what may be any number of rows goes in
batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from django.db import connection, models, transaction
from django.db.models import sql

# Rows per transaction: tens of milliseconds on a slow disk.
BATCH = 1_000
# A database writes a row anew whatever changes in it: of rows that may hold long texts so many, or so many bytes.
ROWS_WITH_TEXT = 50
BATCH_BYTES = 4_000_000
T = TypeVar("T")


def batches(items: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    """Return the items in order, so many at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))


def keys_in_batches(rows: models.QuerySet[Any], size: int = BATCH) -> Iterator[list[Any]]:
    """Return the keys of rows in order, so many at a time; each batch is read when it is asked for.

    However many rows there are, a batch is all that is held, and no statement reads again what one before has read.
    """
    in_order = rows.order_by("pk").values_list("pk", flat=True)
    keys = list(in_order[:size])
    while keys:
        yield keys
        keys = list(in_order.filter(pk__gt=keys[-1])[:size])


def weighed(items: Sequence[T], weight: Callable[[T], int], most: int, size: int = BATCH) -> Iterator[list[T]]:
    """Return the items in order, at most `size` at a time, and of no more weight than `most`; each at least alone."""
    batch: list[T] = []
    total = 0
    for item in items:
        added = weight(item)
        if batch and (len(batch) >= size or total + added > most):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += added
    if batch:
        yield batch


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


def update_rows(rows: Sequence[models.Model], names: Sequence[str]) -> None:
    """Save the fields `names` of rows of one model, one short statement for each; call it in a transaction.

    Unlike `bulk_update`, which writes a condition for each row and field into one statement and takes Python hundreds
    of milliseconds for a few hundred rows.
    """
    if not rows:
        return
    meta = type(rows[0])._meta
    by_name = {field.name: field for field in meta.concrete_fields}
    fields = [*(by_name[name] for name in names), meta.pk]
    *changed, key = (connection.ops.quote_name(str(field.column)) for field in fields)
    settings = ", ".join(f"{column} = %s" for column in changed)
    table = connection.ops.quote_name(meta.db_table)
    statement = f"UPDATE {table} SET {settings} WHERE {key} = %s"  # noqa: S608  names of the model
    values = [
        [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields] for row in rows
    ]
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)


def delete_in_batches(rows: models.QuerySet[Any], size: int = BATCH) -> int:
    """Delete rows that nothing large hangs on, in small transactions; returns how many there were."""
    pks = list(rows.order_by().values_list("pk", flat=True))
    for batch in batches(pks, size):
        rows.model._base_manager.filter(pk__in=batch).delete()
    return len(pks)


def delete_gradually(rows: models.QuerySet[Any]) -> None:
    """Delete what goes with `rows`, the furthest first, in small transactions, and in the end `rows` themselves.

    One that dies half way leaves `rows` with a part of what belonged to them, to be deleted again. Raises what
    deleting at once raises: RestrictedError, ProtectedError.
    """
    _thin_out(rows)
    with transaction.atomic():
        rows.delete()


def _thin_out(rows: models.QuerySet[Any]) -> None:
    for relation in rows.model._meta.related_objects:
        model, name = relation.related_model, relation.field.name
        dependents = model._base_manager.filter(**{f"{name}__in": rows.order_by().values("pk")})
        if relation.on_delete is models.CASCADE:
            _thin_out(dependents)
            if not _is_held(model):
                delete_in_batches(dependents, _size_for(model))
        elif relation.on_delete is models.SET_NULL:
            for batch in batches(list(dependents.order_by().values_list("pk", flat=True)), _size_for(model)):
                model._base_manager.filter(pk__in=batch).update(**{name: None})


def _is_held(model: type[models.Model]) -> bool:
    """Return whether rows of a model, or what goes with them, may only go together with others."""
    return any(
        relation.on_delete in (models.RESTRICT, models.PROTECT)
        or (relation.on_delete is models.CASCADE and _is_held(relation.related_model))
        for relation in model._meta.related_objects
    )


def _size_for(model: type[models.Model]) -> int:
    """Return how many rows of a model go at a time: fewer where a row may hold much text."""
    has_texts = any(
        isinstance(field, models.TextField | models.JSONField) for field in model._meta.concrete_fields
    )
    return ROWS_WITH_TEXT if has_texts else BATCH


def _is_given(field: models.Field[Any, Any]) -> bool:
    """Return whether the database gives the value."""
    return isinstance(field, models.AutoField)
