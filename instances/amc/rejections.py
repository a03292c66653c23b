"""What AMC's words say about a refused execution: where the SQL is wrong, protection, limits."""

from __future__ import annotations

import re
from dataclasses import dataclass

import requests

from instances.amc.errors import AmcError, AmcLimitError, AmcNotReadyError, AmcRejectedError, SqlPosition
from instances.amc.responses import call_info, error_text, http_error

OVERLAP_PROTECTION = "overlap_protection"
INVALID_SQL = "invalid_sql"
UNDECLARED_PARAMETER = "undeclared_parameter"

# A compile error quotes a good deal of SQL before it comes to the point.
_MAX_WORDS = 4000
_RANGE = re.compile(r"\bfrom line (\d+), column (\d+) to line (\d+), column (\d+)", re.IGNORECASE)
_POINT = re.compile(r"\bline (\d+), column (\d+)", re.IGNORECASE)
_OVERLAP = "too many workflows have already been run against the same input data"
_SQL_FAULTS = (
    "unable to compile",
    "number of columns must match",
    "sql validation",
    "parse failed",
    "not found in any table",
)
_OBJECT = re.compile(r"\b(object|column|table) '[^']*' not found", re.IGNORECASE)
# The word alone will not do: SQL has a LIMIT of its own, and AMC refuses it.
_LIMIT = re.compile(
    r"execution limit|(?:execution|workflow|run|quer(?:y|ies)|concurrency|quota)s? limit"
    r"|limit (?:of|on|for) (?:\w+ ){0,4}?(?:execution|workflow|run|quer)"
    r"|limit (?:\w+ )?(?:exceeded|reached)|(?:exceed|reach)\w* (?:\w+ ){0,6}?limit"
    r"|too many (?:concurrent|parallel|running|open|pending)",
    re.IGNORECASE,
)
# Limits of what is asked, which waiting does not lift.
_SIZE = re.compile(r"character|length|\bbytes?\b|\bsize|column|parameter|timeout|window|\bdays\b", re.IGNORECASE)
_NOT_READY = "unavailable for download"
_LIMIT_RETRY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why AMC refused: a reason code, empty when the words name none we know, and the place in the SQL."""

    reason: str
    position: SqlPosition | None


def read_rejection(words: str) -> Rejection:
    """Read the words of a refused request or the `status_reason` of a refused execution."""
    position = _read_position(words)
    lowered = words.lower()
    if _OVERLAP in lowered:
        return Rejection(OVERLAP_PROTECTION, None)
    if "undeclared parameter" in lowered:
        return Rejection(UNDECLARED_PARAMETER, position)
    if position or any(fault in lowered for fault in _SQL_FAULTS) or _OBJECT.search(words):
        return Rejection(INVALID_SQL, position)
    return Rejection("", None)


def execution_rejection(words: str, *, http_status: int | None = None) -> AmcRejectedError:
    """Return one error that says why AMC does not run this."""
    rejection = read_rejection(words)
    lead = {
        OVERLAP_PROTECTION: "AMC refuses to run this: too many similar runs used the same data. "
        "Change the query or the time window.",
        INVALID_SQL: "AMC cannot run this SQL. Correct it and try again.",
        UNDECLARED_PARAMETER: "AMC cannot run this SQL: a parameter is used but not declared.",
    }.get(rejection.reason, f"Amazon refused the request{f' (HTTP {http_status})' if http_status else ''}.")
    told = f" Amazon says: {words}" if words else ""
    return AmcRejectedError(lead + told, reason=rejection.reason, position=rejection.position)


def reporting_error(response: requests.Response, payload: object) -> AmcError:
    """Turn an error answer of the reporting API into the family."""
    words = error_text(payload, max_length=_MAX_WORDS)
    error = http_error(response, payload)
    if response.status_code in {400, 404} and _NOT_READY in words.lower():
        return AmcNotReadyError(
            f"The result is not ready for download yet. Amazon says: {words}", call=call_info(response)
        )
    if not isinstance(error, AmcRejectedError) or response.status_code not in {400, 422}:
        return error
    if not read_rejection(words).reason and _LIMIT.search(words) and not _SIZE.search(words):
        return AmcLimitError(
            f"As many executions are open as Amazon allows. Amazon says: {words}",
            retry_after=_LIMIT_RETRY_SECONDS,
            call=call_info(response),
        )
    refused = execution_rejection(words, http_status=response.status_code)
    refused.call = call_info(response)
    return refused


def _read_position(words: str) -> SqlPosition | None:
    if found := _RANGE.search(words):
        return SqlPosition(*(int(number) for number in found.groups()))
    if found := _POINT.search(words):
        line, column = (int(number) for number in found.groups())
        return SqlPosition(line, column, line, column)
    return None
