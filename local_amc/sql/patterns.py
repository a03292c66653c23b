"""Java's regular expressions: DuckDB's engine knows no look-around and no back-references, a second one does.

DuckDB's own functions are far faster, so the second engine is asked only for patterns that the first one refuses.
"""

from __future__ import annotations

import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import cache, lru_cache, wraps
from itertools import count
from typing import Any

import duckdb
import regex
from duckdb.func import SPECIAL
from sqlglot import exp

# A pattern that goes back and forth may take for ever: seconds it gets for one value, and for all of one query.
MAX_VALUE_SECONDS = 1.0
MAX_QUERY_SECONDS = 20.0
_MAX_QUERIES = 1_000
TOO_SLOW = (
    "The regular expression takes too long on these values: it goes back and forth. Use fewer nested repetitions, or "
    "LIKE"
)

_IGNORES_CASE = "(?!)"
_NEVER_MATCHES = r"[^\s\S]"
# What Java writes in another way: quoted text, and references by name.
_JAVA_ONLY = re.compile(r"\\Q(?P<quoted>.*?)(?:\\E|\Z)|\\k<(?P<name>\w+)>|\\.", re.DOTALL)
_GROUP = re.compile(r"\\(.)|\$(\d|\{\w+\})", re.DOTALL)
_JAVA_REFERENCE = re.compile(r"\$(\d)")
# The functions here by what DuckDB calls its own.
_SECOND_NAMES = {
    "regexp_matches": "java_matches",
    "regexp_substr": "java_substring",
    "regexp_replace": "java_replace",
    "regexp_split": "java_split",
}

_numbers = count(1)
_lock = threading.Lock()
_spent: OrderedDict[int, float] = OrderedDict()


class PatternError(ValueError):
    """Neither engine can read a pattern; `str()` says why."""


def call(name: str, subject: exp.Expr, pattern: exp.Expr, replacement: exp.Expr | None = None) -> exp.Expr:
    """Return the call of DuckDB's function `name`, or of its second one for a pattern that needs it.

    Raises PatternError for a pattern that is none.
    """
    written = _written(pattern)
    arguments = [subject.copy(), exp.Literal.string(_readable(written)) if written is not None else pattern.copy()]
    is_java = written is not None and not _is_known_to_duckdb(arguments[1].name)
    if replacement is not None:
        has_text = replacement.is_string and not is_java
        text = _JAVA_REFERENCE.sub(r"\\\1", replacement.name) if has_text else ""
        arguments.append(exp.Literal.string(text) if has_text else replacement.copy())
    if is_java:
        _check(arguments[1].name)
        # The last argument says whose time it is.
        return exp.Anonymous(
            this=_SECOND_NAMES[name], expressions=[*arguments, exp.Literal.number(next(_numbers))]
        )
    if replacement is not None:
        arguments.append(exp.Literal.string("g"))
    return exp.Anonymous(this=name, expressions=arguments)


def are_used(sql: str) -> bool:
    """Return whether SQL of the engine calls one of the second functions; a text that looks so does no harm."""
    return any(f"{name}(" in sql.lower() for name in _SECOND_NAMES.values())


def register(cursor: duckdb.DuckDBPyConnection) -> None:
    """Add the second functions to a connection's database, unless it has them."""
    functions: tuple[tuple[str, Callable[..., Any], list[Any], str], ...] = (
        ("java_matches", _matches, ["VARCHAR", "VARCHAR", "BIGINT"], "BOOLEAN"),
        ("java_substring", _substring, ["VARCHAR", "VARCHAR", "BIGINT"], "VARCHAR"),
        ("java_replace", _replace, ["VARCHAR", "VARCHAR", "VARCHAR", "BIGINT"], "VARCHAR"),
        ("java_split", _split, ["VARCHAR", "VARCHAR", "BIGINT"], "VARCHAR[]"),
    )
    known = "SELECT 1 FROM duckdb_functions() WHERE function_name = ?"
    with _lock:
        for name, function, parameters, result in functions:
            if not cursor.execute(known, [name]).fetchall():
                # By default a function may not return NULL; now it is asked about NULL, too.
                cursor.create_function(name, function, parameters, result, null_handling=SPECIAL)


def _written(node: exp.Expr) -> str | None:
    """Return a pattern that is written in the query, also in pieces; None for one that rows bring."""
    if isinstance(node, exp.Paren):
        return _written(node.this)
    if isinstance(node, exp.Concat):
        pieces = [_written(piece) for piece in node.expressions]
        return None if None in pieces else "".join(piece or "" for piece in pieces)
    return node.name if node.is_string else None


def _readable(pattern: str) -> str:
    """Return a pattern with what Amazon documents instead of what Java says: `(?!)` at its beginning ignores case."""
    if pattern.startswith(_IGNORES_CASE) and pattern != _IGNORES_CASE:
        pattern = "(?i)" + pattern.removeprefix(_IGNORES_CASE)
    return pattern.replace(_IGNORES_CASE, _NEVER_MATCHES)


@lru_cache(maxsize=1_000)
def _is_known_to_duckdb(pattern: str) -> bool:
    try:
        _tester().cursor().execute("SELECT regexp_matches('', ?)", [pattern]).fetchall()
    except duckdb.Error:
        return False
    return True


@cache
def _tester() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"threads": "1"})


def _check(pattern: str) -> None:
    try:
        _compiled(pattern)
    except (regex.error, OverflowError, RecursionError) as problem:
        raise PatternError(str(problem)) from problem


@lru_cache(maxsize=1_000)
def _compiled(pattern: str) -> regex.Pattern[str]:
    # Version 1 has Java's sets: [a-z&&[^b]].
    return regex.compile(_JAVA_ONLY.sub(_in_python, pattern), regex.V1)


def _in_python(found: re.Match[str]) -> str:
    if found["quoted"] is not None:
        return str(regex.escape(found["quoted"]))
    return f"(?P={found['name']})" if found["name"] else found[0]


def _within_time(query: int, ask: Callable[[float], Any]) -> Any:
    """Ask for a match, and count the seconds it took on its query; raises TimeoutError when they are used up."""
    used = _spent.get(query, 0.0)
    if used > MAX_QUERY_SECONDS:
        raise TimeoutError
    began = time.perf_counter()
    try:
        found = ask(MAX_VALUE_SECONDS)
        used += time.perf_counter() - began
    except TimeoutError:
        # The optimizer tries constant calls again and again.
        used = MAX_QUERY_SECONDS + 1
        raise
    finally:
        _spent[query] = used
        while len(_spent) > _MAX_QUERIES:
            _spent.popitem(last=False)
    return found


def _null_of_null(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that is NULL when one of its arguments is."""

    @wraps(function)
    def of_values(*arguments: Any) -> Any:
        return None if None in arguments else function(*arguments)

    return of_values


@_null_of_null
def _matches(text: str, pattern: str, query: int) -> bool:
    return _within_time(query, lambda limit: _compiled(pattern).search(text, timeout=limit)) is not None


@_null_of_null
def _substring(text: str, pattern: str, query: int) -> str | None:
    found = _within_time(query, lambda limit: _compiled(pattern).search(text, timeout=limit))
    return found[0] if found is not None else None


@_null_of_null
def _replace(text: str, pattern: str, replacement: str, query: int) -> str:
    def expanded(found: regex.Match[str]) -> str:
        return _GROUP.sub(lambda part: part[1] or found[_group(part[2])] or "", replacement)

    replaced: str = _within_time(query, lambda limit: _compiled(pattern).sub(expanded, text, timeout=limit))
    return replaced


def _group(name: str) -> int | str:
    return int(name) if name.isdigit() else name.strip("{}")


@_null_of_null
def _split(text: str, pattern: str, query: int) -> list[str]:
    matches = _within_time(query, lambda limit: list(_compiled(pattern).finditer(text, timeout=limit)))
    pieces, start = [], 0
    for found in matches:
        # As in Java, nothing stands before a match of no width at the beginning.
        if found.end() > 0:
            pieces.append(text[start : found.start()])
            start = found.end()
    return [*pieces, text[start:]]
