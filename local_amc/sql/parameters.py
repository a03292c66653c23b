"""Declared parameters and their values as nodes of the tree: a literal node cannot inject."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlglot import exp

from local_amc.sql.errors import Source, SqlRejectedError

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
SIMPLE_TYPES: Mapping[str, str] = {
    "STRING": "VARCHAR",
    "BOOLEAN": "BOOLEAN",
    "BYTE": "TINYINT",
    "SHORT": "SMALLINT",
    "INTEGER": "INTEGER",
    "LONG": "BIGINT",
    "FLOAT": "REAL",
    "DOUBLE": "DOUBLE",
    "DECIMAL": "DECIMAL(38, 10)",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP",
    "BINARY": "BLOB",
    "CALENDAR_INTERVAL": "INTERVAL",
}
# Marks a node that stands for a parameter, whatever its value.
IS_PARAMETER = "is_parameter"
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WHOLE = re.compile(r"[+-]?[0-9]+")
_RANGES = {"BYTE": 7, "SHORT": 15, "INTEGER": 31, "LONG": 63}


@dataclass(frozen=True, slots=True)
class Declared:
    """A declared parameter; `is_array` with `type` for its elements. `value` is None for an explicit null."""

    name: str
    type: str
    is_array: bool
    has_value: bool
    value: Any


class ParameterTypeError(ValueError):
    """A declaration or value that does not fit; `str()` says what is expected."""


def declare(definitions: Sequence[Any], values: Mapping[str, Any]) -> dict[str, Declared]:
    """Join `inputParameters` with `parameterValues`; raises ParameterTypeError."""
    declared: dict[str, Declared] = {}
    for definition in definitions:
        parameter = _declared(definition, values)
        if parameter.name in declared:
            raise ParameterTypeError(f"inputParameters: {parameter.name} is declared twice")
        declared[parameter.name] = parameter
    unknown = sorted(set(values) - set(declared))
    if unknown:
        raise ParameterTypeError(f"parameterValues: undeclared parameter {', '.join(unknown)}")
    return declared


def _declared(definition: Any, values: Mapping[str, Any]) -> Declared:
    if not isinstance(definition, dict) or not _is_name(definition.get("name")):
        raise ParameterTypeError("inputParameters: every parameter needs a name of letters, digits and _")
    name, data_type = definition["name"], definition.get("dataType", "STRING")
    is_array = isinstance(data_type, dict)
    if is_array and data_type.get("type") != "ARRAY":
        raise ParameterTypeError(f"inputParameters: dataType of {name} must be a type or an ARRAY object")
    kind = data_type.get("elementDataType") if is_array else data_type
    if not isinstance(kind, str) or kind not in SIMPLE_TYPES:
        raise ParameterTypeError(
            f"inputParameters: dataType {kind} of {name} is not one of {', '.join(SIMPLE_TYPES)}"
        )
    has_value = name in values or "defaultValue" in definition
    value = values[name] if name in values else definition.get("defaultValue")
    parameter = Declared(name, kind, is_array, has_value, value)
    # Checked here, so that a bad value is refused even when the query does not use it.
    node(parameter)
    return parameter


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and NAME.fullmatch(name) is not None


def node(parameter: Declared) -> exp.Expr:
    """Return the value as a typed literal, array or NULL; raises ParameterTypeError."""
    sql_type = SIMPLE_TYPES[parameter.type]
    if parameter.value is None:
        return exp.cast(exp.null(), f"{sql_type}[]" if parameter.is_array else sql_type, dialect="duckdb")
    if not parameter.is_array:
        return _literal(parameter, parameter.value)
    if not isinstance(parameter.value, list):
        raise ParameterTypeError(f"parameterValues: {parameter.name} must be a JSON array")
    items = [_literal(parameter, item) for item in parameter.value]
    return exp.cast(exp.Array(expressions=items), f"{sql_type}[]", dialect="duckdb")


def resolve(call: exp.Anonymous, declared: Mapping[str, Declared], source: Source) -> exp.Expr:
    """Return what stands for `CUSTOM_PARAMETER('name')`; raises SqlRejectedError."""
    name = call.expressions[0].name
    parameter = declared.get(name)
    if parameter is None:
        raise SqlRejectedError(
            f"was unable to compile workflow: undeclared parameter '{name}'; declare it in inputParameters",
            source.span_of(call),
        )
    if not parameter.has_value:
        raise SqlRejectedError(
            f"parameter '{name}' has neither a value nor a default; set it in parameterValues",
            source.span_of(call),
        )
    value = node(parameter)
    value.meta[IS_PARAMETER] = True
    return value


def _literal(parameter: Declared, value: Any) -> exp.Expr:
    try:
        text = _text(parameter.type, value)
    except (ValueError, InvalidOperation, OverflowError) as problem:
        raise ParameterTypeError(
            f"parameterValues: {str(value)[:80]!r} is not a {parameter.type} (parameter {parameter.name})"
        ) from problem
    if parameter.type == "STRING":
        return exp.Literal.string(text)
    if parameter.type == "BOOLEAN":
        return exp.Boolean(this=text == "true")
    if parameter.type in _RANGES:
        # With its type: a bare 1000 would be an INTEGER, and a product of two of those overflows.
        return exp.cast(exp.Literal.number(text), SIMPLE_TYPES[parameter.type], dialect="duckdb")
    return exp.cast(exp.Literal.string(text), SIMPLE_TYPES[parameter.type])


def _text(kind: str, value: Any) -> str:
    """Check a value against its type and give its text; Amazon's own examples send numbers as strings too."""
    if (
        isinstance(value, dict | list)
        or value is None
        or (isinstance(value, bool) and kind not in ("BOOLEAN", "STRING"))
    ):
        raise ValueError(kind)
    text = ("true" if value else "false") if isinstance(value, bool) else str(value)
    if kind == "BOOLEAN":
        if text.lower() not in ("true", "false"):
            raise ValueError(kind)
        return text.lower()
    if kind in _RANGES:
        return _integer(text, _RANGES[kind])
    if kind in ("FLOAT", "DOUBLE", "DECIMAL") and not math.isfinite(Decimal(text.strip())):
        raise ValueError(kind)
    if kind in ("DATE", "TIMESTAMP") and not isinstance(value, str):
        raise ValueError(kind)
    if kind == "DATE":
        return _day(text.strip())
    if kind == "TIMESTAMP":
        return _moment(text.strip())
    text.encode()  # a lone surrogate, which no text of a file or a form can hold, is a ValueError
    return text


def _day(text: str) -> str:
    # Python reads 20261001 and 2026-W40-4 too.
    if not _DAY.fullmatch(text):
        raise ValueError(text)
    return date.fromisoformat(text).isoformat()


def _moment(text: str) -> str:
    moment = datetime.fromisoformat(text)
    return (moment.astimezone(UTC) if moment.tzinfo else moment).replace(tzinfo=None).isoformat(sep=" ")


def _integer(text: str, bits: int) -> str:
    if not _WHOLE.fullmatch(text.strip()):
        raise ValueError(text)
    number = int(text.strip())
    if not -(2**bits) <= number < 2**bits:
        raise ValueError(text)
    return str(number)
