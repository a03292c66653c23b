"""The requests a server has received, for tests and people who look for what was sent."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import deque
from contextlib import suppress
from datetime import datetime
from typing import Any

from werkzeug.wrappers import Request

from local_amc.request_fields import read_object

_MAX_ENTRIES = 20_000
_SECRET_NAMES = frozenset(
    {"authorization", "cookie", "client_secret", "refresh_token", "access_token", "code", "code_verifier"}
)
_TOKEN = re.compile(r"Atz[ar](?:\||%7[Cc])\S*")


class RequestLog:
    """The latest requests, secrets shortened to a hash."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: deque[dict[str, Any]] = deque(maxlen=_MAX_ENTRIES)

    def add(self, request: Request, received_at: datetime) -> None:
        """Remember a request."""
        entry = {
            "received_at": received_at.isoformat(),
            "method": request.method,
            "path": _TOKEN.sub(lambda match: _hashed(match[0]), request.path),
            "query": _redacted(request.args.to_dict()),
            "headers": _redacted(dict(request.headers.items())),
            "body": _redacted(_fields(request)),
        }
        with self._lock:
            self._entries.append(entry)

    def list(self) -> list[dict[str, Any]]:
        """Return what is remembered, oldest first."""
        with self._lock:
            return list(self._entries)

    def clear(self) -> None:
        """Forget all requests."""
        with self._lock:
            self._entries.clear()


def _fields(request: Request) -> dict[str, Any]:
    """Return a body's fields; the raw text of other bodies could hold a secret."""
    if request.mimetype == "application/json":
        with suppress(ValueError):
            return read_object(request)
        return {}
    return request.form.to_dict()


def _redacted(value: Any, name: str = "") -> Any:
    """Return `value` with secrets, by name or by look, shortened to a hash."""
    if isinstance(value, dict):
        return {str(key): _redacted(inner, str(key).lower()) for key, inner in value.items()}
    if isinstance(value, list):
        return [_redacted(inner, name) for inner in value]
    if name in _SECRET_NAMES:
        return _hashed(str(value))
    return _TOKEN.sub(lambda match: _hashed(match[0]), value) if isinstance(value, str) else value


def _hashed(value: str) -> str:
    return f"sha256:{hashlib.sha256(value.encode(errors='surrogatepass')).hexdigest()[:12]}"
