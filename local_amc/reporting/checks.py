"""Checks that all reporting calls share, in Amazon's order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request

from local_amc.administration import check_instance
from local_amc.answers import RefusedError, error, forbidden, instance_not_ready
from local_amc.bodies import read_object
from local_amc.fixtures import Instance

if TYPE_CHECKING:
    from local_amc.server import LocalAmc

_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_SERIALIZATIONS = re.compile(r"application/(json|vnd\.amc[a-z]+\.v\d+\+json)")


def check_reporting(app: LocalAmc, request: Request, instance_id: str) -> Instance:
    """Check login, account, instance and that it is ready; raises RefusedError."""
    found = check_instance(app, request, instance_id, unknown=forbidden())
    if not found.is_ready:
        raise RefusedError(instance_not_ready())
    return found


def body_of(request: Request) -> dict[str, Any]:
    """Return the JSON object of a request, without its nulls; raises RefusedError with 415 or 400."""
    if not _SERIALIZATIONS.fullmatch(request.mimetype):
        raise RefusedError(error(415, f"Content-Type {request.mimetype or 'missing'} is not supported"))
    try:
        return filled(read_object(request))
    except ValueError as problem:
        raise invalid("The request body is not a JSON object") from problem


def filled(body: dict[str, Any]) -> dict[str, Any]:
    """Return an object without its nulls: clients made from a description send one for each field left out."""
    return {name: value for name, value in body.items() if value is not None}


def invalid(details: str) -> RefusedError:
    """Return a refusal of a field that is missing or has the wrong form."""
    return RefusedError(error(400, details))


def unprocessable(details: str) -> RefusedError:
    """Return a refusal of a well-formed value that makes no sense."""
    return RefusedError(error(422, details))


def check_id(body: dict[str, Any], name: str) -> str:
    """Return an ID of the caller's choosing; raises RefusedError."""
    value = body.get(name)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise invalid(f"{name} must be 1 to 100 letters, digits, '.', '-' or '_'")
    return value


def flag(body: dict[str, Any], name: str, *, default: bool = False) -> bool:
    """Return a boolean field; raises RefusedError."""
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise invalid(f"{name} must be true or false")
    return value


def query_flag(request: Request, name: str) -> bool:
    """Return a boolean of the query string; raises RefusedError."""
    value = request.args.get(name, "false").lower()
    if value not in ("true", "false"):
        raise invalid(f"{name} must be true or false")
    return value == "true"


def text(body: dict[str, Any], name: str) -> str | None:
    """Return a text field or None; raises RefusedError."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise invalid(f"{name} must be a text")
    return value or None
