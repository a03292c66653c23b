"""FORMAT and the two VARBINARY functions: what their texts ask for decides which function of the engine it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlglot import exp

from local_amc.sql.errors import Source, SqlRejectedError

_SPECIFIER = re.compile(r"%(?P<flags>[-+ 0#,(]*)(?P<size>\d*(?:\.\d+)?)(?P<kind>[a-zA-Z%])")
_ARGUMENT_TYPES = {"s": "VARCHAR", "d": "BIGINT", "x": "BIGINT", "f": "DOUBLE", "e": "DOUBLE", "g": "DOUBLE"}
# Java's letters of dates and times, the longest first.
_DATE_PARTS = {
    "yyyy": "%Y", "yy": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "dd": "%d", "HH": "%H", "hh": "%I", "mm": "%M",
    "ss": "%S", "SSS": "%g", "EEEE": "%A", "EEE": "%a", "a": "%p",
}  # fmt: skip
_DATE_PART = re.compile("|".join(sorted(_DATE_PARTS, key=len, reverse=True)))
_NUMBER = re.compile(r"(?P<whole>[#0,]*[#0])(?:\.(?P<decimals>[#0]+))?")
_WIDEST = 1_000
_ENCODERS = {"utf-8": "encode", "hex": "unhex", "base64": "from_base64"}
_DECODERS = {"utf-8": "decode", "hex": "hex", "base64": "to_base64"}


def format_call(node: exp.Expr, source: Source) -> exp.Expr:
    """Return `FORMAT(value, pattern)`, or `FORMAT(pattern, values …)` with `%` in it, in the engine's words."""
    arguments = [node.this, *node.expressions]
    if _has_specifiers(arguments[0]):
        return _printf(arguments[0].name, arguments[1:], node, source)
    if len(arguments) != 2 or not arguments[1].is_string:
        raise SqlRejectedError("FORMAT expects a value and a quoted pattern", source.span_of(node))
    value, pattern = arguments[0], arguments[1].name
    if _has_specifiers(arguments[1]):
        return _printf(pattern, [value], node, source)
    number = _NUMBER.fullmatch(pattern)
    if number:
        text = "{:" + ("," if "," in number["whole"] else "") + f".{len(number['decimals'] or '')}f}}"
        return exp.Anonymous(this="format", expressions=[exp.Literal.string(text), _cast(value, "DOUBLE")])
    text = _DATE_PART.sub(lambda part: _DATE_PARTS[part[0]], pattern.replace("%", "%%"))
    if text == pattern or re.search(r"[A-Za-z]", _DATE_PART.sub("", pattern)):
        raise SqlRejectedError(
            f"FORMAT does not know the pattern '{pattern}': use '%.2f', '#,##0.00' or 'yyyy-MM-dd'",
            source.span_of(arguments[1]),
        )
    return exp.Anonymous(this="strftime", expressions=[_cast(value, "TIMESTAMP"), exp.Literal.string(text)])


def _has_specifiers(node: exp.Expr) -> bool:
    return node.is_string and bool(_SPECIFIER.search(node.name))


def _printf(pattern: str, values: Sequence[exp.Expr], node: exp.Expr, source: Source) -> exp.Expr:
    """Cast every value to what its specifier prints, as Java does for %s."""
    kinds = [found["kind"] for found in _SPECIFIER.finditer(pattern) if found["kind"] != "%"]
    sizes = [int(size) for found in _SPECIFIER.finditer(pattern) for size in re.findall(r"\d+", found["size"])]
    if max(sizes, default=0) > _WIDEST:
        raise SqlRejectedError(f"FORMAT gives at most {_WIDEST} characters per value", source.span_of(node))
    if len(kinds) != len(values) or not all(kind.lower() in _ARGUMENT_TYPES for kind in kinds):
        raise SqlRejectedError(
            f"FORMAT: the pattern '{pattern}' does not fit {len(values)} value{'' if len(values) == 1 else 's'}",
            source.span_of(node),
        )
    arguments = [_cast(value, _ARGUMENT_TYPES[kind.lower()]) for kind, value in zip(kinds, values, strict=True)]
    return exp.Anonymous(this="printf", expressions=[exp.Literal.string(pattern), *arguments])


def _cast(value: exp.Expr, kind: str) -> exp.Expr:
    return exp.TryCast(this=value.copy(), to=exp.DataType.build(kind, dialect="duckdb"))


def varbinary_call(node: exp.Expr, source: Source) -> exp.Expr:
    """Return `TO_VARBINARY(text, encoding)` or `FROM_VARBINARY(binary, encoding)`; UTF-8 where none is given."""
    name, arguments = node.name.upper(), node.expressions
    functions, kind = (_ENCODERS, "VARCHAR") if name == "TO_VARBINARY" else (_DECODERS, "BLOB")
    encoding = arguments[1].name.lower() if len(arguments) == 2 else "utf-8"
    if (
        len(arguments) not in (1, 2)
        or not all(item.is_string for item in arguments[1:])
        or encoding not in functions
    ):
        raise SqlRejectedError(
            f"{name} expects a value and one of 'hex', 'base64' and 'utf-8'", source.span_of(node)
        )
    call = exp.Anonymous(this=functions[encoding], expressions=[_cast(arguments[0], kind)])
    return exp.Lower(this=call) if functions[encoding] == "hex" else call
