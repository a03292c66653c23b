"""Control routes: reset, clock, faults, and the requests that were received."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from local_amc.server import LocalAmc

_REMEMBERED = 20_000
_SECRET_FIELDS = frozenset({"client_secret", "refresh_token", "access_token", "code", "code_verifier"})


class RequestLog:
    """The latest requests, secrets shortened to a hash."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque(maxlen=_REMEMBERED)

    def add(self, request: Request) -> None:
        """Remember a request."""
        headers = {
            name: _hashed(value) if name.lower() in {"authorization", "cookie"} else value
            for name, value in request.headers.items()
        }
        entry = {
            "method": request.method,
            "path": request.path,
            "query": request.args.to_dict(),
            "headers": headers,
            "body": {
                name: _hashed(value) if name in _SECRET_FIELDS else value for name, value in request.form.items()
            },
        }
        with self._lock:
            self._entries.append(entry)

    def list(self) -> list[dict[str, Any]]:
        """Give what is remembered, oldest first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._entries.clear()


def handle(app: LocalAmc, request: Request, route: str) -> Response:
    """Answer a control route; JSON in, JSON out."""
    actions = {
        ("POST", "reset"): _reset,
        ("GET", "clock"): lambda app, body: {"now": app.clock.now().isoformat()},
        ("POST", "clock"): _clock,
        ("GET", "faults"): lambda app, body: {"faults": app.faults.list()},
        ("POST", "faults"): lambda app, body: dict(vars(app.faults.arm(body))),
        ("DELETE", "faults"): lambda app, body: app.faults.disarm(str(body.get("fault", ""))),
        ("GET", "requests"): lambda app, body: {"requests": app.requests.list()},
        ("DELETE", "requests"): lambda app, body: app.requests.clear(),
        ("POST", "options"): _options,
    }
    action = actions.get((request.method, route))
    if action is None:
        return _answer({"error": f"there is no {request.method} /__control/{route}"}, 404)
    body = request.get_json(silent=True) or {}
    if not isinstance(body, dict):
        return _answer({"error": "the body is not a JSON object"}, 400)
    try:
        return _answer(action(app, body) or {})
    except (TypeError, ValueError) as problem:
        return _answer({"error": str(problem)}, 400)


def _reset(app: LocalAmc, body: dict[str, Any]) -> None:
    app.faults.disarm()
    app.clock.reset()
    app.requests.clear()
    app.store.clear()
    app.terms_on_list = False


def _clock(app: LocalAmc, body: dict[str, Any]) -> dict[str, str]:
    app.clock.advance(float(body["advance"]) if "advance" in body else 0.0)
    return {"now": app.clock.now().isoformat()}


def _options(app: LocalAmc, body: dict[str, Any]) -> dict[str, bool]:
    app.terms_on_list = bool(body.get("terms_on_list", app.terms_on_list))
    return {"terms_on_list": app.terms_on_list}


def _answer(body: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body), status, content_type="application/json")


def _hashed(value: str) -> str:
    return f"sha256:{hashlib.sha256(value.encode()).hexdigest()[:12]}"
