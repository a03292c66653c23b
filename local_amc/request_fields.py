"""Fields of a request: JSON bodies read strictly, and the checks of one field that all calls share."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from werkzeug.wrappers import Request

from local_amc.responses import RequestRejectedError, error

# Far deeper than anything Amazon documents.
_MAX_DEPTH = 64
_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_SERIALIZATIONS = re.compile(r"application/(json|vnd\.amc[a-z]+\.v\d+\+json)")


def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in a request's body; raises ValueError.

    What only Python's reader takes (NaN, 1e999, endless nesting) is an error: it would break a response later.
    """
    try:
        body = json.loads(request.get_data(), parse_constant=_refuse, parse_float=_finite)
    except RecursionError as problem:
        raise ValueError("the body is nested too deeply") from problem
    if not isinstance(body, dict) or _is_too_deep(body):
        raise ValueError("the body is not a JSON object, or nested too deeply")
    return body


def read_body(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request, without its nulls; raises RequestRejectedError with 415 or 400."""
    if not _SERIALIZATIONS.fullmatch(request.mimetype):
        raise RequestRejectedError(error(415, f"Content-Type {request.mimetype or 'missing'} is not supported"))
    try:
        return without_nulls(read_object(request))
    except ValueError as problem:
        raise invalid("The request body is not a JSON object") from problem


def without_nulls(body: dict[str, Any]) -> dict[str, Any]:
    """Return an object without its nulls: clients made from a description send one for each field left out."""
    return {name: value for name, value in body.items() if value is not None}


def invalid(details: str) -> RequestRejectedError:
    """Return the rejection, status 400, of a field that is missing or has the wrong form."""
    return RequestRejectedError(error(400, details))


def unprocessable(details: str) -> RequestRejectedError:
    """Return the rejection, status 422, of a well-formed value that makes no sense."""
    return RequestRejectedError(error(422, details))


def id_field(body: dict[str, Any], name: str) -> str:
    """Return an ID of the caller's choosing, 1 to 100 characters; raises RequestRejectedError."""
    value = body.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise invalid(f"{name} must be 1 to 100 letters, digits, '.', '-' or '_'")
    return value


def boolean_field(body: dict[str, Any], name: str, *, default: bool = False) -> bool:
    """Return a boolean field; raises RequestRejectedError."""
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise invalid(f"{name} must be true or false")
    return value


def text_field(body: dict[str, Any], name: str) -> str | None:
    """Return a text field, None when it is missing or empty; raises RequestRejectedError."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"{name} must be a text")
    return value or None


def boolean_argument(request: Request, name: str) -> bool:
    """Return a boolean of the query string, False when it is missing; raises RequestRejectedError."""
    value = request.args.get(name, "false").lower()
    if value not in ("true", "false"):
        raise invalid(f"{name} must be true or false")
    return value == "true"


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large for a number")
    return number


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [inner for outer in level for inner in _items(outer)]
        if not level:
            return False
    return True


def _items(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
