"""The tables one instance may query: AMC's, their retired names, their audience twins, and uploaded ones."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from sqlglot.schema import MappingSchema

from amc_facts.tables import AUDIENCE_SUFFIX, RETIRED_COLUMNS, RETIRED_TABLES, TABLES, Column, Table

# Schemas of the engine; no query can name them, because qualified names are refused.
RAW = "data.raw"
UPLOADED = "memory.uploaded"


@dataclass(frozen=True, slots=True)
class Readable:
    """A table under the name queries use, where its rows are, and the advertiser type that has data in it."""

    name: str
    columns: Mapping[str, Column]
    time_column: str | None
    place: str
    is_uploaded: bool = False
    is_in_sandbox: bool = True
    advertiser_type: str | None = None

    @property
    def has_users(self) -> bool:
        """Return whether rows belong to users."""
        return "user_id" in self.columns


@dataclass(frozen=True)
class Catalogue:
    """What an instance may read, by lower-case name."""

    tables: Mapping[str, Readable]

    @cached_property
    def mapping(self) -> MappingSchema:
        """Return the tables as sqlglot wants them; built once, because that costs more than compiling a query."""
        schema: dict[str, object] = {
            name: {column.name: column.type for column in table.columns.values()}
            for name, table in self.tables.items()
        }
        return MappingSchema(schema, dialect="duckdb")

    def find(self, name: str) -> Readable | None:
        """Return a table by its name in any case."""
        return self.tables.get(name.lower())


def build(uploads: Iterable[Table] = (), *, is_sandbox: bool = False) -> Catalogue:
    """Build the catalogue of an instance with its uploaded tables; the same one for all of a kind without any."""
    uploaded = {table.name: _uploaded(table) for table in uploads}
    amazon = _SANDBOX if is_sandbox else _AMAZON
    return Catalogue({**amazon.tables, **uploaded}) if uploaded else amazon


def _amazon() -> dict[str, Readable]:
    tables: dict[str, Readable] = {}
    for name in [*TABLES, *RETIRED_TABLES]:
        real = RETIRED_TABLES.get(name, name)
        table = TABLES[real]
        columns = {**table.columns, **RETIRED_COLUMNS.get(real, {})}
        for readable in (name, name + AUDIENCE_SUFFIX):
            tables[readable] = Readable(
                readable,
                columns,
                table.time_column,
                f"{RAW}.{real}",
                is_in_sandbox=table.is_in_sandbox,
                advertiser_type=table.advertiser_type,
            )
    return tables


def _uploaded(table: Table) -> Readable:
    return Readable(table.name, table.columns, None, f"{UPLOADED}.{place_of(table)}", is_uploaded=True)


def place_of(table: Table) -> str:
    """Return the name under which an uploaded table is kept: another for other columns, so none is replaced."""
    columns = ",".join(f"{c.name} {c.type}" for c in table.columns.values())
    return f"{table.name}_{hashlib.sha256(columns.encode()).hexdigest()[:12]}"


_AMAZON = Catalogue(_amazon())
_SANDBOX = Catalogue({name: table for name, table in _AMAZON.tables.items() if table.is_in_sandbox})
