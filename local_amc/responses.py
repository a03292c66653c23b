"""Responses in Amazon's shapes."""

from __future__ import annotations

import json
from typing import Any

from werkzeug.wrappers import Response

JSON = "application/json"


class RequestRejectedError(Exception):
    """A check rejected the request: `response` is sent, and nothing is done."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def json_response(body: Any, status: int = 200, content_type: str = JSON) -> Response:
    """Return a response with a JSON body."""
    return Response(json.dumps(body), status, content_type=content_type)


def single(key: str, body: Any, *, is_wrapped: bool, content_type: str) -> Response:
    """Return one object: flat, as Amazon does, or under `key`, as its specification says."""
    return json_response({key: body} if is_wrapped else body, content_type=content_type)


def error(status: int, details: str) -> Response:
    """Return Amazon's usual error body; its `code` is a string."""
    return json_response({"code": str(status), "details": details}, status)


def as_account_error(response: Response, request_id: str) -> Response:
    """Return an error in the shape of the list of accounts, which has a message and a request ID."""
    body = response.get_json(silent=True) if response.status_code >= 400 else None
    if not isinstance(body, dict) or "details" not in body:
        return response
    response.set_data(json.dumps({"message": body["details"], "requestId": request_id}))
    return response


def unauthorized() -> Response:
    """Return 401 for a token or client ID that is not valid."""
    return error(401, "Unauthorized")


def forbidden() -> Response:
    """Return 403 for an entity or instance the login has no right to."""
    return error(403, "Unauthorized request.")


def terms_required() -> Response:
    """Return 403 for a login that did not accept AMC's terms."""
    return error(403, "Terms and conditions must be accepted to continue")


def entity_missing() -> Response:
    """Return 400 for a call without the AdvertiserId header."""
    return error(400, "entityId provided is null")


def marketplace_unknown() -> Response:
    """Return 404 for a marketplace that is not the entity's."""
    return error(404, "The marketplace does not belong to this entity.")


def instance_unknown(instance_id: str) -> Response:
    """Return 404 for an instance that does not exist."""
    return error(404, f"Instance {instance_id} was not found.")


def instance_not_ready() -> Response:
    """Return 400 for reporting on an instance that is not COMPLETED."""
    return error(400, "The instance is not ready.")
