"""What an instance holds: saved workflows and data sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from instances.amc.fields import read_rows, read_text


@dataclass(frozen=True, slots=True)
class Workflow:
    """A workflow saved at AMC."""

    workflow_id: str
    sql: str = field(repr=False)
    input_parameters: tuple[Mapping[str, Any], ...] = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class DataSourceColumn:
    """A column of a table; `sensitivity` decides how many users a row needs to be shown."""

    name: str
    data_type: str
    column_type: str
    sensitivity: str
    description: str


@dataclass(frozen=True, slots=True)
class DataSource:
    """A table that SQL can read."""

    data_source_id: str
    description: str
    columns: tuple[DataSourceColumn, ...] = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False)


def parse_workflow(raw: Mapping[str, Any]) -> Workflow:
    """Read one workflow object."""
    return Workflow(
        read_text(raw, "workflowId"), read_text(raw, "sqlQuery"), read_rows(raw, "inputParameters"), raw
    )


def parse_data_source(raw: Mapping[str, Any]) -> DataSource:
    """Read one data source object."""
    columns = tuple(
        DataSourceColumn(
            name=read_text(column, "name"),
            data_type=read_text(column, "dataType"),
            column_type=read_text(column, "columnType"),
            sensitivity=read_text(column, "sensitivity"),
            description=read_text(column, "description"),
        )
        for column in read_rows(raw, "columns")
    )
    return DataSource(read_text(raw, "dataSourceId"), read_text(raw, "description"), columns, raw)
