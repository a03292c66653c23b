"""What survives a restart: issued access tokens and consent codes, in a small SQLite file."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tokens (token TEXT PRIMARY KEY, login TEXT NOT NULL, expires_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS codes (
    code TEXT PRIMARY KEY, login TEXT NOT NULL, client_id TEXT NOT NULL, redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL, expires_at REAL NOT NULL
);
"""


@dataclass(frozen=True)
class Code:
    """A consent's code and what it is bound to."""

    code: str
    login: str
    client_id: str
    redirect_uri: str
    challenge: str
    expires_at: float


class Store:
    """Keep tokens and codes; `folder` is ":memory:" or a directory."""

    def __init__(self, folder: str) -> None:
        if folder == ":memory:":
            path = folder
        else:
            Path(folder).mkdir(parents=True, exist_ok=True)
            path = str(Path(folder) / "local_amc.sqlite3")
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.executescript(_SCHEMA)

    def add_token(self, token: str, login: str, expires_at: float) -> None:
        """Keep an issued access token."""
        with self._lock:
            self._db.execute("INSERT INTO tokens VALUES (?, ?, ?)", (token, login, expires_at))

    def token_login(self, token: str, now: float) -> tuple[str, float] | None:
        """Give whose token it is and its end, or None when it is unknown or expired."""
        with self._lock:
            row = self._db.execute(
                "SELECT login, expires_at FROM tokens WHERE token = ? AND expires_at > ?", (token, now)
            ).fetchone()
        return (str(row[0]), float(row[1])) if row else None

    def add_code(self, code: Code) -> None:
        """Keep a consent's code."""
        with self._lock:
            self._db.execute(
                "INSERT INTO codes VALUES (?, ?, ?, ?, ?, ?)",
                (code.code, code.login, code.client_id, code.redirect_uri, code.challenge, code.expires_at),
            )

    def take_code(self, code: str) -> Code | None:
        """Give a code once: the second caller gets None."""
        with self._lock:
            row = self._db.execute("DELETE FROM codes WHERE code = ? RETURNING *", (code,)).fetchone()
        return Code(*row) if row else None

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._db.executescript("DELETE FROM tokens; DELETE FROM codes;")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
