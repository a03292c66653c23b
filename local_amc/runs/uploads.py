"""Tables an advertiser has uploaded; the control route creates them from a name and columns."""

from __future__ import annotations

import re
from typing import Any

from amc_facts.tables import TABLES, THRESHOLDS, Column, Table
from local_amc.sql.catalogue import build
from local_amc.sql.parameters import SIMPLE_TYPES

_NAME = re.compile(r"[a-z][a-z0-9_]{0,119}")
_MAX_COLUMNS = 500
_DUCKDB_TYPES = frozenset(
    {"VARCHAR", "BIGINT", "INTEGER", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "DECIMAL(18,4)"}
)


def check_upload(body: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of a table, its name and columns; raises ValueError.

    Columns are a list of names or of `{"name", "type", "threshold"}`, or an object name -> type; types are AMC's
    (STRING, LONG, …) or DuckDB's. Without a type it is guessed from the name.
    """
    name = str(body.get("name", "")).lower()
    if not _NAME.fullmatch(name):
        raise ValueError("name must be letters, digits and _, beginning with a letter")
    if build().find(name) is not None:
        raise ValueError(f"{name} is one of AMC's own tables")
    columns = body.get("columns")
    if isinstance(columns, dict):
        columns = [{"name": key, "type": value} for key, value in columns.items()]
    if not isinstance(columns, list) or not columns:
        raise ValueError("columns must be a list of names or of objects with name and type")
    kept = [_column(column) for column in columns]
    if len({column[0] for column in kept}) < len(kept) or len(kept) > _MAX_COLUMNS:
        raise ValueError(f"columns must be at most {_MAX_COLUMNS}, each with a name of its own")
    return {"name": name, "columns": kept}


def table_of(body: dict[str, Any]) -> Table:
    """Return the table a kept upload describes."""
    columns = {name: Column(name, type_, "DIMENSION", level) for name, type_, level in body["columns"]}
    return Table(name=body["name"], columns=columns, time_column=None, advertiser_type=None)


def _column(column: Any) -> list[str]:
    given = {"name": column} if isinstance(column, str) else column
    if not isinstance(given, dict):
        raise ValueError("a column is a name, or an object with name and type")
    name = str(given.get("name", "")).lower()
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a column's name: letters, digits and _")
    type_ = str(given.get("type") or _guess(name)).upper().replace(" ", "")
    type_ = SIMPLE_TYPES.get(type_, type_).replace(" ", "")
    type_ = "DECIMAL(18,4)" if type_.startswith("DECIMAL") else type_
    if type_ not in _DUCKDB_TYPES:
        raise ValueError(f"type of {name} must be one of {', '.join(sorted(_DUCKDB_TYPES))} or an AMC type")
    level = str(given.get("threshold") or ("VERY_HIGH" if name == "user_id" else "LOW")).upper()
    if level not in THRESHOLDS:
        raise ValueError(f"threshold of {name} must be one of {', '.join(THRESHOLDS)}")
    return [name, type_, level]


def _guess(name: str) -> str:
    """Guess a type from AMC's own columns of that name, then from the ending."""
    for table in TABLES.values():
        if name in table.columns and not table.columns[name].type.endswith("[]"):
            return table.columns[name].type
    endings = {
        "_dt": "TIMESTAMP",
        "_dt_utc": "TIMESTAMP",
        "_time": "TIMESTAMP",
        "_date": "DATE",
        "_count": "BIGINT",
    }
    return next((type_ for ending, type_ in endings.items() if name.endswith(ending)), "VARCHAR")
