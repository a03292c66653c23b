"""JSON bodies, read strictly: what only Python takes (NaN, endless nesting) would break an answer later."""

from __future__ import annotations

import json
import math
from typing import Any

from werkzeug.wrappers import Request

# Far deeper than anything Amazon documents.
_MOST_NESTED = 64


def read_object(request: Request) -> dict[str, Any]:
    """Return the JSON object in a request's body; raises ValueError."""
    try:
        body = json.loads(request.get_data(), parse_constant=_refuse, parse_float=_finite)
    except RecursionError as problem:
        raise ValueError("the body is nested too deeply") from problem
    if not isinstance(body, dict) or _is_too_deep(body):
        raise ValueError("the body is not a JSON object, or nested too deeply")
    return body


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large for a number")
    return number


def _is_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MOST_NESTED):
        level = [inner for outer in level for inner in _items(outer)]
        if not level:
            return False
    return True


def _items(value: Any) -> Any:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
