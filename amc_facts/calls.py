"""What AMC refuses in arguments of its own functions: their number, and texts that are read when SQL is checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from sqlglot import exp

from amc_facts.dialect import SqlFault

# An ISO period, whose years, months, weeks, days, hours and minutes are groups.
PERIOD = re.compile(
    r"P(?=\d|T\d)(?:(\d{1,4})Y)?(?:(\d{1,4})M)?(?:(\d{1,4})W)?(?:(\d{1,5})D)?"
    r"(?:T(?:(\d{1,5})H)?(?:(\d{1,6})M)?)?"
)
VARBINARY_ENCODINGS = ("hex", "base64", "utf-8")
# FORMAT's specifiers, as Java's, with the type of the value each prints.
SPECIFIER = re.compile(r"%(?P<flags>[-+ 0#,(]*)(?P<size>\d*(?:\.\d+)?)(?P<kind>[a-zA-Z%])")
SPECIFIER_TYPES: Mapping[str, str] = MappingProxyType(
    {"s": "VARCHAR", "d": "BIGINT", "x": "BIGINT", "f": "DOUBLE", "e": "DOUBLE", "g": "DOUBLE"}
)
# Java's letters of dates and times, with those of strftime.
DATE_PARTS: Mapping[str, str] = MappingProxyType(
    {
        "yyyy": "%Y", "yy": "%y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "dd": "%d", "HH": "%H", "hh": "%I",
        "mm": "%M", "ss": "%S", "SSS": "%g", "EEEE": "%A", "EEE": "%a", "a": "%p",
    }
)  # fmt: skip
# The longest first.
DATE_PART = re.compile("|".join(sorted(DATE_PARTS, key=len, reverse=True)))
NUMBER_PATTERN = re.compile(r"(?P<whole>[#0,]*[#0])(?:\.(?P<decimals>[#0]+))?")
_MAX_FORMATTED = 1_000


def call_fault(node: exp.Expr) -> SqlFault | None:
    """Return what is wrong with the arguments of a call; None when they are right or it is no call of AMC's own."""
    if isinstance(node, exp.Format):
        return _format_fault(node)
    if isinstance(node, exp.ArrayIntersect) and len(node.expressions) != 2:
        return SqlFault("argument", "ARRAY_INTERSECT expects two arrays", node)
    check = _CHECKS.get(node.name.upper()) if isinstance(node, exp.Anonymous) else None
    message = check(node.expressions) if check is not None else ""
    return SqlFault("argument", message, node) if message else None


def extension_fault(relation: exp.Table) -> SqlFault | None:
    """Return what is wrong with a table function: `EXTEND_TIME_WINDOW('t', before, after)`, bare or in `TABLE(…)`."""
    call = relation.this
    if not isinstance(call, exp.Anonymous):
        return None
    inner = extension(relation)
    if inner is None:
        return SqlFault("argument", "TABLE expects EXTEND_TIME_WINDOW('table', 'P7D', 'P0D')", call)
    arguments = inner.expressions
    if len(arguments) != 3 or not all(argument.is_string for argument in arguments):
        message = "EXTEND_TIME_WINDOW expects three quoted texts: table, period before, period after"
        return SqlFault("argument", message, inner)
    for argument in arguments[1:]:
        if PERIOD.fullmatch(argument.name.strip().upper()) is None:
            return SqlFault("argument", f"'{argument.name}' is not a period such as P28D or PT12H", argument)
    return None


def extension(relation: exp.Table) -> exp.Anonymous | None:
    """Return the call of EXTEND_TIME_WINDOW that stands for a table; None when something else does."""
    call = relation.this
    if not isinstance(call, exp.Anonymous):
        return None
    is_wrapped = call.name.upper() == "TABLE" and len(call.expressions) == 1
    inner = call.expressions[0] if is_wrapped else call
    is_extension = isinstance(inner, exp.Anonymous) and inner.name.upper() == "EXTEND_TIME_WINDOW"
    return inner if is_extension else None


def _named_row(arguments: Sequence[exp.Expr]) -> str:
    keys = arguments[::2]
    if not arguments or len(arguments) % 2 or not all(key.is_string for key in keys):
        return "NAMED_ROW expects pairs of a quoted name and a value"
    if len({key.name.lower() for key in keys}) < len(keys):
        return "NAMED_ROW expects each name once"
    return ""


def _collect(arguments: Sequence[exp.Expr]) -> str:
    items = arguments[0].expressions if arguments and isinstance(arguments[0], exp.Distinct) else arguments
    return "" if len(arguments) == 1 and len(items) == 1 else "COLLECT expects one column"


def _contained_in(arguments: Sequence[exp.Expr]) -> str:
    return "" if len(arguments) > 1 else "CONTAINED_IN expects a value and those it may be"


def _built_in(arguments: Sequence[exp.Expr]) -> str:
    name = arguments[0].name.upper() if len(arguments) == 1 else ""
    if name in ("TIME_WINDOW_START", "TIME_WINDOW_END"):
        return ""
    return "BUILT_IN_PARAMETER expects 'TIME_WINDOW_START' or 'TIME_WINDOW_END'"


def _custom(arguments: Sequence[exp.Expr]) -> str:
    return "" if len(arguments) == 1 and arguments[0].is_string else "CUSTOM_PARAMETER expects one quoted name"


def _varbinary(name: str) -> Callable[[Sequence[exp.Expr]], str]:
    def check(arguments: Sequence[exp.Expr]) -> str:
        encodings = [item.name.lower() if item.is_string else "" for item in arguments[1:]]
        if len(arguments) in (1, 2) and all(encoding in VARBINARY_ENCODINGS for encoding in encodings):
            return ""
        return f"{name} expects a value and one of 'hex', 'base64' and 'utf-8'"

    return check


_CHECKS: Mapping[str, Callable[[Sequence[exp.Expr]], str]] = MappingProxyType(
    {
        "NAMED_ROW": _named_row,
        "COLLECT": _collect,
        "CONTAINED_IN": _contained_in,
        "BUILT_IN_PARAMETER": _built_in,
        "CUSTOM_PARAMETER": _custom,
        "TO_VARBINARY": _varbinary("TO_VARBINARY"),
        "FROM_VARBINARY": _varbinary("FROM_VARBINARY"),
    }
)


def has_specifiers(node: exp.Expr) -> bool:
    """Return whether an argument of FORMAT is a quoted pattern with `%` in it."""
    return node.is_string and bool(SPECIFIER.search(node.name))


def _format_fault(node: exp.Format) -> SqlFault | None:
    arguments = [node.this, *node.expressions]
    if has_specifiers(arguments[0]):
        return _specifier_fault(arguments[0].name, len(arguments) - 1, node)
    if len(arguments) != 2 or not arguments[1].is_string:
        return SqlFault("argument", "FORMAT expects a value and a quoted pattern", node)
    if has_specifiers(arguments[1]):
        return _specifier_fault(arguments[1].name, 1, node)
    pattern = arguments[1].name
    has_other_letters = re.search(r"[A-Za-z]", DATE_PART.sub("", pattern))
    if NUMBER_PATTERN.fullmatch(pattern) or (DATE_PART.search(pattern) and not has_other_letters):
        return None
    message = f"FORMAT does not know the pattern '{pattern}': use '%.2f', '#,##0.00' or 'yyyy-MM-dd'"
    return SqlFault("argument", message, arguments[1])


def _specifier_fault(pattern: str, count: int, node: exp.Expr) -> SqlFault | None:
    kinds = [found["kind"] for found in SPECIFIER.finditer(pattern) if found["kind"] != "%"]
    sizes = [int(size) for found in SPECIFIER.finditer(pattern) for size in re.findall(r"\d+", found["size"])]
    if max(sizes, default=0) > _MAX_FORMATTED:
        return SqlFault("argument", f"FORMAT gives at most {_MAX_FORMATTED} characters per value", node)
    if len(kinds) != count or not all(kind.lower() in SPECIFIER_TYPES for kind in kinds):
        plural = "" if count == 1 else "s"
        return SqlFault("argument", f"FORMAT: the pattern '{pattern}' does not fit {count} value{plural}", node)
    return None
