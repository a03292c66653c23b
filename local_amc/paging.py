"""Pages of a list, with tokens that fit only the list they came from."""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from werkzeug.wrappers import Request

from local_amc.faults import is_hit_by
from local_amc.responses import RequestRejectedError, error

MAX_PAGE_SIZE = 100


def page(
    request: Request, key: str, rows: Sequence[Any], *, bound_to: str, ends_with_null: bool = False
) -> dict[str, Any]:
    """Return one page of `rows` under `key` and `nextToken`; raises RequestRejectedError.

    `bound_to` names the list: a token of another list is rejected, as is a limit outside 1 to MAX_PAGE_SIZE. The last
    page has no token; in the Administration API it is null.
    """
    limit = _limit(request.args.get("limit", ""))
    token = request.args.get("nextToken", "")
    start = _start(token, bound_to) if token else 0
    end = start + limit
    if is_hit_by(request, "paging_loop"):
        # The same token again and again, as a service does that lost its place.
        return {key: list(rows[start:end]), "nextToken": token or _token(0, bound_to)}
    if is_hit_by(request, "paging_repeat"):
        # The first page in place of each further one: the list ends, and all but its first rows never came.
        return {key: list(rows[:limit]), "nextToken": _token(end, bound_to) if end < len(rows) else None}
    if is_hit_by(request, "paging_empty_page"):
        # Nothing on this page, but more to come: a caller that asks on loses no row.
        return {key: [], "nextToken": _token(start, bound_to)}
    body: dict[str, Any] = {key: list(rows[start:end])}
    if end < len(rows):
        body["nextToken"] = _token(end, bound_to)
    elif ends_with_null:
        body["nextToken"] = None
    return body


def _limit(text: str) -> int:
    if not text:
        return MAX_PAGE_SIZE
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and 1 <= int(text) <= MAX_PAGE_SIZE):
        raise RequestRejectedError(error(400, f"limit must be between 1 and {MAX_PAGE_SIZE}"))
    return int(text)


def _token(start: int, bound_to: str) -> str:
    # The salt makes every token differ, so that no client can take one for an offset.
    salt = secrets.token_hex(4)
    return base64.urlsafe_b64encode(f"{start}.{salt}.{_seal(start, salt, bound_to)}".encode()).decode()


def _start(token: str, bound_to: str) -> int:
    """Return the row a token points to; raises RequestRejectedError for one that is damaged or of another list."""
    try:
        start, salt, seal = base64.urlsafe_b64decode(token).decode().split(".")
        if seal == _seal(int(start), salt, bound_to):
            return int(start)
    except ValueError:
        pass
    raise RequestRejectedError(error(400, "nextToken is not valid for this request"))


def _seal(start: int, salt: str, bound_to: str) -> str:
    return hashlib.sha256(f"{start}.{salt}.{bound_to}".encode()).hexdigest()[:12]
