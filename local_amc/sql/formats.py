"""FORMAT and the two VARBINARY functions: what their texts ask for decides which function of the engine it is."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from amc_facts.calls import DATE_PART, DATE_PARTS, NUMBER_PATTERN, SPECIFIER, SPECIFIER_TYPES, has_specifiers

_ENCODERS = {"utf-8": "encode", "hex": "unhex", "base64": "from_base64"}
_DECODERS = {"utf-8": "decode", "hex": "hex", "base64": "to_base64"}


def format_call(node: exp.Expr) -> exp.Expr:
    """Return `FORMAT(value, pattern)`, or `FORMAT(pattern, values …)` with `%` in it, in the engine's words."""
    arguments = [node.this, *node.expressions]
    if has_specifiers(arguments[0]):
        return _printf(arguments[0].name, arguments[1:])
    value, pattern = arguments[0], arguments[1].name
    if has_specifiers(arguments[1]):
        return _printf(pattern, [value])
    number = NUMBER_PATTERN.fullmatch(pattern)
    if number:
        text = "{:" + ("," if "," in number["whole"] else "") + f".{len(number['decimals'] or '')}f}}"
        return exp.Anonymous(this="format", expressions=[exp.Literal.string(text), _cast(value, "DOUBLE")])
    text = DATE_PART.sub(lambda part: DATE_PARTS[part[0]], pattern.replace("%", "%%"))
    return exp.Anonymous(this="strftime", expressions=[_cast(value, "TIMESTAMP"), exp.Literal.string(text)])


def _printf(pattern: str, values: Sequence[exp.Expr]) -> exp.Expr:
    """Cast every value to what its specifier prints, as Java does for %s."""
    kinds = [found["kind"] for found in SPECIFIER.finditer(pattern) if found["kind"] != "%"]
    arguments = [_cast(value, SPECIFIER_TYPES[kind.lower()]) for kind, value in zip(kinds, values, strict=True)]
    return exp.Anonymous(this="printf", expressions=[exp.Literal.string(pattern), *arguments])


def _cast(value: exp.Expr, kind: str) -> exp.Expr:
    return exp.TryCast(this=value.copy(), to=exp.DataType.build(kind, dialect="duckdb"))


def varbinary_call(node: exp.Expr) -> exp.Expr:
    """Return `TO_VARBINARY(text, encoding)` or `FROM_VARBINARY(binary, encoding)`; UTF-8 where none is given."""
    functions, kind = (_ENCODERS, "VARCHAR") if node.name.upper() == "TO_VARBINARY" else (_DECODERS, "BLOB")
    encoding = node.expressions[1].name.lower() if len(node.expressions) == 2 else "utf-8"
    call = exp.Anonymous(this=functions[encoding], expressions=[_cast(node.expressions[0], kind)])
    return exp.Lower(this=call) if functions[encoding] == "hex" else call
