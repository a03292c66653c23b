"""Workflows, schedules, uploaded tables and executions, as JSON documents beside what they are found by."""

from __future__ import annotations

import json
import sqlite3
import threading
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, instance_id TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL,
    PRIMARY KEY (kind, instance_id, id)
);
CREATE TABLE IF NOT EXISTS executions (
    sequence INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, instance_id TEXT NOT NULL, workflow_id TEXT NOT NULL,
    status TEXT NOT NULL, created_at REAL NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS executions_of_instance ON executions (instance_id, created_at);
CREATE INDEX IF NOT EXISTS executions_open ON executions (status) WHERE status IN ('PENDING', 'RUNNING');
"""
# Names of `kind`.
WORKFLOWS, SCHEDULES, UPLOADS, SECRETS = "workflow", "schedule", "upload", "secret"


class Records:
    """Documents by kind, instance and ID, and executions; safe for many threads."""

    def __init__(self, db: sqlite3.Connection, lock: threading.Lock) -> None:
        self._db, self._lock = db, lock
        self._db.executescript(_SCHEMA)

    def put(self, kind: str, instance_id: str, key: str, body: dict[str, Any]) -> None:
        """Keep a document, in place of one with the same key."""
        self._run("INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", kind, instance_id, key, json.dumps(body))

    def add(self, kind: str, instance_id: str, key: str, body: dict[str, Any]) -> bool:
        """Keep a new document; returns False when there is one with that key already."""
        return bool(
            self._run(
                "INSERT OR IGNORE INTO documents VALUES (?, ?, ?, ?)", kind, instance_id, key, json.dumps(body)
            )
        )

    def get(self, kind: str, instance_id: str, key: str) -> dict[str, Any] | None:
        """Return a document; None when there is none."""
        rows = self._read(
            "SELECT body FROM documents WHERE kind = ? AND instance_id = ? AND id = ?", kind, instance_id, key
        )
        return rows[0] if rows else None

    def all(self, kind: str, instance_id: str) -> list[dict[str, Any]]:
        """Return an instance's documents of a kind, by ID."""
        return self._read(
            "SELECT body FROM documents WHERE kind = ? AND instance_id = ? ORDER BY id", kind, instance_id
        )

    def delete(self, kind: str, instance_id: str, key: str) -> bool:
        """Forget a document; returns False when there was none."""
        return bool(
            self._run(
                "DELETE FROM documents WHERE kind = ? AND instance_id = ? AND id = ?", kind, instance_id, key
            )
        )

    def add_execution(self, body: dict[str, Any]) -> None:
        """Keep the record of a new execution."""
        self._run(
            "INSERT INTO executions (id, instance_id, workflow_id, status, created_at, body) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            *(body[key] for key in ("id", "instance_id", "workflow_id", "status", "created_at")),
            json.dumps(body),
        )

    def save_execution(self, body: dict[str, Any], *, only_from: tuple[str, ...]) -> bool:
        """Keep an execution as it is now if its kept status is one of `only_from`; returns whether it was."""
        marks = ", ".join("?" for _ in only_from)
        return bool(
            self._run(
                f"UPDATE executions SET status = ?, body = ? WHERE id = ? AND status IN ({marks})",
                body["status"], json.dumps(body), body["id"], *only_from,
            )
        )  # fmt: skip

    def execution(self, key: str) -> dict[str, Any] | None:
        """Return the record of an execution, None when there is none."""
        rows = self._read("SELECT body FROM executions WHERE id = ?", key)
        return rows[0] if rows else None

    def executions(
        self,
        instance_id: str = "",
        *,
        workflow_id: str = "",
        since: float | None = None,
        until: float | None = None,
    ) -> list[dict[str, Any]]:
        """Return records of executions in the order they were created; times are seconds since 1970, both included."""
        conditions, values = ["1 = 1"], list[Any]()
        for condition, value in (
            ("instance_id = ?", instance_id or None),
            ("workflow_id = ?", workflow_id or None),
            ("created_at >= ?", since),
            ("created_at <= ?", until),
        ):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        return self._read(
            f"SELECT body FROM executions WHERE {' AND '.join(conditions)} ORDER BY created_at, sequence", *values
        )

    def open_executions(self) -> list[dict[str, Any]]:
        """Return the records of what is PENDING or RUNNING, oldest first."""
        return self._read("SELECT body FROM executions WHERE status IN ('PENDING', 'RUNNING') ORDER BY sequence")

    def clear(self) -> None:
        """Forget everything but the secrets."""
        with self._lock:
            self._db.execute("DELETE FROM documents WHERE kind != ?", (SECRETS,))
            self._db.execute("DELETE FROM executions")

    def _run(self, sql: str, *values: Any) -> int:
        with self._lock:
            return self._db.execute(sql, values).rowcount

    def _read(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        with self._lock:
            rows = self._db.execute(sql, values).fetchall()
        return [json.loads(row[0]) for row in rows]
