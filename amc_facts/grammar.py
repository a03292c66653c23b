"""What AMC SQL lacks, once: each construct with a code that stays, its message, and what to write instead.

Source: AMC's SQL reference, and AMC's refusals as far as they are known. The local AMC and the editor's lint read
these tables; `dialect` finds the constructs in tokens and trees, `characters` the look-alikes in texts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from amc_facts.functions import FUNCTIONS


@dataclass(frozen=True, slots=True)
class Unsupported:
    """A construct that AMC refuses: `message` without and `instead` with its full stop.

    `word` is how the construct is written first, in capitals, where that tells its place.
    """

    code: str
    message: str
    instead: str = ""
    word: str = ""

    def __str__(self) -> str:
        return f"{self.message}. {self.instead}".rstrip()


def _lacks(code: str, name: str, instead: str = "", word: str = "") -> Unsupported:
    return Unsupported(code, f"{name} is not supported by AMC SQL", instead, word or name.split()[0])


_RANK = "Rank the rows with ROW_NUMBER() or RANK() in a subquery."
_JOIN = "Write JOIN … ON, with the condition spelled out."
_EXISTS = "Use WHERE EXISTS (…), or a LEFT JOIN."
_GROUPINGS = "Write one GROUP BY per level and put them together with UNION ALL."

# Constructs by the words they are written with.
CONSTRUCTS: Mapping[str, Unsupported] = MappingProxyType(
    {
        "ANTI JOIN": _lacks("anti-join", "ANTI JOIN", "Use WHERE NOT EXISTS (…), or a LEFT JOIN and IS NULL."),
        "ASOF JOIN": _lacks("asof-join", "ASOF JOIN", "Join on both bounds and rank the rows."),
        "AT TIME ZONE": _lacks("at-time-zone", "AT TIME ZONE", "Use CONVERT_TIME_ZONE_FROM_UTC(x, zone)."),
        "BY NAME": _lacks("by-name", "UNION BY NAME", "Name the columns in the same order on both sides.", "NAME"),
        "COLLATE": _lacks("collate", "COLLATE", "Compare LOWER(x)."),
        "CONNECT BY": _lacks("connect-by", "CONNECT BY", "Join the table with itself, once per level."),
        "CUBE": _lacks("cube", "CUBE", _GROUPINGS),
        "CURRENT_TIME": _lacks("current-time", "CURRENT_TIME", "Use CURRENT_TIMESTAMP."),
        "DISTINCT ON": _lacks("distinct-on", "DISTINCT ON", "Keep the rows with ROW_NUMBER() = 1 in a subquery."),
        "EXCEPT": _lacks("except", "EXCEPT", "Use WHERE NOT EXISTS (…), or a LEFT JOIN and IS NULL."),
        "FOR UPDATE": _lacks("for-update", "FOR UPDATE", "AMC only reads."),
        "GLOB": _lacks("glob", "GLOB", "Use LIKE, or SIMILAR TO for patterns."),
        "GROUP BY ALL": Unsupported(
            "group-by-all",
            "Only plain GROUP BY is supported by AMC SQL, not GROUP BY ALL",
            "Name the columns, or their numbers.",
            "GROUP BY",
        ),
        "GROUPING SETS": _lacks("grouping-sets", "GROUPING SETS", _GROUPINGS, "GROUPING SETS"),
        "ILIKE": _lacks("ilike", "ILIKE", "Write LOWER(x) LIKE with the pattern in small letters."),
        "INTERSECT": _lacks("intersect", "INTERSECT", "Use WHERE EXISTS (…), or an INNER JOIN of distinct rows."),
        "INTO": _lacks("into", "SELECT INTO", "AMC only reads: the output is the result.", "INTO"),
        "LATERAL": _lacks("lateral", "LATERAL", "Join a subquery, or use EXPLODE(array)."),
        "LOCALTIMESTAMP": _lacks("localtimestamp", "LOCALTIMESTAMP", "Use CURRENT_TIMESTAMP."),
        "NATURAL JOIN": _lacks("natural-join", "NATURAL JOIN", _JOIN),
        "PIVOT": _lacks("pivot", "PIVOT", "Write SUM(IF(condition, x, 0)) once per column."),
        "POSITIONAL JOIN": _lacks("positional-join", "POSITIONAL JOIN", _JOIN),
        "QUALIFY": _lacks("qualify", "QUALIFY", "Compute the window in a subquery and filter with WHERE around it."),
        "RIGHT JOIN": _lacks("right-join", "RIGHT JOIN", "Swap the two sides and use LEFT JOIN."),
        "RLIKE": Unsupported(
            "rlike", "RLIKE and REGEXP are not supported by AMC SQL", "Write x SIMILAR TO 'pattern'.", "RLIKE"
        ),
        "ROLLUP": _lacks("rollup", "ROLLUP", _GROUPINGS),
        "SELECT AS STRUCT": _lacks("select-as-struct", "SELECT AS STRUCT", "Use NAMED_ROW('name', value).", "STRUCT"),
        "SEMI JOIN": _lacks("semi-join", "SEMI JOIN", _EXISTS),
        "STRUCT": _lacks("struct", "STRUCT", "Use NAMED_ROW('name', value)."),
        "TABLESAMPLE": _lacks("tablesample", "TABLESAMPLE", "Filter on a hash, as in HASH64(user_id)."),
        "TOTALS": _lacks("totals", "WITH TOTALS", _GROUPINGS, "TOTALS"),
        "WITH RECURSIVE": _lacks("recursive", "WITH RECURSIVE", "Write the steps one by one.", "RECURSIVE"),
        "<<": _lacks("bit-operator", "<<", "AMC has no operators on bits."),
        ">>": _lacks("bit-operator", ">>", "AMC has no operators on bits."),
    }
)  # fmt: skip


def construct(words: str) -> Unsupported:
    """Return the entry of a construct; one without advice when the tables have none."""
    return CONSTRUCTS.get(words) or ROW_LIMITS.get(words) or _lacks("not-amc-sql", words)


ROW_LIMITS: Mapping[str, Unsupported] = MappingProxyType(
    {word: _lacks("row-limit", word, _RANK) for word in ("LIMIT", "FETCH", "OFFSET")}
)
TOP = _lacks("top", "TOP", f"There is no TOP, LIMIT or FETCH. {_RANK}")
ORDER_BY = Unsupported(
    "order-by",
    "ORDER BY on the outermost SELECT is not supported by AMC SQL",
    "Sort the downloaded result, or rank the rows with ROW_NUMBER() OVER (ORDER BY …).",
)
SELECT_STAR = Unsupported("select-star", "SELECT * is not supported by AMC SQL", "Name the columns.")

# Signs that are operators or quotes elsewhere.
_STRUCT = Unsupported("struct", "{…} is not supported by AMC SQL", "Use NAMED_ROW('name', value).")
_REGEX = Unsupported("regex-operator", "Operators of regular expressions are not supported by AMC SQL",
                     "Write x SIMILAR TO 'pattern', or x NOT SIMILAR TO 'pattern'.")  # fmt: skip
_BITS = Unsupported("bit-operator", "Operators on bits are not supported by AMC SQL")
_PATH = Unsupported("path-operator", "Paths and functions with arrows are not supported by AMC SQL",
                    "Use JSON_EXTRACT(x, path).")  # fmt: skip
UNKNOWN_SIGN = Unsupported("unknown-sign", "This sign is not part of AMC SQL")
SIGNS: Mapping[str, Unsupported] = MappingProxyType(
    {
        "||": _lacks("concat-operator", "||", "Concatenate with CONCAT(a, b)."),
        "::": _lacks("cast-operator", "::", "Convert with CAST(x AS type)."),
        "==": _lacks("double-equals", "==", "Compare with a single =."),
        "<=>": _lacks("null-safe-equals", "<=>", "Write x IS NOT DISTINCT FROM y."),
        "!": _lacks("exclamation-mark", "!", "Write NOT."),
        "~": _REGEX,
        "~~": _lacks("like-operator", "~~", "Write LIKE."),
        "~*": _REGEX,
        "^": _lacks("power-operator", "^", "Use POWER(x, y)."),
        "**": _lacks("power-operator", "**", "Use POWER(x, y)."),
        "//": _lacks("integer-division", "//", "Use FLOOR(x / y)."),
        "&": _BITS,
        "|": _BITS,
        "->": _PATH,
        "->>": _PATH,
        "{": _STRUCT,
        "`": Unsupported("back-tick", "Back-ticks are not supported by AMC SQL", 'Write names as "name".'),
        ":": Unsupported("colon", "A colon is not part of AMC SQL", "Arrays have no slices and values no paths."),
        "@": Unsupported("at-sign", "@ is not part of AMC SQL", "Use CUSTOM_PARAMETER('name')."),
    }
)  # fmt: skip

DOLLAR_QUOTES = Unsupported("dollar-quotes", "$$…$$ is not supported by AMC SQL", "Write '…' with quotes doubled.")
PREFIXED_STRING = Unsupported(
    "prefixed-string", "A string with a letter before it is not supported by AMC SQL", "Write '…' alone."
)

ONE_STATEMENT = Unsupported(
    "several-statements", "Only one statement can be run at a time", "Run each on its own."
)
NOT_A_QUERY = Unsupported("not-a-query", "Only a SELECT statement can be run", "Begin with SELECT or WITH.")
NO_COLUMN = Unsupported("no-column", "Was expecting a column before FROM")
NO_SELECT = Unsupported("no-select", "Was expecting SELECT before FROM")
STRAY_COMMA = Unsupported("stray-comma", "Nothing follows this comma")
NOT_BALANCED = Unsupported("not-balanced", "A parenthesis is never closed")

# Standard SQL that Calcite and Spark share and published queries use, beside the documented functions.
_UNDOCUMENTED = """
    PERCENT_RANK CUME_DIST LAG LEAD FIRST_VALUE LAST_VALUE MOD SIGN CEILING CHAR_LENGTH CHARACTER_LENGTH DAY QUARTER
    DAYOFYEAR UNNEST ARRAY SHA PI COS SIN TAN SUBSTR POW ANY_VALUE
"""
UNDOCUMENTED_FUNCTIONS = frozenset(_UNDOCUMENTED.split())
KNOWN_FUNCTIONS = FUNCTIONS | UNDOCUMENTED_FUNCTIONS

# What people write out of habit, and what AMC has instead.
FUNCTION_ALTERNATIVES: Mapping[str, str] = MappingProxyType(
    {
        "APPROX_COUNT_DISTINCT": "COUNT(DISTINCT x)",
        "APPROX_DISTINCT": "COUNT(DISTINCT x)",
        "ARRAY_AGG": "COLLECT(x)",
        "COUNTIF": "SUM(IF(condition, 1, 0))",
        "COUNT_IF": "SUM(IF(condition, 1, 0))",
        "DATEADD": "d + INTERVAL '1' DAY",
        "DATEDIFF": "SECONDS_BETWEEN(earlier, later) / 86400",
        "DATE_ADD": "d + INTERVAL '1' DAY",
        "DATE_DIFF": "SECONDS_BETWEEN(earlier, later) / 86400",
        "DATE_PART": "EXTRACT(part FROM x)",
        "GETDATE": "CAST('today' AS DATE) or CAST('now' AS TIMESTAMP)",
        "GROUP_CONCAT": "ARRAY_TO_STRING(COLLECT(x), ',')",
        "IIF": "IF(condition, a, b)",
        "ISNULL": "IFNULL(x, y)",
        "LEN": "LENGTH(x)",
        "LISTAGG": "ARRAY_TO_STRING(COLLECT(x), ',')",
        "NOW": "CAST('now' AS TIMESTAMP)",
        "NTILE": "PERCENT_RANK() or RANK() in a subquery",
        "PERCENTILE_CONT": "PERCENTILE(x, 0.5)",
        "PERCENTILE_DISC": "PERCENTILE(x, 0.5)",
        "QUANTILE": "PERCENTILE(x, 0.5)",
        "QUANTILE_CONT": "PERCENTILE(x, 0.5)",
        "REGEXP_EXTRACT": "REGEXP_SUBSTR(x, pattern)",
        "REGEXP_LIKE": "x SIMILAR TO pattern",
        "REGEXP_MATCHES": "x SIMILAR TO pattern",
        "ROW": "NAMED_ROW('name', value)",
        "SPLIT": "REGEXP_SPLIT(x, pattern)",
        "STRING_AGG": "ARRAY_TO_STRING(COLLECT(x), ',')",
        "STRING_SPLIT": "REGEXP_SPLIT(x, pattern)",
        "SUBSTR": "SUBSTRING(x, start, length)",
        "SYSDATE": "CAST('today' AS DATE)",
        "TIMESTAMPDIFF": "SECONDS_BETWEEN(earlier, later)",
        "TODAY": "CAST('today' AS DATE)",
        "TO_DATE": "CAST(x AS DATE)",
        "TO_TIMESTAMP": "CAST(x AS TIMESTAMP)",
        "TRY_CAST": "CAST(x AS type)",
        "UNNEST": "EXPLODE(x)",
    }
)


def no_such_function(name: str) -> Unsupported:
    """Return the entry of a function AMC does not have, worded like AMC's validator."""
    instead = FUNCTION_ALTERNATIVES.get(name.upper())
    return Unsupported(
        "unknown-function",
        f"No match found for function signature {name}" + (f"; use {instead}" if instead else ""),
    )
