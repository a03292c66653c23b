"""Indexes of large tables, made and dropped without keeping anybody from writing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.db.migrations import AddIndex, RemoveIndex

if TYPE_CHECKING:
    from django.db.backends.base.schema import BaseDatabaseSchemaEditor
    from django.db.migrations.state import ProjectState
    from django.db.models import Index, Model

# They are set for what a page or a worker asks.
_TIMEOUTS = ("lock_timeout", "statement_timeout")


class AddIndexOnline(AddIndex):
    """Add an index while others write, where the database can: PostgreSQL; SQLite is written by one at a time anyway.

    The migration has `atomic = False`. What an interrupted attempt left behind is dropped first: PostgreSQL keeps it
    as an invalid index.
    """

    atomic = False

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            add_index(schema_editor, model, self.index)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            drop_index(schema_editor, self.index)


class RemoveIndexOnline(RemoveIndex):
    """Remove an index while others write; the migration has `atomic = False`."""

    atomic = False

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            drop_index(
                schema_editor, from_state.models[app_label, self.model_name_lower].get_index_by_name(self.name)
            )

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            state = to_state.models[app_label, self.model_name_lower]
            add_index(schema_editor, model, state.get_index_by_name(self.name))


def add_index(schema_editor: BaseDatabaseSchemaEditor, model: type[Model], index: Index) -> None:
    """Make an index anew, whatever an interrupted attempt left of it."""
    drop_index(schema_editor, index)
    if schema_editor.connection.vendor == "postgresql":
        with _without_timeouts(schema_editor):
            schema_editor.add_index(model, index, concurrently=True)  # type: ignore[call-arg]  # PostgreSQL's editor
    else:
        schema_editor.add_index(model, index)


def drop_index(schema_editor: BaseDatabaseSchemaEditor, index: Index) -> None:
    """Drop an index if it is there."""
    name = schema_editor.quote_name(index.name)
    if schema_editor.connection.vendor == "postgresql":
        with _without_timeouts(schema_editor):
            schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    else:
        schema_editor.execute(f"DROP INDEX IF EXISTS {name}")


@contextmanager
def _without_timeouts(schema_editor: BaseDatabaseSchemaEditor) -> Iterator[None]:
    """Let PostgreSQL wait for every older transaction, as an index made concurrently must, and take its time."""
    for setting in _TIMEOUTS:
        schema_editor.execute(f"SET {setting} = 0")
    try:
        yield
    finally:
        for setting in _TIMEOUTS:
            # To what the connection began with.
            schema_editor.execute(f"RESET {setting}")
