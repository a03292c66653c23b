"""What the engine says of a query, in AMC's words: none of its own get out, nor the SQL that was made of the query."""

from __future__ import annotations

import logging
import re

import duckdb

from local_amc.sql import patterns, sizes
from local_amc.sql.errors import Source, SqlRejectedError

logger = logging.getLogger("local_amc")

NOT_COMPUTED = (
    "The query cannot be computed as it is written: CAST what is compared, joined or computed to one type, and move "
    "inner parts into WITH to find the one it is about"
)
_NO_MEMORY = "The query needs more memory than a run may use. Aggregate before joining, or shorten the window."
_NO_WINDOW = "A window function cannot stand here: compute it in a subquery"
_NO_AGGREGATE = "An aggregate function cannot stand here: compute it in a subquery"
_NO_COMPARISON = "Cannot compare {0} with {1}: CAST one of them"
_NO_COMMON_TYPE = "{0} and {1} have no type in common: CAST one of them"

# What the engine says, and AMC's words for it; the first group names the place. The first that fits is taken.
_TRANSLATIONS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (sizes.GROWN, sizes.TOO_LONG),
        (r'column "([^"]+)" must appear in the GROUP BY', "Expression '{0}' is not being grouped"),
        (r'Referenced column "([^"]+)" not found', "Column '{0}' not found in any table"),
        (r'Referenced table "([^"]+)" not found', "Table '{0}' not found"),
        (r"""Cannot extract field '([^']+)' from expression "([^"]+)\"""", "Column '{0}' not found in table '{1}'"),
        (r"No function matches the given name and argument types '(\w+|\W+)\((.*?)\)'", "Cannot apply '{0}' to ({1})"),
        (r'best candidate function for the function call "(\w+|\W+)\((.*?)\)"\. In', "Cannot apply '{0}' to ({1})"),
        (
            r"Cannot deduce template type 'T' in function: '(\w+)\(",
            "The arguments of '{0}' are of different types",
        ),
        (r"Function '\"(\w+)\"' has a template parameter", "Cannot apply '{0}' to these arguments"),
        (r"DISTINCT requires at least one argument", "DISTINCT expects an argument"),
        (r"(UNNEST)\(\) can only be applied to lists, structs and NULL, not (.*)", "Cannot apply '{0}' to ({1})"),
        (r"UNNEST requires a single list", "EXPLODE takes an array"),
        (r"UNNEST not supported here", "EXPLODE cannot stand here: explode in a subquery first"),
        (r"Invalid LIST argument", "A function of arrays is applied to what is no array"),
        (r"Cannot (?:mix|compare) values of type (.+?) and (?:type )?(.+?) in (?:COALESCE|CASE)\b", _NO_COMMON_TYPE),
        (r"Cannot (?:mix|compare) values of type (.+?) and (?:type )?(.+?) (?:in \S+ clause )?-", _NO_COMPARISON),
        (r"Cannot (?:combine|concatenate)(?: lists of)? types (?:of )?(.+?) and (.+?) -", _NO_COMMON_TYPE),
        (r"Cannot cast STRUCTs of different size", "Rows that are compared need the same number of values"),
        (r"APPROXIMATE QUANTILE can only take", "APPROX_PERCENTILE expects a fraction between 0 and 1"),
        (r"QUANTILE can only take parameters", "PERCENTILE expects a fraction between 0 and 1"),
        (r'argument in function \'?"(quantile_cont|approx_quantile)"',
         "{0} expects a fraction that is written in the query"),
        (r"More than one row returned by a subquery", "A subquery that stands for a value gave more than one row"),
        (r"""(?m)Could not convert string ['"](.*?)['"] to (.+?)(?: when casting|$)""", "Cannot convert '{0}' to {1}"),
        (r"(?m)Unimplemented type for cast \((.+?) -> (.+)\)(?: when casting|$)", "Cannot convert {0} to {1}"),
        (r"Type \S+ with value (.+?) can't be cast because the value is out of range for the destination type (\S+)",
         "{0} is out of the range of {1}"),
        (r"(?m)Type .+? with value (.+?) can't be cast to the destination type (.+?)(?: when casting|$)",
         "Cannot convert {0} to {1}"),
        (r"Could not cast value (\S+) to (.+)", "{0} is out of the range of {1}"),
        (r'(?:date|timestamp) field value out of range: "(.*?)"', "Cannot convert '{0}' to a date or timestamp"),
        (r'invalid (?:date|timestamp) field format: "(.*?)"', "Cannot convert '{0}' to a date or timestamp"),
        (r"Overflow in (\w+) of \w+ \((.*?)\)", "Overflow in {0}: {1}"),
        (r"Overflow on (\w+)\((.*?)\)", "Overflow in {0}: {1}"),
        (r"(?:Date|Timestamp|Interval|timestamp|date) ?(?:and time)? .*out of range|[Ii]nterval value .* out of range",
         "A date or timestamp is out of range"),
        (r"Macro (\w+)\(\) does not support", "Invalid number of arguments to function '{0}'"),
        (r"Function with name (\w+) does not exist", "No match found for function signature {0}"),
        (r'syntax error at or near "([^"]+)"', 'Encountered "{0}". Was expecting something else here'),
        (r"zero-length delimited identifier", 'A name may not be empty: "" is none'),
        (r"Chained comparisons", "A comparison cannot be compared: combine two with AND"),
        (r"Set operations can only apply", "Column count mismatch in UNION: both sides need as many columns"),
        (r"[Ww]indow functions? .*(?:not allowed|not supported|nested)", _NO_WINDOW),
        (r"aggregate functions? .*(?:not allowed|nested|cannot contain)", _NO_AGGREGATE),
        (r"Window \w+ (\w+) expression cannot be negative", "{0} of a window's frame cannot be negative"),
        (r"RANGE frames must have only one ORDER BY", "A window's RANGE needs an ORDER BY of one expression"),
        (r"Frame (?:starting|ending) .* cannot have", "The frame of a window ends before it begins"),
        (r"Frame (start|end) cannot be ([A-Z ]+)", "The {0} of a window's frame cannot be {1}"),
        (r"DECIMAL type width must be", "DECIMAL(p, s) has 1 to 38 digits"),
        (r"DECIMAL type scale cannot", "DECIMAL(p, s) cannot have more decimals than digits"),
        (r"Invalid escape string", "ESCAPE expects one character"),
        (r"Unknown TimeZone '(.*?)'", "Unknown TimeZone '{0}'"),
        (r"Invalid input for hex digit: (.)", "TO_VARBINARY: '{0}' is no hexadecimal digit"),
        (r'Could not decode string "(.*?)" as base64', "TO_VARBINARY: '{0}' is not base64"),
        (r"could not convert blob to UTF8", "FROM_VARBINARY: these bytes are no UTF-8 text"),
        (r"Malformed JSON", "JSON_EXTRACT: the text is not JSON"),
        (r"JSON path error near '(.*?)'", "JSON_EXTRACT: the path is wrong near '{0}'"),
        (r"Map keys must be unique", "STR_TO_MAP: a key is there twice"),
        (r"Invalid type specifier", "FORMAT: the pattern does not fit the type of the value"),
        (r"struct_extract", "A part of a row has a name: take it by that"),
        (r"ORDER BY non-integer literal", "ORDER BY a text has no effect: name a column"),
        (r"executing the UDF: TimeoutError", patterns.TOO_SLOW),
        (r"Invalid Input Error: invalid perl operator: (.*)",
         "Invalid regular expression: {0} is understood in patterns that are written in the query only"),
        (r"Invalid Input Error: ((?:missing|invalid|bad|no argument|unexpected|trailing|duplicate|pattern too).*)",
         "Invalid regular expression: {0}"),
        (r"(?:[Mm]ax(?:imum)?|Max) (?:expression|parse|recursion)? ?(?:tree )?depth|stack|too deep",
         "The query is nested too deeply: put inner parts into WITH."),
        # What the engine cannot do without being told how; last, as it says this of many things.
        (r"WHERE clause cannot contain aggregates", "Aggregate expression is illegal in WHERE clause: use HAVING"),
    )
)  # fmt: skip
# Names of the engine's own functions that queries never wrote.
_AMC_NAMES = {
    "string_split": "STR_TO_MAP", "str_to_map_of": "STR_TO_MAP", "regexp_matches": "SIMILAR TO", "list": "COLLECT",
    "printf": "FORMAT", "array_remove_all": "ARRAY_REMOVE", "cardinality_of": "CARDINALITY", "trunc_to": "TRUNC",
    "quantile_cont": "PERCENTILE", "approx_quantile": "APPROX_PERCENTILE", "list_concat": "ARRAY_CAT",
    "list_contains": "ARRAY_CONTAINS", "string_split_regex": "REGEXP_SPLIT", "date_part": "EXTRACT",
    "unnest": "EXPLODE", "square_root": "SQRT", "array_distinct_of": "ARRAY_DISTINCT", "unhex": "TO_VARBINARY",
    "array_intersect_of": "ARRAY_INTERSECT", "from_base64": "TO_VARBINARY", "strftime": "FORMAT",
    "len": "CARDINALITY", "list_filter": "ARRAY_REMOVE", "timezone": "CONVERT_TIME_ZONE_FROM_UTC",
    "list_value": "ARRAY", "list_sort": "ARRAY_SORT", "list_distinct": "ARRAY_UNION", "array_extract": "[…]",
    "list_position": "ARRAY_DISTINCT", "strpos": "POSITION", "instr": "POSITION", "~~": "LIKE", "!~~": "NOT LIKE",
    "like_escape": "LIKE", "not_like_escape": "NOT LIKE", "string_agg": "ARRAY_TO_STRING", "struct_extract": "[…]",
    "array_to_string": "ARRAY_TO_STRING", "to_json": "JSON_SERIALIZE", "hash": "HASH64", "unix": "EPOCH",
    "java_matches": "SIMILAR TO", "java_substring": "REGEXP_SUBSTR", "java_replace": "REGEXP_REPLACE",
    "java_split": "REGEXP_SPLIT", "decode": "FROM_VARBINARY", "encode": "TO_VARBINARY", "hex": "FROM_VARBINARY",
    "to_base64": "FROM_VARBINARY", "map_from_entries": "STR_TO_MAP", "list_transform": "STR_TO_MAP",
    "json_extract": "JSON_EXTRACT", "make_timestamp": "EPOCH_TO_UTC_TIMESTAMP", "epoch": "SECONDS_BETWEEN",
    "list_filter_": "ARRAY_REMOVE", "contains": "STR_TO_MAP", "split_part": "STR_TO_MAP", "dayofweek": "DAYOFWEEK",
}  # fmt: skip
# What the engine calls types in its messages; the longest first, as some begin with others.
_TYPE_NAMES = {
    "STRING_LITERAL": "VARCHAR", "INTEGER_LITERAL": "INTEGER", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
    "TIMESTAMP_NS": "TIMESTAMP", "BOOL": "BOOLEAN", "INT8": "TINYINT", "INT16": "SMALLINT", "INT32": "INTEGER",
    "INT64": "BIGINT", "INT128": "BIGINT", "UINT64": "BIGINT", "HUGEINT": "BIGINT", "UBIGINT": "BIGINT",
    "UINTEGER": "INTEGER", "BLOB": "BINARY", "UUID": "VARCHAR", "JSON": "VARCHAR", '"NULL"': "NULL", "SQLNULL": "NULL",
}  # fmt: skip
_TYPE_NAME = re.compile("|".join(rf"(?<!\w){name}(?!\w)" for name in _TYPE_NAMES))
_ROW_TYPE = re.compile(r"\b(?:STRUCT|TUPLE|MAP)\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)")
_ARRAY_TYPE = re.compile(r"(?<=\w|\))\[\d*\]")


def rejected(problem: duckdb.Error, source: Source) -> SqlRejectedError:
    """Return the error in AMC's words for what the engine says."""
    if isinstance(problem, duckdb.OutOfMemoryException):
        return SqlRejectedError(_NO_MEMORY)
    text = str(problem).split("\n\n", 1)[0]
    for pattern, words in _TRANSLATIONS:
        found = pattern.search(text)
        if found:
            names = [
                _AMC_NAMES.get(part.lower().strip(), _typed(part)) for part in found.groups() if part is not None
            ]
            return SqlRejectedError(words.format(*names), source.span_of_word(names[0]) if names else None)
    # Only the kind: what the engine says may hold values and SQL.
    logger.warning("untranslated kind=%s", type(problem).__name__)
    return SqlRejectedError(NOT_COMPUTED)


def _typed(text: str) -> str:
    """Return types as AMC's CAST calls them."""
    text = _ROW_TYPE.sub(lambda found: "MAP" if found[0].startswith("MAP") else "ROW", text)
    return _ARRAY_TYPE.sub(" ARRAY", _TYPE_NAME.sub(lambda found: _TYPE_NAMES[found[0]], text))
