"""What survives a restart, in one SQLite file: issued tokens, consent codes, and the records of `records`."""

from __future__ import annotations

import fcntl
import hashlib
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from local_amc.records import Records

# As a folder: everything is forgotten at the end.
MEMORY = ":memory:"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS access_tokens (
    digest TEXT PRIMARY KEY, login TEXT NOT NULL, client_id TEXT NOT NULL,
    issued_at REAL NOT NULL, expires_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS consent_codes (
    digest TEXT PRIMARY KEY, login TEXT NOT NULL, client_id TEXT NOT NULL, redirect_uri TEXT NOT NULL,
    challenge TEXT NOT NULL, expires_at REAL NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class Token:
    """Whose an access token is, and since when; times are seconds since 1970."""

    login: str
    client_id: str
    issued_at: float
    expires_at: float


@dataclass(frozen=True, slots=True)
class Code:
    """What a consent's code is bound to."""

    login: str
    client_id: str
    redirect_uri: str
    challenge: str
    expires_at: float


class StoreInUseError(Exception):
    """Another process keeps its records in the folder; two would run each other's executions."""


def claim(folder: str) -> IO[str]:
    """Return an open file that makes a folder this process's own; raises StoreInUseError and OSError."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    file = (Path(folder) / "lock").open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        file.close()
        raise StoreInUseError(folder) from problem
    return file


class Store:
    """Tokens and codes by their hash, and the records; `folder` is MEMORY or a directory."""

    def __init__(self, folder: str) -> None:
        path = folder
        if folder != MEMORY:
            Path(folder).mkdir(parents=True, exist_ok=True)
            path = str(Path(folder) / "local_amc.sqlite3")
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(_SCHEMA)
        self.records = Records(self._db, self._lock)

    def add_token(self, value: str, token: Token) -> None:
        """Keep an issued access token, and drop those that ended before it was issued."""
        row = (_digest(value), token.login, token.client_id, token.issued_at, token.expires_at)
        with self._lock:
            self._db.execute("DELETE FROM access_tokens WHERE expires_at <= ?", (token.issued_at,))
            self._db.execute("INSERT INTO access_tokens VALUES (?, ?, ?, ?, ?)", row)

    def find_token(self, value: str) -> Token | None:
        """Return a token that was issued here, expired or not."""
        with self._lock:
            row = self._db.execute(
                "SELECT login, client_id, issued_at, expires_at FROM access_tokens WHERE digest = ?",
                (_digest(value),),
            ).fetchone()
        return Token(*row) if row else None

    def add_code(self, value: str, code: Code) -> None:
        """Keep a consent's code."""
        row = (_digest(value), code.login, code.client_id, code.redirect_uri, code.challenge, code.expires_at)
        with self._lock:
            self._db.execute("INSERT INTO consent_codes VALUES (?, ?, ?, ?, ?, ?)", row)

    def take_code(self, value: str) -> Code | None:
        """Return a code once: the second caller gets None."""
        with self._lock:
            row = self._db.execute(
                "DELETE FROM consent_codes WHERE digest = ? "
                "RETURNING login, client_id, redirect_uri, challenge, expires_at",
                (_digest(value),),
            ).fetchone()
        return Code(*row) if row else None

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._db.executescript("DELETE FROM access_tokens; DELETE FROM consent_codes;")
        self.records.clear()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()
