"""The queue in a folder: kombu's filesystem transport with a folder for each queue.

Kombu opens a file under its final name before it writes it, reads and sorts the whole folder for each message, and
moves files about. Here a name appears with all it stands for, a folder is read once for all messages that are in it,
and a message is taken by removing its file: whoever is killed before that leaves it to the others.
"""

from __future__ import annotations

import fcntl
import logging
import os
import secrets
import time
from collections import defaultdict, deque
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any
from urllib.parse import quote

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

logger = logging.getLogger(__name__)

# A file that nobody finished writing for so long is left over by a process that was killed.
UNFINISHED_SECONDS = 3600.0
_SUFFIX = ".msg"
# Beside the messages, for somebody to look at.
_ASIDE = "unreadable"


class Channel(filesystem.Channel):
    """A channel whose files are whole as soon as they can be seen, and taken by one worker each."""

    def __init__(self, connection: Any, **kwargs: Any) -> None:
        super().__init__(connection, **kwargs)
        # Names that were in a queue's folder when it was last read and have not been looked at, the oldest first.
        self._listed: defaultdict[str, deque[str]] = defaultdict(deque)

    # Kombu's own classes disagree about the second name.
    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:  # type: ignore[override]
        path = self._folder(queue) / f"{time.time_ns():020d}_{secrets.token_hex(16)}{_SUFFIX}"
        try:
            _write(path, dumps(message))
        except FileNotFoundError:  # the first message of this queue
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, dumps(message))

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        if self._has_its_share(queue):
            raise Empty
        folder, names = self._folder(queue), self._listed[queue]
        if not names:
            names.extend(_names(folder))
        while names:
            message = _take(folder / names.popleft())
            if message is not None:
                return message
        raise Empty

    def _has_its_share(self, queue: str) -> bool:
        """Return whether messages of this queue occupy all threads of this worker that are meant for it.

        A worker of one queue gives it all; one that takes several divides its threads, so that none waits for another.
        """
        qos: Any = self.qos
        if not qos.prefetch_count:
            return False
        threads: dict[str, int] = self.transport_options.get("threads", {})
        all_threads = sum(threads.get(name, 1) for name in self._active_queues)
        share: int = max(1, qos.prefetch_count * threads.get(queue, 1) // all_threads)
        taken = [m for tag, m in qos._delivered.items() if tag not in qos._dirty]
        return len([message for message in taken if message.delivery_info["routing_key"] == queue]) >= share

    def _size(self, queue: str) -> int:
        return len(_names(self._folder(queue)))

    def _purge(self, queue: str) -> int:
        return sum(_remove(self._folder(queue) / name) for name in _names(self._folder(queue)))

    def _delete(self, queue: str, *args: Any, **kwargs: Any) -> None:
        super()._delete(queue, *args, **kwargs)
        self._listed.pop(queue, None)
        with suppress(OSError):  # something else is in it
            self._folder(queue).rmdir()

    def _queue_bind(self, exchange: str, routing_key: str | None, pattern: str | None, queue: str) -> None:
        value = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        self.control_folder.mkdir(parents=True, exist_ok=True)
        with (self.control_folder / "bind.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            table = self.get_table(exchange)
            if value not in table:
                # get_table refuses names that lead elsewhere.
                _write(self.control_folder / f"{exchange}.exchange", dumps([value, *table]))

    def _folder(self, queue: str) -> Path:
        return Path(self.data_folder_in) / quote(queue, safe="@")


class Transport(filesystem.Transport):
    """The filesystem transport with that channel."""

    Channel = Channel


def use_folder_queue() -> None:
    """Let `filesystem://` mean this transport."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"


def _names(folder: Path) -> list[str]:
    """Return the names of the messages in a folder, the oldest first; what a killed writer left there is removed."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    for name in names:
        if name.startswith("."):
            with suppress(FileNotFoundError):
                if (folder / name).stat().st_mtime < time.time() - UNFINISHED_SECONDS:
                    _remove(folder / name)
    return sorted(name for name in names if name.endswith(_SUFFIX))


def _take(path: Path) -> Any:
    """Return the message in a file, None when another worker was first or no message is in it."""
    try:
        message = loads(path.read_text())
        if "delivery_tag" not in message["properties"]:
            raise ValueError("It is no message.")
    except FileNotFoundError:
        return None
    # Whatever a machine that lost power made of it.
    except (ValueError, TypeError, LookupError, OSError):
        _put_aside(path)
        return None
    # Of several workers the one that removes it has it.
    return message if _remove(path) else None


def _put_aside(path: Path) -> None:
    """Move a file that holds no message out of the way; what it asked for is sent again by the ticks."""
    aside = path.parent / _ASIDE / path.name
    aside.parent.mkdir(exist_ok=True)
    with suppress(FileNotFoundError):  # another worker was first
        path.rename(aside)
        logger.warning("message unreadable, put aside file=%s", aside)


def _remove(path: Path) -> bool:
    """Remove a file; returns whether it was still there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    return True


def _write(path: Path, text: str) -> None:
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        unfinished.write_text(text)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
